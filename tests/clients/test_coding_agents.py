"""Coding agents for a terminal: opencode, Qwen Code and Cline, which act with tools of their own."""

import base64
import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.coding_agents import CLINE, MODEL, OPENCODE, QWEN_CODE, Agent, Call, Talk, Terminal
from tests.clients.node_side import PET
from tests.clients.overhear import Overhearing
from tests.clients.upstream_side import PNG, THE_PICTURE
from tests.live.bodies import conversation
from tests.live.relay import Relay, processes_with_home
from tests.upstream import FakeUpstream, Message, Reply, Text, ToolUse, text

Talking = Callable[..., Talk]

PET_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "kind": {"enum": ["cat", "dog"]},
        "age": {"type": ["integer", "null"], "minimum": 0},
    },
    "required": ["name", "kind", "age"],
    "additionalProperties": False,
}


@pytest.fixture(
    params=[
        pytest.param(OPENCODE, id="opencode"),
        pytest.param(QWEN_CODE, id="qwen_code"),
        pytest.param(CLINE, id="cline"),
    ]
)
def agent(request: pytest.FixtureRequest) -> Agent:
    """Each agent."""
    found = request.param
    assert isinstance(found, Agent)
    return found


@pytest.fixture
def terminal(agent: Agent, scripts: Path, base_url: str, home: Path, tmp_path: Path) -> Iterator[Terminal]:
    """An agent that knows the relay; nothing of it goes on after the test."""
    place = tmp_path / "work"
    place.mkdir()
    running = Terminal(agent, scripts / "node_modules/.bin", home, place)
    running.set_up(base_url)
    yield running
    Relay.wait_until(lambda: processes_with_home(home) == [])


@pytest.fixture
def answers(agent: Agent, chat: Relay, upstream: FakeUpstream) -> Iterator[Talking]:
    """Says what the model answers; the upstream refuses what the real one does."""

    def start(*replies: Reply) -> Talk:
        upstream.default = talk = Talk(agent.own_tool, iter(replies))
        return talk

    upstream.strict = True
    yield start
    chat.settle()


def _call(number: int, call: Call) -> Message:
    name, given = call
    return Message(blocks=(Text("I do it."), ToolUse(f"toolu_{number}", name, given)))


def _cut(number: int, call: Call) -> Message:
    name, given = call
    cut = ToolUse(f"toolu_{number}", name, given, written=json.dumps(given)[:-6])
    # the CLI needs a moment to learn that it must not go on by itself
    return Message(blocks=(Text("I do it."), cut), stop_reason="max_tokens", head_delay=0.5)


def _result(body: dict[str, Any], number: int) -> str:
    """Return what the upstream was told of a call."""
    blocks = [block for message in body["messages"] for block in message["content"] if isinstance(block, dict)]
    (content,) = (block["content"] for block in blocks if block.get("tool_use_id") == f"toolu_{number}")
    return json.dumps(content)


def test_an_agent_answers_and_is_asked_again(
    terminal: Terminal, answers: Talking, upstream: FakeUpstream, heard: Overhearing
) -> None:
    talk = answers(text("A cat."), text(chunks=("It is ", "Tom.")))
    resuming = terminal.agent.resuming
    assert "A cat." in terminal.ask("What is it?")
    assert terminal.pieces("Who is it?", *resuming) == terminal.agent.shows
    said = str(conversation(talk.bodies[-1]))
    assert "Who is it?" in said
    assert ("What is it?" in said, "A cat." in said) == (bool(resuming), bool(resuming))
    assert all(each.body["model"] == MODEL and each.body["stream"] and not each.ignored for each in heard.heard)
    assert upstream.refusals == []


def test_an_agent_acts_with_its_own_tools(terminal: Terminal, answers: Talking, upstream: FakeUpstream) -> None:
    agent, path = terminal.agent, terminal.place / "note.txt"
    talk = answers(
        _call(1, agent.write(path, "of its own")), _call(2, agent.shell("tr a-z A-Z < note.txt")), text("Done.")
    )
    assert "".join(terminal.pieces("Write it.")).endswith("Done.")
    assert path.read_text().strip() == "of its own"
    assert "OF ITS OWN" in _result(talk.bodies[-1], 2)
    assert len(talk.bodies) == 3
    assert upstream.refusals == []


def test_an_agent_goes_on_after_a_call_that_max_tokens_cut(
    terminal: Terminal, answers: Talking, upstream: FakeUpstream
) -> None:
    """Qwen Code asks the same once more, with twice the tokens; the others tell the model that it was no JSON."""
    path = terminal.place / "note.txt"
    write = terminal.agent.write(path, "of its own")
    talk = answers(_cut(1, write), _call(2, write), text("Done."))
    assert "Done." in terminal.ask("Write it.")
    assert path.read_text().strip() == "of its own"
    first, second, third = (body["max_tokens"] for body in talk.bodies)
    assert (second, third) == (terminal.agent.insists * first, first)
    assert upstream.refusals == []


@pytest.mark.parametrize("agent", [QWEN_CODE], ids=["qwen_code"])
def test_qwen_code_gives_what_a_schema_asks_for(terminal: Terminal, answers: Talking, upstream: FakeUpstream) -> None:
    answers(_call(1, ("structured_output", PET)))
    assert json.loads(terminal.ask("Who is it?", "--json-schema", json.dumps(PET_SCHEMA))) == PET
    assert upstream.refusals == []


@pytest.mark.parametrize("agent", [OPENCODE], ids=["opencode"])
def test_opencode_gives_what_a_schema_asks_for(terminal: Terminal, answers: Talking) -> None:
    """Its server does, which editors and its SDK speak to; it forces a call, which this model refuses."""
    answers(_call(1, ("StructuredOutput", PET)))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [str(terminal.programs / "opencode"), "serve", "--port", str(port)]
    with subprocess.Popen(command, **terminal.surroundings(), stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            assert any("listening" in line for line in server.stdout)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}/session", timeout=60) as client:
                session = client.post("", json={}).json()["id"]
                question = {
                    "parts": [{"type": "text", "text": "Who is it?"}],
                    "format": {"type": "json_schema", "schema": PET_SCHEMA},
                }
                answer = client.post(f"/{session}/message", json=question).json()
        finally:
            server.kill()
    assert answer["info"]["structured"] == PET


@pytest.mark.parametrize("agent", [OPENCODE], ids=["opencode"])
def test_opencode_sends_pictures(terminal: Terminal, answers: Talking, upstream: FakeUpstream) -> None:
    """It does so because its settings say that the model takes them."""
    (terminal.place / "pixel.png").write_bytes(base64.b64decode(PNG))
    talk = answers(text("A pixel."))
    assert "A pixel." in terminal.ask("What is this?", "--file", "pixel.png", "--")
    (body,) = talk.bodies
    blocks = [block for message in body["messages"] for block in message["content"] if isinstance(block, dict)]
    assert [block["source"] for block in blocks if block["type"] == "image"] == [THE_PICTURE]
    assert upstream.refusals == []
