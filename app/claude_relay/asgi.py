"""The relay as an application of its own."""

import asyncio
import gc
import logging
from collections.abc import Iterable

from litestar import Litestar

from claude_relay import logs
from claude_relay.access.keys import Key
from claude_relay.console import page
from claude_relay.engine.approvals import Approvals
from claude_relay.engine.runner import ClaudeRunner
from claude_relay.plugin import FAMILIES, RelayPlugin
from claude_relay.settings import Settings
from claude_relay.settings_loading import keyring, resolve
from claude_relay.store.opening import Opener
from claude_relay.web.family import PREFIXES, Family
from claude_relay.web.plugin import WebPlugin
from claude_relay.web.tracing import Tracing

_log = logging.getLogger(__name__)


def create_app(
    settings: Settings | None = None,
    runner: ClaudeRunner | None = None,
    families: Iterable[Family] = FAMILIES,
    *,
    open_store: Opener | None = None,
    traces: Tracing | None = None,
    approvals: Approvals | None = None,
) -> Litestar:
    """Build the application.

    Args:
        settings: The operator's choices; loaded from the environment and ``.env`` when not given.
        runner: The engine; made from the settings when not given.
        families: The endpoints.
        open_store: Opens the store that responses are kept in; the one of the settings when not given.
        traces: Traces requests; as the environment says when not given.
        approvals: What waits for permission, if the engine is given.

    Raises:
        SettingsError: A setting has a bad value.
    """
    settings, keys = _loaded() if settings is None else (settings, keyring(settings))
    relay = RelayPlugin(
        settings,
        runner,
        families=families,
        prefixes=PREFIXES,
        keys=keys,
        open_store=open_store,
        approvals=approvals,
        traces=traces,
    )
    console = [page.router(needs_key=bool(keys))] if settings.console else []
    app = Litestar(console, plugins=[WebPlugin(), relay], on_startup=[_watch_loop])
    return relay.protect(app, page.PATHS if settings.console else ())


def served() -> Litestar:
    """Build the application of a process that does nothing else, as ``claude-relay serve`` does."""
    app = create_app()
    app.on_startup.append(_settle_memory)
    app.on_startup.append(_begin_document)
    return app


def _settle_memory() -> None:
    """Take what was loaded out of garbage collections: going over all of it takes as long as many requests."""
    gc.collect()
    gc.freeze()


def _begin_document(app: Litestar) -> None:
    """Make the OpenAPI document in a thread: it takes longer than any request may hold up the others."""
    asyncio.get_running_loop().run_in_executor(None, lambda: app.openapi_schema)


async def _watch_loop() -> None:
    asyncio.get_running_loop().set_exception_handler(logs.report)


def _loaded() -> tuple[Settings, tuple[Key, ...]]:
    found = resolve()
    if found.refusal:
        _log.warning("%s", found.refusal)
    return found.settings, found.keys
