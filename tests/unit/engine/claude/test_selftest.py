"""The self-test finds what does not hold, against stand-ins that break one thing each."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from claude_relay.engine.claude import selftest
from claude_relay.engine.claude.capabilities import Current, SelfTestResult
from claude_relay.engine.claude.configuration import BLOCKED
from claude_relay.engine.claude.loopback import LIMIT, Loopback
from claude_relay.engine.claude.selftest import run_self_test
from claude_relay.engine.claude.session import Session
from claude_relay.errors import UnavailableError
from claude_relay.settings import Personality
from tests.unit.engine.claude.composer import Block, Body, Composer, Reply
from tests.unit.engine.claude.fakes import CAPABLE
from tests.unit.factories import InstallationFactory

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

NAMES = SelfTestResult.__struct_fields__


class Asking(Composer):
    """Asks an upstream, and breaks one thing.

    Args:
        upstream: Takes the bodies, and says what to answer.
        defect: What it breaks.
    """

    def __init__(self, upstream: Loopback, defect: str) -> None:
        super().__init__()
        self._upstream = upstream
        self._defect = defect
        self.leaks = defect == "leaks"

    def _take(self, line: dict[str, Any]) -> None:
        if line["type"] == "user" and self._defect == "commands":
            line = json.loads(json.dumps(line).replace("/clear", "(cleared)"))
        if line["type"] == "user" and self._defect == "forgets":
            self.history.clear()
        kept = list(self.history)
        super()._take(line)
        if line["type"] == "system" and self._defect == "lies":
            self.history[:] = kept

    def _control(self, request_id: str, request: dict[str, Any]) -> None:
        kept = list(self.history)
        if self._defect == "lies" and request["subtype"] == "get_context_usage":
            self.history.clear()
        super()._control(request_id, request)
        if self._defect == "lies":
            self.history[:] = kept
        if request["subtype"] == "interrupt" and self._defect != "deaf":
            self._upstream.left.set()

    def _body(self) -> Body:
        body = super()._body()
        system = body.system if self._defect == "plain system" else [{"type": "text", "text": body.system}]
        sampling = {} if self._defect == "settings" else body.extra
        messages = [{"role": role, "content": content} for role, content in body.messages]
        blocks: list[Block] = self._upstream.answers.pop(0) if self._upstream.answers else [_text("ok")]
        called = any(block.get("type") == "tool_use" for block in blocks)
        copies = 2 if called and self._defect == "runs tools" else 1
        self._upstream.bodies += [{**sampling, "system": system, "messages": messages}] * copies
        self.reply = Reply(tuple(blocks))
        return body

    def _take_turn(self, line: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for told in super()._take_turn(line):
            yield {**told, "user_message_uuids": []} if self._defect == "unsigned" else told

    def _answer(self, reply: Reply) -> Iterator[dict[str, Any]]:
        if reply.blocks == ({},):
            yield {"type": "stream_event", "event": {"type": "message_start", "message": {}}}
        elif LIMIT in reply.blocks:
            yield from self._cut()
        else:
            yield from super()._answer(reply)

    def _cut(self) -> Iterator[dict[str, Any]]:
        yield {"type": "system", "subtype": "status", "status": "requesting"}
        stopped = {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {}}
        yield {"type": "stream_event", "event": stopped}
        if BLOCKED.items() <= self._settings["env"].items() and self._defect != "goes on":
            yield {"type": "result", "subtype": "success", "is_error": True, "terminal_reason": "blocking_limit"}
        else:
            self._upstream.bodies.append({})
            yield {"type": "result", "subtype": "success"}


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


async def found(monkeypatch: pytest.MonkeyPatch, defect: str) -> SelfTestResult:
    """Return what the self-test finds about a CLI with a defect."""

    @asynccontextmanager
    async def harness(*_: object) -> AsyncIterator[selftest._Harness]:
        upstream = Loopback()
        started: list[Asking] = []

        async def spawn(personality: Personality, capabilities: Current) -> Session:
            if defect == "absent":
                raise UnavailableError("no CLI")
            if personality == "agent" and defect == "takes words":
                started[-1].history.append(("user", [_text("SECRET")]))
            started.append(Asking(upstream, defect))
            return Session(started[-1], personality, "sonnet", capabilities)

        yield selftest._Harness(upstream, CAPABLE, spawn)

    monkeypatch.setattr(selftest, "_harness", harness)
    monkeypatch.setattr(selftest, "_TIMEOUT", 1.0)
    return await run_self_test(InstallationFactory.build(), {}, others_go_first)


async def others_go_first() -> None:
    """Nobody wants to."""


async def test_a_cli_that_does_everything_as_it_was_seen_to_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    findings = await found(monkeypatch, "")

    assert findings == SelfTestResult(*[True] * len(NAMES))
    assert findings.failed == []


@pytest.mark.parametrize(
    ("defect", "failed"),
    [
        ("commands", {"text"}),
        ("settings", {"text"}),
        ("forgets", {"reuse"}),
        ("leaks", {"reset"}),
        ("lies", {"reset"}),
        ("runs tools", {"tools"}),
        ("deaf", {"interrupt"}),
        ("goes on", {"single_request"}),
        ("unsigned", {"tied"}),
        ("takes words", {"peers"}),
        ("absent", set(NAMES)),
        pytest.param(
            "plain system",
            {"text"},
        ),
    ],
)
async def test_what_does_not_hold_is_named_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, defect: str, failed: set[str]
) -> None:
    findings = await found(monkeypatch, defect)

    assert set(findings.failed) == failed
