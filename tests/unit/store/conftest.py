"""The three stores, and a server of Valkey or Redis of the tests' own."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from claude_relay.store import memory, sqlite, valkey
from claude_relay.store.protocol import Store
from tests.serving import Place
from tests.valkey_server import empty, valkey_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Where the server listens."""
    with valkey_server(tmp_path_factory.mktemp("valkey")) as place:
        yield place


@pytest.fixture
def valkey_url(server: Place) -> str:
    """An empty database of the server."""
    assert empty(server)
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
