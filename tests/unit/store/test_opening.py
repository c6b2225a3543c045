"""The operator's store is opened, swept now and then, and closed; none is needed."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import claude_relay.store as store_package
from claude_relay.errors import UnavailableError
from claude_relay.settings import Settings
from claude_relay.store import memory
from claude_relay.store.opening import kept_open, opener
from claude_relay.store.protocol import Store

pytestmark = pytest.mark.anyio


@pytest.fixture
def stores() -> list[Store | None]:
    """What is in use, one after the other."""
    return []


def test_nothing_is_opened_where_nothing_is_to_be_kept(tmp_path: Path) -> None:
    assert opener(Settings(store=False, store_url="valkey://127.0.0.1:1"), tmp_path) is None


async def test_without_a_url_the_store_is_a_file(stores: list[Store | None], tmp_path: Path) -> None:
    async with kept_open(opener(Settings(), tmp_path / "new" / "directory"), stores.append):
        assert (stores[-1] is not None) is True

    assert (tmp_path / "new" / "directory" / "store.sqlite3").is_file()


@pytest.mark.parametrize(
    "settings",
    [Settings(store_url="valkey://:s3cret@127.0.0.1:1"), Settings(store_url="valkey://h:s3cret"), Settings()],
)
async def test_a_store_that_cannot_be_used_is_told_of_and_done_without(
    stores: list[Store | None], tmp_path: Path, caplog: pytest.LogCaptureFixture, settings: Settings
) -> None:
    (tmp_path / "file").write_text("")

    async with kept_open(opener(settings, tmp_path / "file"), stores.append):
        assert (stores[-1] is not None) is False

    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith("responses are not kept. The ")
    assert "s3cret" not in told


async def test_a_server_whose_client_is_not_installed_is_done_without(
    stores: list[Store | None], tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "claude_relay.store.valkey", None)
    monkeypatch.delattr(store_package, "valkey", raising=False)

    async with kept_open(opener(Settings(store_url="valkey://127.0.0.1"), tmp_path), stores.append):
        assert (stores[-1] is not None) is False

    assert "extra `valkey`" in caplog.text


async def test_what_has_expired_is_removed_now_and_then_even_if_that_fails_once(
    stores: list[Store | None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    swept: list[int] = []
    thrice = asyncio.Event()

    class Swept:
        async def sweep(self) -> None:
            swept.append(len(swept))
            if len(swept) == 3:
                thrice.set()
            if len(swept) == 1:
                raise UnavailableError("The store cannot be used: busy.")

        def __getattr__(self, name: str) -> Any:
            raise AssertionError(name)

    @asynccontextmanager
    async def open_store() -> AsyncIterator[Store]:
        yield Swept()

    async with kept_open(open_store, stores.append, sweep_interval=0.001):
        await asyncio.wait_for(thrice.wait(), 5)
    count = len(swept)
    await asyncio.sleep(0.01)

    assert len(swept) == count
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


async def test_a_store_of_ones_own_is_used_as_it_is(stores: list[Store | None]) -> None:
    async with kept_open(memory.open_store, stores.append):
        assert (stores[-1] is not None) is True


async def test_a_store_that_was_out_of_reach_is_used_once_it_is_there(
    stores: list[Store | None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    opened = asyncio.Event()
    attempts: list[str] = []

    @asynccontextmanager
    async def open_store() -> AsyncIterator[Store]:
        attempts.append("open")
        if len(attempts) < 4:
            raise UnavailableError("The store cannot be used: it is asleep.")
        try:
            async with memory.open_store() as store:
                yield store
        finally:
            attempts.append("close")

    def use(store: Store | None) -> None:
        stores.append(store)
        if store is not None:
            opened.set()

    async with kept_open(open_store, use, pause=0.001):
        assert stores == [None]
        await asyncio.wait_for(opened.wait(), 5)

    assert attempts == ["open"] * 4 + ["close"]
    assert [record.getMessage() for record in caplog.records] == [
        "responses are not kept. The store cannot be used: it is asleep.",
        "responses are kept from now on",
    ]


async def test_a_fault_of_ours_while_a_store_is_opened_is_not_hidden(stores: list[Store | None]) -> None:
    @asynccontextmanager
    async def open_store() -> AsyncIterator[Store]:
        raise ZeroDivisionError
        yield

    with pytest.raises(ZeroDivisionError):
        async with kept_open(open_store, stores.append):
            pass
