"""Parts of messages -> pieces of turns. Pure: nothing is fetched, data is only checked."""

import base64
import string
from collections.abc import Collection, Iterable, Iterator
from urllib.parse import unquote_to_bytes

import msgspec

from claude_relay.chat import schemas
from claude_relay.chat.arguments import with_input
from claude_relay.engine.vocabulary import Base64, Document, Image, Link, Piece, Text, ToolCall
from claude_relay.errors import InvalidRequestError, missing

_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_PDF = "application/pdf"
_BASE64 = string.ascii_letters.encode() + string.digits.encode() + b"+/"
_MOST_PADDING = 2
_LONGEST_HEAD = 1_000
"""Characters before the data of a data URL."""
_BLANKS = b" \t\r\n\v\f"
_PORTION = 1024 * 1024
"""Characters that are worked on at once, so that others have their turns meanwhile; a multiple of four."""
_MOST_ESCAPES = 100_000
"""Percent signs in a data URL: each takes longer than a hundred other characters."""

Part = schemas.TextPart | schemas.ImagePart | schemas.AudioPart | schemas.FilePart | schemas.RefusalPart


def pieces(content: str | Iterable[Part] | None, where: str) -> tuple[Piece, ...]:
    """Return what a message says; empty texts say nothing, and the upstream refuses them.

    Args:
        content: The message's content.
        where: The content's path in the request, for errors.

    Raises:
        InvalidRequestError: A part is not what it should be, or nothing that the upstream can take.
    """
    if isinstance(content, str):
        return (Text(content),) if content.strip() else ()
    made = (_piece(part, f"{where}[{index}]") for index, part in enumerate(content or ()))
    return tuple(piece for piece in made if not isinstance(piece, Text) or piece.text.strip())


def tool_call(call: schemas.ToolCall, where: str, custom_tools: Collection[str] = ()) -> ToolCall:
    """Return a past call of a client's tool.

    Args:
        call: The call.
        where: Its path in the request, for errors.
        custom_tools: Tools that take text.

    Raises:
        InvalidRequestError: It calls nothing, or its arguments are no JSON object.
    """
    if call.custom:
        return ToolCall(call.id, call.custom.name, with_input(call.custom.input))
    if call.function:
        return function_call(call.id, call.function, f"{where}.function", custom_tools)
    raise missing(f"{where}.function")


def function_call(call_id: str, call: schemas.FunctionCall, where: str, custom_tools: Collection[str] = ()) -> ToolCall:
    """Return a past call of a client's function, with the arguments of ``tool_call``."""
    if call.name in custom_tools:
        return ToolCall(call_id, call.name, with_input(call.arguments))
    try:
        arguments = msgspec.json.decode(call.arguments or "{}", type=dict)
    except (msgspec.DecodeError, RecursionError) as error:
        raise invalid(f"Expected a JSON object in a string: {error}.", f"{where}.arguments") from None
    return ToolCall(call_id, call.name, arguments)


def _piece(part: Part, where: str) -> Piece:
    match part:
        case schemas.TextPart(text) | schemas.RefusalPart(text):
            return Text(text)
        case schemas.ImagePart(schemas.ImageURL(url)):
            return _image(url, f"{where}.image_url.url")
        case schemas.ImagePart(str(url)):
            return _image(url, f"{where}.image_url")
        case schemas.FilePart(file):
            return _document(file, f"{where}.file")
        case _:
            raise invalid("The upstream takes no sound.", f"{where}.type")


def _image(url: str, where: str) -> Image:
    if _is_link(url):
        return Image(Link(url))
    media_type, data = _data(url, where)
    if media_type not in _IMAGES:
        raise invalid(f"Expected one of {', '.join(sorted(_IMAGES))}, got {media_type or 'nothing'}.", where)
    return Image(Base64(media_type, data))


def _document(file: schemas.FileData, where: str) -> Document:
    if file.file_id is not None:
        raise invalid("There are no uploaded files here; send 'file_data' instead.", f"{where}.file_id")
    where = f"{where}.file_data"
    if file.file_data is None:
        raise missing(where)
    if _is_link(file.file_data):
        return Document(Link(file.file_data), file.filename)
    media_type, data = _data(file.file_data, where)
    if media_type == _PDF:
        return Document(Base64(_PDF, data), file.filename)
    try:
        text = b"".join(base64.b64decode(data[at : at + _PORTION]) for at in range(0, len(data), _PORTION)).decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise invalid(f"Expected a PDF or a text file in UTF-8, got {media_type or 'data'}.", where)
    return Document(Text(text), file.filename)


def _data(url: str, where: str) -> tuple[str, str]:
    """Return the media type and the base64 of a data URL, which is not decoded: checking it takes less.

    Raises:
        InvalidRequestError: It is none, its data is broken, or empty.
    """
    head, comma, rest = url.partition(",")
    kind, *parameters = head[:_LONGEST_HEAD].split(";")
    if not comma or kind[:5].lower() != "data:" or len(head) > _LONGEST_HEAD:
        raise invalid("Expected an http(s) URL or a data URL (data:<type>;base64,<data>).", where)
    if rest.count("%") > _MOST_ESCAPES:
        raise invalid(f"The data has more than {_MOST_ESCAPES} escapes; send it as base64.", where)
    portions = _unescaped(rest)
    if any(parameter.strip().lower() == "base64" for parameter in parameters):
        data = _base64((portion.translate(None, _BLANKS) for portion in portions), where)
    else:
        data = base64.b64encode(b"".join(portions))
    if not data:
        raise invalid("The data is empty.", where)
    return kind[5:].strip().lower(), data.decode("ascii")


def _unescaped(text: str) -> Iterator[bytes]:
    """Yield what a text with percent signs stands for, portion by portion."""
    start = 0
    while start < len(text):
        portion = text[start : start + _PORTION]
        if (cut := portion.rfind("%", len(portion) - 2)) > 0 and start + len(portion) < len(text):
            # an escape is not cut
            portion = portion[:cut]
        start += len(portion)
        yield unquote_to_bytes(portion)


def _base64(portions: Iterable[bytes], where: str) -> bytes:
    """Return base64 that comes in portions, less its blanks.

    Raises:
        InvalidRequestError: It is none.
    """
    portions = list(portions)
    data = b"".join(portions)
    digits = data.rstrip(b"=")
    if any(portion.translate(None, _BASE64 + b"=") for portion in portions) or b"=" in digits:
        raise invalid("The data is not valid base64: it has a character that is none of its digits.", where)
    if len(data) % 4 or len(data) - len(digits) > _MOST_PADDING:
        raise invalid("The data is not valid base64: its length and padding do not fit.", where)
    return data


def _is_link(url: str) -> bool:
    return url[:8].lower().startswith(("http://", "https://"))


def invalid(message: str, param: str) -> InvalidRequestError:
    """Return the error for a parameter with a value that cannot be used."""
    return InvalidRequestError(f"Invalid value for '{param}': {message}", param=param, code="invalid_value")
