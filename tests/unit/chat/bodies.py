"""Chat requests as clients write them, read as the server reads them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from claude_relay.chat.inbound import Defaults, to_run_request
from claude_relay.chat.parameters import KNOWN
from claude_relay.chat.schemas import ChatCompletionRequest, Message
from claude_relay.settings import Personality
from claude_relay.web.bodies import unknown_fields
from claude_relay.web.dto import decode
from claude_relay.web.parameters import Question

HELLO = [{"role": "user", "content": "Hello"}]
_requests = msgspec.json.Decoder(ChatCompletionRequest)


def request(**fields: Any) -> ChatCompletionRequest:
    """Read a request; without messages of its own it says hello."""
    return decode(_requests, msgspec.json.encode({"messages": HELLO, **fields}))


def messages(*given: dict[str, Any]) -> list[Message]:
    """Read the messages of a request."""
    return request(messages=list(given)).messages


def defaults(
    personality: Personality = "chat", aliases: Mapping[str, str] | None = None, *, strict: bool = False
) -> Defaults:
    """Return what an operator may have chosen."""
    return Defaults("sonnet", personality, aliases or {}, strict)


def to_question(personality: Personality = "chat", /, *, strict: bool = False, **fields: Any) -> Question:
    """Return what a request comes to."""
    body = msgspec.json.encode({"messages": HELLO, **fields})
    return to_run_request(decode(_requests, body), defaults(personality, strict=strict), unknown_fields(body, KNOWN))
