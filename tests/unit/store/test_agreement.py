"""All stores answer alike to whatever is asked of them, in any order."""

import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from claude_relay.store import memory, sqlite, valkey
from claude_relay.store.protocol import Event, Item, Store
from tests.unit.store.records import HOUR, events, items, key, record

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

STEPS = 400
Operation = Callable[[Store], Awaitable[object]]


def operation(chosen: random.Random, started: float) -> Operation:
    """Return something that a store is asked, the same for each."""
    where = key(chosen.choice("abcd"), chosen.choice(("ann", "ann", "bob")))
    later = started + HOUR + chosen.randrange(1000)
    some = [
        replace(item, body=chosen.randbytes(8)) for item in items(*chosen.choices("stuvwxyz", k=chosen.randrange(4)))
    ]
    others = [Item(item.id.upper(), item.body) for item in some[:2]]
    one = chosen.choice("stuvwxyzSTUV")
    previous = chosen.choice((None, None, chr(ord(where.id) - 1)))
    new = replace(
        record(where.id, owner=where.owner, previous=previous),
        expires_at=later,
        lease_until=chosen.choice((None, started - 1.5, started - 0.25)),
    )
    start = chosen.randrange(6)
    after, limit, descending = chosen.choice((None, one)), chosen.randrange(1, 4), chosen.random() < 0.5

    async def follow(store: Store) -> list[Event]:
        return [event async for batch in store.follow(where, start - 1) for event in batch]

    copied_to = chosen.choice((None, key(chosen.choice("abcd"), where.owner)))

    operations: tuple[Operation, ...] = (
        lambda store: store.create(new, some, others, copied_to=copied_to),
        lambda store: store.complete(where, b"{}", others, log_until=later, copied_to=copied_to),
        lambda store: store.update(where, body=None if start % 2 else b"[]", inputs=some, expires_at=later),
        lambda store: store.get(where),
        lambda store: store.delete(where),
        lambda store: store.renew(where, started - 1),
        lambda store: store.request_cancel(where),
        lambda store: store.history(where, later),
        lambda store: store.items(where.owner, [one, "s", "S"]),
        lambda store: store.item(where, one),
        lambda store: store.page(where, after=after, limit=limit, descending=descending),
        lambda store: store.remove_item(where, one),
        lambda store: store.append(where, events(range(start, start + 3))),
        follow,
        lambda store: store.claim(where.owner, one, digest=b"%d" % limit, response_id=where.id, expires_at=later),
        lambda store: store.release(where.owner, one, where.id),
        lambda store: store.count(one, start, later),
        lambda store: store.sweep(),
        lambda store: store.events(where, start - 1),
    )
    weights = [6 if at == 0 else 1 if at in {4, 17} else 3 for at in range(len(operations))]
    return chosen.choices(operations, weights)[0]


@pytest.mark.parametrize("seed", range(4))
async def test_stores_answer_alike(seed: int, tmp_path: Path, valkey_url: str) -> None:
    chosen, started = random.Random(seed), time.time()
    async with (
        memory.open_store() as first,
        sqlite.open_store(tmp_path / "store.db") as second,
        valkey.open_store(valkey_url) as third,
    ):
        for _ in range(STEPS):
            asked = operation(chosen, started)
            answer = await asked(first)
            assert await asked(second) == answer
            assert await asked(third) == answer
