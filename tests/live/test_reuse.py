"""Conversations that stay alive: who gets which process, and that nobody ever sees another's words."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.live.bodies import conversation
from tests.live.relay import Relay, clean_environment, processes_with_home, relay
from tests.upstream import FakeUpstream, Message, ToolUse, text

SAMPLED = "claude-sonnet-4-6"
"""A model that takes sampling options."""
NOTE = {"type": "function", "function": {"name": "note", "parameters": {"type": "object", "properties": {}}}}
Started = Callable[..., Any]


@pytest.fixture
def started(home: Path, upstream: FakeUpstream, claude_path: str) -> Started:
    """Starts a relay of its own, so that its counts are of one test alone."""

    @contextmanager
    def start(**choices: Any) -> Iterator[Relay]:
        options = {"personality": "chat", "warm": 0, **choices}
        with relay(home, clean_environment(home, upstream), claude_path=claude_path, **options) as running:
            yield running

    return start


def _talk(relay: Relay, messages: list[dict[str, Any]], text: str, **fields: Any) -> list[dict[str, Any]]:
    """Say something, and return the conversation with the answer."""
    said = [*messages, {"role": "user", "content": text}]
    response = relay.post(messages=said, **fields)
    assert response.status_code == 200, response.text
    return [*said, response.json()["choices"][0]["message"]]


def _counts(relay: Relay) -> tuple[int, int, int]:
    counts = relay.processes()
    return counts["started"] + counts["prewarmed"], counts["reused"], counts["reset"]


def _body(upstream: FakeUpstream, index: int = -1) -> dict[str, Any]:
    body = upstream.messages_requests[index].body
    assert body is not None
    return body


@pytest.mark.parametrize("personality", ["chat", "agent"])
def test_the_next_turn_is_asked_on_the_same_process(started: Started, upstream: FakeUpstream, personality: str) -> None:
    with started(personality=personality) as running:
        talk: list[dict[str, Any]] = []
        for turn in range(4):
            talk = _talk(running, talk, f"turn {turn}")
        assert _counts(running) == (1, 3, 0)
    assert (
        conversation(_body(upstream))
        == [
            pair
            for turn in range(4)
            for pair in (("user", [f"turn {turn}"]), ("assistant", ["Hello from fake upstream."]))
        ][:-1]
    )
    assert [request.body is not None and len(request.body["messages"]) > 0 for request in upstream.messages_requests]


def test_an_edited_conversation_is_served_by_a_process_that_was_emptied(
    started: Started, upstream: FakeUpstream, current: bool
) -> None:
    with started() as running:
        talk = _talk(running, [], "SECRET one")
        talk = _talk(running, talk, "SECRET two")
        edited = [{"role": "user", "content": "other"}, talk[1]]
        _talk(running, edited, "and now?")
        # a CLI that cannot prove that it is empty is not emptied
        assert _counts(running) == ((1, 1, 1) if current else (2, 1, 0))
        assert "SECRET" not in json.dumps(_body(upstream))
        _talk(running, [], "afresh")
        assert _counts(running) == ((1, 1, 2) if current else (3, 1, 0))
    assert conversation(_body(upstream)) == [("user", ["afresh"])]


def test_an_agent_is_never_emptied(started: Started) -> None:
    with started(personality="agent") as running:
        _talk(running, [], "one")
        _talk(running, [], "two")
        assert _counts(running) == (2, 0, 0)


@pytest.mark.parametrize(
    "other",
    [
        {"system": "Another."},
        {"tools": [NOTE]},
        {"key": "somebody-else"},
    ],
    ids=["system", "tools", "caller"],
)
def test_what_a_process_is_bound_to_never_changes(
    started: Started, upstream: FakeUpstream, other: dict[str, Any], current: bool
) -> None:
    with started() as running:
        talk = _talk(running, [{"role": "system", "content": "Mine."}], "SECRET")
        system = {"role": "system", "content": other.get("system", "Mine.")}
        fields = {"tools": other["tools"]} if "tools" in other else {}
        headers = {"authorization": f"Bearer {other['key']}"} if "key" in other else {}
        body = {"model": "sonnet", "messages": [system, *talk[1:], {"role": "user", "content": "more"}], **fields}
        assert running.http.post("/v1/chat/completions", json=body, headers=headers).status_code == 200
        assert _counts(running) == (2, 0, 0)
        # nor is it emptied for them
        body["messages"] = [system, {"role": "user", "content": "afresh"}]
        assert running.http.post("/v1/chat/completions", json=body, headers=headers).status_code == 200
        assert _counts(running) == ((2, 0, 1) if current else (3, 0, 0))
    assert "SECRET" not in json.dumps(_body(upstream))


def test_a_conversation_is_never_matched_by_its_beginning_alone(started: Started, upstream: FakeUpstream) -> None:
    with started() as running:
        talk = _talk(running, _talk(running, [], "one"), "two")
        _talk(running, talk[:2], "two again")
        assert _counts(running)[1] == 1
    assert conversation(_body(upstream))[-1] == ("user", ["two again"])
    assert len(conversation(_body(upstream))) == 3


def test_clients_that_trim_and_rewrite_still_match(started: Started, upstream: FakeUpstream) -> None:
    call = ToolUse("toolu_1", "note", {"b": 1, "a": [1, 2]})
    upstream.replies(Message(blocks=(call,)), text("  spaced  "), text("end"))
    with started() as running:
        talk = _talk(running, [], " hello ", tools=[NOTE])
        arguments = json.dumps(json.loads(talk[1]["tool_calls"][0]["function"]["arguments"]), indent=4, sort_keys=True)
        talk[0] = {"role": "user", "content": [{"type": "text", "text": "hello"}]}
        talk[1] = {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "toolu_1", "type": "function", "function": {"name": "note", "arguments": arguments}}],
        }
        talk.append({"role": "tool", "tool_call_id": "toolu_1", "content": "done"})
        answer = running.post(messages=talk, tools=[NOTE]).json()["choices"][0]["message"]
        talk.append({"role": "assistant", "content": answer["content"].strip()})
        _talk(running, talk, "bye", tools=[NOTE])
        assert _counts(running) == (1, 2, 0)


def test_another_model_gets_its_conversation_from_the_messages(started: Started, upstream: FakeUpstream) -> None:
    with started() as running:
        talk = _talk(running, [], "one")
        _talk(running, talk, "two", model="opus")
    assert conversation(_body(upstream)) == [
        ("user", ["one"]),
        ("assistant", ["Hello from fake upstream."]),
        ("user", ["two"]),
    ]
    assert "command-name" not in json.dumps(_body(upstream))


def test_sampling_can_change_within_a_conversation(started: Started, upstream: FakeUpstream) -> None:
    with started() as running:
        talk = _talk(running, [], "one", model=SAMPLED, temperature=0.1)
        talk = _talk(running, talk, "two", model=SAMPLED, temperature=0.9, max_tokens=99)
        _talk(running, talk, "three", model=SAMPLED)
        assert _counts(running) == (1, 2, 0)
    sent = [_body(upstream, index) for index in range(3)]
    assert [body.get("temperature") for body in sent] == [0.1, 0.9, None]
    assert sent[1]["max_tokens"] == 99
    assert len(conversation(sent[2])) == 5
    assert "<local-command" not in json.dumps(sent)


def test_an_agent_remembers_what_it_did(started: Started, upstream: FakeUpstream) -> None:
    upstream.replies(Message(blocks=(ToolUse("toolu_1", "Bash", {"command": "echo MARK", "description": "x"}),)))
    with started(personality="agent") as running:
        talk = _talk(running, [], "work")
        _talk(running, talk, "and?")
        assert _counts(running) == (1, 1, 0)
    assert "toolu_1" in json.dumps(_body(upstream)["messages"])


def _next_call(body: dict[str, Any]) -> Message:
    """Return the call that follows those whose results a request has."""
    turns = (message["content"] for message in body["messages"] if isinstance(message["content"], list))
    number = sum(block["type"] == "tool_result" for blocks in turns for block in blocks)
    return Message(blocks=(ToolUse(f"toolu_{number}", "note", {"n": number}),))


@pytest.mark.provokes_errors
@pytest.mark.parametrize("rounds", [20])
def test_a_loop_of_twenty_rounds_needs_one_process_even_if_it_is_killed(
    started: Started, upstream: FakeUpstream, rounds: int
) -> None:
    # by what is asked: an older CLI asks the same again on a busy machine
    upstream.default = _next_call
    with started() as running:
        talk: list[dict[str, Any]] = [{"role": "user", "content": "go"}]
        for turn in range(rounds):
            if turn == rounds // 2:
                for process in processes_with_home(running.home):
                    process.kill()
                running.wait_until(lambda: processes_with_home(running.home) == [])
            message = running.post(messages=talk, tools=[NOTE]).json()["choices"][0]["message"]
            (call,) = message["tool_calls"]
            assert call["id"] == f"toolu_{turn}"
            talk += [message, {"role": "tool", "tool_call_id": call["id"], "content": f"result {turn}"}]
        assert _counts(running)[0] == 2
        assert _counts(running)[1] >= rounds - 2
    turns = [message for message in _body(upstream)["messages"] if message["role"] != "system"]
    calls = [block["id"] for turn in turns for block in turn["content"] if block["type"] == "tool_use"]
    results = [
        (block["tool_use_id"], block["content"][0]["text"])
        for turn in turns
        for block in turn["content"]
        if block["type"] == "tool_result"
    ]
    assert calls == [f"toolu_{turn}" for turn in range(rounds - 1)]
    assert results == [(f"toolu_{turn}", f"result {turn}") for turn in range(rounds - 1)]


def test_processes_end_when_nobody_comes_back(started: Started) -> None:
    with started(idle_timeout=1) as running:
        _talk(running, [], "one")
        assert running.processes()["idle"] == 1
        running.wait_until(lambda: processes_with_home(running.home) == [])
        assert running.processes()["idle"] == 0


def test_a_process_ends_after_its_turns_or_its_memory(started: Started) -> None:
    for choices in ({"max_process_turns": 1}, {"max_process_memory": 1}, {"reuse": False}):
        with started(**choices) as running:
            talk = _talk(running, [], "one")
            _talk(running, talk, "two")
            assert _counts(running) == (2, 0, 0), choices


def test_the_one_idle_longest_makes_room(started: Started) -> None:
    with started(max_processes=2, max_concurrent=1) as running:
        talks = [_talk(running, [{"role": "system", "content": f"{number}"}], "one") for number in range(3)]
        assert running.processes()["idle"] == 2
        _talk(running, talks[2], "two")
        assert _counts(running)[1] == 1
        _talk(running, talks[0], "two")
        assert _counts(running)[1] == 1


def test_a_spare_is_kept_however_many_conversations_live(started: Started) -> None:
    with started(max_processes=3, max_concurrent=1, warm=1) as running:
        for number in range(4):
            _talk(running, [{"role": "system", "content": f"{number}"}], "one")
        running.wait_for_spare()
        running.settle()
        counts = running.processes()
        assert counts["spare"] + counts["idle"] <= 3


def test_requests_wait_in_line_and_a_full_line_is_told(started: Started, upstream: FakeUpstream) -> None:
    upstream.replies(text(delay=0.8))
    with started(max_concurrent=1, max_queue=0) as running:
        thread = threading.Thread(target=running.chat, args=("slow",))
        thread.start()
        upstream.wait_for(1)
        full = running.chat("quick")
        thread.join()
        assert full.status_code == 429
        assert full.json()["error"]["code"] == "queue_full"
        assert "retry-after" in full.headers
        assert running.chat("later").status_code == 200
