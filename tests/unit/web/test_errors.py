"""Any exception becomes OpenAI's error body."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from litestar import get, post
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    PermissionDeniedException,
    ValidationException,
)
from litestar.params import FromPath
from litestar.testing import TestClient, create_test_client

from claude_relay.errors import (
    CONVERSATION,
    AuthenticationError,
    InvalidRequestError,
    RateLimitError,
    RelayError,
    UnavailableError,
    UpstreamError,
)
from claude_relay.web.dialect import error_response
from claude_relay.web.errors import headers, respond, to_relay_error
from tests.unit.test_errors import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_renders_all_four_keys_even_those_that_are_null(kind: type[RelayError]) -> None:
    body = json.loads(msgspec.json.encode(error_response(kind("words"))))

    assert body == {
        "error": {"message": "words", "type": kind.type, "param": None, "code": kind.default_code},
    }


def test_a_parameter_and_a_code_are_told() -> None:
    detail = error_response(InvalidRequestError("words", param="messages[0]", code="invalid_value")).error

    assert (detail.param, detail.code) == ("messages[0]", "invalid_value")


def test_what_a_client_sent_is_not_told_back_at_any_length() -> None:
    detail = error_response(InvalidRequestError("m" * 1_000_000, param="p" * 1_000_000)).error

    assert detail.message == "m" * 4_000 + "... (996000 more characters)"
    assert detail.param == "p" * 200 + "... (999800 more characters)"


@pytest.mark.parametrize(("seconds", "told"), [(0.0, "0"), (0.01, "1"), (1.0, "1"), (5.2, "6"), (3600.0, "3600")])
def test_a_time_to_wait_is_rounded_up_to_whole_seconds(seconds: float, told: str) -> None:
    assert headers(RateLimitError("words", retry_after=seconds))["retry-after"] == told


@pytest.mark.parametrize(("retry", "told"), [(True, "true"), (False, "false")])
def test_an_sdk_is_told_whether_to_try_again(retry: bool, told: str) -> None:
    assert headers(UpstreamError("words", should_retry=retry)) == {"x-should-retry": told}


def test_an_error_that_knows_nothing_of_retries_says_nothing() -> None:
    assert headers(UpstreamError("words")) == {}


def test_the_relays_own_errors_are_understood_as_they_are() -> None:
    error = UnavailableError("words")

    assert to_relay_error(error) is error


@pytest.mark.parametrize(
    ("exception", "status", "code"),
    [
        (NotFoundException(), 404, "not_found"),
        (MethodNotAllowedException(), 405, "method_not_allowed"),
        (HTTPException(status_code=413), 413, "request_too_large"),
        (ValidationException("secret details"), 400, "invalid_json"),
        (PermissionDeniedException("words"), 400, None),
        (HTTPException(status_code=418, detail="words"), 400, None),
        (HTTPException(status_code=500, detail="secret details"), 500, "internal_error"),
        (HTTPException(status_code=503, detail="secret details"), 500, "internal_error"),
    ],
)
def test_exceptions_of_the_framework_are_understood(exception: Exception, status: int, code: str | None) -> None:
    error = to_relay_error(exception, "/nowhere")

    assert (error.status, error.code) == (status, code)
    assert "secret" not in error.message


def test_a_path_that_does_not_exist_is_named() -> None:
    assert to_relay_error(NotFoundException(), "/v1/nowhere", "GET").message == "Invalid URL (GET /v1/nowhere)."


def test_a_method_that_a_path_does_not_have_is_named() -> None:
    error = to_relay_error(MethodNotAllowedException(), "/v1/models", "PUT")

    assert error.message == "Not allowed to PUT on /v1/models."


@pytest.mark.parametrize(
    "exception", [ValueError("secret"), KeyError("secret"), RuntimeError("secret"), OSError(5, "secret")]
)
def test_an_exception_that_nobody_expected_is_logged_and_told_in_one_fixed_sentence(
    exception: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    error = to_relay_error(exception)

    assert (type(error), error.status, error.code) == (RelayError, 500, "internal_error")
    assert error.message == to_relay_error(ZeroDivisionError()).message
    record = caplog.records[0]
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[1] is exception


# --- inside an application -------------------------------------------------------------------------------------------


@get("/fail/{name:str}")
async def fail(name: FromPath[str]) -> str:
    raise {
        "late": RateLimitError("slow down", retry_after=1.5, should_retry=True),
        "login": AuthenticationError("who?", code="not_logged_in"),
        "bug": RuntimeError("secret"),
        "headers": HTTPException(status_code=400, detail="words", headers={"x-extra": "1"}),
    }[name]


@post("/only-post")
async def only_post() -> None:
    return None


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient[Any]]:
    with create_test_client([fail, only_post], exception_handlers={Exception: respond}, logging_config=None) as opened:
        yield opened


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/fail/late", 429, "rate_limit_exceeded"),
        ("/fail/login", 401, "not_logged_in"),
        ("/fail/bug", 500, "internal_error"),
        ("/fail/headers", 400, None),
        ("/nowhere", 404, "not_found"),
        ("/only-post", 405, "method_not_allowed"),
    ],
)
def test_every_failure_is_answered_in_one_shape(
    client: TestClient[Any], path: str, status: int, code: str | None
) -> None:
    answer = client.get(path)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"error"}
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert answer.json()["error"]["code"] == code
    assert "secret" not in answer.text


def test_the_answer_carries_the_headers_of_the_error(client: TestClient[Any]) -> None:
    late = client.get("/fail/late")

    assert (late.headers["retry-after"], late.headers["x-should-retry"]) == ("2", "true")
    assert client.get("/fail/headers").headers["x-extra"] == "1"


def test_the_conversation_has_the_name_that_openai_gives_it() -> None:
    error = InvalidRequestError("Prompt is too long", param=CONVERSATION, code="context_length_exceeded")

    assert error_response(error).error.param == "messages"
