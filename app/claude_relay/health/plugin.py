"""Adds the family to the application."""

from litestar.config.app import AppConfig
from litestar.plugins import InitPlugin

from claude_relay.health.controller import HealthController
from claude_relay.web.routes import with_and_without_prefix

OPEN = frozenset({"/health", "/v1/health"})
"""Paths that answer everybody, such as an orchestrator that wants to know whether to start the relay again."""


class HealthPlugin(InitPlugin):
    """``/health``."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the route."""
        app_config.route_handlers.extend(with_and_without_prefix(HealthController))
        return app_config
