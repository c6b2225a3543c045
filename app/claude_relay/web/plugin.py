"""What every endpoint family shares: errors, CORS, request ids, the OpenAPI document, a limit on bodies."""

from litestar.config.app import AppConfig
from litestar.config.cors import CORSConfig
from litestar.plugins import InitPlugin

from claude_relay.web import errors, openapi, requestid

MAX_BODY_BYTES = 32 * 1024 * 1024
"""Larger requests get 413."""


class WebPlugin(InitPlugin):
    """Sets the application up; families add their routes in plugins of their own."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Configure the application."""
        app_config.request_max_body_size = MAX_BODY_BYTES
        app_config.exception_handlers = {Exception: errors.respond}
        app_config.cors_config = CORSConfig(expose_headers=["x-request-id"])
        app_config.openapi_config = openapi.config()
        app_config.route_handlers.append(openapi.assets())
        app_config.middleware.append(requestid.middleware)
        app_config.before_send.append(requestid.add_header)
        app_config.logging_config = None
        return app_config
