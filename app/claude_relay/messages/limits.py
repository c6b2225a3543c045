"""Limits of a request for a message, checked before anything iterates over it. Pure."""

from claude_relay.messages.schemas import MessagesRequest
from claude_relay.web import body_limits

MOST_MESSAGES = 20_000


def require_few(request: MessagesRequest) -> None:
    """Check the lengths of a request's lists and texts.

    Raises:
        InvalidRequestError: One is too long.
    """
    body_limits.require_few("messages", request.messages, MOST_MESSAGES)
    body_limits.require_few("tools", request.tools, body_limits.MOST_TOOLS)
    body_limits.require_short("model", request.model, body_limits.LONGEST_MODEL)
    body_limits.require_few_stops("stop_sequences", request.stop_sequences)
