"""A store in Valkey or Redis, 7.0 or newer, shared by all replicas that name the same server.

Each method is one atomic step, in one round trip (``operations.lua``). All keys of an owner share a hash tag, as a
cluster needs it. The server itself removes what has expired. The parts of a record, each ``claude-relay:PART:PLACE``:

- ``record``: a hash of ``body``, ``created``, ``expires_at``, ``previous``, ``lease_until`` and ``cancelled``
- ``order``: a sorted set, ids of items by position; ``items``: a hash, their bodies
- ``events``: a stream, whose entry ``N-0`` is the event with the sequence number N - 1

``claude-relay:item:OWNER:ID`` is a sorted set, by creation: the places of the records that have an item.
"""

import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from importlib import resources
from typing import Any
from urllib.parse import quote

import msgspec
from valkey.asyncio import Valkey
from valkey.exceptions import ValkeyError

from claude_relay.errors import SettingsError, UnavailableError
from claude_relay.store.protocol import BEFORE_FIRST, MOST_RECENT, Claim, Event, Item, Key, Lease, Page, Record, Store

_OLDEST_SERVER = 7
_BLOCK_MS = 1000
"""How long a follower waits at a time; a lease that runs out wakes nobody."""
_TIMEOUT = 10.0
_BATCH = 500


@asynccontextmanager
async def open_store(url: str) -> AsyncIterator[Store]:
    """Open a store.

    Args:
        url: Where the server is: ``valkey://[[user]:password@]host:port/database``, ``valkeys://`` for TLS, or
            ``unix://[[user]:password@]/path/to/socket``; ``redis://`` and ``rediss://`` are the same.

    Raises:
        SettingsError: This is no such URL.
        UnavailableError: The server cannot be reached, or is too old.
    """
    if url.startswith("redis"):
        url = url.replace("redis", "valkey", 1)
    try:
        client: Valkey = Valkey.from_url(url, socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT)
    except ValueError:
        # what is wrong may be the password
        raise SettingsError("The URL of the store cannot be used.") from None
    try:
        try:
            version: str = (await client.info("server"))["redis_version"]
        except ValkeyError as error:
            raise _unusable(error) from error
        if int(version.partition(".")[0]) < _OLDEST_SERVER:
            raise _unusable(f"its server has version {version}, and {_OLDEST_SERVER}.0 is the oldest that will do")
        yield _ValkeyStore(client)
    finally:
        await client.aclose()


