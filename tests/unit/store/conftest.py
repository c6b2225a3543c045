"""The three stores, and a server of Valkey or Redis of the tests' own."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from claude_relay.store import memory, sqlite, valkey
from claude_relay.store.protocol import Store

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """A server that keeps nothing on disk: where it listens."""
    program = shutil.which("valkey-server", path=PATH) or shutil.which("redis-server", path=PATH)
    assert program is not None, "Debian's package valkey-server or redis-server brings the server along"
    with socket.create_server(("127.0.0.1", 0)) as free:
        place: tuple[str, int] = free.getsockname()
    command = [program, "--bind", place[0], "--port", str(place[1]), "--save", "", "--appendonly", "no"]
    with subprocess.Popen(
        [*command, "--dir", str(tmp_path_factory.mktemp("valkey"))], stdout=subprocess.DEVNULL
    ) as run:
        try:
            deadline = time.monotonic() + 20
            while not _is_up(place):
                assert run.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield place
        finally:
            run.terminate()


def _is_up(place: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(place, 5) as connection:
            connection.sendall(b"FLUSHALL\r\n")
            return connection.recv(100) == b"+OK\r\n"
    except ConnectionRefusedError:
        return False


@pytest.fixture
def valkey_url(server: tuple[str, int]) -> str:
    """An empty database of the server."""
    assert _is_up(server)
    return f"valkey://{server[0]}:{server[1]}/0"


@pytest.fixture(params=["memory", "sqlite", pytest.param("valkey", marks=pytest.mark.slow)])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opening: AbstractAsyncContextManager[Store]
    match request.param:
        case "memory":
            opening = memory.open_store()
        case "sqlite":
            opening = sqlite.open_store(tmp_path / "state" / "store.db")
        case _:
            opening = valkey.open_store(request.getfixturevalue("valkey_url"))
    async with opening as opened:
        yield opened
