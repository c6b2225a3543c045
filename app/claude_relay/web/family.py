"""A family of endpoints: a controller, and how it reports errors."""

from collections.abc import Iterable, Iterator

from litestar import Controller
from msgspec import Struct

from claude_relay.web.bodies import OtherForm
from claude_relay.web.dialect import OPENAI, Dialect

PREFIXES = ("/v1", "")
"""Before the paths of controllers; clients are configured with either. The first is documented."""


class Family(Struct, frozen=True):
    """Endpoints that speak the same API.

    Attributes:
        controller: The routes; it has a path.
        parts: Further controllers of it, with paths below that path.
        dialect: How errors are reported.
        is_open: Whether it answers everybody, without authentication.
        other_form: Another form in which its requests may come.
    """

    controller: type[Controller]
    dialect: Dialect = OPENAI
    is_open: bool = False
    other_form: OtherForm | None = None
    parts: tuple[type[Controller], ...] = ()

    @property
    def path(self) -> str:
        """The path below which the family has its routes, without a prefix."""
        return str(self.controller.path)  # type: ignore[misc] # a class has it too


def paths(families: Iterable[Family], prefixes: Iterable[str]) -> Iterator[str]:
    """Yield the paths below which families have their routes."""
    yield from (f"{prefix}{family.path}" for family in families for prefix in prefixes)
