"""Adds the family to the application."""

from litestar.config.app import AppConfig
from litestar.di import Provide
from litestar.plugins import InitPlugin

from claude_relay.chat.controller import ChatController
from claude_relay.settings import Settings
from claude_relay.web.routes import with_and_without_prefix


class ChatPlugin(InitPlugin):
    """``/chat/completions``.

    Args:
        settings: Where the default model and personality come from.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the route and what it depends on."""
        app_config.dependencies["settings"] = Provide(lambda: self._settings, sync_to_thread=False)
        app_config.route_handlers.extend(with_and_without_prefix(ChatController))
        return app_config
