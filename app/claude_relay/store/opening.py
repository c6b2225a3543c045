"""Which store is opened, and what is done to it while it is open."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

from claude_relay.errors import SettingsError, UnavailableError
from claude_relay.settings import Settings
from claude_relay.store import sqlite
from claude_relay.store.protocol import Store

Opener = Callable[[], AbstractAsyncContextManager[Store]]
"""Opens a store, and closes it at the end."""

_SWEEP_INTERVAL = 3600.0
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
            raise UnavailableError("The store cannot be used: install claude-relay[valkey].") from None
        return valkey.open_store(url)

    return open_url


@asynccontextmanager
async def kept_open(opener: Opener | None, sweep_interval: float = _SWEEP_INTERVAL) -> AsyncIterator[Store | None]:
    """Open a store, and sweep it now and then until the block ends.

    Args:
        opener: What opens it.
        sweep_interval: Seconds between sweeps.

    Yields:
        The store; None if there is none, or none that can be used. Answers need no store, so that is only logged.
    """
    async with AsyncExitStack() as stack:
        store = None
        if opener is not None:
            try:
                store = await stack.enter_async_context(opener())
            except (SettingsError, UnavailableError) as error:
                _log.warning("responses are not kept. %s", error.message)
        if store is None:
            yield None
            return
        sweeping = asyncio.create_task(_sweep(store, sweep_interval))
        try:
            yield store
        finally:
            sweeping.cancel()
            await asyncio.gather(sweeping, return_exceptions=True)


async def _sweep(store: Store, interval: float) -> None:
    while True:
        try:
            await store.sweep()
        except UnavailableError as error:
            _log.warning("what has expired was not removed. %s", error.message)
        await asyncio.sleep(interval)
