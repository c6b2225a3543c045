"""Agents of real clients that call a tool again and again: one conversation upstream, held by one process."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.clients import node_side
from tests.clients.agents import IN_NODE, IN_PYTHON, QUESTIONS, SQUARE, Agent, Square, over_http
from tests.live.relay import Relay, clean_environment, processes_with_home, relay
from tests.upstream import FakeUpstream, Message, Text, Thinking, ToolUse, text

ROUNDS = 20

Started = Callable[[], AbstractContextManager[Relay]]


@pytest.fixture
def started(home: Path, upstream: FakeUpstream, claude_path: str) -> Started:
    """Starts a relay of its own, so that its counts are of one test alone."""

    @contextmanager
    def start() -> Iterator[Relay]:
        environ = clean_environment(home, upstream)
        with relay(home, environ, claude_path=claude_path, personality="chat", warm=0) as running:
            yield running

    return start


@pytest.fixture(params=[*IN_PYTHON, *IN_NODE])
def agent(request: pytest.FixtureRequest) -> Agent:
    """Each client in each of its ways."""
    if request.param in IN_PYTHON:
        return IN_PYTHON[request.param]
    script, scenario = IN_NODE[request.param]
    scripts = request.getfixturevalue("scripts")
    tmp_path = request.getfixturevalue("tmp_path")

    def in_node(base_url: str, square: Square) -> str:
        with over_http(square) as url:
            return str(node_side.run(scripts, script, scenario, base_url, tmp_path, url, *QUESTIONS))

    return in_node


def _squared(n: int) -> str:
    return f"{n} squared is {n * n}"


def _use(k: int) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{k}", "name": "square", "input": {"n": k}}


def _result(k: int) -> dict[str, Any]:
    content = [{"type": "text", "text": _squared(k)}]
    return {"type": "tool_result", "tool_use_id": f"toolu_{k}", "content": content}


def _call(k: int) -> ToolUse:
    return ToolUse(f"toolu_{k}", "square", {"n": k})


ANSWERS = (text("Done."), text("The last."))
"""What is said to the two questions, when there is nothing more to call."""


def _script(*calls: int) -> list[Message]:
    """Call the tool once in each answer before there is one in words."""
    return [*(Message(blocks=(_call(k),)) for k in calls), *ANSWERS]


def _said(role: str, *blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": role, "content": list(blocks)}


def _text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


ASKED = _said("user", _text(QUESTIONS[0]))
ASKED_AGAIN = [_said("assistant", _text("Done.")), _said("user", _text(QUESTIONS[1]))]
LOOP = [
    ASKED,
    *(turn for k in range(ROUNDS) for turn in (_said("assistant", _use(k)), _said("user", _result(k)))),
    *ASKED_AGAIN,
]
"""The one conversation that all rounds are."""


def _plain(value: Any) -> Any:
    """Leave out where the CLI wants the upstream to cache: it moves on with the conversation.

    A text that bears no such mark is written shorter, which means the same.
    """
    match value:
        case {"role": _, "content": str(said)}:
            return _plain({**value, "content": [{"type": "text", "text": said}]})
        case dict():
            return {name: _plain(part) for name, part in value.items() if name != "cache_control"}
        case list():
            return [_plain(part) for part in value]
    return value


def _bodies(upstream: FakeUpstream) -> list[dict[str, Any]]:
    return [_plain(request.body) for request in upstream.messages_requests]


def _talk(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what was said, less what the CLI says to the model on its own."""
    return [message for message in body["messages"] if message["role"] != "system"]


def _counts(running: Relay) -> tuple[int, int]:
    counts = running.processes()
    assert counts["reset"] == 0
    return counts["started"] + counts["prewarmed"], counts["reused"]


def test_a_loop_of_twenty_rounds_is_one_conversation_in_one_process(
    started: Started, upstream: FakeUpstream, agent: Agent
) -> None:
    upstream.replies(*_script(*range(ROUNDS)))
    with started() as running:
        assert agent(f"{running.url}/v1", _squared) == "The last."
        assert _counts(running) == (1, ROUNDS + 1)
    bodies = _bodies(upstream)
    assert _talk(bodies[-1]) == LOOP
    # nothing that the upstream has seen ever changes, the CLI's own words included
    assert len(bodies) == ROUNDS + 2
    for before, after in pairwise(bodies):
        assert after["messages"][: len(before["messages"])] == before["messages"]
        assert (after["system"], after["tools"]) == (before["system"], before["tools"])
    assert [tool["name"] for tool in bodies[0]["tools"]] == ["square"]


def test_a_loop_goes_on_after_its_process_was_killed(started: Started, upstream: FakeUpstream, agent: Agent) -> None:
    upstream.replies(*_script(*range(ROUNDS)))
    with started() as running:

        def killing(n: int) -> str:
            if n == ROUNDS // 2:
                for process in processes_with_home(running.home):
                    process.kill()
                running.wait_until(lambda: processes_with_home(running.home) == [])
            return _squared(n)

        assert agent(f"{running.url}/v1", killing) == "The last."
        started_processes, reused = _counts(running)
    assert started_processes == 2
    # the dead process may be found dead only when it is asked
    assert reused in {ROUNDS, ROUNDS + 1}
    bodies = _bodies(upstream)
    assert [_talk(body) for body in bodies] == [LOOP[: 2 * k + 1] for k in range(ROUNDS + 2)]
    assert all(body["tools"] == bodies[0]["tools"] for body in bodies)


