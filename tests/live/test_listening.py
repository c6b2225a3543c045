"""A server on a Unix socket, on both families, and without standard streams, with the real CLI behind it."""

import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import psutil
import pytest
from openai import OpenAI

from tests.live.relay import Relay, clean_environment, processes_with_home
from tests.upstream import FakeUpstream

HELLO = {"model": "sonnet:chat", "messages": [{"role": "user", "content": "Hi"}]}


@contextmanager
def served(home: Path, upstream: FakeUpstream, *options: str, shell: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """Run ``claude-relay serve`` as a user would; what a shell adds to the command comes last."""
    command = shlex.join([sys.executable, "-m", "claude_relay", "serve", *options])
    environ = clean_environment(home, upstream)
    server = subprocess.Popen(
        ["/bin/sh", "-c", f"exec {command} {shell or '2>output'}"], env=environ, cwd=home, stdin=subprocess.DEVNULL
    )
    try:
        yield server
    finally:
        server.kill()
        server.wait()
    Relay.wait_until(lambda: processes_with_home(home) == [], 20)


def client(path: Path) -> httpx.Client:
    return httpx.Client(
        transport=httpx.HTTPTransport(uds=str(path), retries=3), base_url="http://localhost", timeout=60
    )


@pytest.mark.parametrize("more", [(), ("--workers", "2")], ids=["one process", "two workers"])
def test_programs_ask_by_a_unix_socket_without_a_key(
    home: Path, upstream: FakeUpstream, claude_path: str, more: tuple[str, ...]
) -> None:
    path = home / "relay.sock"
    with served(home, upstream, "--uds", "relay.sock", "--claude-path", claude_path, *more) as server:
        Relay.wait_until(path.is_socket, 20)
        with client(path) as http:
            sdk = OpenAI(base_url="http://localhost/v1", api_key="unused", http_client=cast(Any, http))
            answer = sdk.chat.completions.create(model="sonnet:chat", messages=[{"role": "user", "content": "Hi"}])
            rebound = http.get("/v1/models", headers={"host": "evil.example"})
            proxied = http.get("/v1/models", headers={"x-forwarded-for": "127.0.0.1"})
        mode = path.stat().st_mode & 0o777
        server.send_signal(signal.SIGTERM)
        server.wait(20)

    assert answer.choices[0].message.content == "Hello from fake upstream."
    assert (proxied.status_code, rebound.status_code) == (401, 403)
    assert mode == 0o600
    assert not path.exists()
    assert "client=unix" in (home / "output").read_text()


def test_a_server_whose_standard_streams_are_closed_serves_and_ends_as_any_other(
    home: Path, upstream: FakeUpstream, claude_path: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = ("--host", "::", "--port", str(port), "--claude-path", claude_path)
    with served(home, upstream, *options, shell="<&- >&- 2>&-") as server:
        for host in ("127.0.0.1", "[::1]"):
            with httpx.Client(transport=httpx.HTTPTransport(retries=5), timeout=60) as http:
                answered = http.post(f"http://{host}:{port}/v1/chat/completions", json=HELLO)
            assert answered.json()["choices"][0]["message"]["content"] == "Hello from fake upstream."
        process = psutil.Process(server.pid)
        streams = {str(Path(f"/proc/{server.pid}/fd/{number}").readlink()) for number in range(3)}
        children = process.children()
        server.send_signal(signal.SIGTERM)
        code = server.wait(20)

    assert streams == {os.devnull}
    assert children
    assert code == -signal.SIGTERM
