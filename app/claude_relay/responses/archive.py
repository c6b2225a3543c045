"""The responses of a caller, as the store keeps them."""

import logging
import os
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Literal

import msgspec
from litestar import Request
from msgspec import Struct, field
from msgspec.structs import replace

from claude_relay.errors import NotFoundError, UnavailableError
from claude_relay.responses import answer, replay, state
from claude_relay.responses.conversation import requested_approvals
from claude_relay.responses.schemas import ResponsesRequest
from claude_relay.store.protocol import Event, Item, Key, Lease, Page, Record, Store
from claude_relay.web import bodies
from claude_relay.web.auth_middleware import require_caller
from claude_relay.web.stored import store_of

LEASE = 20.0
"""Seconds after which a response whose worker says nothing any more is taken for one that has lost it."""
LOG_SECONDS = 3600.0
"""How long the events are kept of a response that is complete."""
_KIND = "response"
_FOLDINGS = "claude_relay_foldings"
_NO_EVENT = 2**40
"""A number behind those of all events, and before what ends a log in Valkey, which is numbered by the time."""
_ANSWERED = frozenset(("completed", "incomplete"))
"""The status of responses that their conversations get."""
_log = logging.getLogger(__name__)


class Archive(Struct, frozen=True):
    """What is kept for one caller. Responses of others are not found.

    Attributes:
        store: Where it is kept.
        owner: The identity of the caller.
        days: For how long.
        foldings: What is known of responses that are being worked on.
    """

    store: Store
    owner: str
    days: int
    foldings: replay.Foldings = field(default_factory=replay.Foldings)

    async def recall(self, request: ResponsesRequest) -> state.Stored:
        """Return what a request refers to.

        Raises:
            InvalidRequestError: It goes on from a response that is not there, or not complete.
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
            history = await self._history(previous)
        found_items = await self.items(request.input)
        return state.Stored(os.urandom(16).hex(), tuple(item.body for item in history), found_items)

    async def items(self, given: state.Given) -> dict[str, bytes]:
        """Return those of the items that a client refers to that are there, as JSON, by their ids."""
        wanted = [item_id for item_id in state.references(given) if state.is_id(item_id)]
        items = await self.store.items(self.owner, wanted) if wanted else {}
        return {item_id: item.body for item_id, item in items.items()}

    async def keep(
        self, response: answer.Response, inputs: tuple[Item, ...], outputs: Sequence[answer.OutputItem]
    ) -> answer.Response:
        """Keep a response with its items, and return it as the client gets it, which says whether it is kept.

        The conversation that it belongs to gets these items in the same step, unless the response has failed.

        Args:
            response: The response, which is complete.
            inputs: The items of its request.
            outputs: The items of its output, with more than the response may tell.
        """
        record = Record(
            self._key(response.id), msgspec.json.encode(response), self._expiry(), response.previous_response_id
        )
        try:
            conversation = self._conversation_of(response.status, _conversation(response))
            await self.store.create(record, inputs, state.outputs(outputs), copied_to=conversation)
        except UnavailableError as error:
            # an answer is worth more than the possibility to refer to it
            _log.warning("a response was not kept. %s", error.message)
            return replace(response, store=False)
        return response

    async def begin(self, response: answer.Response, inputs: tuple[Item, ...]) -> None:
        """Keep a response that is being worked on, with a lease for its worker.

        Args:
            response: The response, of which nothing but the request is known yet.
            inputs: The items of its request.
        """
        body, previous = msgspec.json.encode(response), response.previous_response_id
        record = Record(self._key(response.id), body, self._expiry(), previous, time.time() + LEASE)
        await self.store.create(record, inputs)

    async def append(self, response_id: str, events: Sequence[Event]) -> None:
        """Append to the log of a response that is being worked on."""
        await self.store.append(self._key(response_id), events)

    async def renew(self, response_id: str) -> Lease:
        """Prolong the lease of a response that is being worked on, and tell whether to go on."""
        return await self.store.renew(self._key(response_id), time.time() + LEASE)

    async def update(self, response: answer.Response) -> None:
        """Replace a response that is being worked on."""
        body = msgspec.json.encode(response)
        await self.store.update(self._key(response.id), body=body, expires_at=self._expiry())

    async def complete(self, response: answer.Response, outputs: Sequence[answer.OutputItem]) -> None:
        """End the work on a response.

        Args:
            response: The response, which is complete.
            outputs: The items of its output, with more than the response may tell.
        """
        conversation = self._conversation_of(response.status, _conversation(response))
        await self._complete(response.id, msgspec.json.encode(response), state.outputs(outputs), conversation)

    async def get(self, response_id: str) -> bytes:
        """Return a response as JSON: whole, or as far as it is written.

        Raises:
            NotFoundError: It is not there.
        """
        record = await self._settled(response_id)
        if record.lease_until is None:
            self.foldings.forget(record.key)
            return record.body
        await self._want(response_id)
        return msgspec.json.encode((await self._progress(record)).response)

    async def cancel(self, response_id: str) -> bytes:
        """Have a response in the background cancelled, and return it as JSON when it is; complete, it stays as it is.

        Raises:
            InvalidRequestError: It is not in the background.
            NotFoundError: It is not there.
        """
        record = await self._settled(response_id)
        if not _is_in_background(record.body):
            raise state.not_in_background()
        if await self.store.request_cancel(record.key):
            async for _ in self.store.follow(record.key, _NO_EVENT):
                pass
        return await self.get(response_id)

    async def require_events(self, response_id: str, after: int) -> None:
        """Check that the events of a response can be read.

        Args:
            response_id: The response.
            after: The number of the event to go on behind.

        Raises:
            InvalidRequestError: They are not kept.
            NotFoundError: The response is not there.
        """
        record = await self._settled(response_id)
        if record.lease_until is not None:
            await self._want(response_id)
            return
        if not await self.store.events(record.key, after) and not await self.store.events(record.key):
            raise state.not_resumable(in_background=_is_in_background(record.body))

    async def events(self, response_id: str, after: int) -> AsyncGenerator[Event, None]:
        """Yield the events of a response behind a number, those to come included, until the last.

        Raises:
            NotFoundError: The response is not there any more.
        """
        while True:
            async for events in self.store.follow(self._key(response_id), after):
                for event in events:
                    after = event.sequence_number
                    yield event
            is_over = (await self._record(response_id)).lease_until is None
            if is_over:
                return
            # it has lost its worker, which ends it with further events
            await self._settled(response_id)

    async def is_wanted(self, response_id: str) -> bool:
        """Whether anybody has asked for a response while it was being worked on."""
        return await self.store.count(_interest(response_id), 0, time.time()) > 0

    async def delete(self, response_id: str) -> None:
        """Remove a response.

        Raises:
            NotFoundError: It is not there.
        """
        if not (state.is_id(response_id) and await self.store.delete(self._key(response_id))):
            raise state.unknown_response(response_id)

    async def requested_approvals(self, response_id: str) -> tuple[str, ...]:
        """Return the ids of what a response has asked permission for, if it is complete.

        Raises:
            NotFoundError: It is not there.
        """
        record = await self._record(response_id)
        return requested_approvals(msgspec.json.decode(record.body)["output"])

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
        record = await self._record(response_id)
        return await page_of(self.store, record.key, after, limit, order, missing=state.unknown_response(response_id))

    async def _history(self, response_id: str) -> tuple[Item, ...]:
        """Return the items of a response that is gone on from, and of those before it."""
        try:
            record = await self._settled(response_id)
        except NotFoundError:
            raise state.unknown_previous(response_id) from None
        if record.lease_until is not None:
            raise state.incomplete_previous(response_id)
        found = await self.store.history(record.key, self._expiry())
        if found is None:
            raise state.unknown_previous(response_id)
        return found

    async def _record(self, response_id: str) -> Record:
        record = await self.store.get(self._key(response_id)) if state.is_id(response_id) else None
        if record is None:
            raise state.unknown_response(response_id)
        return record

    async def _settled(self, response_id: str) -> Record:
        """Return a record, which is complete if its worker is gone."""
        record = await self._record(response_id)
        if record.lease_until is None or record.lease_until > time.time():
            return record
        response, events = replay.abandoned(await self._progress(record), state.abandoned())
        await self.store.append(record.key, events)
        conversation = self._conversation_of(response["status"], (response.get("conversation") or {}).get("id"))
        await self._complete(response_id, msgspec.json.encode(response), replay.items_of(response), conversation)
        return await self._record(response_id)

    async def _complete(self, response_id: str, body: bytes, outputs: Sequence[Item], conversation: Key | None) -> None:
        until = min(time.time() + LOG_SECONDS, self._expiry())
        await self.store.complete(self._key(response_id), body, outputs, log_until=until, copied_to=conversation)

    async def _progress(self, record: Record) -> replay.Progress:
        """Return what is known by now of a response that was not complete."""
        folding = self.foldings.of(record.key)
        folding.add(await self.store.events(record.key, folding.last))
        return folding.progress(record.body)

    async def _want(self, response_id: str) -> None:
        """Take note that somebody asks for a response, for a worker whose client has left."""
        await self.store.count(_interest(response_id), 1, time.time() + LOG_SECONDS)

    def _conversation_of(self, status: str, conversation_id: str | None) -> Key | None:
        """Return where the conversation is that gets the items of a response, if one does."""
        if conversation_id is None or status not in _ANSWERED:
            return None
        return conversation_key(self.owner, conversation_id)

    def _key(self, response_id: str) -> Key:
        return Key(self.owner, _KIND, response_id)

    def _expiry(self) -> float:
        return state.expiry(time.time(), self.days)


def _conversation(response: answer.Response) -> str | None:
    return response.conversation.id if response.conversation else None


def _interest(response_id: str) -> str:
    return f"asked for: {response_id}"


def _is_in_background(body: bytes) -> bool:
    return bool(msgspec.json.decode(body)["background"])


def conversation_key(owner: str, conversation_id: str) -> Key:
    """Return where a conversation of a caller is."""
    return Key(owner, "conversation", conversation_id)


async def page_of(
    store: Store, key: Key, after: str | None, limit: int, order: Literal["asc", "desc"], *, missing: NotFoundError
) -> Page:
    """Return some of the items that were put into a record.

    Args:
        store: Where it is.
        key: The record.
        after: The id of the item to go on behind.
        limit: How many at most.
        order: Whether the last ones come first.
        missing: What is raised if the record is gone.

    Raises:
        NotFoundError: The record, or the item to go on behind, is not there.
    """
    page = None
    if after is None or state.is_id(after):
        page = await store.page(key, after=after, limit=limit, descending=order == "desc")
    if page is None:
        raise missing if after is None else state.unknown_cursor(after)
    return page


def archive_of(request: Request[Any, Any, Any]) -> Archive | None:
    """Return the archive of who sends a request; None if nothing is kept."""
    store = store_of(request)
    if store is None:
        return None
    foldings = request.app.state.setdefault(_FOLDINGS, replay.Foldings())
    return Archive(store, require_caller(request.scope).identity, bodies.settings_of(request).store_days, foldings)


async def fetch(request: Request[Any, Any, Any], asked: ResponsesRequest) -> state.Stored | None:
    """Return what a request refers to; None if nothing is kept.

    Raises:
        InvalidRequestError: It goes on from a response that is not there.
        NotFoundError: It belongs to a conversation that is not there.
    """
    archive = archive_of(request)
    return None if archive is None else await archive.recall(asked)
