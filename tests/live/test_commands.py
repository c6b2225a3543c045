"""The commands for people, over the real CLI: what they find, what they show, and what they leave behind."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.live.relay import Relay, clean_environment, processes_with_home
from tests.upstream import FakeUpstream, Message, Text, Thinking, ToolUse, stall_after, text

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environ(home: Path, upstream: FakeUpstream, free_port: int, claude_path: str) -> Mapping[str, str]:
    """The environment of a user on a machine where no relay runs."""
    ours = {"CLAUDE_RELAY_PORT": str(free_port), "CLAUDE_RELAY_CLAUDE_PATH": claude_path}
    return clean_environment(home, upstream) | ours


@pytest.fixture
def command(home: Path, environ: Mapping[str, str]) -> Run:
    """Runs the command to its end."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "claude_relay", *arguments],
            check=False,
            cwd=home,
            env=environ,
            capture_output=True,
            text=True,
            timeout=90,
        )

    return run


def test_doctor_finds_a_real_cli_in_order_and_tells_what_the_upstream_takes(
    command: Run, upstream: FakeUpstream, home: Path
) -> None:
    upstream.replies(text("OK"))

    ran = command("doctor", "--json", "--live")

    report = json.loads(ran.stdout)
    found = {check["name"]: check for check in report["checks"]}
    assert (ran.returncode, report["ok"], ran.stderr) == (0, True, "")
    assert {name: found[name]["outcome"] for name in ("Claude Code", "login", "self-test", "live: an answer")} == (
        dict.fromkeys(("Claude Code", "login", "self-test", "live: an answer"), "ok")
    )
    assert found["login"]["detail"].startswith("api_key")
    # the model behind the name takes no sampling options
    assert found["live: temperature"]["outcome"] == "warning"
    assert "x-claude-relay-ignored" in found["live: temperature"]["detail"]
    assert found["live: thinking"] == {**found["live: thinking"], "outcome": "ok", "detail": "taken"}
    assert processes_with_home(home) == []


def test_ask_has_this_processs_own_agent_answer_where_no_relay_runs(
    command: Run, upstream: FakeUpstream, home: Path
) -> None:
    upstream.replies(
        Message(blocks=(Thinking("A file?"), ToolUse("toolu_1", "Read", {"file_path": str(home / "notes")}))),
        text("It says hello."),
    )
    (home / "notes").write_text("hello")

    ran = command("ask", "What do the notes say?")

    assert (ran.stdout, ran.stderr, ran.returncode) == ("It says hello.\n", "", 0)
    assert "hello" in json.dumps((upstream.messages_requests[-1].body or {})["messages"])
    assert processes_with_home(home) == []


def test_ask_goes_on_with_a_conversation_through_a_relay(command: Run, agent: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(text("One."), Message(blocks=(Text("Two."),)))

    answers = [command("ask", "And?", "--session", "count", "--url", agent.url).stdout for _ in range(2)]

    assert answers == ["One.\n", "Two.\n"]
    assert "One." in json.dumps((upstream.messages_requests[-1].body or {})["messages"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ask_that_is_interrupted_ends_its_work_and_leaves_nothing(
    environ: Mapping[str, str], upstream: FakeUpstream, home: Path, number: int
) -> None:
    upstream.replies(stall_after(1))
    arguments = [sys.executable, "-m", "claude_relay", "ask", "--model", "sonnet:chat", "And?"]
    with subprocess.Popen(arguments, cwd=home, env=environ, stdout=subprocess.PIPE, text=True) as asked:
        (record,) = upstream.wait_for(1, 30)
        assert asked.stdout is not None
        assert asked.stdout.read(5) == "Hello"
        asked.send_signal(number)
        assert record.disconnected.wait(5)
        assert asked.wait(10) == 130
    assert processes_with_home(home) == []
