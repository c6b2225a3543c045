"""Events of a ``text/event-stream`` as bytes. Pure."""

import msgspec

DONE = b"data: [DONE]\n\n"
"""What OpenAI's streams of chats and completions end with."""

_encoder = msgspec.json.Encoder()


def frame(data: msgspec.Struct, event: str | None = None) -> bytes:
    """Return one event: its name if it has one, JSON on one line, and a blank line.

    Args:
        data: The JSON.
        event: The event's name; OpenAI's chat and completions have none.
    """
    name = b"" if event is None else b"event: %b\n" % event.encode("ascii")
    return b"%bdata: %b\n\n" % (name, _encoder.encode(data))
