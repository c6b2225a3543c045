"""The Messages API over the real CLI: ends, counts and thinking as the upstream has them, and what would be a loop."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live.relay import Relay, clean_environment, served_by_command
from tests.unit.messages.bodies import events_of
from tests.upstream import FakeUpstream, Message, Text, Thinking, ToolUse, Usage, text

HELLO = {"role": "user", "content": "Hello"}


def ask(relay: Relay, *messages: dict[str, Any], **fields: Any) -> httpx.Response:
    body = {"model": "sonnet", "max_tokens": 2000, "messages": list(messages or [HELLO]), **fields}
    return relay.http.post("/v1/messages", json=body)


@pytest.mark.parametrize(
    ("reason", "sequence"),
    [
        ("end_turn", None),
        ("max_tokens", None),
        ("stop_sequence", "END"),
        ("refusal", None),
        ("model_context_window_exceeded", None),
    ],
)
def test_an_answer_ends_as_the_upstream_says(
    chat: Relay, upstream: FakeUpstream, reason: str, sequence: str | None
) -> None:
    # no model writes as fast as the guard is not ready in time
    upstream.replies(text(chunks=("so ", "far"), interval=0.1, stop_reason=reason, stop_sequence=sequence))

    answer = ask(chat, stop_sequences=["END"]).json()

    assert (answer["stop_reason"], answer["stop_sequence"]) == (reason, sequence)
    assert answer["content"] == [{"type": "text", "text": "so far"}]
    assert len(upstream.messages_requests) == 1


def test_the_prompt_is_counted_in_the_first_event_and_the_answer_in_the_last(
    chat: Relay, upstream: FakeUpstream
) -> None:
    upstream.replies(text("a b", usage=Usage(input_tokens=7, cache_read=11, cache_creation=13, output_tokens=5)))

    first, *_, delta, _ = events_of(ask(chat, stream=True).text)

    prompt = {"input_tokens": 7, "cache_read_input_tokens": 11, "cache_creation_input_tokens": 13}
    assert prompt.items() <= first["message"]["usage"].items()
    assert {**prompt, "output_tokens": 5}.items() <= delta["usage"].items()


def test_an_agent_counts_all_that_its_work_has_taken(agent: Relay, upstream: FakeUpstream) -> None:
    call = Message(blocks=(Text("I look."), ToolUse("toolu_1", "Read", {"file_path": "/nothing"})))
    upstream.replies(call, text("There is nothing."))

    first, *others = events_of(ask(agent, stream=True).text)

    assert first["message"]["usage"]["input_tokens"] == 100
    assert others[-2]["usage"]["input_tokens"] == 200
    assert others[-2]["delta"]["stop_reason"] == "end_turn"
    blocks = [event["content_block"]["type"] for event in others if event["type"] == "content_block_start"]
    assert blocks == ["text"]


def test_a_thread_goes_on_in_the_process_that_has_its_thoughts(chat: Relay, upstream: FakeUpstream) -> None:
    call = ToolUse("toolu_1", "f", {"a": 1})
    upstream.replies(Message(blocks=(Thinking("Hm."), call)), text("Done."))
    tool = {"name": "f", "input_schema": {"type": "object"}}
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "1"}]}

    first = ask(chat, tools=[tool], thread={"type": "create"}).json()
    started = chat.processes()["started"]
    second = ask(chat, result, thread={"type": "continue", "previous_message_id": first["id"]}).json()

    assert second["content"] == [{"type": "text", "text": "Done."}]
    assert chat.processes()["started"] == started
    last = upstream.messages_requests[-1].body
    assert last is not None
    (assistant,) = [message for message in last["messages"] if message["role"] == "assistant"]
    assert [block["type"] for block in assistant["content"]] == ["thinking", "tool_use"]


@pytest.mark.provokes_errors
def test_a_relay_whose_user_has_made_it_the_upstream_of_claude_code_says_so(
    home: Path, upstream: FakeUpstream, claude_path: str
) -> None:
    with served_by_command(home, clean_environment(home, upstream), claude_path, "--warm", "0") as (running, _):
        (home / ".claude").mkdir(exist_ok=True)
        env = {"ANTHROPIC_BASE_URL": running.url}
        (home / ".claude/settings.json").write_text(json.dumps({"env": env}))

        answer = ask(running)
        health = running.http.get("/health").json()

    assert answer.status_code == 503
    assert "settings.json" in answer.json()["error"]["message"]
    assert answer.headers["x-should-retry"] == "false"
    assert "settings.json" in health["reason"]
    assert upstream.messages_requests == []
