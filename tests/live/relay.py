"""A relay for tests: a real server on a real socket, with the real CLI in a clean environment behind it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import uvicorn
from openai import OpenAI

from claude_relay.asgi import create_app
from claude_relay.engine.approvals import Approvals
from claude_relay.engine.claude.runner import ClaudeCodeRunner
from claude_relay.engine.limits.limited import limited
from claude_relay.engine.limits.quotas import quotas
from claude_relay.engine.pausing import PausingRunner
from claude_relay.settings import Settings
from claude_relay.store.counters import MemoryCounters
from claude_relay.web.protocol import BoundedProtocol
from tests.serving import serving
from tests.upstream import FakeUpstream


def clean_environment(home: Path, upstream: FakeUpstream | None = None) -> dict[str, str]:
    """Return all that the CLI may see of this machine in a test."""
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
    }
    if upstream is not None:
        environ |= {"ANTHROPIC_API_KEY": "dummy", "ANTHROPIC_BASE_URL": upstream.url}
    return environ


class Relay:
    """A running relay.

    Attributes:
        url: Where it listens.
        home: The HOME of its CLI processes, and of nobody else's.
    """

    def __init__(self, url: str, home: Path) -> None:
        self.url = url
        self.home = home
        self.http = httpx.Client(base_url=url, timeout=60)
        self.openai = OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)

    def chat(self, text: str, **fields: Any) -> httpx.Response:
        """Ask one question."""
        return self.post(messages=[{"role": "user", "content": text}], **fields)

    def post(self, **body: Any) -> httpx.Response:
        """Send a chat request."""
        return self.http.post("/v1/chat/completions", json={"model": "sonnet", **body})

    def processes(self) -> dict[str, int]:
        """Return how many Claude processes there are, by what they do."""
        found: dict[str, int] = self.http.get("/health").json()["detail"]["processes"]
        return found

    def settle(self) -> None:
        """Wait until nothing that an earlier request began goes on."""
        self.wait_until(lambda: self.processes()["busy"] == self.processes()["ending"] == 0)

    def wait_for_spare(self, timeout: float = 20) -> None:
        """Wait until a process is kept ready, so that a test does not depend on start-up times."""
        self.wait_until(lambda: self.processes()["spare"] > 0, timeout)

    @staticmethod
    def wait_until(condition: Any, timeout: float = 5) -> None:
        """Wait until something is true."""
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, "it never became true"
            time.sleep(0.02)


def processes_with_home(home: Path) -> list[psutil.Process]:
    """Return the running processes whose HOME is this directory, whoever started them."""
    return [process for process in psutil.process_iter() if _home_of(process) == str(home)]


def _home_of(process: psutil.Process) -> str | None:
    try:
        return None if process.status() == psutil.STATUS_ZOMBIE else process.environ().get("HOME")
    except (psutil.Error, OSError):
        return None


@contextmanager
def relay(home: Path, environ: Mapping[str, str], **choices: Any) -> Iterator[Relay]:
    """Run a relay with the real CLI until the block ends; then no process of its may be left."""
    settings = Settings(
        **{"host": "127.0.0.1", "cwd": str(home), "state_dir": str(home / "state"), "self_test": False, **choices}
    )
    used = quotas(settings, MemoryCounters())
    approvals = Approvals(settings.approval_timeout)
    runner = limited(ClaudeCodeRunner(settings, environ, used.charge_cost, approvals), settings, used)
    app = create_app(settings, PausingRunner(runner, approvals), approvals=approvals)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=0,
        http=BoundedProtocol,
        log_config=None,
        timeout_graceful_shutdown=2,
        # longer than clients keep theirs, as the command has it
        timeout_keep_alive=600,
    )
    with serving(config) as (_, port):
        running = Relay(f"http://127.0.0.1:{port}", home)
        try:
            yield running
        finally:
            running.http.close()
            running.openai.close()
    assert processes_with_home(home) == []


@contextmanager
def served_by_command(
    home: Path,
    environ: Mapping[str, str],
    claude_path: str,
    *options: str,
    output: int | None = None,
    within: Sequence[str] = (),
) -> Iterator[tuple[Relay, subprocess.Popen[bytes]]]:
    """Run ``claude-relay serve`` as a user would.

    Args:
        home: Its HOME and directory.
        environ: Its environment.
        claude_path: Its CLI.
        options: Its flags.
        output: Where what it writes goes; ``HOME/output`` when not given.
        within: A command that runs it.
    """
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "claude_relay", "serve", "--port", str(port), "--claude-path", claude_path]
    relay = Relay(f"http://127.0.0.1:{port}", home)
    with (home / "output").open("wb") as file:
        place = file if output is None else output
        server = subprocess.Popen([*within, *command, *options], env=environ, cwd=home, stdout=place, stderr=place)
        try:
            relay.wait_until(lambda: _answers(relay), 20)
            yield relay, server
        finally:
            server.kill()
            server.wait()
            relay.http.close()
            relay.openai.close()
    relay.wait_until(lambda: processes_with_home(home) == [])


def _answers(relay: Relay) -> bool:
    try:
        return relay.http.get("/health").status_code == 200
    except httpx.TransportError:
        return False
