"""What each request costs: how many requests are made upstream for it, counted one by one.

The client is OpenAI's SDK, which asks again by itself after some failures: what that costs is counted too.
"""

import contextlib
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import openai
import pytest

from claude_relay.settings import Personality
from tests import upstream as fake
from tests.live.relay import Relay, clean_environment, relay
from tests.upstream import Failure, FakeUpstream, Message, Reply, Text, ToolUse, text

REQUESTS = 100
"""For each personality; many are turns of conversations, since each conversation of an agent needs a process."""
TALKS, TURNS = 4, 12
_TAG = re.compile(r"\[(\w+)-(\d+)\]")
_SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
_FORMAT = {"type": "json_schema", "json_schema": {"name": "x", "schema": _SCHEMA}}
_TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
_PAST = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]


class Kind(NamedTuple):
    """A kind of request.

    Attributes:
        fields: What it asks for beside its question.
        reply: What the upstream answers.
        chat: How many upstream requests it costs in ``chat`` each time it is asked, or may cost; None where no chat is
            asked so.
        agent: The same in ``agent``.
        weight: How often it comes, beside the others.
        asked: How often the SDK asks.
    """

    fields: dict[str, Any]
    reply: Reply | Callable[[dict[str, Any]], Reply]
    chat: int | tuple[int, ...] | None
    agent: int | tuple[int, ...] | None
    weight: int = 4
    asked: int = 1


def _answered_by_tool(body: dict[str, Any]) -> Reply:
    """Call the CLI's own tool for answers; after its result there is nothing more to say."""
    if "tool_result" in json.dumps(body["messages"][-1]):
        return text("Done.")
    return Message(blocks=(ToolUse("toolu_1", "StructuredOutput", {"a": 1}),))


def _structured(body: dict[str, Any]) -> Reply:
    return text('{"a":1}') if "format" in body.get("output_config", {}) else _answered_by_tool(body)


def _works(body: dict[str, Any]) -> Reply:
    """Use a tool of Claude Code's own, and then answer."""
    if "toolu_bash" in json.dumps(body["messages"]):
        return text("Worked.")
    return Message(
        blocks=(Text("Let me look."), ToolUse("toolu_bash", "Bash", {"command": "true", "description": "x"}))
    )


_CALL = Message(blocks=(ToolUse("toolu_1", "weather", {"city": "Rome"}),))
KINDS: Mapping[str, Kind] = {
    "talk": Kind({}, text("Hello."), 1, 1, 0),
    "plain": Kind({}, text("Hello."), 1, 1),
    "stream": Kind({"stream": True}, text("Hello.", chunks=5), 1, 1),
    "history": Kind({"past": _PAST}, text("Hello."), 1, 1),
    "sampled": Kind(
        {"model": "claude-sonnet-4-6", "temperature": 0.5, "extra_body": {"top_k": 9}}, text("Hello."), 1, 1
    ),
    "stopped": Kind({"stop": ["END"]}, text("So far END and more."), 1, 1),
    "several": Kind({"n": 2}, text("Hello."), 2, 2),
    "limited": Kind({"max_tokens": 5}, text("So far", stop_reason="max_tokens", head_delay=0.2), 1, None),
    "refused": Kind({}, text("No.", stop_reason="refusal"), 1, 1),
    "structured": Kind({"response_format": _FORMAT}, _structured, 1, 1),
    "object": Kind({"response_format": {"type": "json_object"}}, _answered_by_tool, 1, 1),
    "tool": Kind({"tools": [_TOOL]}, _CALL, 1, 1),
    "own_tool": Kind({}, _works, None, 2),
    "invalid": Kind({"max_tokens": -1}, text("never"), 0, 0),
    # what the CLI asks again without a word on its output: nothing was found that keeps it from that
    "status_400": Kind({}, Failure(400, "invalid_request_error", "no"), 4, (6, 8), 1),
    "status_422": Kind({}, Failure(422, "invalid_request_error", "no"), 3, 6, 1),
    "status_404": Kind({}, fake.model_not_found(), 2, 2, 1),
    "status_401": Kind({}, fake.unauthorized(), 1, 3, 1),
    "status_403": Kind({}, fake.forbidden(), 1, 1, 1),
    "status_413": Kind({}, fake.too_large(), 1, 1, 1),
    "status_429": Kind({}, fake.rate_limited(0), 1, 3, 0, 3),
    "status_500": Kind({}, fake.server_error(), 1, 3, 1, 3),
    "status_529": Kind({}, fake.overloaded(), 1, 3, 0, 3),
}