class _ValkeyStore:
    def __init__(self, client: Valkey) -> None:
        self._client = client
        self._script = client.register_script(
            resources.files(__package__).joinpath("operations.lua").read_text("utf-8")
        )

    async def create(
        self,
        record: Record,
        inputs: Sequence[Item] = (),
        outputs: Sequence[Item] = (),
        *,
        copied_to: Key | None = None,
    ) -> bool:
        fields = {"expires_at": repr(record.expires_at)}
        if record.previous is not None:
            fields["previous"] = record.previous
        if record.lease_until is not None:
            fields["lease_until"] = repr(record.lease_until)
        created = await self._run(
            "create",
            record.key,
            data=(record.body, *_bodies(inputs), *_bodies(outputs)),
            fields=fields,
            inputs=_ids(inputs),
            outputs=_ids(outputs),
            expires_ms=_milliseconds(record.expires_at),
            scope=_scope(record.key),
            id=record.key.id,
            most_recent=MOST_RECENT,
            copied_to=copied_to and _place(copied_to),
        )
        return bool(created)

    async def complete(
        self,
        key: Key,
        body: bytes,
        outputs: Sequence[Item] = (),
        *,
        log_until: float,
        copied_to: Key | None = None,
    ) -> bool:
        completed = await self._run(
            "complete",
            key,
            data=(body, *_bodies(outputs)),
            outputs=_ids(outputs),
            log_ms=_milliseconds(log_until),
            copied_to=copied_to and _place(copied_to),
        )
        return bool(completed)

    async def update(self, key: Key, *, body: bytes | None, inputs: Sequence[Item] = (), expires_at: float) -> bool:
        updated = await self._run(
            "update",
            key,
            data=_bodies(inputs) if body is None else (body, *_bodies(inputs)),
            has_body=body is not None,
            inputs=_ids(inputs),
            expires_at=repr(expires_at),
            expires_ms=_milliseconds(expires_at),
        )
        return bool(updated)

    async def get(self, key: Key) -> Record | None:
        body, *rest = await self._run("get", key)
        return None if body is None else _record(key, body, *rest)

    async def recent(self, owner: str, kind: str, limit: int) -> tuple[Record, ...]:
        scope = Key(owner, kind, "")
        found = await self._run("recent", scope, "recent", scope=_scope(scope), limit=min(limit, MOST_RECENT))
        return tuple(_record(Key(owner, kind, name.decode()), *fields) for name, fields in found)

    async def delete(self, key: Key) -> bool:
        return bool(await self._run("delete", key, scope=_scope(key), id=key.id))

    async def renew(self, key: Key, lease_until: float) -> Lease:
        outcome = await self._run("renew", key, lease_until=repr(lease_until))
        lease: Lease = msgspec.convert(outcome.decode(), Lease)
        return lease

    async def request_cancel(self, key: Key) -> bool:
        return bool(await self._run("request_cancel", key))

    async def history(self, key: Key, expires_at: float) -> tuple[Item, ...] | None:
        scope, until, milliseconds = _scope(key), repr(expires_at), _milliseconds(expires_at)
        found = await self._run("history", key, scope=scope, expires_at=until, expires_ms=milliseconds)
        return None if found is None else _items(found)

    async def items(self, owner: str, ids: Sequence[str]) -> dict[str, Item]:
        return {item.id: item for item in _items(await self._run("items", Key(owner, "", ""), ids=ids))}

    async def item(self, key: Key, item_id: str) -> Item | None:
        body = await self._run("item", key, id=item_id)
        return None if body is None else Item(item_id, body)

    async def page(self, key: Key, *, after: str | None = None, limit: int, descending: bool = False) -> Page | None:
        found = await self._run("page", key, after=after, limit=limit + 1, descending=descending)
        return None if found is None else Page(_items(found[:limit]), has_more=len(found) > limit)

    async def remove_item(self, key: Key, item_id: str) -> bool:
        return bool(await self._run("remove_item", key, id=item_id))

    async def append(self, key: Key, events: Sequence[Event]) -> bool:
        numbers, data = [event.sequence_number for event in events], [event.data for event in events]
        return bool(await self._run("append", key, data=data, sequence_numbers=numbers))

    async def events(self, key: Key, after: int = BEFORE_FIRST) -> tuple[Event, ...]:
        try:
            entries = await self._client.xrange(_name("events", _place(key)), min=f"{after + 2}-0")
        except ValkeyError as error:
            raise _unusable(error) from error
        return tuple(_events(entries))

    async def follow(self, key: Key, after: int = BEFORE_FIRST) -> AsyncIterator[tuple[Event, ...]]:
        stream, last = _name("events", _place(key)), f"{after + 1}-0".encode()
        is_over = False
        while not is_over:
            lease_until = await self._run("lease", key)
            is_leased = lease_until is not None and float(lease_until) > time.time()
            try:
                reply = await self._client.xread({stream: last}, count=_BATCH, block=_BLOCK_MS if is_leased else None)
            except ValkeyError as error:
                raise _unusable(error) from error
            entries: list[tuple[bytes, dict[bytes, bytes]]] = reply[0][1] if reply else []
            events = _events(entries)
            if events:
                yield tuple(events)
            is_over = len(events) < len(entries) or not (is_leased or entries)
            last = entries[-1][0] if entries else last

    async def claim(self, owner: str, key: str, *, digest: bytes, response_id: str, expires_at: float) -> Claim:
        outcome, holder = await self._run(
            "claim",
            Key(owner, "", key),
            "claim",
            data=(digest,),
            response_id=response_id,
            expires_ms=_milliseconds(expires_at),
        )
        return msgspec.convert({"outcome": outcome.decode(), "response_id": holder.decode()}, Claim)

    async def release(self, owner: str, key: str, response_id: str) -> None:
        await self._run("release", Key(owner, "", key), "claim", response_id=response_id)

    async def count(self, name: str, amount: float, expires_at: float) -> float:
        until = _milliseconds(expires_at)
        return float(await self._run("count", Key("", "", name), "counter", amount=repr(amount), expires_ms=until))

    async def admit(self, name: str, amount: int, *, most: int, seconds: float) -> float:
        window_us = int(seconds * 1_000_000)
        wait_us = await self._run("admit", Key("", "", name), "admitted", amount=amount, most=most, window_us=window_us)
        return int(wait_us) / 1_000_000

    async def withdraw(self, name: str, amount: int) -> None:
        await self._run("withdraw", Key("", "", name), "admitted", amount=amount)

    async def sweep(self) -> None:
        """Do nothing: the server removes what has expired."""

    async def _run(
        self, operation: str, key: Key, part: str = "record", *, data: Iterable[bytes] = (), **arguments: object
    ) -> Any:
        """Run an operation on one part of what a key leads to, with its data in the order in which it is used."""
        place = _place(key)
        packed = msgspec.msgpack.encode({"operation": operation, "place": place, "tag": _tag(key.owner), **arguments})
        try:
            return await self._script([_name(part, place)], [packed, *data])
        except ValkeyError as error:
            raise _unusable(error) from error


def _tag(owner: str) -> str:
    return "{" + quote(f"owner:{owner}", safe=":") + "}"


def _place(key: Key) -> str:
    return f"{_tag(key.owner)}:{quote(key.kind, safe='')}:{key.id}"


def _scope(key: Key) -> str:
    """Return what the places of all records of an owner and kind begin with."""
    return _place(Key(key.owner, key.kind, ""))


def _record(key: Key, body: bytes, expires_at: bytes, previous: bytes | None, lease_until: bytes | None) -> Record:
    lease = None if lease_until is None else float(lease_until)
    return Record(key, body, float(expires_at), None if previous is None else previous.decode(), lease)


def _name(part: str, place: str) -> str:
    return f"claude-relay:{part}:{place}"


def _milliseconds(moment: float) -> int:
    return int(moment * 1000)


def _ids(items: Sequence[Item]) -> list[str]:
    return [item.id for item in items]


def _bodies(items: Sequence[Item]) -> list[bytes]:
    return [item.body for item in items]


def _items(found: Sequence[tuple[bytes, bytes]]) -> tuple[Item, ...]:
    return tuple(Item(name.decode(), body) for name, body in found)


def _events(entries: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> list[Event]:
    """Return what entries of a stream hold; the last one of a log that is complete is no event."""
    return [Event(int(name[:-2]) - 1, entry[b"event"]) for name, entry in entries if b"event" in entry]


def _unusable(why: object) -> UnavailableError:
    return UnavailableError(f"The store cannot be used: {str(why).rstrip('.')}.", code="store_unavailable")
