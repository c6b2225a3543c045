"""Adds the family to the application."""

from litestar.config.app import AppConfig
from litestar.plugins import InitPlugin

from claude_relay.chat.controller import OFFLOAD, ChatController
from claude_relay.web.offload import Offload
from claude_relay.web.routes import with_and_without_prefix


class ChatPlugin(InitPlugin):
    """``/chat/completions``."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the route."""
        app_config.state[OFFLOAD] = Offload()
        app_config.route_handlers.extend(with_and_without_prefix(ChatController))
        return app_config
