"""Blocks of the model's reasoning as ``encrypted_content``, which clients keep and send back. Pure.

Nothing is encrypted: whoever has the text can read it, and it stands for itself, so any relay can take it. The
upstream's signature in it is what proves to the upstream that the block is its own.
"""

import base64
import binascii
from typing import Any

import msgspec
from msgspec import Struct

from claude_relay.engine.vocabulary import RedactedThinking, Thinking, ThinkingBlock

_PREFIX = "claude-relay-1:"
"""Tells texts of ours from others, and of which version they are."""


class _Packed(Struct, frozen=True, omit_defaults=True):
    thinking: str = ""
    signature: str = ""
    data: str = ""


def packed(block: ThinkingBlock) -> str:
    """Return a block as a text that carries all of it."""
    match block:
        case Thinking(text, signature):
            content = _Packed(thinking=text, signature=signature)
        case RedactedThinking(data):
            content = _Packed(data=data)
    return _PREFIX + base64.b64encode(msgspec.json.encode(content)).decode()


def unpacked(given: Any) -> ThinkingBlock | None:
    """Return the block that a text carries, or None if it is not one of ours."""
    if not isinstance(given, str) or not given.startswith(_PREFIX):
        return None
    try:
        content = msgspec.json.decode(base64.b64decode(given.removeprefix(_PREFIX), validate=True), type=_Packed)
    except (binascii.Error, ValueError, RecursionError):
        return None
    if content.data:
        return RedactedThinking(content.data)
    return Thinking(content.thinking, content.signature) if content.signature else None
