"""What every store does. Bodies and items are JSON that no store looks into.

A time is in seconds since the epoch. What has expired is not found, whether or not it is removed yet.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Literal, Protocol

from msgspec import Struct

BEFORE_FIRST = -1
"""The sequence number to read the whole log after."""

MOST_RECENT = 100
"""How many of an owner's records can be listed."""


class Key(Struct, frozen=True):
    """Where a record is; a key with another owner leads to nothing.

    Attributes:
        owner: The identity of the caller whose it is, never a caller's API key.
        kind: Which records share a space of ids, such as ``response``.
        id: The record's id.
    """

    owner: str
    kind: str
    id: str


class Record(Struct, frozen=True):
    """A response or a conversation, without its items.

    Attributes:
        key: Where it is.
        body: It as JSON.
        expires_at: Until when it is kept, with its items and events.
        previous: The id of the record of the same owner and kind that it continues.
        lease_until: Until when somebody works on it; None when it is complete. A lease that has run out was
            abandoned: its worker is gone.
    """

    key: Key
    body: bytes
    expires_at: float
    previous: str | None = None
    lease_until: float | None = None


class Item(Struct, frozen=True):
    """An item of a response or a conversation, as JSON."""

    id: str
    body: bytes


class Page(Struct, frozen=True):
    """Some of a record's items, and whether there are more."""

    items: tuple[Item, ...]
    has_more: bool


class Event(Struct, frozen=True):
    """An event of a log; the sequence numbers of a log rise from 0 on, not always by one."""

    sequence_number: int
    data: bytes


class Claim(Struct, frozen=True):
    """What a claim of an idempotency key led to.

    Attributes:
        outcome: ``new``: the key was free. ``joined``: the same request has it. ``conflict``: another request has it.
        response_id: The response that has the key.
    """

    outcome: Literal["new", "joined", "conflict"]
    response_id: str


Lease = Literal["held", "cancelled", "lost"]
"""What a worker learns of its record: go on; somebody asked to cancel; it was deleted, or completed by others."""


class Store(Protocol):
    """Keeps records, shared by all workers and replicas that open the same one.

    Each method takes effect whole or not at all. All of them raise ``UnavailableError`` if the store cannot be used.
    """

    async def create(
        self,
        record: Record,
        inputs: Sequence[Item] = (),
        outputs: Sequence[Item] = (),
        *,
        copied_to: Key | None = None,
    ) -> bool:
        """Keep a new record and its items, and return whether its key was free; if not, nothing changes.

        Args:
            record: The record.
            inputs: What it was made from.
            outputs: What it made.
            copied_to: A record of the same owner that gets all of these items too, at the end of its inputs, and is
                kept as long; nothing happens to it if it is gone.
        """

    async def complete(
        self,
        key: Key,
        body: bytes,
        outputs: Sequence[Item] = (),
        *,
        log_until: float,
        copied_to: Key | None = None,
    ) -> bool:
        """End the work on a record, with its final body and the items that it made.

        Args:
            key: The record.
            body: Replaces its body.
            outputs: What it made.
            log_until: Until when its events are kept, if that is before it expires.
            copied_to: A record that gets all of its items too, as with ``create``.

        Returns:
            Whether that took effect: only the first completion of a record does.
        """

    async def update(self, key: Key, *, body: bytes | None, inputs: Sequence[Item] = (), expires_at: float) -> bool:
        """Replace a record's body unless it is None, append to its inputs, keep it longer, and return if it is there.

        An item whose id the record has already replaces the former one, in its place.
        """

    async def get(self, key: Key) -> Record | None:
        """Return a record."""

    async def recent(self, owner: str, kind: str, limit: int) -> tuple[Record, ...]:
        """Return the records of an owner that were created last, the newest first.

        Args:
            owner: The identity of the caller.
            kind: Which records.
            limit: How many at most; a store may know no more than the last ``MOST_RECENT``.
        """

    async def delete(self, key: Key) -> bool:
        """Remove a record, its items and its events, and return whether it was there."""

    async def renew(self, key: Key, lease_until: float) -> Lease:
        """Prolong the lease of who works on a record, and tell whether to go on."""

    async def request_cancel(self, key: Key) -> bool:
        """Ask who works on a record to cancel, and return whether it is being worked on."""

    async def history(self, key: Key, expires_at: float) -> tuple[Item, ...] | None:
        """Return all items of a record and of those that it continues, oldest first, and keep these records longer.

        Args:
            key: The record.
            expires_at: Until when to keep them at least. Rounded up to whole days, it rarely changes anything, so that
                most turns of a conversation write nothing for those before.

        Returns:
            The inputs of each record, then its outputs; None if any of the records is gone.
        """

    async def items(self, owner: str, ids: Sequence[str]) -> dict[str, Item]:
        """Return those of a caller's items that are there, by id, from the newest record that has each."""

    async def item(self, key: Key, item_id: str) -> Item | None:
        """Return one item of a record."""

    async def page(self, key: Key, *, after: str | None = None, limit: int, descending: bool = False) -> Page | None:
        """Return some of a record's inputs, in their order.

        Args:
            key: The record.
            after: The id of the item to go on behind.
            limit: How many at most.
            descending: Newest first.

        Returns:
            The page; None if the record, or the item to go on behind, is not there.
        """

    async def remove_item(self, key: Key, item_id: str) -> bool:
        """Remove one item of a record, and return whether it was there."""

    async def append(self, key: Key, events: Sequence[Event]) -> bool:
        """Append to a record's log, for its one worker, and return whether it is still being worked on.

        Events whose numbers are not above the last one are there already, and are passed over.
        """

    async def events(self, key: Key, after: int = BEFORE_FIRST) -> tuple[Event, ...]:
        """Return the events of a log after a sequence number, as far as there are any by now."""

    def follow(self, key: Key, after: int = BEFORE_FIRST) -> AsyncIterator[tuple[Event, ...]]:
        """Yield the events of a log after a sequence number, and new ones as they come.

        It ends when all are read and nobody works on the record: it is complete, abandoned or gone.
        """

    async def claim(self, owner: str, key: str, *, digest: bytes, response_id: str, expires_at: float) -> Claim:
        """Claim an idempotency key for a response, if it is free.

        Args:
            owner: The identity of the caller.
            key: The idempotency key.
            digest: Stands for the request: equal for equal requests.
            response_id: The response that is to answer it.
            expires_at: When the key is free again.
        """

    async def release(self, owner: str, key: str, response_id: str) -> None:
        """Free an idempotency key, if this response has it: the request failed, and may be tried again."""

    async def count(self, name: str, amount: float, expires_at: float) -> float:
        """Add to a counter, and return its sum.

        Args:
            name: The counter; it begins at 0.
            amount: What to add; negative to take back, 0 to read.
            expires_at: When it begins anew. Only the first amount decides.
        """

    async def admit(self, name: str, amount: int, *, most: int, seconds: float) -> float:
        """Count an amount, if no more than so much is counted within any stretch of time.

        Args:
            name: What is counted; apart from the counters.
            amount: What to add, all of it or nothing.
            most: How much is allowed.
            seconds: The stretch of time.

        Returns:
            0 if it was counted, else in how many seconds there may be room for it.
        """

    async def withdraw(self, name: str, amount: int) -> None:
        """Take back what was admitted last."""

    async def sweep(self) -> None:
        """Remove what has expired; to be called from time to time."""
