"""A process that writes to a store in SQLite: ``python -m tests.unit.store.writer JOB PATH``."""

import asyncio
import sys
import time
from pathlib import Path

from claude_relay.store.protocol import Store
from claude_relay.store.sqlite import open_store
from tests.unit.store.records import HOUR, events, items, key, record

RESPONSES, AT_ONCE = 1000, 8
TEXT = "x" * 5000


async def respond(store: Store, name: str) -> None:
    """Write one response as the relay does: its input, its events, and all the rest at the end."""
    await store.create(record(name, lease=60), items(f"{name}_in1", f"{name}_in2", text=TEXT))
    await store.append(key(name), events(range(3)))
    await store.append(key(name), events(range(3, 6)))
    outputs = items(f"{name}_out1", f"{name}_out2", text=TEXT)
    await store.complete(key(name), b'{"status":"completed"}', outputs, log_until=time.time() + HOUR)


async def some(store: Store, start: int) -> None:
    """Write some of the responses, and tell of each that is done."""
    for number in range(start, RESPONSES, AT_ONCE):
        await respond(store, f"resp_{number}")
        print(f"resp_{number}", flush=True)


async def main(job: str, path: Path) -> None:
    async with open_store(path) as store:
        print("open", flush=True)
        match job:
            case "responses":
                await asyncio.gather(*(some(store, start) for start in range(AT_ONCE)))
            case "log":
                for number in range(5):
                    await store.append(key(), events([number]))
                    await asyncio.sleep(0.1)
                await store.complete(key(), b"{}", log_until=time.time() + HOUR)
            case _:
                for number in range(100):
                    await store.count("runs", 1, time.time() + HOUR)
                    await store.create(record(f"{job}_{number}"), items(f"{job}_{number}"))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
