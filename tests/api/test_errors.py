"""One error shape for all endpoints."""

import gzip
from collections.abc import Callable
from contextlib import AbstractContextManager

import httpx
import pytest

from claude_relay import errors
from claude_relay.asgi import create_app
from claude_relay.engine.echo import EchoRunner
from claude_relay.settings import Settings
from tests.api.conftest import Client
from tests.callers import calling

HELLO = {"messages": [{"role": "user", "content": "hi"}]}
MAX_BODY_BYTES = Settings().max_body_size * 1024 * 1024
Failing = Callable[[Exception], AbstractContextManager[Client]]


def assert_openai_error(response: httpx.Response, status: int) -> dict[str, str | None]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("application/json")
    assert response.headers["x-request-id"].startswith("req_")
    assert set(response.json()) == {"error"}
    error: dict[str, str | None] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert error["type"]
    return error


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/completions", "/v1/conversations"])
def test_a_compressed_body_is_refused_as_such(client: Client, path: str) -> None:
    refused = client.post(path, content=gzip.compress(b"{}"), headers={"content-encoding": "gzip"})

    assert "Content-Encoding" in (assert_openai_error(refused, 415)["message"] or "")


def test_a_body_that_is_said_to_be_as_it_is_is_read(client: Client) -> None:
    assert client.post("/v1/chat/completions", json=HELLO, headers={"content-encoding": "identity"}).is_success


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_unknown_paths_and_methods(client: Client, prefix: str) -> None:
    assert "/nothing" in (assert_openai_error(client.get(f"{prefix}/nothing"), 404)["message"] or "")
    assert_openai_error(client.get(f"{prefix}/chat/completions"), 405)
    assert_openai_error(client.delete(f"{prefix}/models"), 405)
    assert_openai_error(client.post(f"{prefix}/health"), 405)


@pytest.mark.parametrize("prefix", ["", "/v1"])
@pytest.mark.parametrize(
    ("method", "path", "advice"),
    [
        ("POST", "/embeddings", "no embeddings: use another server"),
        ("POST", "/audio/transcriptions", "use another server for sound"),
        ("POST", "/images/generations", "makes no images"),
        ("GET", "/files/file-1/content", "as a part of the type 'file'"),
        ("GET", "/responses/resp_1/events", "Responses can be created"),
        ("GET", "/conversations/conv_1/events", "Conversations and their items can be created"),
        ("DELETE", "/threads/thread_1", "send the whole conversation"),
        ("POST", "/fine_tuning/jobs", "cannot be trained"),
        ("POST", "/moderations", "moderates by itself"),
        ("POST", "/message", "Served are"),
        ("POST", "/chat", "Served are"),
    ],
)
def test_a_path_that_is_not_served_is_a_404_that_tells_what_is_and_what_to_do_instead(
    client: Client, method: str, path: str, advice: str, prefix: str
) -> None:
    error = assert_openai_error(client.request(method, prefix + path, json={"input": "x"}), 404)

    message = error["message"] or ""
    assert message.startswith(f"Invalid URL ({method} {prefix}{path}). ")
    assert advice in message
    assert message.endswith(
        " Served are /v1/chat/completions, /v1/responses, /v1/conversations, /v1/messages, /v1/completions, "
        "/v1/approvals, /v1/models, /v1/health, /v1/metrics, /v1/console."
    )
    assert error["code"] == "not_found"


@pytest.mark.parametrize("path", ["/v1/embeddings", "/files", "/v1/nothing"])
def test_who_may_not_call_is_not_told_what_is_served(path: str) -> None:
    with calling(create_app(Settings(api_keys=("ada=secret-key",)), EchoRunner())) as stranger:
        error = assert_openai_error(stranger.post(path, json={}), 401)

    assert "Served" not in (error["message"] or "")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, "messages[0].content[0].type"),
        ({**HELLO, "stream": "true"}, "stream"),
        ({**HELLO, "temperature": 3}, "temperature"),
        ({**HELLO, "temperature": "hot"}, "temperature"),
        ({**HELLO, "max_tokens": -1}, "max_tokens"),
        ({**HELLO, "model": 4}, "model"),
        ({**HELLO, "stream_options": {"include_usage": "yes"}}, "stream_options.include_usage"),
    ],
)
def test_bad_input_names_the_parameter(client: Client, body: object, param: str) -> None:
    error = assert_openai_error(client.post("/v1/chat/completions", json=body), 400)
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[" * 100_000, b"null", b'{"messages":[{"role":"user","content":"\xff"}]}', b"\x00"]
)
def test_what_is_no_json_is_a_400(client: Client, body: bytes) -> None:
    assert_openai_error(client.post("/v1/chat/completions", content=body), 400)


def test_a_body_of_the_limit_is_read(client: Client) -> None:
    body = b'{"messages":[{"role":"user","content":"hi"}]}'
    assert client.post("/v1/chat/completions", content=body.ljust(MAX_BODY_BYTES)).status_code == 200


def test_a_body_over_the_limit_is_a_413(client: Client) -> None:
    response = client.post("/v1/chat/completions", content=b" " * (MAX_BODY_BYTES + 1))
    assert "--max-body-size" in (assert_openai_error(response, 413)["message"] or "")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (errors.AuthenticationError("log in"), 401),
        (errors.RateLimitError("slow down", retry_after=1.2, should_retry=False), 429),
        (errors.UpstreamError("it broke"), 502),
        (errors.UnavailableError("nobody there"), 503),
        (errors.RelayError("ours"), 500),
    ],
)
def test_a_runners_failure_has_its_own_status(
    failing: Failing, failure: errors.RelayError, status: int, stream: bool
) -> None:
    with failing(failure) as client:
        response = client.post("/v1/chat/completions", json={**HELLO, "stream": stream})
    assert assert_openai_error(response, status)["message"] == failure.message
    if status == 429:
        assert response.headers["retry-after"] == "2"
        assert response.headers["x-should-retry"] == "false"


def test_a_mistake_of_ours_is_told_in_one_sentence_and_logged(
    failing: Failing, caplog: pytest.LogCaptureFixture
) -> None:
    with failing(ZeroDivisionError("secret detail")) as client:
        error = assert_openai_error(client.post("/v1/chat/completions", json=HELLO), 500)
    assert "secret" not in (error["message"] or "")
    assert "secret detail" in caplog.text
