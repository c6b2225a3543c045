"""The conversations of a caller, as the store keeps them."""

import os
import time
from typing import Any, Literal

import msgspec
from litestar import Request
from msgspec import Struct
from msgspec.structs import replace

from claude_relay.errors import InvalidRequestError
from claude_relay.responses import archive, state
from claude_relay.responses.archive import conversation_key
from claude_relay.responses.conversations.schemas import Conversation
from claude_relay.store.protocol import Item, Key, Page, Record, Store


class Conversations(Struct, frozen=True):
    """What is kept for one caller. Conversations of others are not found.

    Attributes:
        store: Where it is kept.
        owner: The identity of the caller.
        days: For how long.
    """

    store: Store
    owner: str
    days: int

    async def create(self, metadata: dict[str, str], items: tuple[Item, ...]) -> Conversation:
        """Keep a new conversation.

        Args:
            metadata: What the client wants to know of it.
            items: Its first items.
        """
        made = Conversation(f"conv_{os.urandom(24).hex()}", int(time.time()), metadata)
        await self.store.create(Record(self._key(made.id), state.encoded(made), self._expiry()), items)
        return made

    async def get(self, conversation_id: str) -> Conversation:
        """Return a conversation.

        Raises:
            NotFoundError: It is not there.
        """
        record = await self.store.get(self._key(conversation_id)) if state.is_id(conversation_id) else None
        if record is None:
            raise state.unknown_conversation(conversation_id)
        return msgspec.json.decode(record.body, type=Conversation)

    async def change(self, conversation_id: str, metadata: dict[str, str]) -> Conversation:
        """Replace what the client wants to know of a conversation, and return it.

        Raises:
            NotFoundError: It is not there.
        """
        changed = replace(await self.get(conversation_id), metadata=metadata)
        body = state.encoded(changed)
        if not await self.store.update(self._key(conversation_id), body=body, expires_at=self._expiry()):
            raise state.unknown_conversation(conversation_id)
        return changed

    async def delete(self, conversation_id: str) -> None:
        """Remove a conversation and its items; responses that belong to it stay.

        Raises:
            NotFoundError: It is not there.
        """
        if not (state.is_id(conversation_id) and await self.store.delete(self._key(conversation_id))):
            raise state.unknown_conversation(conversation_id)

    async def append(self, conversation_id: str, items: tuple[Item, ...]) -> None:
        """Append items to a conversation. One whose id is there already takes the place of the former one.

        Raises:
            NotFoundError: It is not there.
        """
        key = self._key(conversation_id)
        is_there = state.is_id(conversation_id)
        if not (is_there and await self.store.update(key, body=None, inputs=items, expires_at=self._expiry())):
            raise state.unknown_conversation(conversation_id)

    async def items(self, conversation_id: str, after: str | None, limit: int, order: Literal["asc", "desc"]) -> Page:
        """Return some of a conversation's items.

        Args:
            conversation_id: The conversation.
            after: The id of the item to go on behind.
            limit: How many at most.
            order: Whether the last ones come first.

        Raises:
            NotFoundError: The conversation, or the item to go on behind, is not there.
        """
        await self.get(conversation_id)
        key, missing = self._key(conversation_id), state.unknown_conversation(conversation_id)
        return await archive.page_of(self.store, key, after, limit, order, missing=missing)

    async def item(self, conversation_id: str, item_id: str) -> bytes:
        """Return one item of a conversation as JSON.

        Raises:
            NotFoundError: The conversation, or the item, is not there.
        """
        await self.get(conversation_id)
        found = await self.store.item(self._key(conversation_id), item_id) if state.is_id(item_id) else None
        if found is None:
            raise state.unknown_item_of_conversation(item_id)
        return found.body

    async def remove(self, conversation_id: str, item_id: str) -> Conversation:
        """Remove one item of a conversation, and return the conversation.

        Raises:
            NotFoundError: The conversation, or the item, is not there.
        """
        conversation = await self.get(conversation_id)
        if not (state.is_id(item_id) and await self.store.remove_item(self._key(conversation_id), item_id)):
            raise state.unknown_item_of_conversation(item_id)
        return conversation

    def _key(self, conversation_id: str) -> Key:
        return conversation_key(self.owner, conversation_id)

    def _expiry(self) -> float:
        return state.expiry(time.time(), self.days)


def conversations_of(request: Request[Any, Any, Any]) -> Conversations:
    """Return the conversations of who sends a request.

    Raises:
        InvalidRequestError: Nothing is kept.
    """
    found = archive.archive_of(request)
    if found is None:
        raise InvalidRequestError(
            "There are no conversations, as the relay stores nothing: send the whole conversation as 'input'.",
            code="nothing_stored",
        )
    return Conversations(found.store, found.owner, found.days)
