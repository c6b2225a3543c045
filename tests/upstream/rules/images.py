"""Rules about images."""

import base64
import binascii

from .blocks import Json, all_blocks

_KINDS = ("image/jpeg", "image/png", "image/gif", "image/webp")
_SNIFFED = 64
"""Characters of base64 that tell the kind of an image."""


def has_images(body: Json) -> str | None:
    """The bytes of an image are what its label says, also within tool results.

    Seen in anthropics/claude-code#8184 and #8646, BerriAI/litellm#24900, home-assistant/core#167208.
    """
    for found in all_blocks(body):
        source = found.block.get("source", {})
        if found.block["type"] != "image" or source.get("type") != "base64":
            continue
        path, label = f"{found.path}.image.source.base64", source["media_type"]
        if label not in _KINDS:
            kinds = ", ".join(f"'{kind}'" for kind in _KINDS[:-1])
            return f"{path}.media_type: Input should be {kinds} or '{_KINDS[-1]}'"
        kind = _kind(source["data"])
        if kind is None:
            return "Could not process image"
        if kind != label:
            return (
                f"{path}: The image was specified using the {label} media type, but the image appears to be a "
                f"{kind} image"
            )
    return None


def _kind(data: str) -> str | None:
    try:
        head = base64.b64decode(data[:_SNIFFED], validate=True)
    except binascii.Error:
        return None
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    starts = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png", b"GIF8": "image/gif"}
    return next((kind for start, kind in starts.items() if head.startswith(start)), None)
