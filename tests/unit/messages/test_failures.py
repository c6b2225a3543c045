"""Errors are Anthropic's, with the id of the request and what SDKs need to go on."""

import json

import pytest

from claude_relay import errors, logs
from claude_relay.messages import state
from claude_relay.messages.failures import DIALECT, error_body, error_frame, presented


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (errors.InvalidRequestError("x"), 400, "invalid_request_error"),
        (errors.UnauthenticatedError("x"), 401, "authentication_error"),
        (errors.AuthenticationError("x"), 401, "authentication_error"),
        (errors.PermissionDeniedError("x"), 403, "permission_error"),
        (errors.NotFoundError("x"), 404, "not_found_error"),
        (errors.MethodNotAllowedError("x"), 405, "invalid_request_error"),
        (errors.RequestTimeoutError("x"), 408, "invalid_request_error"),
        (errors.RequestTooLargeError("x"), 413, "request_too_large"),
        (errors.RateLimitError("x"), 429, "rate_limit_error"),
        (errors.QuotaError("x"), 429, "rate_limit_error"),
        (errors.RelayError("x"), 500, "api_error"),
        (errors.UpstreamError("x"), 502, "api_error"),
        (errors.UnavailableError("x"), 503, "api_error"),
        (errors.UnavailableError("x", code="overloaded"), 529, "overloaded_error"),
        (errors.DeadlineError("x"), 504, "timeout_error"),
    ],
    ids=repr,
)
def test_each_failure_has_anthropics_word_and_status(error: errors.RelayError, status: int, kind: str) -> None:
    assert presented(error).status == status
    assert error_body(error).error.type == error_body(presented(error)).error.type == kind


def test_whether_and_when_to_ask_again_is_kept() -> None:
    shown = presented(errors.UnavailableError("x", code="overloaded", retry_after=5, should_retry=False))

    assert (shown.retry_after, shown.should_retry, shown.message) == (5, False, "x")


def test_an_error_names_its_request_if_there_is_one() -> None:
    assert error_body(errors.RelayError("x")).request_id is None
    token = logs.request_id.set("req_1")
    try:
        assert error_body(errors.RelayError("x")).request_id == "req_1"
    finally:
        logs.request_id.reset(token)


def test_errors_of_threads_have_what_sdks_look_for() -> None:
    assert error_body(state.not_found("msg_1")).error.details == {"error_code": "thread_not_found"}
    assert error_body(state.unsupported()).error.details == {
        "error_code": "thread_unsupported_request",
        "unsupported": ["thread"],
    }
    assert (state.not_found("msg_1").status, state.unsupported().status) == (404, 400)


def test_the_event_of_an_error_is_its_body_with_a_name() -> None:
    name, data = (
        error_frame(errors.UnavailableError("full", code="overloaded")).decode().removesuffix("\n\n").split("\n")
    )

    assert name == "event: error"
    assert json.loads(data.removeprefix("data: ")) == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "full"},
        "request_id": None,
    }
    assert DIALECT.error_frame is error_frame


def test_a_long_message_is_cut() -> None:
    assert len(error_body(errors.RelayError("x" * 100_000)).error.message) < 5_000
