"""What the fake upstream can answer, as plain data with handy constructors.

Times are seconds, token counts are tokens. A *delta* is one piece of text, thinking or tool input
on its way to the client; a thinking block's signature is not counted as one.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

GREETING = "Hello from fake upstream."


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one reply; ``output_tokens`` None means one token per delta."""

    input_tokens: int = 100
    cache_read: int = 300
    cache_creation: int = 20
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """A text block; ``chunks`` is the number of deltas, or the deltas themselves."""

    text: str
    chunks: int | tuple[str, ...] = 3


@dataclass(frozen=True, slots=True)
class Thinking:
    """A thinking block, closed by its signature."""

    text: str
    signature: str = "c2lnbmF0dXJl"
    chunks: int | tuple[str, ...] = 3


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool call; its input travels as JSON text cut into ``chunks`` deltas, or is what the model has ``written``."""

    id: str
    name: str
    input: dict[str, Any]
    chunks: int | tuple[str, ...] = 3
    written: str | None = None


Block = Text | Thinking | ToolUse


@dataclass(frozen=True, slots=True)
class Failure:
    """An HTTP error: status, error type and message in Anthropic's shape, extra headers."""

    status: int
    type: str
    message: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Cut:
    """A reply that breaks right after its delta number ``after`` (0: after message_start).

    ``how`` is "drop" (the connection closes), "stall" (silence until the client leaves or the
    server stops) or a `Failure` sent as an ``error`` event.
    """

    after: int
    how: Literal["drop", "stall"] | Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An assistant message and the pace at which it arrives.

    ``head_delay``: seconds before the response head and message_start; ``delay``: from there to
    the first delta; ``interval``: between two deltas (a fixed beat: lateness does not add up).
    ``stop_reason`` None means "tool_use" with a `ToolUse` among the blocks, else "end_turn".
    A request without streaming gets the same message as JSON when its last delta would be due;
    ``cut`` then means: an HTTP error, half a body, or no answer at all.
    """

    blocks: tuple[Block, ...]
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: Usage = Usage()
    head_delay: float = 0.0
    delay: float = 0.0
    interval: float = 0.0
    headers: tuple[tuple[str, str], ...] = ()
    cut: Cut | None = None


Reply = Message | Failure
Script = Reply | Callable[[dict[str, Any]], Reply]
"""A reply, or a quick function of the request body.

The function runs on the server's event loop; an exception in it is logged and becomes a 500.
"""


def text(
    content: str | None = None,
    *,
    chunks: int | tuple[str, ...] = 3,
    head_delay: float = 0.0,
    delay: float = 0.0,
    interval: float = 0.0,
    stop_reason: str | None = None,
    stop_sequence: str | None = None,
    usage: Usage = Usage(),
) -> Message:
    """A message of one text block; without ``content`` the given chunks, or a greeting."""
    if content is None:
        content = GREETING if isinstance(chunks, int) else "".join(chunks)
    return Message(
        blocks=(Text(content, chunks),),
        head_delay=head_delay,
        delay=delay,
        interval=interval,
        stop_reason=stop_reason,
        stop_sequence=stop_sequence,
        usage=usage,
    )


def drop_after(deltas: int, message: Message | None = None) -> Message:
    """The message, its connection closed after so many deltas."""
    return replace(message or text(), cut=Cut(deltas, "drop"))


def stall_after(deltas: int, message: Message | None = None) -> Message:
    """The message, gone silent after so many deltas."""
    return replace(message or text(), cut=Cut(deltas, "stall"))


def error_after(deltas: int, message: Message | None = None, failure: Failure | None = None) -> Message:
    """The message, ended after so many deltas by an ``error`` event (default: overloaded)."""
    return replace(message or text(), cut=Cut(deltas, failure or overloaded()))


def bad_request(message: str = "messages: invalid request") -> Failure:
    """400 invalid_request_error."""
    return Failure(400, "invalid_request_error", message)


def prompt_too_long(tokens: int = 250_000, limit: int = 200_000) -> Failure:
    """400 for a prompt of ``tokens`` against a context window of ``limit`` tokens."""
    return bad_request(f"prompt is too long: {tokens} tokens > {limit} maximum")


def unauthorized(message: str = "invalid x-api-key") -> Failure:
    """401 authentication_error."""
    return Failure(401, "authentication_error", message)


def forbidden(message: str = "Your API key does not have permission to use this") -> Failure:
    """403 permission_error."""
    return Failure(403, "permission_error", message)


def model_not_found(model: str = "no-such-model") -> Failure:
    """404 not_found_error for a model."""
    return Failure(404, "not_found_error", f"model: {model}")


def too_large(message: str = "Request exceeds the maximum size") -> Failure:
    """413 request_too_large."""
    return Failure(413, "request_too_large", message)


def rate_limited(retry_after: int = 1, message: str = "Rate limit exceeded") -> Failure:
    """429 rate_limit_error; ``retry_after`` is the header's value in seconds."""
    return Failure(429, "rate_limit_error", message, (("retry-after", str(retry_after)),))


def server_error(message: str = "Internal server error") -> Failure:
    """500 api_error."""
    return Failure(500, "api_error", message)


def overloaded(message: str = "Overloaded") -> Failure:
    """529 overloaded_error."""
    return Failure(529, "overloaded_error", message)
