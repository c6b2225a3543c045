"""How much a request may hold. What goes beyond is refused before anything walks through it. Pure.

OpenAI's own limits are lower; these keep the time bounded in which one request has the server to itself.
"""

from collections.abc import Iterator

import msgspec

from claude_relay.chat import schemas
from claude_relay.errors import InvalidRequestError
from claude_relay.web.dto import decode

MOST_MESSAGES = 20_000
MOST_PARTS = 50_000
"""Parts of all messages, calls of tools and kinds of things in their descriptions: all that has a ``type``."""
MOST_TOOLS = 1_024
MOST_CALLS = 1_024
"""Calls of tools in one message."""
MOST_STOPS = 64
LONGEST_STOP = 1_000
"""Characters."""
MOST_KEYS = 150_000
"""Keys of all objects together."""
MOST_VALUES = 300_000
"""Values in one parameter other than ``messages``."""
MOST_UNKNOWN = 1_000
"""Parameters that are none."""

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def unknown_fields(body: bytes, known: frozenset[str]) -> frozenset[str]:
    """Look over a body without reading it, and return its fields that are no parameters.

    Raises:
        InvalidRequestError: It is no JSON object, or has more in it than can be read in a moment.
    """
    _require_countable(body)
    fields = decode(_fields, body)
    for name, value in fields.items():
        if name != "messages" and bytes(value).count(b",") > MOST_VALUES:
            raise _too_much(f"'{name[:100]}'", "values", MOST_VALUES, name[:100])
    unknown = fields.keys() - known
    if len(unknown) > MOST_UNKNOWN:
        raise _too_much("The body", "unknown parameters", MOST_UNKNOWN, None)
    return frozenset(unknown)


def _require_countable(body: bytes) -> None:
    """Count what a body has in it. A quotation mark inside a text has a backslash before it, so no text is counted."""
    if body.count(b'"') < MOST_MESSAGES:
        # one quick look is enough for most
        return
    if body.count(b'":') - body.count(b'\\":') > MOST_KEYS:
        raise _too_much("The body", "keys", MOST_KEYS, None)
    if (messages := body.count(b'"role"')) > MOST_MESSAGES:
        raise too_long("messages", MOST_MESSAGES, messages)
    if body.count(b'"type"') > MOST_PARTS:
        raise _too_much("The body", "parts", MOST_PARTS, None)


def require_few(request: schemas.ChatCompletionRequest) -> None:
    """Hold the lists of a request to their limits.

    Raises:
        InvalidRequestError: One is too long.
    """
    for param, found, most in _lengths(request):
        if found > most:
            raise too_long(param, most, found)
    for index, stop in enumerate([request.stop] if isinstance(request.stop, str) else request.stop or ()):
        if len(stop) > LONGEST_STOP:
            param = "stop" if isinstance(request.stop, str) else f"stop[{index}]"
            raise InvalidRequestError(
                f"Invalid '{param}': string too long. Expected a string with maximum length {LONGEST_STOP}, but got a "
                f"string with length {len(stop)} instead.",
                param=param,
                code="string_above_max_length",
            )


def too_long(param: str, most: int, found: int) -> InvalidRequestError:
    """Return the error for a list with too many items, in OpenAI's words."""
    return InvalidRequestError(
        f"Invalid '{param}': array too long. Expected an array with maximum length {most}, but got an array with "
        f"length {found} instead.",
        param=param,
        code="array_above_max_length",
    )


def _lengths(request: schemas.ChatCompletionRequest) -> Iterator[tuple[str, int, int]]:
    yield "messages", len(request.messages), MOST_MESSAGES
    yield "tools", len(request.tools or ()), MOST_TOOLS
    yield "functions", len(request.functions or ()), MOST_TOOLS
    yield "stop", 0 if isinstance(request.stop, str) else len(request.stop or ()), MOST_STOPS
    if isinstance(request.tool_choice, schemas.AllowedToolsChoice):
        yield "tool_choice.allowed_tools.tools", len(request.tool_choice.allowed_tools.tools), MOST_TOOLS
    for index, message in enumerate(request.messages):
        if isinstance(message, schemas.AssistantMessage) and message.tool_calls:
            yield f"messages[{index}].tool_calls", len(message.tool_calls), MOST_CALLS


def _too_much(what: str, things: str, most: int, param: str | None) -> InvalidRequestError:
    return InvalidRequestError(
        f"{what} has more than {most} {things}, which is more than this relay reads at once.",
        param=param,
        code="request_too_complex",
    )
