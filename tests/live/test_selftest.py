"""What nobody documents is tried at start, and what does not hold is not used."""

import logging
import sys
from pathlib import Path

import pytest

from tests.live.relay import Relay, clean_environment, relay
from tests.upstream import FakeUpstream, text

_FILTER = """
import subprocess, sys, threading
child = subprocess.Popen([{cli!r}, *sys.argv[1:]], stdin=subprocess.PIPE)
def forward():
    for line in sys.stdin.buffer:
        if {broken!r} in line:
            line = line.replace({broken!r}, b'"no_such_thing"')
        child.stdin.write(line)
        child.stdin.flush()
    child.stdin.close()
threading.Thread(target=forward, daemon=True).start()
sys.exit(child.wait())
"""


def _tested(running: Relay) -> str:
    running.wait_until(lambda: running.http.get("/health").json()["detail"]["self_test"] != "running", 40)
    found: str = running.http.get("/health").json()["detail"]["self_test"]
    return found


def _ask_twice(running: Relay) -> tuple[int, int]:
    for _ in range(2):
        assert running.chat("hi").json()["choices"][0]["message"]["content"] == "Hello from fake upstream."
    counts = running.processes()
    return counts["started"], counts["reset"]


def test_this_cli_holds_what_we_rely_on(home: Path, upstream: FakeUpstream, claude_path: str, current: bool) -> None:
    environ = clean_environment(home, upstream)
    with relay(home, environ, claude_path=claude_path, personality="chat", warm=0, self_test=True) as running:
        assert _tested(running) == ("passed" if current else "failed: text, reset, tied")
        assert upstream.messages_requests == [], "the test is offline"
        assert _ask_twice(running) == ((1, 1) if current else (2, 0))


def test_what_does_not_hold_is_switched_off_and_requests_are_still_answered(
    home: Path, upstream: FakeUpstream, claude_path: str, caplog: pytest.LogCaptureFixture, current: bool
) -> None:
    caplog.set_level(logging.WARNING, "claude_relay")
    broken = home / "claude"
    broken.write_text(f"#!{sys.executable}" + _FILTER.format(cli=claude_path, broken=b'"rewind_conversation"'))
    broken.chmod(0o755)
    environ = clean_environment(home, upstream)
    with relay(home, environ, claude_path=str(broken), personality="chat", warm=0, self_test=True) as running:
        assert _tested(running) == ("failed: reset" if current else "failed: text, reset, tied")
        assert _ask_twice(running) == (2, 0)
    assert "reset" in caplog.text


def test_a_cli_that_goes_on_after_a_limit_is_said_to_and_its_answers_end_all_the_same(
    home: Path, upstream: FakeUpstream, claude_path: str, current: bool
) -> None:
    broken = home / "claude"
    limit = b'"CLAUDE_CODE_BLOCKING_LIMIT_OVERRIDE"'
    broken.write_text(f"#!{sys.executable}" + _FILTER.format(cli=claude_path, broken=limit))
    broken.chmod(0o755)
    environ = clean_environment(home, upstream)
    with relay(home, environ, claude_path=str(broken), personality="chat", warm=0, self_test=True) as running:
        assert _tested(running) == (
            "failed: single_request" if current else "failed: text, reset, single_request, tied"
        )
        upstream.replies(*[text("so far", stop_reason="max_tokens")] * 4)
        choice = running.chat("hi", max_tokens=5).json()["choices"][0]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("length", "so far")
