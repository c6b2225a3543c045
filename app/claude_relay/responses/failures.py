"""Errors as clients of the responses API know them. Pure.

Codex, which speaks this API alone, asks again up to thirty times where a status or a code does not stop it: after 500
and 503, after an event ``error`` alone, after ``response.failed`` with a code that it does not know.
"""

from claude_relay.errors import LONGEST_WAIT, RelayError, UnavailableError
from claude_relay.responses.answer import ResponseFailure
from claude_relay.responses.events import ErrorEvent
from claude_relay.web.dialect import Dialect, ErrorResponse, error_response
from claude_relay.web.frames import frame

OVERLOADED = "server_is_overloaded"
"""The code of a failure on this side, in a 503 and in a stream: whoever asks again would do so after the engine has."""

_SERVER_ERROR = 500
_STOPPING = {"context_length_exceeded", "insufficient_quota", "model_not_found"}
"""Codes that stop Codex, with texts that fit."""
_RATE_LIMIT = "rate_limit_exceeded"
"""The code of a failure after which Codex waits as the message says, and asks again."""


def presented(error: RelayError) -> RelayError:
    """Return the error that is answered in place of another one: a failure on this side is 503 with a known code."""
    if error.status < _SERVER_ERROR:
        return error
    return UnavailableError(
        error.message,
        param=error.param,
        code=OVERLOADED,
        retry_after=error.retry_after,
        should_retry=error.should_retry,
    )


def error_body(error: RelayError) -> ErrorResponse:
    """Return the body of an error response."""
    return error_response(error, "input")


def error_event(error: RelayError, number: int) -> ErrorEvent:
    """Return the event of an error, in OpenAI's form and in that of chats: SDKs know one or the other."""
    detail = error_body(error).error
    return ErrorEvent(number, detail.code, detail.message, detail.param, detail)


def failure(error: RelayError) -> ResponseFailure:
    """Return what a response that has failed says of an error."""
    message = error_body(error).error.message
    if error.code in _STOPPING:
        return ResponseFailure(error.code, message)
    if error.code == _RATE_LIMIT and error.retry_after is not None and error.retry_after <= LONGEST_WAIT:
        return ResponseFailure(_RATE_LIMIT, f"{message} Please try again in {error.retry_after:.0f}s.")
    return ResponseFailure("invalid_prompt" if error.status < _SERVER_ERROR else OVERLOADED, message)


def plain_failure(error: RelayError) -> ResponseFailure:
    """Return what a response in the background says of an error: the code that says most."""
    detail = error_body(error).error
    return ResponseFailure(detail.code or "server_error", detail.message)


DIALECT = Dialect(error_body, lambda error: frame(error_event(error, 0), "error"), presented)
