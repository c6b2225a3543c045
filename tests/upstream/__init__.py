"""A small fake of the Anthropic Messages API on loopback, for the real Claude Code CLI.

Example::

    with FakeUpstream() as upstream:
        upstream.replies(text("Hello", delay=0.2), overloaded(), stall_after(1))
        ...  # point ANTHROPIC_BASE_URL at upstream.url
        request = upstream.wait_for(1)[0]

``FakeUpstream(strict=True)`` answers 400 to what the real API is reported to refuse (`rules`) and keeps what it said in
``upstream.refusals``.
"""

from .record import Recorded
from .replies import (
    GREETING,
    Block,
    Cut,
    Failure,
    Message,
    Reply,
    Script,
    Text,
    Thinking,
    ToolUse,
    Usage,
    bad_request,
    drop_after,
    error_after,
    forbidden,
    model_not_found,
    overloaded,
    prompt_too_long,
    rate_limited,
    server_error,
    stall_after,
    text,
    too_large,
    unauthorized,
)
from .server import COUNTED_TOKENS, FakeUpstream

__all__ = [
    "COUNTED_TOKENS",
    "GREETING",
    "Block",
    "Cut",
    "Failure",
    "FakeUpstream",
    "Message",
    "Recorded",
    "Reply",
    "Script",
    "Text",
    "Thinking",
    "ToolUse",
    "Usage",
    "bad_request",
    "drop_after",
    "error_after",
    "forbidden",
    "model_not_found",
    "overloaded",
    "prompt_too_long",
    "rate_limited",
    "server_error",
    "stall_after",
    "text",
    "too_large",
    "unauthorized",
]
