"""How a run of the CLI has failed -> the error that the client gets, and what the log says. Pure."""

import time
from http import HTTPStatus

from claude_relay.engine.claude import wire
from claude_relay.engine.claude.causes import causes
from claude_relay.engine.structured_output import schema_mismatch
from claude_relay.errors import (
    CONVERSATION,
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RelayError,
    RequestTooLargeError,
    UnavailableError,
    UpstreamError,
)

_LOGIN = (
    "Claude Code is not logged in. Run `claude` and `/login` on the relay's machine, or set ANTHROPIC_API_KEY there."
)
_RETRY_AFTER = 5.0
"""Seconds to wait when the upstream is overloaded and nothing better is known."""


def failure(result: wire.Result, code: str | None, resets_at: float | None = None) -> RelayError:
    """Return the error that a failed run is answered with.

    The CLI's text is passed on where it helps the client; where the upstream itself failed it names hosts and ports
    that are the operator's business, so the client gets our words.

    Args:
        result: The line that ended the run.
        code: The error code of the CLI's last, synthetic message.
        resets_at: When a subscription's limit is lifted, in seconds since the epoch, if known.
    """
    text = result.result.replace("API Error: ", "")
    if result.terminal_reason in {"prompt_too_long", "blocking_limit"}:
        return InvalidRequestError(text, param=CONVERSATION, code="context_length_exceeded")
    if result.api_error_status is None:
        return _coded_failure(text, code, result.subtype)
    match result.api_error_status:
        case 400:
            return InvalidRequestError(text)
        case 401:
            return AuthenticationError(f"{text} ({_LOGIN})")
        case 403:
            return PermissionDeniedError(text)
        case 404:
            return NotFoundError(text, param="model", code="model_not_found")
        case 413:
            return RequestTooLargeError(text, param=CONVERSATION)
        case 429:
            return RateLimitError(text, retry_after=_seconds_until(resets_at))
        case 503 | 529:
            return _overloaded()
        case status:
            # what an upstream refuses it refuses again
            may_heal = None if status >= HTTPStatus.INTERNAL_SERVER_ERROR else False
            return UpstreamError(f"The upstream failed with status {status}.", should_retry=may_heal)


def cause(result: wire.Result, code: str | None) -> str:
    """Say for the log what made a run fail, without the upstream's words: they may repeat the client's."""
    known = {
        "status": result.api_error_status,
        "code": code,
        "reason": result.terminal_reason or result.subtype,
        "causes": causes(result.result),
        "characters": len(result.result),
    }
    return ", ".join(f"{name} {value}" for name, value in known.items() if value is not None)


def _coded_failure(text: str, code: str | None, subtype: str) -> RelayError:
    """The CLI failed without an HTTP status: its own error code is all there is."""
    if subtype == "error_max_structured_output_retries":
        return schema_mismatch("several attempts failed")
    match code:
        case "authentication_failed":
            return AuthenticationError(_LOGIN, code="not_logged_in")
        case "model_not_found":
            return NotFoundError(text, param="model", code="model_not_found")
        case "rate_limit":
            return RateLimitError(text, retry_after=_RETRY_AFTER)
        case "invalid_request":
            return InvalidRequestError(text)
    if "overloaded" in text.lower() or "529" in text:
        return _overloaded()
    if code == "server_error":
        return UpstreamError(
            "The upstream cannot be reached, or the connection to it was lost.", code="upstream_disconnected"
        )
    return UpstreamError(f"Claude Code stopped ({subtype}); the relay's log has the details.")


def broken_off() -> UpstreamError:
    """Return the error of an answer that ended in its middle."""
    return UpstreamError(
        "The connection to the upstream ended in the middle of the answer.", code="upstream_disconnected"
    )


def _overloaded() -> UnavailableError:
    return UnavailableError("The upstream is overloaded.", code="overloaded", retry_after=_RETRY_AFTER)


def _seconds_until(moment: float | None) -> float:
    return _RETRY_AFTER if moment is None else max(1.0, moment - time.time())
