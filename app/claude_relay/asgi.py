"""The composition root: the only place that knows both lists, of endpoint families and of runners."""

from litestar import Litestar
from litestar.di import Provide

from claude_relay.chat.plugin import ChatPlugin
from claude_relay.engine.claude.runner import ClaudeCodeRunner
from claude_relay.engine.echo import EchoRunner
from claude_relay.engine.runner import ClaudeRunner
from claude_relay.health.plugin import HealthPlugin
from claude_relay.models.plugin import ModelsPlugin
from claude_relay.settings import Settings, environment, load
from claude_relay.web.plugin import WebPlugin

MAX_BODY_BYTES = 32 * 1024 * 1024
"""Larger requests get 413."""


def create_app(settings: Settings | None = None, runner: ClaudeRunner | None = None) -> Litestar:
    """Build the application.

    Args:
        settings: The operator's choices; loaded from the environment and ``.env`` when not given.
        runner: The engine; made from the settings when not given.

    Raises:
        SettingsError: A setting has a bad value.
    """
    settings = settings or load()
    engine = runner or create_runner(settings)
    return Litestar(
        request_max_body_size=MAX_BODY_BYTES,
        plugins=[WebPlugin(), ChatPlugin(), ModelsPlugin(), HealthPlugin()],
        dependencies={
            "runner": Provide(lambda: engine, sync_to_thread=False),
            "settings": Provide(lambda: settings, sync_to_thread=False),
        },
        on_startup=[engine.start],
        on_shutdown=[engine.stop],
    )


def create_runner(settings: Settings) -> ClaudeRunner:
    """Return the engine that the operator chose."""
    if settings.runner == "echo":
        return EchoRunner()
    return ClaudeCodeRunner(settings, environment())