def test_calls_in_parallel_between_thoughts_and_words_are_recognised(
    started: Started, upstream: FakeUpstream, agent: Agent
) -> None:
    """The calls end in another order than the model made them in."""
    thought, words = "Let me think.", " First one,\nthen another: \n\n"
    pairs = ((1, 2), (3, 4), (5, 6))
    upstream.replies(
        *(Message(blocks=(Thinking(thought), Text(words), _call(one), _call(two))) for one, two in pairs), *ANSWERS
    )

    def slow_if_odd(n: int) -> str:
        time.sleep(0.05 * (n % 2))
        return _squared(n)

    with started() as running:
        assert agent(f"{running.url}/v1", slow_if_odd) == "The last."
        assert _counts(running) == (1, len(pairs) + 1)
    said = {"type": "thinking", "thinking": thought, "signature": "c2lnbmF0dXJl"}, _text(words)
    asked, *talk = _talk(_bodies(upstream)[-1])
    assert (asked, talk[-2:]) == (ASKED, ASKED_AGAIN)
    assert talk[:-2:2] == [_said("assistant", *said, _use(one), _use(two)) for one, two in pairs]
    for turn, (one, two) in zip(talk[1:-2:2], pairs, strict=True):
        assert sorted(turn["content"], key=lambda block: str(block["tool_use_id"])) == [_result(one), _result(two)]


def test_an_error_of_the_tool_is_told_as_text_and_the_loop_goes_on(
    started: Started, upstream: FakeUpstream, agent: Agent
) -> None:
    upstream.replies(*_script(1, 2, 3))

    def failing(n: int) -> str:
        if n == 2:
            raise ValueError("two has no square")
        return _squared(n)

    with started() as running:
        assert agent(f"{running.url}/v1", failing) == "The last."
        assert _counts(running) == (1, 4)
    talk = _talk(_bodies(upstream)[-1])
    (told,) = talk[4]["content"]
    assert told["tool_use_id"] == "toolu_2"
    assert "two has no square" in told["content"][0]["text"]
    assert [*talk[:4], *talk[5:]] == [
        ASKED,
        *(_said("assistant", _use(1)), _said("user", _result(1))),
        _said("assistant", _use(2)),
        *(_said("assistant", _use(3)), _said("user", _result(3))),
        *ASKED_AGAIN,
    ]


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_results_may_come_in_any_order(started: Started, upstream: FakeUpstream, order: tuple[int, ...]) -> None:
    upstream.replies(Message(blocks=(_call(1), _call(2), _call(3))))
    with started() as running:
        messages: list[Any] = [{"role": "user", "content": QUESTIONS[0]}]
        create = partial(running.openai.chat.completions.create, model="sonnet", tools=[SQUARE])
        messages.append(create(messages=messages).choices[0].message)
        messages += [{"role": "tool", "tool_call_id": f"toolu_{k}", "content": _squared(k)} for k in order]
        assert create(messages=messages).choices[0].finish_reason == "stop"
        assert _counts(running) == (1, 1)
    calls = _said("assistant", _use(1), _use(2), _use(3))
    assert _talk(_bodies(upstream)[-1]) == [ASKED, calls, _said("user", *map(_result, order))]


def test_what_must_be_called_can_change_within_a_conversation(started: Started, upstream: FakeUpstream) -> None:
    upstream.replies(*_script(1, 2))
    with started() as running:
        messages: list[Any] = [{"role": "user", "content": QUESTIONS[0]}]
        for choice in ("required", {"type": "function", "function": {"name": "square"}}, "none", "auto"):
            body = {"messages": messages, "tools": [SQUARE], "tool_choice": choice}
            message = running.post(**body).json()["choices"][0]["message"]
            results = [
                {
                    "role": "tool",
                    "tool_call_id": call["id"],
                    "content": _squared(json.loads(call["function"]["arguments"])["n"]),
                }
                for call in message.get("tool_calls", ())
            ]
            messages += [message, *(results or [{"role": "user", "content": QUESTIONS[1]}])]
        assert _counts(running) == (1, 3)
    bodies = _bodies(upstream)
    assert [body.get("tool_choice") for body in bodies] == [
        {"type": "any"},
        {"type": "tool", "name": "square"},
        {"type": "none"},
        None,
    ]
    assert _talk(bodies[-1]) == [
        ASKED,
        *(turn for k in (1, 2) for turn in (_said("assistant", _use(k)), _said("user", _result(k)))),
        *ASKED_AGAIN,
    ]


@pytest.mark.parametrize(
    ("scenario", "choice"), [("required", {"type": "any"}), ("named", {"type": "tool", "name": "square"})]
)
def test_the_ai_sdk_forces_a_call(
    started: Started, upstream: FakeUpstream, scripts: Path, tmp_path: Path, scenario: str, choice: dict[str, str]
) -> None:
    upstream.replies(*_script(3))
    with started() as running, over_http(_squared) as url:
        answer = node_side.run(scripts, "ai-sdk-tools.mjs", scenario, f"{running.url}/v1", tmp_path, url, *QUESTIONS)
    assert answer == {"calls": [["square", {"n": 3}]], "finishReason": "tool-calls"}
    assert [body["tool_choice"] for body in _bodies(upstream)] == [choice]
