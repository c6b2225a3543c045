"""Kind and size of an image, from the first bytes of its base64. Pure; pixels are not looked at."""

import base64
import struct

from msgspec import Struct

_MOST_SEGMENTS = 1_000
"""Segments of a JPEG before its size; real ones have some tens at most."""
_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG's segments that have its size."""
_ALONE = frozenset(range(0xD0, 0xD8)) | {0x01}
"""Markers without a segment."""
_ENDS = frozenset({0xD9, 0xDA})
"""Markers after which no size comes."""


class Header(Struct, frozen=True):
    """What an image says of itself.

    Attributes:
        media_type: Its MIME type.
        width: Its width in pixels; 0 if it is cut off before that.
        height: Its height in pixels; 0 if it is cut off before that.
    """

    media_type: str
    width: int
    height: int


def header(data: str) -> Header | None:
    """Return what an image says of itself, or None if it is none of the kinds that the upstream takes.

    Args:
        data: The image in base64 that was found to be valid.
    """
    head = decoded(data, 0, 32)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return Header("image/png", *(_unpacked(">II", head, 16) if head[12:16] == b"IHDR" else (0, 0)))
    if head.startswith((b"GIF87a", b"GIF89a")):
        return Header("image/gif", *_unpacked("<HH", head, 6))
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return Header("image/webp", *_webp(head))
    if head.startswith(b"\xff\xd8\xff"):
        return Header("image/jpeg", *_jpeg(data))
    return None


def decoded(data: str, start: int, length: int) -> bytes:
    """Return some bytes of base64, without a look at the rest.

    Args:
        data: Valid base64.
        start: The first byte.
        length: How many bytes, if there are as many.
    """
    first, last = start // 3, -(-(start + length) // 3)
    return base64.b64decode(data[4 * first : 4 * last])[start % 3 :][:length]


def _unpacked(form: str, head: bytes, at: int) -> tuple[int, int]:
    try:
        one, other = struct.unpack_from(form, head, at)
    except struct.error:
        return 0, 0
    return one, other


def _webp(head: bytes) -> tuple[int, int]:
    if len(head) < 30:  # noqa: PLR2004 - where each of its forms has its size
        return 0, 0
    match head[12:16]:
        case b"VP8 ":
            width, height = _unpacked("<HH", head, 26)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            bits = int.from_bytes(head[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    return 0, 0


def _jpeg(data: str) -> tuple[int, int]:
    """Go from segment to segment up to the one with the size."""
    at = 2
    for _ in range(_MOST_SEGMENTS):
        segment = decoded(data, at, 9)
        if len(segment) < 4 or segment[0] != 0xFF or segment[1] in _ENDS:  # noqa: PLR2004 - marker and length
            break
        if segment[1] in _SIZES:
            height, width = _unpacked(">HH", segment, 5)
            return width, height
        if segment[1] == 0xFF:  # noqa: PLR2004 - a fill byte
            at += 1
        elif segment[1] in _ALONE:
            at += 2
        else:
            at += 2 + int.from_bytes(segment[2:4], "big")
    return 0, 0
