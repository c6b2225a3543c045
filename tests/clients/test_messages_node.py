"""Clients of the Messages API for Node: Anthropic's package, and the Vercel AI SDK."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients import node_side
from tests.clients.overhear import Overhearing
from tests.clients.upstream_side import in_the_asked_form, spoken
from tests.upstream import FakeUpstream, Message, Text, Thinking, ToolUse, text

CALL = Message(blocks=(Text("I look."), ToolUse("toolu_1", "get_weather", {"city": "Oslo"})))

Scenario = Callable[[str], Any]


@pytest.fixture
def node(scripts: Path, base_url: str, home: Path) -> Scenario:
    """Runs a scenario."""
    return lambda name: node_side.run(scripts, "messages.mjs", name, base_url, home)


def test_a_message(node: Scenario, upstream: FakeUpstream) -> None:
    upstream.replies(spoken("Hello ", "there"))

    message = node("create")

    assert [block["text"] for block in message["content"]] == ["Hello there"]
    assert (message["stop_reason"], message["usage"]["input_tokens"]) == ("end_turn", 7)


def test_a_stream_with_thinking(node: Scenario, upstream: FakeUpstream) -> None:
    upstream.replies(Message(blocks=(Thinking("Hm."), Text("Hello there", ("Hello ", "there")))))

    found = node("stream")

    assert found["deltas"] == ["Hello ", "there"]
    thinking, said = found["message"]["content"]
    assert (thinking["thinking"], thinking["signature"]) == ("Hm.", "c2lnbmF0dXJl")
    assert (said["text"], found["message"]["stop_reason"]) == ("Hello there", "end_turn")


def test_the_tool_runner_sends_each_turn_once(node: Scenario, upstream: FakeUpstream, heard: Overhearing) -> None:
    upstream.replies(CALL, text("It rains."))

    message = node("toolRunner")

    assert message["content"][0]["text"] == "It rains."
    assert [request.body["thread"]["type"] for request in heard.heard] == ["create", "continue"]
    assert [len(request.body["messages"]) for request in heard.heard] == [1, 1]
    assert len(upstream.messages_requests) == 2


def test_counts_models_and_errors(node: Scenario) -> None:
    assert 1 < node("count")["input_tokens"] < 50
    assert {"sonnet", "opus", "haiku"} <= set(node("models"))
    error = node("error")
    assert (error["status"], error["type"]) == (400, "invalid_request_error")
    assert error["request"].startswith("req_")


def test_the_ai_sdk(node: Scenario, upstream: FakeUpstream) -> None:
    upstream.replies(spoken("Hello ", "there"))
    whole = node("aiSdk")
    assert (whole["text"], whole["finishReason"]) == ("Hello there", "stop")
    assert whole["usage"]["outputTokens"] == 5

    upstream.replies(CALL, spoken("It ", "rains."))
    streamed = node("aiSdkStream")
    assert ("".join(streamed["pieces"]).endswith("It rains."), streamed["steps"]) == (True, 2)

    upstream.replies(in_the_asked_form({"city": "Oslo", "degrees": -5}))
    assert node("aiSdkObject") == {"city": "Oslo", "degrees": -5}
