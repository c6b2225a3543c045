"""Parts of messages and of outputs -> pieces of turns. Pure."""

from typing import Any

from claude_relay.engine import media
from claude_relay.engine.vocabulary import Document, Text
from claude_relay.errors import InvalidRequestError, invalid, missing
from claude_relay.responses import items
from claude_relay.web.content import Content, joined
from claude_relay.web.validation_errors import converted

_TEXTS = {"input_text", "output_text", "text", "summary_text", "reasoning_text"}
_NO_UPLOADS = "uploaded files are not supported; send the file itself"


def content(parts: items.Parts, where: str) -> Content:
    """Return what a message says.

    Args:
        parts: The message's content.
        where: Its path in the request, for errors.

    Raises:
        InvalidRequestError: A part is not what it should be, or nothing that the upstream can take.
    """
    return _content(parts, where, media.image)


def output(parts: items.Parts, where: str) -> Content:
    """Return what a tool returned, as ``content`` does; nobody scales large images in it.

    Args:
        parts: The output.
        where: Its path in the request, for errors.

    Raises:
        InvalidRequestError: A part is not what it should be, or nothing that the upstream can take.
    """
    return _content(parts, where, media.image_of_result)


def _content(parts: items.Parts, where: str, read_image: media.ReadImage) -> Content:
    if isinstance(parts, str):
        return _said(parts)
    return joined(_part(part, f"{where}[{index}]", read_image) for index, part in enumerate(parts or ()))


def _said(text: str) -> Content:
    return Content((Text(text),) if text.strip() else ())


def _part(part: dict[str, Any], where: str, read_image: media.ReadImage) -> Content:
    match part.get("type"):
        case str(kind) if kind in _TEXTS:
            return _said(converted(part, items.TextPart, where).text)
        case "refusal":
            return _said(converted(part, items.RefusalPart, where).refusal)
        case "input_image":
            return _image(converted(part, items.ImagePart, where), where, read_image)
        case "input_file":
            return Content((_document(converted(part, items.FilePart, where), where),))
        case "input_audio":
            raise invalid("'input_audio' is not supported, since the upstream accepts no audio", f"{where}.type")
        case str(kind):
            return Content((), (f"input.content.{kind}",))
        case None:
            raise missing(f"{where}.type")
    raise invalid("must be a string", f"{where}.type")


def _image(part: items.ImagePart, where: str, read_image: media.ReadImage) -> Content:
    if part.image_url is None:
        raise _without_data(part.file_id, where, "image_url")
    try:
        image = read_image(part.image_url)
    except media.MediaError as error:
        raise invalid(str(error), f"{where}.image_url") from None
    return Content((image,), () if part.detail in {None, "auto"} else ("input.content.detail",))


def _document(part: items.FilePart, where: str) -> Document:
    given = [(name, data) for name in ("file_data", "file_url") if (data := getattr(part, name)) is not None]
    if not given:
        raise _without_data(part.file_id, where, "file_data")
    name, data = given[0]
    try:
        return media.document(data, part.filename)
    except media.MediaError as error:
        raise invalid(str(error), f"{where}.{name}") from None


def _without_data(file_id: str | None, where: str, wanted: str) -> InvalidRequestError:
    if file_id is not None:
        return invalid(f"{_NO_UPLOADS} as '{wanted}'", f"{where}.file_id")
    return missing(f"{where}.{wanted}")
