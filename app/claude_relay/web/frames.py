"""Events of a ``text/event-stream`` as bytes. Pure."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

DONE = b"data: [DONE]\n\n"
"""What OpenAI's streams of chats and completions end with."""

_encoder = msgspec.json.Encoder()
_LINE_ENDS = tuple((end.encode(), rb"\u%04x" % ord(end)) for end in "\u0085\u2028\u2029")
"""What ends a line for many that read text line by line, though not in a stream of events, and its escape."""


def frame(data: msgspec.Struct | Mapping[str, Any], event: str | None = None) -> bytes:
    """Return one event: its name if it has one, JSON on one line, and a blank line.

    Whatever a client takes for the end of a line, the JSON has none: Unicode's own are escaped.

    Args:
        data: The JSON.
        event: The event's name; OpenAI's chat and completions have none.
    """
    name = b"" if event is None else b"event: %b\n" % event.encode("ascii")
    body = _encoder.encode(data)
    if not body.isascii():
        for end, escape in _LINE_ENDS:
            body = body.replace(end, escape)
    return b"%bdata: %b\n\n" % (name, body)


async def ended_by_done(chunks: AsyncIterator[msgspec.Struct]) -> AsyncIterator[bytes]:
    """Yield the chunks of one of OpenAI's chats or completions as events, and the one that ends the stream."""
    async for chunk in chunks:
        yield frame(chunk)
    yield DONE
