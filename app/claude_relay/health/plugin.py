"""Adds the family to the application."""

from litestar.config.app import AppConfig
from litestar.plugins import InitPlugin

from claude_relay.health.controller import HealthController
from claude_relay.web.routes import with_and_without_prefix


class HealthPlugin(InitPlugin):
    """``/health``."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the route."""
        app_config.route_handlers.extend(with_and_without_prefix(HealthController))
        return app_config
