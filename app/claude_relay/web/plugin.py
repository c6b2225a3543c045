"""Errors, CORS and documentation for every path, for an application that has only the relay."""

from litestar.config.app import AppConfig
from litestar.config.cors import CORSConfig
from litestar.plugins import InitPlugin

from claude_relay.web import errors, openapi


class WebPlugin(InitPlugin):
    """Sets the application up."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Configure the application."""
        app_config.exception_handlers = {Exception: errors.respond}
        app_config.cors_config = CORSConfig(expose_headers=["*"])
        app_config.openapi_config = openapi.config()
        app_config.route_handlers.append(openapi.assets())
        app_config.logging_config = None
        return app_config
