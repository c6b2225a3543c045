"""Errors as clients of the Messages API know them. Pure.

The id of the request stands in each of them, as in the headers.
"""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from claude_relay import logs
from claude_relay.errors import OverloadedError, RelayError
from claude_relay.messages import state
from claude_relay.web.dialect import Dialect, shortened
from claude_relay.web.frames import frame

_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_SERVER_ERROR = 500
_DETAILS: Mapping[str | None, dict[str, Any]] = {
    state.NOT_FOUND: {"error_code": state.NOT_FOUND},
    state.UNSUPPORTED: {"error_code": state.UNSUPPORTED, "unsupported": ["thread"]},
}
_OVERLOADED = "overloaded"
_NO_ID = "-"


class ErrorObject(Struct, frozen=True):
    """What went wrong.

    Attributes:
        type: The kind of error, in Anthropic's words.
        message: For people.
        details: For SDKs that can do something about it.
    """

    type: str
    message: str
    details: dict[str, Any] | UnsetType = UNSET


class MessagesError(Struct, frozen=True):
    """The body of every error, and the last event of a stream that has failed."""

    error: ErrorObject
    request_id: str | None = None
    type: Literal["error"] = "error"


def presented(error: RelayError) -> RelayError:
    """Return the error that is answered in place of another one: where the upstream has no room, the status is 529."""
    if error.code != _OVERLOADED:
        return error
    return OverloadedError(error.message, retry_after=error.retry_after, should_retry=error.should_retry)


def error_body(error: RelayError) -> MessagesError:
    """Return the body of an error response."""
    kind = _TYPES.get(presented(error).status)
    kind = kind or ("api_error" if error.status >= _SERVER_ERROR else "invalid_request_error")
    request_id = logs.request_id.get()
    return MessagesError(
        ErrorObject(kind, shortened(error.message), _DETAILS.get(error.code, UNSET)),
        None if request_id == _NO_ID else request_id,
    )


def error_frame(error: RelayError) -> bytes:
    """Return the event of an error."""
    return frame(error_body(error), "error")


DIALECT = Dialect(error_body, error_frame, presented)
