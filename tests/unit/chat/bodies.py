"""Chat requests as clients write them, read as the server reads them."""

from typing import Any

import msgspec

from claude_relay.access.policy import Caller
from claude_relay.chat import inbound
from claude_relay.chat.controller import read
from claude_relay.chat.schemas import ChatCompletionRequest, Message
from claude_relay.settings import Personality, Settings
from claude_relay.web.dto import decode
from claude_relay.web.parameters import Question

HELLO = [{"role": "user", "content": "Hello"}]
CALLER = Caller("ann", "ann", "ann")
_requests = msgspec.json.Decoder(ChatCompletionRequest)


def request(**fields: Any) -> ChatCompletionRequest:
    """Read a request; without messages of its own it says hello."""
    return decode(_requests, msgspec.json.encode({"messages": HELLO, **fields}))


def messages(*given: dict[str, Any]) -> list[Message]:
    """Read the messages of a request."""
    return request(messages=list(given)).messages


def asked(settings: Settings, /, **fields: Any) -> Question:
    """Return what a request comes to, by the choices of an operator."""
    return inbound.to_question(read(msgspec.json.encode({"messages": HELLO, **fields})), settings, CALLER)


def to_question(personality: Personality = "chat", /, *, strict: bool = False, **fields: Any) -> Question:
    """Return what a request comes to."""
    return asked(Settings(personality=personality, strict=strict), **fields)
