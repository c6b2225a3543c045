"""Parts of messages -> pieces of turns. Pure."""

from collections.abc import Collection, Iterable

from claude_relay.chat import schemas
from claude_relay.engine import media
from claude_relay.engine.custom_tools import arguments_of
from claude_relay.engine.vocabulary import Document, Image, Piece, Text, ToolCall
from claude_relay.errors import invalid, missing

Part = schemas.TextPart | schemas.ImagePart | schemas.AudioPart | schemas.FilePart | schemas.RefusalPart


def pieces(content: str | Iterable[Part] | None, where: str) -> tuple[Piece, ...]:
    """Return the pieces of a message's content, without empty texts, which the upstream refuses.

    Args:
        content: The message's content.
        where: The content's path in the request, for errors.

    Raises:
        InvalidRequestError: A part is not what it should be, or nothing that the upstream can take.
    """
    return _pieces(content, where, media.image)


def result_pieces(content: str | Iterable[Part] | None, where: str) -> tuple[Text | Image, ...]:
    """Return the pieces of what a tool returned, as ``pieces`` does; nobody scales large images in it.

    Args:
        content: The message's content.
        where: The content's path in the request, for errors.

    Raises:
        InvalidRequestError: A part is not what it should be, or nothing that the upstream can take.
    """
    found = _pieces(content, where, media.image_of_result)
    return tuple(piece for piece in found if isinstance(piece, Text | Image))


def tool_call(call: schemas.ToolCall, where: str, text_tools: Collection[str] = ()) -> ToolCall:
    """Return a past call of a client's tool.

    Args:
        call: The call.
        where: Its path in the request, for errors.
        text_tools: Tools that take text.

    Raises:
        InvalidRequestError: It calls nothing.
    """
    if call.custom:
        return ToolCall(call.id, call.custom.name, call.custom.input)
    if call.function:
        return function_call(call.id, call.function, text_tools)
    raise missing(f"{where}.function")


def function_call(call_id: str, call: schemas.FunctionCall, text_tools: Collection[str] = ()) -> ToolCall:
    """Return a past call of a client's function.

    Its arguments may be anything: a limit may have cut them, and what the model wrote is part of the conversation.
    """
    is_text = call.name in text_tools
    return ToolCall(call_id, call.name, call.arguments if is_text else arguments_of(call.arguments))


def _pieces(content: str | Iterable[Part] | None, where: str, read_image: media.ReadImage) -> tuple[Piece, ...]:
    if isinstance(content, str):
        return (Text(content),) if content.strip() else ()
    made = (_piece(part, f"{where}[{index}]", read_image) for index, part in enumerate(content or ()))
    return tuple(piece for piece in made if not isinstance(piece, Text) or piece.text.strip())


def _piece(part: Part, where: str, read_image: media.ReadImage) -> Piece:
    match part:
        case schemas.TextPart(text) | schemas.RefusalPart(text):
            return Text(text)
        case schemas.ImagePart(schemas.ImageURL(url)):
            return _image(url, f"{where}.image_url.url", read_image)
        case schemas.ImagePart(str(url)):
            return _image(url, f"{where}.image_url", read_image)
        case schemas.FilePart(file):
            return _document(file, f"{where}.file")
        case _:
            raise invalid("'input_audio' is not supported, since the upstream accepts no audio", f"{where}.type")


def _image(url: str, where: str, read_image: media.ReadImage) -> Image:
    try:
        return read_image(url)
    except media.MediaError as error:
        raise invalid(str(error), where) from None


def _document(file: schemas.FileData, where: str) -> Document:
    if file.file_id is not None:
        raise invalid("uploaded files are not supported; send the file itself as 'file_data'", f"{where}.file_id")
    where = f"{where}.file_data"
    if file.file_data is None:
        raise missing(where)
    try:
        return media.document(file.file_data, file.filename)
    except media.MediaError as error:
        raise invalid(str(error), where) from None