class Counting:
    """An upstream that answers each request by its kind, and counts for which one it was asked."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def __call__(self, body: dict[str, Any]) -> Reply:
        kind, number = _TAG.findall(json.dumps(body["messages"]))[-1]
        self.asked[f"{kind}-{number}"] += 1
        reply = KINDS[kind].reply
        return reply(body) if callable(reply) else reply


@pytest.fixture
def counting(upstream: FakeUpstream) -> Counting:
    upstream.default = made = Counting()
    return made


def _costs(kind: Kind, personality: Personality) -> tuple[int, ...]:
    cost = kind.chat if personality == "chat" else kind.agent
    costs = (cost,) if isinstance(cost, int) else cost or ()
    return tuple(kind.asked * each for each in costs)


def _talk(running: Relay, talk: int, personality: Personality) -> None:
    """Ask one question after the other in a conversation."""
    messages: list[Any] = []
    for turn in range(TURNS):
        messages.append({"role": "user", "content": f"[talk-{talk * TURNS + turn}]"})
        _create(running, messages, {"model": f"sonnet:{personality}"})
        messages.append({"role": "assistant", "content": "Hello."})


def _ask(running: Relay, tag: str, personality: Personality) -> None:
    kind = KINDS[tag.rpartition("-")[0]]
    fields = {**kind.fields, "model": f"{kind.fields.get('model', 'sonnet')}:{personality}"}
    messages = [*fields.pop("past", ()), {"role": "user", "content": f"[{tag}]"}]
    _create(running, messages, fields)


def _create(running: Relay, messages: list[Any], fields: dict[str, Any]) -> None:
    client = running.openai.with_options(max_retries=openai.DEFAULT_MAX_RETRIES)
    with contextlib.suppress(openai.APIStatusError):
        answer = client.chat.completions.create(messages=messages, **fields)
        if fields.get("stream"):
            assert list(answer)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("personality", ["chat", "agent"])
def test_a_request_costs_as_many_upstream_requests_as_the_docs_tell(
    home: Path, upstream: FakeUpstream, claude_path: str, counting: Counting, personality: Personality, current: bool
) -> None:
    costs = {name: _costs(kind, personality) for name, kind in KINDS.items()}
    names = [name for name, cost in costs.items() if cost]
    chosen = random.Random(9)
    others = REQUESTS - TALKS * TURNS - len(names)
    picked = names[1:] + chosen.choices(names, [KINDS[name].weight for name in names], k=others + 1)
    tags = [f"{name}-{number}" for number, name in enumerate(picked)]
    with (
        relay(home, clean_environment(home, upstream), claude_path=claude_path, permission_mode="dontAsk") as running,
        ThreadPoolExecutor(4) as pool,
    ):
        list(pool.map(lambda tag: _ask(running, tag, personality), tags))
        list(pool.map(lambda talk: _talk(running, talk, personality), range(TALKS)))
    tags += [f"talk-{number}" for number in range(TALKS * TURNS)]

    assert len(tags) == REQUESTS
    # an older CLI asks less often where it fails
    allowed = {name: cost if current else range(min((*cost, 1)), max(cost) + 1) for name, cost in costs.items() if cost}
    wrong = {tag: counting.asked[tag] for tag in tags if counting.asked[tag] not in allowed[tag.rpartition("-")[0]]}
    assert not wrong, wrong
