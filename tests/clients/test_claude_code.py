"""Claude Code as a client of the relay: it brings its own prompt and tools; nothing of the relay's user is added."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.overhear import Overhearing
from tests.live.relay import Relay, clean_environment
from tests.upstream import FakeUpstream, Message, Text, ToolUse, overloaded, text

CANARY = "canary-of-the-relays-user"
MESSAGES = "/v1/messages"

ClaudeCode = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def claude_code(chat: Relay, claude_path: str, home: Path, tmp_path: Path) -> ClaudeCode:
    """Runs ``claude -p`` with the relay as its upstream, as another user would."""
    (chat.home / ".claude").mkdir(exist_ok=True)
    (chat.home / ".claude/CLAUDE.md").write_text(CANARY)
    (tmp_path / "work").mkdir()

    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        of_client = {"ANTHROPIC_BASE_URL": chat.url, "ANTHROPIC_API_KEY": "unused", **environ}
        return subprocess.run(
            [claude_path, "-p", "--output-format", "json", *arguments],
            check=False,
            env=clean_environment(home) | of_client,
            cwd=tmp_path / "work",
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )

    return run


def result_of(ran: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def asked(heard: Overhearing) -> list[dict[str, Any]]:
    return [request.body for request in heard.heard if request.path == MESSAGES]


def test_a_question_is_one_request_with_its_own_prompt_and_nothing_of_the_relays_user(
    claude_code: ClaudeCode, upstream: FakeUpstream, heard: Overhearing
) -> None:
    upstream.replies(text("Hello, client."))

    result = result_of(claude_code("Say hello"))

    assert result["result"] == "Hello, client."
    assert result["usage"]["input_tokens"] == 100
    (sent,) = asked(heard)
    (request,) = upstream.messages_requests
    assert request.body is not None
    whole = json.dumps(request.body)
    assert CANARY not in whole
    assert sent["system"][-1]["text"].strip()[:40] in whole
    assert whole.count("x-anthropic-billing-header") == 1
    assert [tool["name"] for tool in request.body["tools"]] == [tool["name"] for tool in sent["tools"]]


def test_a_round_of_its_own_tools_is_a_request_each(
    claude_code: ClaudeCode, upstream: FakeUpstream, heard: Overhearing, tmp_path: Path
) -> None:
    command = {"command": "echo hi > made.txt; echo done-$((40 + 2))", "description": "Make a file"}
    upstream.replies(Message(blocks=(Text("I make it."), ToolUse("toolu_1", "Bash", command))), text("It is made."))

    result = result_of(claude_code("Make a file", "--allowedTools", "Bash"))

    assert result["result"] == "It is made."
    assert (tmp_path / "work/made.txt").read_text() == "hi\n"
    assert len(upstream.messages_requests) == len(asked(heard)) == 2
    last = upstream.messages_requests[-1].body
    assert last is not None
    (output,) = [block for block in last["messages"][-1]["content"] if block["type"] == "tool_result"]
    assert "done-42" in json.dumps(output["content"])
    assert {request.status for request in heard.heard} == {200}


def test_a_form_that_it_asks_for_is_its_own_tool(claude_code: ClaudeCode, upstream: FakeUpstream) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    upstream.replies(Message(blocks=(ToolUse("toolu_1", "StructuredOutput", {"city": "Oslo"}),)), text("Done."))

    result = result_of(claude_code("Where?", "--json-schema", json.dumps(schema)))

    assert result["structured_output"] == {"city": "Oslo"}


def test_an_upstream_without_room_is_asked_again_by_the_client_alone(
    claude_code: ClaudeCode, upstream: FakeUpstream, heard: Overhearing
) -> None:
    upstream.replies(overloaded(), text("Now."))

    result = result_of(claude_code("Say hello", CLAUDE_CODE_MAX_RETRIES="2"))

    assert result["result"] == "Now."
    assert [request.status for request in heard.heard] == [529, 200]
    assert len(upstream.messages_requests) == 2


def test_it_can_list_the_models_of_the_relay(chat: Relay) -> None:
    listed = chat.http.get("/v1/models?limit=1000").json()

    assert any("claude" in model["id"] for model in listed["data"])
