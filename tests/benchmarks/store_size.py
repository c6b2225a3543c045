"""What a look-up costs in a store with 100,000 responses, against one with 100.

Run by hand: ``uv run python -m tests.benchmarks.store_size [--valkey URL]``. It needs some 500 MB of disk for
SQLite; the database of Valkey must be empty, and is emptied again. The exit code is 1 if anything takes twice as long.
"""

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from valkey.asyncio import Valkey

from claude_relay.store import sqlite, valkey
from claude_relay.store.protocol import Item, Key, Record, Store

SMALL, LARGE = 100, 100_000
INPUTS, TURNS, OWNERS = 30, 10, 10
ROUNDS, CALLS = 15, 100
MOST = 2.0
BODY = b'{"type":"message","content":[{"type":"output_text","text":"' + b"some words " * 20 + b'"}]}'
Call = Callable[[Store, int], Awaitable[object]]


def key(number: int) -> Key:
    # the responses of a conversation are of one owner
    return Key(f"owner_{number // TURNS % OWNERS}", "response", f"resp_{number}")


def item_id(number: int, name: str) -> str:
    return f"msg_{number}_{name}"


async def create(store: Store, number: int) -> None:
    previous = key(number - 1).id if number % TURNS else None
    # the first one of each conversation is long, so that there is something to page through
    count = 2 if number % TURNS else INPUTS
    inputs = [Item(item_id(number, str(each)), BODY) for each in range(count)]
    record = Record(key(number), BODY, time.time() + 86_400, previous)
    assert await store.create(record, inputs, [Item(item_id(number, "out"), BODY)])


async def get(store: Store, number: int) -> None:
    assert await store.get(key(number))


async def items(store: Store, number: int) -> None:
    ids = [item_id(number, "out"), item_id(number, "0"), item_id(number, "1")]
    assert len(await store.items(key(number).owner, ids)) == len(ids)


async def page(store: Store, number: int) -> None:
    first = number - number % TURNS
    found = await store.page(key(first), after=item_id(first, "20"), limit=20, descending=True)
    assert found is not None
    assert len(found.items) == 20


async def history(store: Store, number: int) -> None:
    last = number - number % TURNS + TURNS - 1
    found = await store.history(key(last), 0)
    assert found is not None
    assert len(found) == INPUTS + 1 + 3 * (TURNS - 1)


CALLS_BY_NAME: dict[str, Call] = {"get": get, "items by id": items, "a page": page, "history of 10": history}


async def measure(opening: AbstractAsyncContextManager[Store], size: int) -> dict[str, float]:
    """Return milliseconds of each call, the median of some rounds, on responses all over the store."""
    chosen = random.Random(1)
    async with opening as store:
        for start in range(0, size, 100):
            await asyncio.gather(*(create(store, number) for number in range(start, start + 100)))
        found = {}
        for name, call in CALLS_BY_NAME.items():
            rounds = []
            for _ in range(ROUNDS):
                begun = time.perf_counter()
                for _ in range(CALLS):
                    await call(store, chosen.randrange(size))
                rounds.append((time.perf_counter() - begun) / CALLS * 1000)
            found[name] = statistics.median(rounds)
        return found


def compare(name: str, few: dict[str, float], many: dict[str, float], large: int) -> bool:
    """Print both, and return whether nothing takes much longer."""
    print(f"{name:8} {'':14} {SMALL:>10,} {large:>10,}   ratio")
    for call, least in few.items():
        print(f"{name:8} {call:14} {least:7.3f} ms {many[call]:7.3f} ms {many[call] / least:7.2f}")
    return all(many[call] < MOST * least for call, least in few.items())


async def of_sqlite(size: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        return await measure(sqlite.open_store(Path(folder, "store.db")), size)


async def of_valkey(url: str, size: int) -> dict[str, float]:
    async with Valkey.from_url(url) as client:
        assert await client.dbsize() == 0, "the database is not empty"
        try:
            return await measure(valkey.open_store(url), size)
        finally:
            await client.flushdb()


async def main() -> bool:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--valkey", metavar="URL")
    parser.add_argument("--large", type=int, default=LARGE)
    arguments = parser.parse_args()
    large: int = arguments.large
    is_good = compare("SQLite", await of_sqlite(SMALL), await of_sqlite(large), large)
    if url := arguments.valkey:
        is_good &= compare("Valkey", await of_valkey(url, SMALL), await of_valkey(url, large), large)
    return is_good


if __name__ == "__main__":
    sys.exit(not asyncio.run(main()))
