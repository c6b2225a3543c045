"""What the tests keep."""

import time
from collections.abc import Iterable

from claude_relay.store.protocol import Event, Item, Key, Record

HOUR = 3600.0


def key(name: str = "resp_1", owner: str = "ann", kind: str = "response") -> Key:
    return Key(owner, kind, name)


def record(
    name: str = "resp_1",
    *,
    owner: str = "ann",
    kind: str = "response",
    previous: str | None = None,
    lasts: float = HOUR,
    lease: float | None = None,
) -> Record:
    now = time.time()
    return Record(
        key(name, owner, kind),
        f'{{"id":"{name}"}}'.encode(),
        now + lasts,
        previous,
        None if lease is None else now + lease,
    )


def items(*names: str, text: str = "") -> list[Item]:
    return [Item(name, f'{{"id":"{name}","text":"{text}"}}'.encode()) for name in names]


def events(numbers: Iterable[int]) -> list[Event]:
    return [Event(number, f'{{"sequence_number":{number}}}'.encode()) for number in numbers]
