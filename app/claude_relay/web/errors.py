"""Any exception becomes an error response in the dialect of its path."""

import logging
import math
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException, ValidationException
from msgspec import Struct

from claude_relay import errors
from claude_relay.web import access_log
from claude_relay.web.dialect import dialect_of, registered
from claude_relay.web.unserved import not_found

_log = logging.getLogger(__name__)

INTERNAL = (
    "The server had an error while processing your request. The relay's log has the details under this request's "
    "x-request-id."
)
"""What a client is told of a failure that nobody expected."""
_TOO_LARGE = "The body is larger than this relay allows; its operator sets the limit with --max-body-size."


def to_relay_error(
    exception: Exception, path: str = "", method: str = "", served: Iterable[str] = ()
) -> errors.RelayError:
    """Return the relay's own error for any exception. An unexpected one is logged and gets a fixed message.

    Args:
        exception: What was raised.
        path: The path of the request.
        method: Its HTTP method.
        served: The paths below which something is served.
    """
    match exception:
        case errors.RelayError():
            return exception
        case ValidationException(extra=[{"source": "query", "key": str(key), "message": str(message)}, *_]):
            return errors.invalid(f"{message[:1].lower()}{message[1:]}", key)
        case ValidationException():
            return errors.InvalidRequestError("A JSON body is required.", code="invalid_json")
        case HTTPException(status_code=413):
            return errors.RequestTooLargeError(_TOO_LARGE)
        case HTTPException(status_code=404):
            return not_found(method, path, served)
        case HTTPException(status_code=405):
            return errors.MethodNotAllowedError(f"Not allowed to {method} on {path}.")
        case HTTPException(status_code=status) if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return errors.InvalidRequestError(exception.detail)
    _log.error("unexpected error", exc_info=exception)
    return errors.RelayError(INTERNAL, code="internal_error")


def headers(error: errors.RelayError) -> dict[str, str]:
    """Return the response headers that tell a client whether, when and with what to try again."""
    found: dict[str, str] = {}
    if error.retry_after is not None:
        found["retry-after"] = str(math.ceil(error.retry_after))
    if error.should_retry is not None:
        found["x-should-retry"] = str(error.should_retry).lower()
    if isinstance(error, errors.UnauthenticatedError):
        found["www-authenticate"] = "Bearer"
    return found


def respond(request: Request[Any, Any, Any], exception: Exception) -> Response[Struct]:
    """Answer a request with an error; Litestar calls this for whatever was raised."""
    error = to_relay_error(
        exception, request.scope["path"], request.method, registered(request.scope.get("litestar_app"))
    )
    access_log.annotate(request.scope, error=error.code)
    dialect = dialect_of(request.scope)
    error = dialect.presented(error)
    kept = exception.headers if isinstance(exception, HTTPException) and exception.headers else {}
    return Response(
        dialect.error_body(error),
        status_code=error.status,
        headers={**kept, **headers(error)},
        media_type=MediaType.JSON,
    )
