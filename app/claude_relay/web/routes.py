"""The same controller with and without the ``/v1`` prefix, documented once."""

from litestar import Controller, Router


def with_and_without_prefix(controller: type[Controller]) -> list[Router]:
    """Return routers for both base URLs that clients are configured with."""
    return [
        Router("/v1", route_handlers=[controller]),
        Router("/", route_handlers=[controller], include_in_schema=False),
    ]
