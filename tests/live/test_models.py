"""The names of models that the real CLI tells, and what answers under them."""

from pathlib import Path
from typing import Any

import pytest

from tests.live.relay import Relay, clean_environment, relay
from tests.upstream import FakeUpstream, Message, ToolUse, text

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def listed(running: Relay) -> list[str]:
    return [model["id"] for model in running.http.get("/v1/models").json()["data"]]


def asked_model(upstream: FakeUpstream) -> str:
    """Return the model that the latest request was for."""
    body = upstream.messages_requests[-1].body
    assert body is not None
    return str(body["model"])


@pytest.mark.parametrize("personality", ["chat", "agent"])
def test_the_full_ids_are_in_the_menu_before_anything_is_asked(
    home: Path, upstream: FakeUpstream, claude_path: str, personality: str, current: bool
) -> None:
    environ = clean_environment(home, upstream)
    with relay(home, environ, claude_path=claude_path, personality=personality, model="opus") as running:
        if current:
            running.wait_until(lambda: len(listed(running)) > 9, 20)
        else:
            # it tells when it is configured, which its first question does
            assert running.chat("Hello", model="opus").status_code == 200
        menu = listed(running)
        asked = len(upstream.messages_requests)
        for name in ("opus", "sonnet", "haiku"):
            assert running.chat("Hello", model=name).status_code == 200
        full_ids = [str((request.body or {})["model"]) for request in upstream.messages_requests[-3:]]
        after = listed(running)

    assert asked == (0 if current else 1)
    assert len(menu) == len(set(menu))
    assert [full_id for full_id in full_ids if not full_id.startswith("claude-") or full_id not in menu] == []
    assert after == menu


def test_an_operators_own_model_is_in_the_menu_by_the_name_it_has_upstream(
    home: Path, upstream: FakeUpstream, claude_path: str
) -> None:
    environ = {**clean_environment(home, upstream), "ANTHROPIC_DEFAULT_SONNET_MODEL": "my-own-model"}
    with relay(home, environ, claude_path=claude_path) as running:
        assert running.chat("Hello", model="sonnet").status_code == 200
        menu = listed(running)

    assert asked_model(upstream) == "my-own-model"
    assert [name for name in menu if name.startswith("my-own-model")] == [
        "my-own-model",
        "my-own-model:chat",
        "my-own-model:agent",
    ]


@pytest.mark.parametrize("personality", ["chat", "agent"])
def test_a_full_id_may_be_asked_for(home: Path, upstream: FakeUpstream, claude_path: str, personality: str) -> None:
    environ = clean_environment(home, upstream)
    with relay(home, environ, claude_path=claude_path, model="opus") as running:
        assert running.chat("Hello", model="opus").status_code == 200
        full_id = asked_model(upstream)
        named = f"{full_id}:{personality}"
        answer = running.chat("Hello", model=named)
        described = running.http.get(f"/v1/models/{named}").json()

    assert (answer.status_code, answer.json()["model"]) == (200, named)
    assert asked_model(upstream) == full_id
    assert (described["id"], described["owned_by"]) == (named, "anthropic")


def test_a_conversation_with_calls_is_gone_on_with_by_the_plain_model_without_tools_too(
    agent: Relay, upstream: FakeUpstream
) -> None:
    upstream.replies(Message(blocks=(ToolUse("toolu_1", "weather", {"city": "Rome"}),)))
    messages: list[dict[str, Any]] = [{"role": "user", "content": "How is Rome?"}]
    first = agent.post(messages=messages, tools=[TOOL])
    made = first.json()["choices"][0]["message"]
    messages += [made, {"role": "tool", "tool_call_id": made["tool_calls"][0]["id"], "content": "mild"}]
    upstream.replies(text("Mild."))
    last = agent.post(messages=messages)

    assert [answer.headers["x-claude-relay-personality"] for answer in (first, last)] == ["chat", "chat"]
    assert last.json()["choices"][0]["message"]["content"] == "Mild."
    assert agent.chat("Hello").headers["x-claude-relay-personality"] == "agent"


def test_the_first_request_with_tools_finds_a_process_that_is_ready(
    home: Path, upstream: FakeUpstream, claude_path: str
) -> None:
    environ = clean_environment(home, upstream)
    with relay(home, environ, claude_path=claude_path, personality="agent", max_concurrent=2) as running:
        running.wait_until(lambda: running.processes()["spare"] == 2, 30)
        for fields in ({"tools": [TOOL]}, {}):
            assert running.chat("Hello", **fields).status_code == 200
        found = running.processes()

    assert (found["prewarmed"], found["started"]) == (2, 0)
