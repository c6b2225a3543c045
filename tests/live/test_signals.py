"""A signal at any moment ends everything, quietly, and one that means the end lets answers finish."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.live.relay import Relay, clean_environment, processes_with_home, served_by_command
from tests.live.test_faults import asked, draining
from tests.upstream import FakeUpstream, text

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which signals a process handles")

SLOW = text("one two three", chunks=("one ", "two ", "three"), interval=0.5)


@contextmanager
def starting(home: Path, claude_path: str, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a server in a process group of its own, as a terminal does; the block begins as its own code does."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "claude_relay", "serve", "--port", str(port), "--claude-path", claude_path]
    with (home / "output").open("wb") as output:
        server = subprocess.Popen(
            [*command, *options],
            env=clean_environment(home),
            cwd=home,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            Relay.wait_until(lambda: _handles(server.pid, signal.SIGTERM), 20)
            yield server
        finally:
            server.kill()
            server.wait()


def _handles(pid: int, number: signal.Signals) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) & (1 << (number - 1)))


def group(pid: int) -> list[psutil.Process]:
    """Return the living processes of a process group."""
    return [process for process in psutil.process_iter() if _group_of(process) == pid]


def _group_of(process: psutil.Process) -> int | None:
    try:
        return None if process.status() == psutil.STATUS_ZOMBIE else os.getpgid(process.pid)
    except (psutil.Error, OSError):
        return None


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.1, 1.5])
def test_an_interrupt_at_any_moment_ends_everything_without_a_traceback(
    home: Path, claude_path: str, workers: int, seconds: float
) -> None:
    with starting(home, claude_path, "--workers", str(workers)) as server:
        time.sleep(seconds)
        os.killpg(server.pid, signal.SIGINT)

        assert server.wait(20) in {0, -signal.SIGINT}
        Relay.wait_until(lambda: group(server.pid) == [] and processes_with_home(home) == [], 10)
    output = (home / "output").read_text()
    assert "Traceback" not in output
    assert "KeyboardInterrupt" not in output


@pytest.mark.parametrize("workers", [1, 2])
def test_a_terminal_that_is_closed_ends_the_server_after_its_answers(
    home: Path, upstream: FakeUpstream, claude_path: str, workers: int
) -> None:
    environ = clean_environment(home, upstream)
    upstream.replies(SLOW)
    options = ("--personality", "chat", "--no-self-test", "--warm", "0", "--workers", str(workers))
    with served_by_command(home, environ, claude_path, *options) as (running, server):
        answer = asked(running)
        server.send_signal(signal.SIGHUP)
        running.wait_until(lambda: draining(running))

        assert (answer.collect().text, answer.errors) == ("one two three", [])
        assert server.wait(10) in {0, -signal.SIGHUP}
        assert processes_with_home(home) == []
    assert "Traceback" not in (home / "output").read_text()


def test_a_server_that_shall_ignore_a_closed_terminal_does(home: Path, claude_path: str) -> None:
    environ = clean_environment(home)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with served_by_command(home, environ, claude_path, "--runner", "echo") as (running, server):
            server.send_signal(signal.SIGHUP)

            assert running.chat("hi").status_code == 200
            assert running.http.get("/health").status_code == 200
    finally:
        signal.signal(signal.SIGHUP, before)
