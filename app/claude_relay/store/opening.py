"""Which store is opened, and what is done to it while it is open."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Never

from claude_relay.errors import SettingsError, UnavailableError
from claude_relay.settings import Settings
from claude_relay.store import sqlite
from claude_relay.store.protocol import Store

Opener = Callable[[], AbstractAsyncContextManager[Store]]
"""Opens a store, and closes it at the end."""

Use = Callable[[Store | None], None]
"""Is given the store that is open; None if there is none."""

_SWEEP_INTERVAL = 3600.0
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_FILE = "store.sqlite3"
_log = logging.getLogger(__name__)


def opener(settings: Settings, directory: Path) -> Opener | None:
    """Return what opens the store that the operator chose; None if there is to be none.

    Args:
        settings: The operator's choices.
        directory: Where the file of a store is, if it is in one.
    """
    if not settings.store:
        return None
    if settings.store_url is None:
        return lambda: sqlite.open_store(directory / _FILE)
    url = settings.store_url

    def open_url() -> AbstractAsyncContextManager[Store]:
        # it is an extra, and takes long to load
        try:
            from claude_relay.store import valkey  # noqa: PLC0415
        except ImportError:
            raise UnavailableError("The store cannot be used: install the relay with its extra `valkey`.") from None
        return valkey.open_store(url)

    return open_url


@asynccontextmanager
async def kept_open(
    opener: Opener | None, use: Use, *, sweep_interval: float = _SWEEP_INTERVAL, pause: float = _FIRST_PAUSE
) -> AsyncIterator[None]:
    """Keep a store open until the block ends, and sweep it now and then. Answers need no store.

    Args:
        opener: What opens it; None if there is to be none.
        use: Is given the store before the block begins, or None if it cannot be used yet. Then it is tried again, with
            growing pauses, and given later.
        sweep_interval: Seconds between sweeps.
        pause: Seconds until it is tried again for the first time.
    """
    use(None)
    if opener is None:
        yield
        return
    tried = asyncio.Event()
    keeping = asyncio.create_task(_keep(opener, use, tried, sweep_interval, pause))
    try:
        await tried.wait()
        yield
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping


async def _keep(opener: Opener, use: Use, tried: asyncio.Event, sweep_interval: float, pause: float) -> None:
    try:
        while True:
            try:
                async with opener() as store:
                    use(store)
                    if tried.is_set():
                        _log.info("responses are kept from now on")
                    tried.set()
                    await _sweep(store, sweep_interval)
            except SettingsError as error:
                _log.warning("responses are not kept. %s", error.message)
                return
            except UnavailableError as error:
                _log.log(
                    logging.DEBUG if tried.is_set() else logging.WARNING, "responses are not kept. %s", error.message
                )
            tried.set()
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
    finally:
        tried.set()


async def _sweep(store: Store, interval: float) -> Never:
    while True:
        try:
            await store.sweep()
        except UnavailableError as error:
            _log.warning("what has expired was not removed. %s", error.message)
        await asyncio.sleep(interval)
