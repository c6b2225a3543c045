"""A store in memory, for tests: it ends with its process, and only that process sees it."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from msgspec.structs import replace

from claude_relay.store.counters import MemoryCounters
from claude_relay.store.protocol import BEFORE_FIRST, MOST_RECENT, Claim, Event, Item, Key, Lease, Page, Record, Store

_GLANCE_AT_LEASES = 0.1
"""Seconds; a lease that runs out wakes nobody."""


@asynccontextmanager
async def open_store() -> AsyncIterator[Store]:
    """Open an empty store."""
    yield _MemoryStore()


@dataclass
class _Entry:
    """A record, and what belongs to it."""

    record: Record
    inputs: dict[str, Item] = field(default_factory=dict)
    outputs: dict[str, Item] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    log_until: float = float("inf")
    is_cancelled: bool = False


class _MemoryStore:
    def __init__(self) -> None:
        self._entries: dict[Key, _Entry] = {}
        self._claims: dict[tuple[str, str], tuple[bytes, str, float]] = {}
        self._counters = MemoryCounters()
        self._changed = asyncio.Condition()

    async def create(
        self,
        record: Record,
        inputs: Sequence[Item] = (),
        outputs: Sequence[Item] = (),
        *,
        copied_to: Key | None = None,
    ) -> bool:
        if self._find(record.key) is not None:
            return False
        self._entries.pop(record.key, None)
        self._entries[record.key] = entry = _Entry(record)
        _keep(entry.inputs, entry, inputs)
        _keep(entry.outputs, entry, outputs)
        self._copy(entry, copied_to)
        return True

    async def complete(
        self,
        key: Key,
        body: bytes,
        outputs: Sequence[Item] = (),
        *,
        log_until: float,
        copied_to: Key | None = None,
    ) -> bool:
        entry = self._find_leased(key)
        if entry is None:
            return False
        entry.record = replace(entry.record, body=body, lease_until=None)
        entry.log_until = log_until
        _keep(entry.outputs, entry, outputs)
        self._copy(entry, copied_to)
        await self._notify()
        return True

    async def update(self, key: Key, *, body: bytes | None, inputs: Sequence[Item] = (), expires_at: float) -> bool:
        entry = self._find(key)
        if entry is None:
            return False
        _keep_longer(entry, expires_at)
        entry.record = replace(entry.record, body=entry.record.body if body is None else body)
        _keep(entry.inputs, entry, inputs)
        return True

    async def get(self, key: Key) -> Record | None:
        entry = self._find(key)
        return None if entry is None else entry.record

    async def recent(self, owner: str, kind: str, limit: int) -> tuple[Record, ...]:
        mine = (key for key in reversed(self._entries) if (key.owner, key.kind) == (owner, kind))
        found = (entry.record for key in mine if (entry := self._find(key)) is not None)
        return tuple(itertools.islice(found, min(limit, MOST_RECENT)))

    async def delete(self, key: Key) -> bool:
        if self._find(key) is None:
            return False
        del self._entries[key]
        await self._notify()
        return True

    async def renew(self, key: Key, lease_until: float) -> Lease:
        entry = self._find_leased(key)
        if entry is None:
            return "lost"
        entry.record = replace(entry.record, lease_until=lease_until)
        return "cancelled" if entry.is_cancelled else "held"

    async def request_cancel(self, key: Key) -> bool:
        entry = self._find_leased(key)
        if entry is not None:
            entry.is_cancelled = True
        return entry is not None

    async def history(self, key: Key, expires_at: float) -> tuple[Item, ...] | None:
        chain = []
        link: Key | None = key
        while link is not None:
            entry = self._find(link)
            if entry is None:
                return None
            chain.append(entry)
            link = replace(link, id=entry.record.previous) if entry.record.previous is not None else None
        for entry in chain:
            _keep_longer(entry, expires_at)
        return tuple(item for entry in reversed(chain) for item in _items(entry))

    async def items(self, owner: str, ids: Sequence[str]) -> dict[str, Item]:
        entries = [entry for key in self._entries if key.owner == owner and (entry := self._find(key))]
        return {item.id: item for entry in entries for item in _items(entry) if item.id in ids}

    async def item(self, key: Key, item_id: str) -> Item | None:
        entry = self._find(key)
        return None if entry is None else entry.inputs.get(item_id) or entry.outputs.get(item_id)

    async def page(self, key: Key, *, after: str | None = None, limit: int, descending: bool = False) -> Page | None:
        entry = self._find(key)
        if entry is None or (after is not None and after not in entry.inputs):
            return None
        items = list(entry.inputs.values())[:: -1 if descending else 1]
        start = 0 if after is None else items.index(entry.inputs[after]) + 1
        return Page(tuple(items[start : start + limit]), has_more=len(items) > start + limit)

    async def remove_item(self, key: Key, item_id: str) -> bool:
        entry = self._find(key)
        return entry is not None and bool(entry.inputs.pop(item_id, None) or entry.outputs.pop(item_id, None))

    async def append(self, key: Key, events: Sequence[Event]) -> bool:
        entry = self._find_leased(key)
        if entry is None:
            return False
        for event in events:
            if not entry.events or event.sequence_number > entry.events[-1].sequence_number:
                entry.events.append(event)
        await self._notify()
        return True

    async def events(self, key: Key, after: int = BEFORE_FIRST) -> tuple[Event, ...]:
        entry = self._find(key)
        if entry is None or entry.log_until <= time.time():
            return ()
        return tuple(event for event in entry.events if event.sequence_number > after)

    async def follow(self, key: Key, after: int = BEFORE_FIRST) -> AsyncIterator[tuple[Event, ...]]:
        while (entry := self._find(key)) and entry.log_until > time.time():
            events = tuple(event for event in entry.events if event.sequence_number > after)
            lease = entry.record.lease_until
            if events:
                after = events[-1].sequence_number
                yield events
            elif lease is None or lease < time.time():
                return
            else:
                await self._wait()

    async def claim(self, owner: str, key: str, *, digest: bytes, response_id: str, expires_at: float) -> Claim:
        held = self._claims.get((owner, key))
        if held is None or held[2] <= time.time():
            self._claims[owner, key] = (digest, response_id, expires_at)
            return Claim("new", response_id)
        return Claim("joined" if held[0] == digest else "conflict", held[1])

    async def release(self, owner: str, key: str, response_id: str) -> None:
        if self._claims.get((owner, key), (b"", None, 0))[1] == response_id:
            del self._claims[owner, key]

    async def count(self, name: str, amount: float, expires_at: float) -> float:
        return await self._counters.count(name, amount, expires_at)

    async def admit(self, name: str, amount: int, *, most: int, seconds: float) -> float:
        return await self._counters.admit(name, amount, most=most, seconds=seconds)

    async def withdraw(self, name: str, amount: int) -> None:
        await self._counters.withdraw(name, amount)

    async def sweep(self) -> None:
        now = time.time()
        self._entries = {key: entry for key, entry in self._entries.items() if entry.record.expires_at > now}
        self._claims = {key: claim for key, claim in self._claims.items() if claim[2] > now}
        self._counters.forget()

    def _copy(self, entry: _Entry, key: Key | None) -> None:
        """Copy the items of a record to the inputs of another one, if it is there."""
        if key is not None and (other := self._find(key)) is not None:
            _keep_longer(other, entry.record.expires_at)
            _keep(other.inputs, other, tuple(_items(entry)))

    def _find(self, key: Key) -> _Entry | None:
        entry = self._entries.get(key)
        return entry if entry is not None and entry.record.expires_at > time.time() else None

    def _find_leased(self, key: Key) -> _Entry | None:
        entry = self._find(key)
        return entry if entry is not None and entry.record.lease_until is not None else None

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _wait(self) -> None:
        """Wait until something has changed, or it is time to look at leases again."""
        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait(), _GLANCE_AT_LEASES)
            except TimeoutError:
                return


def _items(entry: _Entry) -> Iterator[Item]:
    yield from entry.inputs.values()
    yield from entry.outputs.values()


def _keep(part: dict[str, Item], entry: _Entry, items: Sequence[Item]) -> None:
    """Put items into the inputs or outputs, or into the place of those that have their ids."""
    for item in items:
        place = next((each for each in (entry.inputs, entry.outputs) if item.id in each), part)
        place[item.id] = item


def _keep_longer(entry: _Entry, expires_at: float) -> None:
    entry.record = replace(entry.record, expires_at=max(entry.record.expires_at, expires_at))
