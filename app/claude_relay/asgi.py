"""The composition root: the only place that knows both lists, of endpoint families and of runners."""

import asyncio
import gc
import logging
import socket

from litestar import Litestar
from litestar.di import Provide

from claude_relay import logs
from claude_relay.chat.controller import ChatController
from claude_relay.engine.claude.runner import ClaudeCodeRunner
from claude_relay.engine.echo import EchoRunner
from claude_relay.engine.limited import limited
from claude_relay.engine.quotas import quotas
from claude_relay.engine.runner import ClaudeRunner
from claude_relay.health.controller import OPEN, HealthController
from claude_relay.models.controller import ModelsController
from claude_relay.settings import Settings
from claude_relay.settings_loading import environment, resolve
from claude_relay.web import access_log, auth, auth_middleware, head_requests
from claude_relay.web.draining import Draining
from claude_relay.web.family import FamilyPlugin
from claude_relay.web.plugin import WebPlugin
from claude_relay.web.watchdog import Watchdog

_MEGABYTE = 1024 * 1024
_log = logging.getLogger(__name__)


def create_app(settings: Settings | None = None, runner: ClaudeRunner | None = None) -> Litestar:
    """Build the application.

    Args:
        settings: The operator's choices; loaded from the environment and ``.env`` when not given.
        runner: The engine; made from the settings when not given.

    Raises:
        SettingsError: A setting has a bad value.
    """
    settings = settings or _loaded()
    engine = runner or create_runner(settings)
    policy = auth.policy_of(settings, socket.gethostname(), OPEN)
    watchdog = Watchdog()
    app = Litestar(
        request_max_body_size=settings.max_body_size * _MEGABYTE,
        plugins=[
            WebPlugin(),
            watchdog,
            Draining(settings.drain_timeout),
            FamilyPlugin(ChatController),
            FamilyPlugin(ModelsController),
            FamilyPlugin(HealthController),
        ],
        dependencies={
            "runner": Provide(lambda: engine, sync_to_thread=False),
            "settings": Provide(lambda: settings, sync_to_thread=False),
            "watchdog": Provide(lambda: watchdog, sync_to_thread=False),
        },
        on_startup=[_watch_loop, engine.start],
        on_shutdown=[engine.stop],
    )
    return access_log.install(auth_middleware.install(head_requests.install(app), policy))


def served() -> Litestar:
    """Build the application of a process that does nothing else, as ``claude-relay serve`` does."""
    app = create_app()
    app.on_startup.append(_settle_memory)
    return app


def _settle_memory() -> None:
    """Take what was loaded out of garbage collections: going over all of it takes as long as many requests."""
    gc.collect()
    gc.freeze()


async def _watch_loop() -> None:
    asyncio.get_running_loop().set_exception_handler(logs.report)


def _loaded() -> Settings:
    found = resolve()
    if found.refusal:
        _log.warning("%s", found.refusal)
    return found.settings


def create_runner(settings: Settings) -> ClaudeRunner:
    """Return the engine that the operator chose, under the limits that the operator set."""
    used = quotas(settings)
    claude = settings.runner == "claude"
    runner: ClaudeRunner = ClaudeCodeRunner(settings, environment(), used.charge_cost) if claude else EchoRunner()
    return limited(runner, settings, used)
