"""All errors of the relay.

Each class carries the HTTP status and the OpenAI ``type`` it is answered with; ``claude_relay.web.errors`` turns an
instance into a response. Nothing in here knows an HTTP framework.
"""

from collections.abc import Mapping
from typing import ClassVar

LONGEST_WAIT = 60.0
"""Seconds that SDKs wait before they ask again; told to wait longer, they ask too early, by a clock of their own."""
RETRIES: Mapping[str, bool] = {
    "claude_not_found": False,
    "claude_refused": False,
    "claude_unreadable": False,
    "internal_error": False,
    "invalid_structured_output": False,
    "no_temporary_directory": False,
    "upstream_is_relay": False,
    "no_worktree": False,
}
"""Whether asking again can help, by an error's code, where its status would tell an SDK otherwise."""
_LONGEST_QUOTED = 200
"""Characters."""


CONVERSATION = "(conversation)"
"""A ``param`` that is the conversation as a whole, which each family of endpoints calls by another name."""


class RelayError(Exception):
    """A failure with a message for the client.

    Args:
        message: What went wrong and what to do, for the person who reads the client's log.
        param: The request parameter at fault, as a path such as ``messages[0].content``.
        code: A stable word for programs, such as ``model_not_found``; the class's own when not given.
        retry_after: Seconds after which asking again makes sense.
        should_retry: Overrides the client SDK's own choice (header ``x-should-retry``). When not given, the code
            decides, or how long there is to wait, or the class; None leaves it to the SDK.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    default_code: ClassVar[str | None] = None
    default_should_retry: ClassVar[bool | None] = None

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        should_retry: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code if code is not None else self.default_code
        self.retry_after = retry_after
        self.should_retry = self._helps() if should_retry is None else should_retry

    def _helps(self) -> bool | None:
        """Whether asking again can help, if that is known."""
        if self.code is not None and self.code in RETRIES:
            return RETRIES[self.code]
        return self.default_should_retry if self.retry_after is None else self.retry_after <= LONGEST_WAIT


class SettingsError(RelayError):
    """A setting of the operator has a bad value; raised before any server runs."""


class ListenError(RelayError):
    """The server cannot listen where the operator wants it; raised before it runs."""


class InvalidRequestError(RelayError):
    """The request cannot be served as it stands."""

    status = 400
    type = "invalid_request_error"
    default_should_retry = False


class AuthenticationError(RelayError):
    """Claude Code, or its upstream, does not accept the login."""

    status = 401
    type = "authentication_error"
    default_code = "invalid_api_key"
    default_should_retry = False


class UnauthenticatedError(RelayError):
    """The relay does not know who calls: a key is missing, wrong, or needed because the caller is elsewhere."""

    status = 401
    type = "authentication_error"
    default_code = "invalid_api_key"
    default_should_retry = False


class PermissionDeniedError(RelayError):
    """The login is known but may not do this."""

    status = 403
    type = "permission_error"
    default_code = "permission_denied"
    default_should_retry = False


class OriginNotAllowedError(RelayError):
    """A web page calls that is not allowed to."""

    status = 403
    type = "permission_error"
    default_code = "origin_not_allowed"
    default_should_retry = False


class NotFoundError(RelayError):
    """There is nothing of that name: no such path, model, response, or whatever else the request refers to."""

    status = 404
    type = "invalid_request_error"
    default_code = "not_found"
    default_should_retry = False


class MethodNotAllowedError(RelayError):
    """The path exists, but not for this HTTP method."""

    status = 405
    type = "invalid_request_error"
    default_code = "method_not_allowed"
    default_should_retry = False


class RequestTimeoutError(RelayError):
    """The client took too long to send its request."""

    status = 408
    type = "invalid_request_error"
    default_code = "request_timeout"


class ConflictError(RelayError):
    """Another request had the same idempotency key."""

    status = 409
    type = "invalid_request_error"
    default_code = "idempotency_key_reused"
    default_should_retry = False


class RequestTooLargeError(RelayError):
    """The request's body is larger than the relay or its upstream takes."""

    status = 413
    type = "invalid_request_error"
    default_code = "request_too_large"
    default_should_retry = False


class UnsupportedMediaTypeError(RelayError):
    """A body is compressed, or a web page sent it with a content type that browsers send without a preflight."""

    status = 415
    type = "invalid_request_error"
    default_code = "unsupported_media_type"
    default_should_retry = False


class UpgradeRefusedError(RelayError):
    """The client requires another protocol, such as a WebSocket, that the relay does not have."""

    status = 426
    type = "invalid_request_error"
    default_code = "upgrade_refused"
    default_should_retry = False


class TooManyConnectionsError(RelayError):
    """One address has more connections than the operator allows."""

    status = 429
    type = "rate_limit_error"
    default_code = "too_many_connections"


class RateLimitError(RelayError):
    """The upstream asks to slow down."""

    status = 429
    type = "rate_limit_error"
    default_code = "rate_limit_exceeded"


class QuotaError(RelayError):
    """The caller has reached its quota."""

    status = 429
    type = "insufficient_quota"
    default_code = "insufficient_quota"
    default_should_retry = False


class ClientDisconnectedError(RelayError):
    """The client left before its answer was ready; nobody reads this."""

    status = 499
    default_code = "client_disconnected"


class UpstreamError(RelayError):
    """Claude Code, or the service behind it, failed."""

    status = 502
    default_code = "upstream_error"


class UnavailableError(RelayError):
    """The relay, or what it needs, cannot serve requests now."""

    status = 503
    default_code = "service_unavailable"


class OverloadedError(RelayError):
    """The upstream has no room for requests now; clients of Anthropic's API know that by a status of its own."""

    status = 529
    default_code = "overloaded"


class DeadlineError(RelayError):
    """The answer took too long, and its work is stopped."""

    status = 504
    default_should_retry = False


def missing(param: str) -> InvalidRequestError:
    """Return the error for a request that lacks a parameter, by its path in the request."""
    return InvalidRequestError(
        f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
    )


def invalid(reason: str, param: str) -> InvalidRequestError:
    """Return the error for a parameter with a value that cannot be used."""
    return InvalidRequestError(f"Invalid value for '{param}': {reason}.", param=param, code="invalid_value")


def too_long(param: str, most: int, found: int) -> InvalidRequestError:
    """Return the error for a list with too many items, in OpenAI's words."""
    return InvalidRequestError(
        f"Invalid '{param}': array too long. Expected an array with maximum length {most}, but got an array with "
        f"length {found} instead.",
        param=param,
        code="array_above_max_length",
    )


def text_too_long(param: str, longest: int, found: int) -> InvalidRequestError:
    """Return the error for a text with too many characters, in OpenAI's words."""
    return InvalidRequestError(
        f"Invalid '{param}': string too long. Expected a string with maximum length {longest}, but got a "
        f"string with length {found} instead.",
        param=param,
        code="string_above_max_length",
    )


def quoted(text: str) -> str:
    """Return a client's text in quotation marks for a message, cut if it is long."""
    return repr(text if len(text) <= _LONGEST_QUOTED else f"{text[:_LONGEST_QUOTED]}...")
