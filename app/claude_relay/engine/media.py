"""Images and files as clients send them -> pieces of turns. Pure: nothing is fetched, data is only checked."""

import base64
import string
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import unquote_to_bytes

from claude_relay.engine.image_headers import Header, decoded, header
from claude_relay.engine.vocabulary import Base64, Document, Image, Link, Text

_LARGEST_IMAGE = 5 * 1024 * 1024
"""Characters of base64; Claude Code sends no larger image."""
_LONGEST_SIDE = 8_000
"""Pixels; the upstream takes no larger image."""
_PDF = "application/pdf"
_PDF_MARK = b"%PDF-"
_BEFORE_PDF = b"\xef\xbb\xbf \t\r\n"
"""A byte order mark and blanks."""
_PDF_START = 1024
"""Bytes in which a PDF begins."""
_BASE64 = string.ascii_letters.encode() + string.digits.encode() + b"+/"
_MOST_PADDING = 2
_LONGEST_HEAD = 1_000
"""Characters before the data of a data URL."""
_BLANKS = b" \t\r\n\v\f"
_PORTION = 1024 * 1024
"""Characters that are worked on at once, so that others have their turns meanwhile; a multiple of four."""
_MOST_ESCAPES = 100_000
"""Percent signs in a data URL: each takes longer than a hundred other characters."""


ReadImage = Callable[[str], Image]
"""Reads an image from its address or data URL."""


class MediaError(ValueError):
    """An image or a file is not what it should be, or nothing that the upstream can take; the text says why."""


def image(url: str) -> Image:
    """Return an image. Its type is what its bytes are, whatever the data URL says.

    Args:
        url: Its address, or a data URL.

    Raises:
        MediaError: It cannot be used.
    """
    return Image(Link(url) if _is_link(url) else _sized_image(url)[0])


def image_of_result(url: str) -> Image:
    """Return an image that a tool returned: Claude Code makes large images of users smaller, but not these.

    Args:
        url: Its address, or a data URL.

    Raises:
        MediaError: It cannot be used, or is larger than the upstream takes.
    """
    if _is_link(url):
        return Image(Link(url))
    source, found = _sized_image(url)
    if len(source.data) > _LARGEST_IMAGE:
        raise MediaError(
            f"the image has {len(source.data):,} characters of base64, but in a tool message at most "
            f"{_LARGEST_IMAGE:,} (5 MB) are possible; the relay does not scale images"
        )
    if max(found.width, found.height) > _LONGEST_SIDE:
        raise MediaError(
            f"the image has {found.width} x {found.height} pixels, but in a tool message at most {_LONGEST_SIDE} "
            "are possible for each side; the relay does not scale images"
        )
    return Image(source)


def document(url: str, name: str | None = None) -> Document:
    """Return a file: a PDF, or text. Its bytes tell which, whatever the data URL says.

    Args:
        url: Its address, or a data URL.
        name: Its name.

    Raises:
        MediaError: It cannot be used.
    """
    if _is_link(url):
        return Document(Link(url), name)
    media_type, data = _data(url)
    start = decoded(data, 0, _PDF_START)
    if start.lstrip(_BEFORE_PDF).startswith(_PDF_MARK) or (media_type == _PDF and _PDF_MARK in start):
        return Document(Base64(_PDF, data), name)
    try:
        text = b"".join(base64.b64decode(data[at : at + _PORTION]) for at in range(0, len(data), _PORTION)).decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise MediaError(f"the file must be a PDF or a text file in UTF-8, but is {media_type or 'other data'}")
    return Document(Text(text), name)


def _sized_image(url: str) -> tuple[Base64, Header]:
    media_type, data = _data(url)
    found = header(data)
    if found is None:
        raise MediaError(
            f"the image must be a GIF, JPEG, PNG or WebP, but its bytes are none of these; its type is "
            f"{media_type or 'not given'}"
        )
    if not found.width or not found.height:
        raise MediaError(f"the image is broken: it begins as {found.media_type}, but its size cannot be read")
    return Base64(found.media_type, data), found


def _data(url: str) -> tuple[str, str]:
    """Return the media type and the base64 of a data URL, which is not decoded: checking it takes less.

    Raises:
        MediaError: It is none, its data is broken, or empty.
    """
    head, comma, rest = url.partition(",")
    kind, *parameters = head[:_LONGEST_HEAD].split(";")
    if not comma or kind[:5].lower() != "data:" or len(head) > _LONGEST_HEAD:
        raise MediaError("must be an http(s) URL or a data URL (data:<type>;base64,<data>)")
    if rest.count("%") > _MOST_ESCAPES:
        raise MediaError(f"the data has more than {_MOST_ESCAPES:,} percent signs; send it as base64")
    portions = _unescaped(rest)
    if any(parameter.strip().lower() == "base64" for parameter in parameters):
        data = _base64(portion.translate(None, _BLANKS) for portion in portions)
    else:
        data = base64.b64encode(b"".join(portions))
    if not data:
        raise MediaError("the data is empty")
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


def _base64(portions: Iterable[bytes]) -> bytes:
    """Return base64 that comes in portions, less its blanks.

    Raises:
        MediaError: It is none.
    """
    portions = list(portions)
    data = b"".join(portions)
    digits = data.rstrip(b"=")
    if any(portion.translate(None, _BASE64 + b"=") for portion in portions) or b"=" in digits:
        raise MediaError("the data is not valid base64: it has a character other than A-Z, a-z, 0-9, '+', '/' and '='")
    if len(data) % 4 or len(data) - len(digits) > _MOST_PADDING:
        raise MediaError(
            "the data is not valid base64: its length must be a multiple of 4, with at most two '=' at the end"
        )
    return data


def _is_link(url: str) -> bool:
    return url[:8].lower().startswith(("http://", "https://"))
