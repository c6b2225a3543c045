"""Signed thinking goes back byte for byte, and what the upstream refuses of it costs no conversation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from claude_relay.engine.vocabulary import RedactedThinking, Thinking, ThinkingBlock
from claude_relay.responses.signed_thinking import packed
from tests.live.relay import Relay, clean_environment, relay
from tests.live.test_responses import WEATHER, ask, sent, streamed
from tests.upstream import FakeUpstream, Message, Reply, Text, ToolUse, bad_request, text
from tests.upstream import Thinking as Thinks

CALL = ToolUse("toolu_1", "get_weather", {"city": "Oslo"})
THOUGHT = {"type": "thinking", "thinking": "A tool knows.", "signature": "EqQB+/=="}
AGAIN = {"type": "thinking", "thinking": "", "signature": "U2lnMg=="}
CALLED = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}}
WORDS = {"type": "text", "text": "I ask."}
OUTPUT = {"type": "function_call_output", "call_id": "toolu_1", "output": "-5"}
THINKS = Message(blocks=(Thinks("A tool knows.", "EqQB+/=="), Text("I ask."), Thinks("", "U2lnMg==", 0), CALL))


def item(thought: ThinkingBlock) -> dict[str, Any]:
    return {"type": "reasoning", "summary": [], "encrypted_content": packed(thought)}


def past(upstream: FakeUpstream) -> list[Any]:
    """Return what the last request upstream says that the assistant said."""
    turns = [turn["content"] for turn in sent(upstream)["messages"] if turn["role"] == "assistant"]
    return [[{**block, "cache_control": None} for block in turn] for turn in turns]


def blocks(*turns: list[dict[str, Any]]) -> list[Any]:
    return [[{**block, "cache_control": None} for block in turn] for turn in turns]


def model_for(kind: str, name: str = "sonnet") -> str:
    return f"{name}:agent" if kind == "agent" else name


@pytest.mark.parametrize("kind", ["chat", "agent", "verbatim"])
def test_thinking_of_a_tool_loop_comes_back_on_a_fresh_process(
    relay_of: Callable[[str], Relay], upstream: FakeUpstream, kind: str, current: bool
) -> None:
    running = relay_of(kind)
    # an older CLI does not tell what a short name stands for
    model = model_for(kind, "sonnet" if current else "claude-sonnet-4-6")
    upstream.replies(THINKS, text("Cold."))

    told = streamed(running, "Weather?", model=model, tools=[WEATHER], include=["reasoning.encrypted_content"])
    running.settle()
    reused = running.processes()["reused"]
    # another question, so that no process knows the conversation
    asked = [{"role": "user", "content": "Weather, then?"}, *told[-1]["response"]["output"], OUTPUT]
    again = ask(running, asked, model=model, tools=[WEATHER])

    assert again.json()["output"][0]["content"][0]["text"] == "Cold."
    assert "x-claude-relay-ignored" not in again.headers
    assert running.processes()["reused"] == reused
    assert past(upstream) == blocks([THOUGHT, WORDS, AGAIN, CALLED])
    assert len(upstream.messages_requests) == 2


def test_a_living_process_goes_on_with_its_own_thinking_whatever_the_client_sends(
    chat: Relay, upstream: FakeUpstream
) -> None:
    upstream.replies(THINKS, text("Cold."), THINKS, text("Cold."))
    for is_sent in (True, False):
        first = ask(chat, f"Weather? {is_sent}", tools=[WEATHER], store=False).json()
        chat.settle()
        reused = chat.processes()["reused"]
        output = [each for each in first["output"] if is_sent or each["type"] != "reasoning"]
        asked = [{"role": "user", "content": f"Weather? {is_sent}"}, *output, OUTPUT]

        assert ask(chat, asked, tools=[WEATHER]).status_code == 200
        assert chat.processes()["reused"] == reused + 1
        assert past(upstream) == blocks([THOUGHT, WORDS, AGAIN, CALLED])
        chat.settle()


def test_what_is_kept_has_the_signatures_after_a_restart_though_nobody_asked_for_them(
    home: Path, upstream: FakeUpstream, claude_path: str
) -> None:
    upstream.replies(THINKS, text("Cold."))
    environ = clean_environment(home, upstream)
    fields = {"tools": [WEATHER], "model": "claude-sonnet-4-6"}
    with relay(home, environ, claude_path=claude_path, warm=0) as running:
        first = ask(running, "Weather?", **fields).json()
    with relay(home, environ, claude_path=claude_path, warm=0) as running:
        second = ask(running, [OUTPUT], previous_response_id=first["id"], **fields).json()

    assert not any("encrypted_content" in each for each in first["output"])
    assert second["output"][0]["content"][0]["text"] == "Cold."
    assert past(upstream) == blocks([THOUGHT, WORDS, AGAIN, CALLED])


@pytest.mark.parametrize("kind", ["chat", "agent", "verbatim"])
def test_reasoning_that_nobody_can_read_comes_back_too(
    relay_of: Callable[[str], Relay], upstream: FakeUpstream, kind: str
) -> None:
    hidden = {"type": "redacted_thinking", "data": "ZGF0YQ=="}
    called = {"type": "function_call", "call_id": "toolu_1", "name": "get_weather", "arguments": '{"city":"Oslo"}'}
    asked = [{"role": "user", "content": "?"}, item(RedactedThinking("ZGF0YQ==")), called, OUTPUT]

    assert ask(relay_of(kind), asked, model=model_for(kind, "claude-sonnet-4-6"), tools=[WEATHER]).status_code == 200
    assert past(upstream) == blocks([hidden, CALLED])


@pytest.mark.parametrize("kind", ["chat", "agent", "verbatim"])
def test_a_signature_that_the_upstream_refuses_costs_the_thinking_and_not_the_conversation(
    relay_of: Callable[[str], Relay], upstream: FakeUpstream, kind: str
) -> None:
    def reply(body: dict[str, Any]) -> Reply:
        if "forged" in str(body["messages"]):
            return bad_request("messages.1.content.0: Invalid `signature` in `thinking` block")
        return text("Fine.")

    running = relay_of(kind)
    said = {"role": "assistant", "content": "So."}
    asked = [{"role": "user", "content": "?"}, item(Thinking("hm", f"forged{kind}")), said]
    more = [*asked, {"role": "user", "content": "And?"}]
    upstream.default = reply
    answers, costs = [], []
    for _ in range(2):
        before = len(upstream.messages_requests)
        answers.append(ask(running, more, model=model_for(kind, "claude-sonnet-4-6")))
        costs.append(len(upstream.messages_requests) - before)

    assert [answer.json()["output"][0]["content"][0]["text"] for answer in answers] == ["Fine.", "Fine."]
    assert past(upstream) == blocks([{"type": "text", "text": "So."}])
    # Claude Code itself asks once more, without thinking; where the history is not its own it cannot
    named = [answer.headers.get("x-claude-relay-ignored") for answer in answers]
    assert named == (["input.reasoning.encrypted_content"] * 2 if kind == "verbatim" else [None, None])
    if kind == "verbatim":
        # on a busy machine Claude Code may ask once more before it is stopped; what is known is not asked again
        assert costs in ([2, 1], [3, 1])
    else:
        assert costs == [2, 2]


def test_thinking_of_another_service_is_ignored_by_name(chat: Relay, upstream: FakeUpstream) -> None:
    foreign = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAABo"}
    said = {"role": "assistant", "content": "So."}

    told = ask(chat, [{"role": "user", "content": "?"}, foreign, said, {"role": "user", "content": "And?"}])

    assert told.headers["x-claude-relay-ignored"] == "input.reasoning.encrypted_content"
    assert past(upstream) == blocks([{"type": "text", "text": "So."}])


def test_a_model_with_a_thinking_budget_thinks_on_in_a_tool_loop_that_began_with_thinking(
    chat: Relay, upstream: FakeUpstream
) -> None:
    model = "claude-haiku-4-5"
    upstream.replies(Message(blocks=(Thinks("Hm.", "EqQB+/=="), CALL)), text("Cold."))

    first = ask(chat, "Weather?", model=model, tools=[WEATHER], store=False).json()
    chat.settle()
    asked = [{"role": "user", "content": "Weather, then?"}, *first["output"], OUTPUT]
    assert ask(chat, asked, model=model, tools=[WEATHER]).status_code == 200

    assert sent(upstream)["thinking"]["type"] == "enabled"
    assert upstream.refusals == []
