"""Adds a family of endpoints to an application."""

from litestar import Controller, Router
from litestar.config.app import AppConfig
from litestar.plugins import InitPlugin

from claude_relay.web import dialect
from claude_relay.web.dialect import OPENAI, PREFIX, Dialect


class FamilyPlugin(InitPlugin):
    """The routes of a controller, with and without ``/v1``, documented once.

    Args:
        controller: The controller; it has a path.
        dialect: How the family reports errors.
    """

    def __init__(self, controller: type[Controller], dialect: Dialect = OPENAI) -> None:
        self._controller = controller
        self._dialect = dialect

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the routes."""
        app_config.route_handlers += [
            Router(PREFIX, route_handlers=[self._controller]),
            Router("/", route_handlers=[self._controller], include_in_schema=False),
        ]
        path: str = self._controller.path  # type: ignore[misc] # a class has it too
        dialect.register(app_config.state, path, self._dialect)
        return app_config
