"""Errors have the statuses and codes that clients stop at."""

import pytest

from claude_relay import errors
from claude_relay.responses.failures import error_body, failure, presented


@pytest.mark.parametrize(
    "error",
    [
        errors.RelayError("x", code="internal_error"),
        errors.UpstreamError("x", retry_after=3),
        errors.UnavailableError("x", code="overloaded", retry_after=5),
        errors.DeadlineError("x", code="total_timeout"),
    ],
)
def test_a_failure_on_this_side_is_503_with_a_code_that_is_known(error: errors.RelayError) -> None:
    found = presented(error)

    assert (found.status, found.code, found.message) == (503, "server_is_overloaded", "x")
    assert (found.retry_after, found.should_retry) == (error.retry_after, error.should_retry)


@pytest.mark.parametrize(
    "error",
    [
        errors.InvalidRequestError("x"),
        errors.AuthenticationError("x"),
        errors.NotFoundError("x", code="model_not_found"),
        errors.RateLimitError("x", retry_after=5),
        errors.UpgradeRefusedError("x"),
    ],
)
def test_any_other_error_stays_as_it_is(error: errors.RelayError) -> None:
    assert presented(error) is error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidRequestError("x", code="context_length_exceeded"), "context_length_exceeded"),
        (errors.NotFoundError("x", code="model_not_found"), "model_not_found"),
        (errors.QuotaError("x"), "insufficient_quota"),
        (errors.InvalidRequestError("x"), "invalid_prompt"),
        (errors.AuthenticationError("x"), "invalid_prompt"),
        (errors.RateLimitError("x"), "invalid_prompt"),
        (errors.RateLimitError("x", retry_after=3_600), "invalid_prompt"),
        (errors.RateLimitError("x", retry_after=5), "rate_limit_exceeded"),
        (errors.UpstreamError("x"), "server_is_overloaded"),
        (errors.RelayError("x"), "server_is_overloaded"),
    ],
)
def test_a_stream_fails_with_a_code_that_codex_knows(error: errors.RelayError, code: str) -> None:
    assert failure(error).code == code


def test_who_is_to_wait_is_told_how_long() -> None:
    assert failure(errors.RateLimitError("Slow down.", retry_after=5)).message == "Slow down. Please try again in 5s."


def test_the_conversation_is_called_input() -> None:
    assert error_body(errors.InvalidRequestError("x", param=errors.CONVERSATION)).error.param == "input"
    assert error_body(errors.NotFoundError("x", param="conversation")).error.param == "conversation"
