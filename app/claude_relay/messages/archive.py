"""The threads of a caller, as the store keeps them."""

import logging
import time
from typing import Any

import msgspec
from litestar import Request
from msgspec import Struct

from claude_relay.errors import UnavailableError
from claude_relay.messages import answer, state
from claude_relay.messages.schemas import ContinuedThread, MessagesRequest
from claude_relay.store.protocol import Item, Key, Record, Store
from claude_relay.web.auth_middleware import require_caller
from claude_relay.web.stored import store_of

_KIND = "message"
_log = logging.getLogger(__name__)


class Archive(Struct, frozen=True):
    """What is kept for one caller. Threads of others are not found.

    Attributes:
        store: Where it is kept.
        owner: The identity of the caller.
    """

    store: Store
    owner: str

    async def recall(self, message_id: str) -> state.Stored:
        """Return the thread that a message is the last of.

        Raises:
            NotFoundError: It is not there.
        """
        if not state.is_id(message_id):
            raise state.not_found(message_id)
        key = self._key(message_id)
        record = await self.store.get(key)
        history = await self.store.history(key, _expiry())
        if record is None or history is None:
            raise state.not_found(message_id)
        return state.Stored(record.body, tuple(item.body for item in history))

    async def keep(self, message_id: str, kept: state.Kept, content: list[answer.Block]) -> None:
        """Keep a message with its request, so that it can be gone on from.

        Args:
            message_id: The message.
            kept: What is kept of its request.
            content: What it says.
        """
        record = Record(self._key(message_id), kept.head, _expiry(), kept.previous)
        made = msgspec.json.encode({"role": "assistant", "content": content})
        try:
            await self.store.create(record, state.items(message_id, kept.messages), (Item(message_id, made),))
        except UnavailableError as error:
            # an answer is worth more than the possibility to go on from it: then all of it is sent again
            _log.warning("a thread was not kept. %s", error.message)

    def _key(self, message_id: str) -> Key:
        return Key(self.owner, _KIND, message_id)


def archive_of(request: Request[Any, Any, Any]) -> Archive | None:
    """Return the archive of who sends a request; None if nothing is kept."""
    store = store_of(request)
    return None if store is None else Archive(store, require_caller(request.scope).identity)


async def fetch(request: Request[Any, Any, Any], asked: MessagesRequest) -> state.Stored | None:
    """Return what a request has from its thread; None if nothing is kept.

    Raises:
        NotFoundError: It goes on with a thread that is not there.
    """
    archive = archive_of(request)
    if archive is None:
        return None
    if isinstance(asked.thread, ContinuedThread):
        return await archive.recall(asked.thread.previous_message_id)
    return state.Stored()


def _expiry() -> float:
    return time.time() + state.SECONDS_KEPT
