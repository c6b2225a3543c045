"""``Idempotency-Key``: a request that is sent again has the answer of the first, and its work is done once.

The answer is kept as it is sent, piece by piece, so that a second request can join the first while that is answered, in
any process that shares the store. The first one is answered to its end, whether or not its client waits.
"""

import asyncio
import contextlib
import hashlib
import logging
import os
import time
from collections.abc import AsyncIterator
from typing import Any

import anyio
import msgspec
from litestar import Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from msgspec import Struct

from claude_relay.errors import ConflictError, InvalidRequestError, RelayError, UnavailableError
from claude_relay.store.protocol import Claim, Event, Key, Record, Store
from claude_relay.web.auth_middleware import require_caller
from claude_relay.web.bodies import BodyRequest
from claude_relay.web.context import context_of
from claude_relay.web.dialect import dialect_of
from claude_relay.web.disconnects import cancel_on_disconnect
from claude_relay.web.family import PREFIXES
from claude_relay.web.live_responses import EVENTS
from claude_relay.web.stored import store_of

KEPT_SECONDS = 24 * 3600.0
"""How long a key stands for its request, and the answer is kept."""
LEASE = 20.0
"""Seconds after which an answer whose worker says nothing any more is taken for one that has lost it."""
WRITE_INTERVAL = 0.25
"""Seconds from one write to the next: how late others get what is sent."""
LONGEST_KEY = 255
_HEADER = b"idempotency-key"
_KIND = "answer"
_ERRORS = 400
_WHOLE, _CUT_OFF = b'{"is_whole":true}', b'{"is_whole":false}'
"""What the record of an answer says of the log that holds it."""
_END: Message = {"type": "http.response.body", "body": b"", "more_body": False}
_REPLAYED = (b"idempotent-replayed", b"true")
_log = logging.getLogger(__name__)


class _Head(Struct, frozen=True):
    """The head of an answer."""

    status: int
    headers: list[tuple[str, str]]

    @property
    def is_stream(self) -> bool:
        """Whether a stream of events follows."""
        return any(name == "content-type" and value.startswith(EVENTS) for name, value in self.headers)


def middleware(app: ASGIApp) -> ASGIApp:
    """Answer each request with a key once, if there is a store."""

    async def once(scope: Scope, receive: Receive, send: Send) -> None:
        sent = next((value for name, value in scope["headers"] if name == _HEADER), None)
        if sent is None or scope["type"] != ScopeType.HTTP or scope["method"] != "POST":
            await app(scope, receive, send)
            return
        request = BodyRequest(scope, receive, send)
        store = store_of(request)
        if store is None:
            await app(scope, receive, send)
            return
        await _Keyed(app, request, store, _readable(sent)).answer(scope, receive, send)

    return once


