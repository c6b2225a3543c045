"""Items that a client puts into a conversation -> items as they are kept. Pure."""

from collections.abc import Mapping
from typing import Any

from claude_relay.errors import invalid, missing
from claude_relay.responses import items, state
from claude_relay.responses.content import content
from claude_relay.responses.limits import MOST_ITEMS
from claude_relay.responses.state import Stored
from claude_relay.store.protocol import Item
from claude_relay.web import body_limits
from claude_relay.web.validation_errors import converted

FIELD = "items"
"""The parameter that they stand in."""


def require_few(given: list[dict[str, Any]] | None) -> None:
    """Check how many items there are.

    Raises:
        InvalidRequestError: There are too many.
    """
    body_limits.require_few(FIELD, given, MOST_ITEMS)


def kept(given: list[dict[str, Any]] | None, known: Mapping[str, bytes], token: str) -> tuple[Item, ...]:
    """Return items as they are kept.

    Args:
        given: What the client sent.
        known: The items that it refers to, as JSON, by their ids.
        token: Makes the ids unique of items that have none.

    Raises:
        InvalidRequestError: An item is not what it should be.
        NotFoundError: It refers to an item that is not there.
    """
    found = state.resolved(given, Stored(token, items=known), FIELD)
    for index, item in enumerate(found if isinstance(found, list) else ()):
        _require_item(item, f"{FIELD}[{index}]")
    return state.kept(found, token)


def _require_item(item: dict[str, Any], where: str) -> None:
    """Check what can be checked of an item alone; a call's output may come later."""
    match item.get("type"):
        case "message":
            content(converted(item, items.Message, where).content, f"{where}.content")
        case None if "role" in item or "content" in item:
            content(converted(item, items.Message, where).content, f"{where}.content")
        case None:
            raise missing(f"{where}.type")
        case str():
            return
        case _:
            raise invalid("must be a string", f"{where}.type")
