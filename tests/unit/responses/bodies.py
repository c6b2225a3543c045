"""Requests for responses as clients write them, read as the server reads them; and recorded ones."""

import json
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from claude_relay.access.policy import Caller
from claude_relay.errors import RelayError
from claude_relay.responses.controller import read
from claude_relay.responses.inbound import to_question
from claude_relay.responses.schemas import ResponsesRequest
from claude_relay.responses.state import Stored
from claude_relay.settings import Settings
from claude_relay.web.parameters import Question
from tests.docs.pages import ROOT

RECORDED = ROOT / "tests/data/responses"
CALLER = Caller("ada", "ada", "ada")


def request(**fields: Any) -> ResponsesRequest:
    """Read a request; without an input of its own it says hello."""
    return read(msgspec.json.encode({"input": "Hello", **fields})).request


def asked(settings: Settings | None = None, stored: Stored | None = None, /, **fields: Any) -> Question:
    """Return what a request comes to, on a relay whose personality is ``chat``."""
    body = replace(read(msgspec.json.encode({"input": "Hello", **fields})), stored=stored)
    return to_question(body, settings or Settings(personality="chat"), CALLER)


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


def events(name: str) -> list[dict[str, Any]]:
    """Return the events of a recorded stream."""
    return events_of((RECORDED / "streams" / f"{name}.sse").read_text())


def events_of(stream: str) -> list[dict[str, Any]]:
    """Return the events of a stream."""
    return [json.loads(line.removeprefix("data: ")) for line in stream.splitlines() if line.startswith("data: ")]


def all_recorded() -> list[Path]:
    """Return where the recorded requests are."""
    return sorted((RECORDED / "requests").glob("*.json"))
