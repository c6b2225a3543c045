"""Requests for messages as clients write them, read as the server reads them; and recorded ones."""

import json
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from claude_relay.access.policy import Caller
from claude_relay.engine.vocabulary import Piece, Turn
from claude_relay.errors import RelayError
from claude_relay.messages.controller import read
from claude_relay.messages.inbound import to_question
from claude_relay.messages.schemas import MessagesRequest
from claude_relay.messages.state import Stored
from claude_relay.settings import Settings
from claude_relay.web.parameters import Question
from tests.docs.pages import ROOT

RECORDED = ROOT / "tests/data/messages"
CALLER = Caller("ada", "ada", "ada")
HELLO = {"role": "user", "content": "Hello"}
TOOL = {"name": "get_weather", "description": "weather", "input_schema": {"type": "object", "properties": {}}}


def request(**fields: Any) -> MessagesRequest:
    """Read a request; without messages of its own it says hello."""
    return read(msgspec.json.encode({"messages": [HELLO], **fields})).request


def asked(settings: Settings | None = None, stored: Stored | None = None, /, **fields: Any) -> Question:
    """Return what a request comes to, on a relay whose personality is ``chat``."""
    body = replace(read(msgspec.json.encode({"messages": [HELLO], **fields})), stored=stored)
    return to_question(body, settings or Settings(personality="chat"), CALLER)


def turns(*messages: dict[str, Any]) -> tuple[Turn, ...]:
    """Return the turns of a conversation."""
    return asked(messages=list(messages)).run.turns


def pieces(*blocks: dict[str, Any]) -> tuple[Piece, ...]:
    """Return what blocks of the user come to."""
    return turns({"role": "user", "content": list(blocks)})[-1].content


def refusal(settings: Settings | None = None, stored: Stored | None = None, /, **fields: Any) -> RelayError:
    """Return the error of a request that is refused."""
    try:
        question = asked(settings, stored, **fields)
    except RelayError as error:
        return error
    raise AssertionError(question)


def recorded(name: str) -> dict[str, Any]:
    """Return a recorded request."""
    found: dict[str, Any] = json.loads((RECORDED / "requests" / f"{name}.json").read_text())
    return found


def events_of(stream: str) -> list[dict[str, Any]]:
    """Return the events of a stream; the name of each is the type of its data."""
    events = []
    for event in stream.removesuffix("\n\n").split("\n\n"):
        name, data = event.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    return events


def all_recorded() -> list[Path]:
    """Return where the recorded requests are."""
    return sorted((RECORDED / "requests").glob("*.json"))
