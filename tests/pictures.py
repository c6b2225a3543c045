"""Beginnings of images of every kind, which tell their size; no pixels follow."""

import base64
import struct


def png(width: int = 2, height: int = 3) -> bytes:
    """Return a PNG."""
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"\x08\x02\0\0\0"


def gif(width: int = 2, height: int = 3) -> bytes:
    """Return a GIF."""
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0"


def jpeg(width: int = 2, height: int = 3, before: bytes = b"\xff\xe0\0\x04ab") -> bytes:
    """Return a JPEG.

    Args:
        width: Its width.
        height: Its height.
        before: Segments that stand before the one with the size.
    """
    return b"\xff\xd8" + before + b"\xff\xc0" + struct.pack(">HBHH", 11, 8, height, width) + b"\x01\x01\x11\0"


def webp(form: bytes = b"VP8X", width: int = 2, height: int = 3) -> bytes:
    """Return a WebP.

    Args:
        form: ``VP8X``, ``VP8L`` or ``VP8`` and a blank.
        width: Its width.
        height: Its height.
    """
    sizes = {
        b"VP8X": bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"),
        b"VP8L": b"\x2f" + ((width - 1) | (height - 1) << 14).to_bytes(4, "little") + bytes(5),
        b"VP8 ": bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", width, height),
    }
    body = form + struct.pack("<I", 10) + sizes[form]
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def data_url(data: bytes, label: str = "image/png") -> str:
    """Return bytes as a data URL."""
    return f"data:{label};base64,{base64.b64encode(data).decode()}"
