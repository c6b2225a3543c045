"""Codex CLI, a client of the responses API alone: what it does with the relay's answers, and how often it asks."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from claude_relay.commands.codex import CATALOG
from tests.clients import node_side
from tests.clients.overhear import Overhearing
from tests.clients.upstream_side import PNG, pictures
from tests.upstream import FakeUpstream, Message, Text, Thinking, ToolUse, error_after, model_not_found, text

CODEX = Path(__file__).parent / "codex"
PATCH = "*** Begin Patch\n*** Add File: made.txt\n+hello\n*** End Patch\n"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}

Codex = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def command(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Codex, installed."""
    cache = pytestconfig.cache
    place = tmp_path_factory.mktemp("codex") if cache is None else cache.mkdir("codex")
    return node_side.installed(place, CODEX) / "node_modules/.bin/codex"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The directory that it works in."""
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.fixture
def codex(command: Path, base_url: str, home: Path, work: Path) -> Codex:
    """Runs ``codex exec`` as ``claude-relay codex-config`` configures it."""

    def run(*arguments: str, with_catalog: bool = True) -> subprocess.CompletedProcess[str]:
        (home / ".codex").mkdir(exist_ok=True)
        config = printed("--url", base_url, "--model", "sonnet")
        if with_catalog:
            (home / ".codex" / CATALOG).write_text(printed("--catalog"))
        else:
            config = "\n".join(line for line in config.splitlines() if not line.startswith("model_catalog_json"))
        (home / ".codex/config.toml").write_text(config)
        options = ("exec", "--skip-git-repo-check", "--sandbox", "danger-full-access")
        environ = {"PATH": os.environ["PATH"], "HOME": str(home)}
        return subprocess.run(
            [command, *options, *arguments],
            check=False,
            env=environ,
            cwd=work,
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )

    return run


def printed(*arguments: str) -> str:
    """Return what ``claude-relay codex-config`` prints."""
    command = (sys.executable, "-m", "claude_relay", "codex-config", *arguments)
    return subprocess.run(command, check=True, capture_output=True, text=True, env={"PATH": os.environ["PATH"]}).stdout


def sent(upstream: FakeUpstream) -> dict[str, Any]:
    body = upstream.messages_requests[-1].body
    assert body is not None
    return body


def test_it_prints_the_answer_after_one_request(codex: Codex, upstream: FakeUpstream, heard: Overhearing) -> None:
    done = codex("Say hello")

    assert (done.returncode, done.stdout.strip()) == (0, "Hello from fake upstream.")
    assert [request.path for request in heard.heard] == ["/v1/responses"]
    assert len(upstream.messages_requests) == 1
    assert "not found" not in done.stderr


def test_a_model_that_it_does_not_know_answers_all_the_same(
    codex: Codex, upstream: FakeUpstream, heard: Overhearing
) -> None:
    done = codex("Say hello", with_catalog=False)

    assert (done.returncode, done.stdout.strip()) == (0, "Hello from fake upstream.")
    assert "Model metadata for `sonnet` not found" in done.stderr
    assert len(heard.heard) == len(upstream.messages_requests) == 1


def test_it_runs_a_command_and_tells_the_model_what_came_of_it(
    codex: Codex, work: Path, upstream: FakeUpstream, heard: Overhearing
) -> None:
    call = ToolUse("toolu_1", "exec_command", {"cmd": "echo hi > made.txt; cat made.txt"})
    upstream.replies(Message(blocks=(Thinking("A file."), Text("I write."), call)), text("Done."))

    done = codex("Make a file")

    assert (done.returncode, done.stdout.strip()) == (0, "Done.")
    assert (work / "made.txt").read_text() == "hi\n"
    assert "hi" in json.dumps(sent(upstream)["messages"][-1])
    assert len(heard.heard) == len(upstream.messages_requests) == 2


def test_it_applies_a_patch(codex: Codex, work: Path, upstream: FakeUpstream, heard: Overhearing) -> None:
    upstream.replies(Message(blocks=(ToolUse("toolu_1", "apply_patch", {"input": PATCH}),)), text("Done."))

    done = codex("Make a file")

    assert (done.returncode, done.stdout.strip()) == (0, "Done.")
    assert (work / "made.txt").read_text() == "hello\n"
    assert len(heard.heard) == len(upstream.messages_requests) == 2


def test_it_takes_a_call_of_a_namespace_for_what_it_is(
    codex: Codex, upstream: FakeUpstream, heard: Overhearing
) -> None:
    upstream.replies(Message(blocks=(ToolUse("toolu_1", "multi_agent_v1__spawn_agent", {}),)), text("Done."))

    assert codex("Ask a helper").stdout.strip() == "Done."

    told = json.dumps(sent(upstream)["messages"][-1])
    assert "Provide one of: message or items" in told
    assert "unsupported call" not in told
    assert len(heard.heard) == len(upstream.messages_requests) == 2


def test_it_goes_on_with_a_conversation(codex: Codex, upstream: FakeUpstream, heard: Overhearing) -> None:
    codex("My name is Ada")

    assert codex("resume", "--last", "What is my name?").returncode == 0

    told = json.dumps(sent(upstream)["messages"])
    assert told.index("My name is Ada") < told.index("Hello from fake upstream.") < told.index("What is my name?")
    assert len(heard.heard) == len(upstream.messages_requests) == 2


def test_it_makes_a_long_conversation_shorter_by_itself(
    codex: Codex, upstream: FakeUpstream, heard: Overhearing
) -> None:
    codex("My name is Ada")
    upstream.replies(text("The user is Ada."), text("Ada."))

    done = codex("resume", "--last", "-c", "model_auto_compact_token_limit=1", "What is my name?")

    assert done.stdout.strip().endswith("Ada.")
    assert {request.path for request in heard.heard} == {"/v1/responses"}
    assert any("CONTEXT CHECKPOINT COMPACTION" in json.dumps(request.body) for request in heard.heard)
    assert "The user is Ada." in json.dumps(sent(upstream)["messages"])


def test_it_gets_an_answer_that_fits_a_schema_and_shows_an_image(
    codex: Codex, work: Path, upstream: FakeUpstream
) -> None:
    (work / "schema.json").write_text(json.dumps(SCHEMA))
    (work / "a.png").write_bytes(base64.b64decode(PNG))
    upstream.replies(text('{"city": "Oslo"}'))

    done = codex("--output-schema", "schema.json", "--image", "a.png", "--", "Which city?")

    assert json.loads(done.stdout) == {"city": "Oslo"}
    assert sent(upstream)["output_config"]["format"]["schema"]["required"] == ["city"]
    assert len(pictures(upstream)) == 1


def test_the_effort_of_its_configuration_is_the_models(codex: Codex, upstream: FakeUpstream) -> None:
    codex("-c", 'model_reasoning_effort="high"', "Say hello")

    assert sent(upstream)["output_config"]["effort"] == "high"


def test_what_it_sends_and_the_relay_does_not_use_is_named(codex: Codex, heard: Overhearing) -> None:
    codex("Say hello")

    assert heard.heard[0].ignored == {"client_metadata", "tools.format", "tools.web_search"}


def test_a_stream_that_breaks_is_asked_for_once(codex: Codex, upstream: FakeUpstream, heard: Overhearing) -> None:
    upstream.default = error_after(2)
    done = codex("Say hello")

    assert done.returncode == 1
    assert len(heard.heard) == 1


def test_a_model_that_does_not_exist_is_asked_for_once(
    codex: Codex, upstream: FakeUpstream, heard: Overhearing
) -> None:
    upstream.default = model_not_found()
    done = codex("Say hello")

    assert done.returncode == 1
    assert len(heard.heard) == 1
