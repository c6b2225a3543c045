"""Adds the family to the application."""

from litestar.config.app import AppConfig
from litestar.plugins import InitPlugin

from claude_relay.models.controller import ModelsController
from claude_relay.web.routes import with_and_without_prefix


class ModelsPlugin(InitPlugin):
    """``/models`` and ``/models/{id}``."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the routes."""
        app_config.route_handlers.extend(with_and_without_prefix(ModelsController))
        return app_config
