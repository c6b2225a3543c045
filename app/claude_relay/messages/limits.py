"""Limits of a request for a message, checked before anything iterates over it. Pure.

They keep the time bounded in which one request has the server to itself.
"""

from claude_relay.errors import text_too_long, too_long
from claude_relay.messages.schemas import MessagesRequest

MOST_MESSAGES = 20_000
MOST_TOOLS = 1_024
MOST_STOPS = 64
LONGEST_STOP = 1_000
"""Characters."""
LONGEST_MODEL = 5_000
"""Characters. Every answer tells the model's name."""


def require_few(request: MessagesRequest) -> None:
    """Check the lengths of a request's lists and texts.

    Raises:
        InvalidRequestError: One is too long.
    """
    stops = request.stop_sequences or []
    lengths = (
        ("messages", len(request.messages), MOST_MESSAGES),
        ("tools", len(request.tools or ()), MOST_TOOLS),
        ("stop_sequences", len(stops), MOST_STOPS),
    )
    for param, found, most in lengths:
        if found > most:
            raise too_long(param, most, found)
    texts = (
        ("model", request.model or "", LONGEST_MODEL),
        *((f"stop_sequences[{index}]", stop, LONGEST_STOP) for index, stop in enumerate(stops)),
    )
    for param, text, longest in texts:
        if len(text) > longest:
            raise text_too_long(param, longest, len(text))