class _Keyed:
    """A request with a key.

    Args:
        app: Answers it.
        request: The request.
        store: Where answers are kept.
        key: Its key.
    """

    def __init__(self, app: ASGIApp, request: Request[Any, Any, Any], store: Store, key: str) -> None:
        self._app = app
        self._request = request
        self._store = store
        self._owner = require_caller(request.scope).identity
        self._key = key

    async def answer(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Answer the request, or have the answer that another one with the key got, or gets.

        Raises:
            ConflictError: That one was another request.
        """
        digest = await self._digest()
        while True:
            answer = _Answer(self._store, Key(self._owner, _KIND, f"answer_{os.urandom(16).hex()}"))
            # before its key, so that whoever joins finds it
            await answer.begin()
            claim = await self._claim(answer.key.id, digest)
            if claim.outcome == "new":
                await self._work(answer, scope, receive, send)
                return
            await answer.discard()
            if claim.outcome == "conflict":
                raise ConflictError(
                    "The Idempotency-Key header has the key of another request. Use a new key for each request, and "
                    "the same one only to send a request again."
                )
            first = Key(self._owner, _KIND, claim.response_id)
            if await cancel_on_disconnect(self._request, lambda first=first: self._replay(first, send)):  # type: ignore[misc]
                return
            # it failed before there was any answer, or its worker is gone: this one is as good
            await self._store.release(self._owner, self._key, first.id)

    async def _digest(self) -> bytes:
        path = self._request.scope["path"].removeprefix(PREFIXES[0])
        body = await self._request.body()
        digest = hashlib.sha256(b"%b\n" % path.encode())
        await asyncio.to_thread(digest.update, body)
        return digest.digest()

    async def _claim(self, answer_id: str, digest: bytes) -> Claim:
        until = time.time() + KEPT_SECONDS
        return await self._store.claim(self._owner, self._key, digest=digest, response_id=answer_id, expires_at=until)

    async def _work(self, answer: "_Answer", scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Answer the request to its end, and keep what is sent."""

        async def never_disconnected() -> Any:
            message = await receive()
            if message["type"] == "http.disconnect":
                await asyncio.Event().wait()
            return message

        async def kept(message: Message) -> None:
            answer.take(message)
            await send(message)

        writing = asyncio.create_task(answer.keep_writing())
        try:
            await self._app(scope, never_disconnected, kept)
        finally:
            writing.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.gather(writing, return_exceptions=True)
                has_failed = not answer.is_complete or "error" in context_of(scope).fields
                await self._settle(answer, has_failed=has_failed)

    async def _settle(self, answer: "_Answer", *, has_failed: bool) -> None:
        try:
            await answer.end()
            if has_failed:
                await self._store.release(self._owner, self._key, answer.key.id)
        except UnavailableError as error:
            _log.warning("the answer to a request with an Idempotency-Key was not kept. %s", error.message)

    async def _replay(self, key: Key, send: Send) -> bool:
        """Send what another request is answered, as it comes, and return whether there is any."""
        head: _Head | None = None
        async for event in _events(self._store, key):
            if head is None:
                head = msgspec.json.decode(event.data, type=_Head)
                self._begin(head)
                headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in head.headers]
                await send({"type": "http.response.start", "status": head.status, "headers": [*headers, _REPLAYED]})
            else:
                await send({"type": "http.response.body", "body": event.data, "more_body": True})
        if head is None:
            return False
        record = await self._store.get(key)
        if record is None or record.body != _WHOLE:
            await self._store.release(self._owner, self._key, key.id)
            lost = UnavailableError("The relay was stopped before the answer was complete.", code="relay_stopped")
            await send({"type": "http.response.body", "body": self._error(head, lost), "more_body": True})
        await send(_END)
        return True

    def _begin(self, head: _Head) -> None:
        context_of(self._request.scope).report_error = lambda error: self._error(head, error)

    def _error(self, head: _Head, error: RelayError) -> bytes:
        dialect = dialect_of(self._request.scope)
        return dialect.error_frame(error) if head.is_stream else msgspec.json.encode(dialect.error_body(error))


class _Answer:
    """The answer to a request with a key, for its one worker.

    Args:
        store: Where it is kept.
        key: The record.

    Attributes:
        is_complete: Whether all of it was sent.
    """

    def __init__(self, store: Store, key: Key) -> None:
        self.key = key
        self.is_complete = False
        self._store = store
        self._has_begun = False
        self._unwritten: list[Event] = []
        self._number = 0

    async def begin(self) -> None:
        """Make the record."""
        now = time.time()
        await self._store.create(Record(self.key, _CUT_OFF, now + KEPT_SECONDS, lease_until=now + LEASE))

    async def discard(self) -> None:
        """Remove the record."""
        await self._store.delete(self.key)

    def take(self, message: Message) -> None:
        """Take what is sent of an answer; errors are kept of none."""
        if message["type"] == "http.response.start":
            self._has_begun = message["status"] < _ERRORS
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"]]
            self._add(msgspec.json.encode(_Head(message["status"], headers)))
        elif message["type"] == "http.response.body":
            self._add(message["body"])
            self.is_complete = self._has_begun and not message.get("more_body")

    async def keep_writing(self) -> None:
        """Write down what was sent, again and again."""
        while True:
            await asyncio.sleep(WRITE_INTERVAL)
            with contextlib.suppress(UnavailableError):
                await self._write()
                await self._store.renew(self.key, time.time() + LEASE)

    async def end(self) -> None:
        """Write down the rest, unless there is nothing of which others could have a part."""
        if not self._has_begun:
            await self.discard()
            return
        await self._write()
        body = _WHOLE if self.is_complete else _CUT_OFF
        await self._store.complete(self.key, body, log_until=time.time() + KEPT_SECONDS)

    def _add(self, data: bytes) -> None:
        if self._has_begun and data:
            self._unwritten.append(Event(self._number, data))
            self._number += 1

    async def _write(self) -> None:
        """Write events down; cancelled in the middle, it may write some again, which changes nothing."""
        if events := tuple(self._unwritten):
            await self._store.append(self.key, events)
            del self._unwritten[: len(events)]


async def _events(store: Store, key: Key) -> AsyncIterator[Event]:
    async for events in store.follow(key):
        for event in events:
            yield event


def _readable(sent: bytes) -> str:
    """Return a key.

    Raises:
        InvalidRequestError: It cannot be one.
    """
    key = sent.decode("latin-1")
    if not (0 < len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        raise InvalidRequestError(
            f"Invalid Idempotency-Key header: it must have 1 to {LONGEST_KEY} characters of ASCII.",
            code="invalid_idempotency_key",
        )
    return key
