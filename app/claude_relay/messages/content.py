"""Blocks of messages and of results -> pieces of turns. Pure."""

from collections.abc import Iterator
from typing import Any

from claude_relay.engine import media
from claude_relay.engine.vocabulary import Document, Image, Text
from claude_relay.errors import InvalidRequestError, invalid, missing
from claude_relay.messages import blocks
from claude_relay.web.content import Content, joined
from claude_relay.web.validation_errors import converted


def content(given: blocks.Blocks, where: str) -> Content:
    """Return what blocks of a message say, less those that ``conversation`` reads itself.

    Args:
        given: The message's content.
        where: Its path in the request, for errors.

    Raises:
        InvalidRequestError: A block is not what it should be, or nothing that the upstream can take.
    """
    return _content(given, where, media.image)


def result(given: blocks.Blocks, where: str) -> Content:
    """Return what a tool returned, as ``content`` does; nobody scales large images in it.

    Args:
        given: The result's content.
        where: Its path in the request, for errors.

    Raises:
        InvalidRequestError: A block is not what it should be, or nothing that the upstream can take.
    """
    return _content(given, where, media.image_of_result)


def texts(given: blocks.Blocks, where: str) -> tuple[str, ...]:
    """Return the texts of instructions.

    Args:
        given: A text, or text blocks.
        where: Its path in the request, for errors.

    Raises:
        InvalidRequestError: A block is not what it should be.
    """
    return tuple(piece.text for piece in content(given, where).pieces if isinstance(piece, Text))


def block(given: dict[str, Any], where: str, read_image: media.ReadImage = media.image) -> Content:
    """Return what one block says.

    Args:
        given: The block.
        where: Its path in the request, for errors.
        read_image: Reads an image in it.

    Raises:
        InvalidRequestError: It is not what it should be, or nothing that the upstream can take.
    """
    match given.get("type"):
        case "text":
            text = converted(given, blocks.TextBlock, where).text
            return Content((Text(text),) if text.strip() else ())
        case "image":
            image = converted(given, blocks.ImageBlock, where)
            return Content((_image(image.source, f"{where}.source", read_image),))
        case "document":
            return _document(converted(given, blocks.DocumentBlock, where), where, read_image)
        case "search_result":
            return _search_result(converted(given, blocks.SearchResultBlock, where), where)
        case "tool_reference":
            name = converted(given, blocks.ToolReferenceBlock, where).tool_name
            return Content((Text(f"The tool {name} can be called now."),))
        case str(kind):
            return Content((), (f"messages.content.{kind}",))
        case None:
            raise missing(f"{where}.type")
    raise invalid("must be a string", f"{where}.type")


def _content(given: blocks.Blocks, where: str, read_image: media.ReadImage) -> Content:
    if isinstance(given, str):
        return Content((Text(given),) if given.strip() else ())
    return joined(block(each, f"{where}[{index}]", read_image) for index, each in enumerate(given or ()))


def _image(source: blocks.Source, where: str, read_image: media.ReadImage) -> Image:
    try:
        return read_image(_address(source, where))
    except media.MediaError as error:
        raise invalid(str(error), where) from None


def _document(document: blocks.DocumentBlock, where: str, read_image: media.ReadImage) -> Content:
    source, within = document.source, f"{where}.source"
    ignored = tuple(_without_effect(document))
    match source:
        case blocks.Source("text", data=str(text)):
            return Content((Document(Text(text), document.title),) if text.strip() else (), ignored)
        case blocks.Source("content"):
            found = _content(source.content, f"{within}.content", read_image)
            text = "\n\n".join(piece.text for piece in found.pieces if isinstance(piece, Text))
            others = tuple(piece for piece in found.pieces if not isinstance(piece, Text))
            written = (Document(Text(text), document.title),) if text else ()
            return Content((*written, *others), (*ignored, *found.ignored))
    try:
        return Content((media.document(_address(source, within), document.title),), ignored)
    except media.MediaError as error:
        raise invalid(str(error), within) from None


def _without_effect(document: blocks.DocumentBlock) -> Iterator[str]:
    if document.context:
        yield "messages.content.context"
    if document.citations is not None and document.citations.enabled:
        yield "messages.content.citations"


def _search_result(found: blocks.SearchResultBlock, where: str) -> Content:
    """The upstream gets the text, with its source before it."""
    words = "\n".join(texts(found.content, f"{where}.content"))
    ignored = ("messages.content.citations",) if found.citations is not None and found.citations.enabled else ()
    return Content((Text(f"{found.title} ({found.source}):\n{words}"),), ignored)


def _address(source: blocks.Source, where: str) -> str:
    """Return an address or data URL of what a source has."""
    match source:
        case blocks.Source("base64", media_type, str(data)):
            return f"data:{media_type};base64,{data}"
        case blocks.Source("url", url=str(url)):
            return url
        case blocks.Source("base64" | "text"):
            raise missing(f"{where}.data")
        case blocks.Source("url"):
            raise missing(f"{where}.url")
        case blocks.Source("file"):
            raise _not_uploaded(where)
    raise invalid("must be 'base64', 'url', 'text' or 'content'", f"{where}.type")


def _not_uploaded(where: str) -> InvalidRequestError:
    return invalid("uploaded files are not supported; send the file itself as 'base64'", f"{where}.file_id")
