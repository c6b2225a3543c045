"""How much a request may hold. What goes beyond is refused before anything walks through it. Pure.

OpenAI's own limits are lower; these keep the time bounded in which one request has the server to itself.
"""

from collections.abc import Iterable, Iterator

import msgspec

from claude_relay.chat import schemas
from claude_relay.errors import InvalidRequestError
from claude_relay.web.dto import decode

MOST_VALUES = 100_000
"""Values of JSON, names of fields aside, in a body that is large; and in the arguments of all past calls together."""
MOST_UNKNOWN = 1_000
"""Fields that are no parameters."""
MOST_MESSAGES = 20_000
MOST_TOOLS = 1_024
MOST_CALLS = 1_024
"""Calls of tools in one message."""
MOST_STOPS = 64
LONGEST_STOP = 1_000
"""Characters."""
LONGEST_MODEL = 5_000
"""Characters. Every chunk of an answer tells the model's name."""
LONGEST_NUMBER = 128
"""Digits in a row, in JSON that is large: the time that a whole number takes grows with the square of them."""
LARGE = 64 * 1024
"""Bytes from which on JSON may hold more than can be read in a moment."""

_DIGITS = bytes.maketrans(b"123456789", b"0" * 9)
_TOO_LONG = b"0" * (LONGEST_NUMBER + 1)
_PIECE = 1024 * 1024
"""Bytes that are looked at without a break."""
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def require_readable(body: bytes) -> None:
    """Look over a body without reading it.

    Raises:
        InvalidRequestError: It has more values in it, or longer numbers, than can be read in a moment.
    """
    if len(body) > LARGE:
        _look_over([body], "The body", "values", None)


def unknown_fields(body: bytes, known: frozenset[str]) -> frozenset[str]:
    """Return the fields of a body that are no parameters.

    Raises:
        InvalidRequestError: It is no JSON object, or has too many of them.
    """
    unknown = decode(_fields, body).keys() - known
    if len(unknown) > MOST_UNKNOWN:
        raise _too_much("The body", "unknown parameters", MOST_UNKNOWN, None)
    return frozenset(unknown)


def outside_of_texts(json: bytes) -> Iterator[bytes]:
    """Yield, piece by piece, what of JSON stands outside its texts.

    Args:
        json: It need not be valid.
    """
    start = inside = 0
    while start < len(json):
        piece = json[start : start + _PIECE]
        if _ends_in_an_escape(piece):
            piece = json[start : start + _PIECE + 1]
        start += len(piece)
        # with all escapes gone, texts begin and end at quotation marks
        parts = piece.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        yield b"".join(parts[inside::2])
        inside ^= (len(parts) - 1) & 1


def _look_over(documents: Iterable[bytes], what: str, things: str, param: str | None) -> None:
    """Hold the values of JSON documents together, names of fields aside, and each of their numbers to the limits."""
    found = 0
    for document in documents:
        digits = b""
        for piece in outside_of_texts(document):
            found += piece.count(b",") + piece.count(b"[") + piece.count(b"{")
            if found > MOST_VALUES:
                raise _too_much(what, things, MOST_VALUES, param)
            digits = digits[-LONGEST_NUMBER:] + piece.translate(_DIGITS)
            if _TOO_LONG in digits:
                raise _too_much(what, "digits in a number", LONGEST_NUMBER, param)


def _ends_in_an_escape(piece: bytes) -> bool:
    return (len(piece) - len(piece.rstrip(b"\\"))) % 2 == 1


def require_few(request: schemas.ChatCompletionRequest) -> None:
    """Hold the lists of a request to their limits.

    Raises:
        InvalidRequestError: One is too long.
    """
    for param, found, most in _lengths(request):
        if found > most:
            raise too_long(param, most, found)
    for param, text, longest in _texts(request):
        if len(text) > longest:
            raise InvalidRequestError(
                f"Invalid '{param}': string too long. Expected a string with maximum length {longest}, but got a "
                f"string with length {len(text)} instead.",
                param=param,
                code="string_above_max_length",
            )
    _require_readable_arguments(request)


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


def _texts(request: schemas.ChatCompletionRequest) -> Iterator[tuple[str, str, int]]:
    yield "model", request.model or "", LONGEST_MODEL
    if isinstance(request.stop, str):
        yield "stop", request.stop, LONGEST_STOP
        return
    for index, stop in enumerate(request.stop or ()):
        yield f"stop[{index}]", stop, LONGEST_STOP


def _require_readable_arguments(request: schemas.ChatCompletionRequest) -> None:
    """The arguments of past calls are JSON inside texts, which nobody has looked at yet."""
    written = [call.arguments for call in _called(request)]
    if sum(map(len, written)) <= LARGE:
        return
    _look_over(
        (arguments.encode() for arguments in written), "'messages'", "values in the arguments of calls", "messages"
    )


def _called(request: schemas.ChatCompletionRequest) -> Iterator[schemas.FunctionCall]:
    for message in request.messages:
        if isinstance(message, schemas.AssistantMessage):
            yield from (call.function for call in message.tool_calls or () if call.function)
            if message.function_call is not None:
                yield message.function_call


def _too_much(what: str, things: str, most: int, param: str | None) -> InvalidRequestError:
    return InvalidRequestError(
        f"{what} has more than {most} {things}, which is more than this relay reads at once.",
        param=param,
        code="request_too_complex",
    )
