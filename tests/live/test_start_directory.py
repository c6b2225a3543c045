"""What lies in the directory that the server is started in decides nothing that it should not."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from tests.live.relay import Relay, clean_environment, processes_with_home
from tests.unit.test_listening import free_port

COMMAND = Path(sys.executable).with_name("claude-relay")


@contextmanager
def started(home: Path, *options: str) -> Iterator[tuple[str, psutil.Process]]:
    """Run the installed command in a directory, offline."""
    port = free_port()
    command = [str(COMMAND), "serve", "--host", "127.0.0.1", "--port", str(port), *options]
    with (home / "output").open("wb") as output:
        server = subprocess.Popen(
            command, env=clean_environment(home), cwd=home, stdin=subprocess.DEVNULL, stderr=output
        )
    try:
        Relay.wait_until(lambda: b"startup complete" in (home / "output").read_bytes(), 30)
        yield f"http://127.0.0.1:{port}", psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait(20)
    Relay.wait_until(lambda: processes_with_home(home) == [], 20)


def test_a_env_file_of_a_cloned_repository_opens_nothing_and_starts_nothing(home: Path) -> None:
    theirs = home / "claude"
    theirs.write_text(f"#!/bin/sh\ntouch {home}/executed\nexit 1\n")
    theirs.chmod(0o755)
    lines = {"CLAUDE_PATH": theirs, "ALLOW_ORIGIN": "*", "API_KEYS": "theirs=correct-horse", "MAX_TURNS": "7"}
    (home / ".env").write_text("".join(f"CLAUDE_RELAY_{name}={value}\n" for name, value in lines.items()))

    with started(home, "--warm", "0") as (url, _):
        page = {"origin": "https://evil.example", "x-api-key": "correct-horse"}
        assert httpx.get(f"{url}/v1/models", headers=page).status_code == 403
        assert httpx.get(f"{url}/v1/models").status_code == 200

    output = (home / "output").read_text()
    assert not (home / "executed").exists()
    assert "CLAUDE_RELAY_MAX_TURNS=7" in output
    refused = ("API_KEYS", "ALLOW_ORIGIN", "CLAUDE_PATH")
    assert f"not taken from {home}/.env: {', '.join(f'CLAUDE_RELAY_{name}' for name in refused)}." in output


@pytest.mark.parametrize("options", [("--workers", "2"), ("--reload",)])
def test_no_module_that_lies_there_is_executed(home: Path, options: tuple[str, ...]) -> None:
    for name in ("multiprocessing", "uvicorn", "litestar", "claude_relay", "rich_click", "sitecustomize"):
        (home / f"{name}.py").write_text(f"open({str(home / 'executed')!r}, 'a').write({name!r})\n")

    with started(home, "--runner", "echo", *options) as (url, server):
        assert httpx.get(f"{url}/v1/models").status_code == 200
        workers = [child for child in server.children() if "spawn_main" in " ".join(child.cmdline())]
        assert {child.cwd() for child in workers} == {os.fspath(home)}

    assert not (home / "executed").exists()
