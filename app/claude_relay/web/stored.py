"""The store of an application, where a request's way finds it before any handler, and its dependencies, are known."""

from typing import Any

from litestar import Request
from litestar.datastructures import State

from claude_relay.store.protocol import Store

_STORE = "claude_relay_store"


def set_up(state: State, store: Store | None) -> None:
    """Give an application its store; None if nothing is to be kept."""
    state[_STORE] = store


def store_of(request: Request[Any, Any, Any]) -> Store | None:
    """Return the store of a request's application, if it has one."""
    store: Store | None = request.app.state.get(_STORE)
    return store
