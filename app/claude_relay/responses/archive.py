"""The responses of a caller, as the store keeps them."""

import logging
import os
import time
from typing import Any, Literal

import msgspec
from litestar import Request
from msgspec import Struct
from msgspec.structs import replace

from claude_relay.errors import UnavailableError
from claude_relay.responses import answer, state
from claude_relay.responses.schemas import ResponsesRequest
from claude_relay.store.protocol import Item, Key, Page, Record, Store
from claude_relay.web import bodies
from claude_relay.web.auth_middleware import require_caller
from claude_relay.web.stored import store_of

_KIND = "response"
_log = logging.getLogger(__name__)


class Archive(Struct, frozen=True):
    """What is kept for one caller. Responses of others are not found.

    Attributes:
        store: Where it is kept.
        owner: The identity of the caller.
        days: For how long.
    """

    store: Store
    owner: str
    days: int

    async def recall(self, request: ResponsesRequest) -> state.Stored:
        """Return what a request refers to.

        Raises:
            InvalidRequestError: It goes on from a response that is not there.
            NotFoundError: It belongs to a conversation that is not there.
        """
        history: tuple[Item, ...] = ()
        if (conversation := state.conversation_of(request)) is not None:
            key = conversation_key(self.owner, conversation)
            found = await self.store.history(key, self._expiry()) if state.is_id(conversation) else None
            if found is None:
                raise state.unknown_conversation(conversation)
            history = found
        if (previous := request.previous_response_id) is not None:
            found = await self.store.history(self._key(previous), self._expiry()) if state.is_id(previous) else None
            if found is None:
                raise state.unknown_previous(previous)
            history = found
        found_items = await self.items(request.input)
        return state.Stored(os.urandom(16).hex(), tuple(item.body for item in history), found_items)

    async def items(self, given: state.Given) -> dict[str, bytes]:
        """Return those of the items that a client refers to that are there, as JSON, by their ids."""
        wanted = [item_id for item_id in state.references(given) if state.is_id(item_id)]
        items = await self.store.items(self.owner, wanted) if wanted else {}
        return {item_id: item.body for item_id, item in items.items()}

    async def keep(self, response: answer.Response, inputs: tuple[Item, ...]) -> answer.Response:
        """Keep a response with its items, and return it as the client gets it, which says whether it is kept.

        The conversation that it belongs to gets these items in the same step, unless the response has failed.

        Args:
            response: The response, which is complete.
            inputs: The items of its request.
        """
        record = Record(
            self._key(response.id), msgspec.json.encode(response), self._expiry(), response.previous_response_id
        )
        try:
            await self.store.create(
                record, inputs, state.outputs(response.output), copied_to=self._conversation_of(response)
            )
        except UnavailableError as error:
            # an answer is worth more than the possibility to refer to it
            _log.warning("a response was not kept. %s", error.message)
            return replace(response, store=False)
        return response

    async def get(self, response_id: str) -> bytes:
        """Return a response as JSON.

        Raises:
            NotFoundError: It is not there.
        """
        record = await self.store.get(self._key(response_id)) if state.is_id(response_id) else None
        if record is None:
            raise state.unknown_response(response_id)
        return record.body

    async def delete(self, response_id: str) -> None:
        """Remove a response.

        Raises:
            NotFoundError: It is not there.
        """
        if not (state.is_id(response_id) and await self.store.delete(self._key(response_id))):
            raise state.unknown_response(response_id)

    async def inputs(self, response_id: str, after: str | None, limit: int, order: Literal["asc", "desc"]) -> Page:
        """Return some of the items of a response's request.

        Args:
            response_id: The response.
            after: The id of the item to go on behind.
            limit: How many at most.
            order: Whether the last ones come first.

        Raises:
            NotFoundError: The response, or the item to go on behind, is not there.
        """
        await self.get(response_id)
        page = None
        if after is None or state.is_id(after):
            key, descending = self._key(response_id), order == "desc"
            page = await self.store.page(key, after=after, limit=limit, descending=descending)
        if page is None:
            raise state.unknown_response(response_id) if after is None else state.unknown_cursor(after)
        return page

    def _conversation_of(self, response: answer.Response) -> Key | None:
        if not response.conversation or response.status not in {"completed", "incomplete"}:
            return None
        return conversation_key(self.owner, response.conversation.id)

    def _key(self, response_id: str) -> Key:
        return Key(self.owner, _KIND, response_id)

    def _expiry(self) -> float:
        return state.expiry(time.time(), self.days)


def conversation_key(owner: str, conversation_id: str) -> Key:
    """Return where a conversation of a caller is."""
    return Key(owner, "conversation", conversation_id)


def archive_of(request: Request[Any, Any, Any]) -> Archive | None:
    """Return the archive of who sends a request; None if nothing is kept."""
    store = store_of(request)
    if store is None:
        return None
    return Archive(store, require_caller(request.scope).identity, bodies.settings_of(request).store_days)


async def fetch(request: Request[Any, Any, Any], asked: ResponsesRequest) -> state.Stored | None:
    """Return what a request refers to; None if nothing is kept.

    Raises:
        InvalidRequestError: It goes on from a response that is not there.
        NotFoundError: It belongs to a conversation that is not there.
    """
    archive = archive_of(request)
    return None if archive is None else await archive.recall(asked)
