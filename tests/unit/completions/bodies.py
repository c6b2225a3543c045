"""Completion requests as clients write them, read as the server reads them."""

from typing import Any

import msgspec

from claude_relay.access.policy import Caller
from claude_relay.completions.controller import read
from claude_relay.completions.inbound import to_question
from claude_relay.completions.schemas import CompletionRequest
from claude_relay.errors import RelayError
from claude_relay.settings import Settings
from claude_relay.web.bodies import Body
from claude_relay.web.parameters import Question

CALLER = Caller("ada", "ada", "ada")


def body(**fields: Any) -> Body[CompletionRequest]:
    """Read a request; without a prompt of its own it tells a story."""
    return read(msgspec.json.encode({"prompt": "Once upon a time", **fields}))


def asked(settings: Settings | None = None, /, **fields: Any) -> Question:
    """Return what a request comes to."""
    return to_question(body(**fields), settings or Settings(), CALLER)


def refusal(settings: Settings | None = None, /, **fields: Any) -> RelayError:
    """Return the error of a request that is refused."""
    try:
        question = asked(settings, **fields)
    except RelayError as error:
        return error
    raise AssertionError(question)
