"""A response that is kept while it is written, over a store that works, and over one that does not."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from claude_relay.errors import UnavailableError
from claude_relay.responses import recording
from claude_relay.responses.answer import Response
from claude_relay.responses.archive import Archive
from claude_relay.responses.echo import echo
from claude_relay.responses.events import ResponseEvent
from claude_relay.responses.outbound import RenderOptions, begun
from claude_relay.responses.recording import Recording
from claude_relay.responses.schemas import ResponsesRequest
from claude_relay.store import memory
from claude_relay.store.protocol import Event, Key, Record, Store

pytestmark = pytest.mark.anyio
REQUEST = ResponsesRequest(input="x")
RESPONSE = begun(REQUEST, RenderOptions("00", 0, "sonnet", int, {}, echo(REQUEST), is_stored=True))
KEY = Key("ann", "response", RESPONSE.id)
EVENTS = [Event(number, b'event: x\ndata: {"type":"x"}\n\n') for number in range(3)]


class Counting:
    """A store that counts what it is asked, and fails where a test wants it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.asked: list[str] = []
        self.failing: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        async def asked(*args: Any, **fields: Any) -> Any:
            self.asked.append(name)
            if name in self.failing:
                raise UnavailableError("full")
            return await method(*args, **fields)

        return asked


@pytest.fixture
async def store() -> AsyncIterator[Counting]:
    async with memory.open_store() as opened:
        yield Counting(opened)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_WRITE", "ATTENDED", "UNATTENDED"):
        monkeypatch.setattr(recording, name, 0.02)


def recorded(store: Any, response: Response = RESPONSE) -> Recording:
    return Recording(Archive(store, "ann", 30), response, (), lambda: ())


def end(status: Any = "completed") -> ResponseEvent:
    return ResponseEvent("response.completed", 9, replace(RESPONSE, status=status))


async def kept(store: Any) -> tuple[Record | None, Sequence[Event]]:
    return await store.get(KEY), await store.events(KEY)


async def test_a_short_answer_is_written_once(store: Counting) -> None:
    one = recorded(store)
    one.attend()
    one.add(EVENTS[0])

    assert await one.finish(end()) == end()

    await asyncio.sleep(0.06)
    assert store.asked == ["create"]


async def test_a_long_answer_is_written_down_while_its_client_listens(store: Counting) -> None:
    one = recorded(store)
    one.attend()
    for event in EVENTS:
        one.add(event)
        await asyncio.sleep(0.05)
    record, events = await kept(store)
    await one.finish(end())
    whole, log = await kept(store)
    await asyncio.sleep(0.05)

    assert record is not None
    assert whole is not None
    assert (record.lease_until or 0) > time.time()
    assert list(events) == EVENTS
    assert whole.lease_until is None
    assert [event.sequence_number for event in log] == [0, 1, 2, 9]
    assert store.asked[-1] == "events"


async def test_who_is_gone_within_the_first_moment_finds_the_response_again(store: Counting) -> None:
    one = recorded(store)
    one.attend()
    one.add(EVENTS[0])
    leaving = asyncio.create_task(one.departed(5))
    await asyncio.sleep(0.05)
    record, events = await kept(store)
    finished = await one.finish(end())
    leaving.cancel()

    assert record is not None
    assert msgspec.json.decode(record.body)["background"] is True
    assert list(events) == EVENTS[:1]
    assert finished.response.background is True


async def test_a_response_that_nobody_asks_for_is_given_up(store: Counting) -> None:
    one = recorded(store)

    await asyncio.wait_for(one.departed(0.05), 2)

    assert one.is_unwanted
    assert one.is_left_open


async def test_a_response_that_somebody_asks_for_is_not_given_up_until_it_is_cancelled(store: Counting) -> None:
    one = recorded(store)
    leaving = asyncio.create_task(one.departed(0.05))
    await asyncio.sleep(0.03)
    await Archive(store, "ann", 30).get(RESPONSE.id)
    await asyncio.sleep(0.1)
    assert not leaving.done()
    await store.request_cancel(KEY)

    await asyncio.wait_for(leaving, 2)
    assert one.is_unwanted


async def test_a_response_that_cannot_be_made_in_the_background_is_an_error(store: Counting) -> None:
    store.failing = {"create"}
    one = recorded(store)

    with pytest.raises(UnavailableError):
        await one.open()

    assert not one.is_left_open


async def test_a_store_that_fails_for_a_while_costs_nothing(store: Counting) -> None:
    store.failing = {"create", "append", "renew"}
    one = recorded(store)
    leaving = asyncio.create_task(one.departed(5))
    one.add(EVENTS[0])
    await asyncio.sleep(0.05)
    store.failing = set()
    await asyncio.sleep(0.05)
    _, events = await kept(store)
    leaving.cancel()

    assert list(events) == EVENTS[:1]
    assert not one.is_unwanted


@pytest.mark.parametrize("failing", ["append", "complete"])
async def test_a_response_that_cannot_be_completed_says_that_it_is_not_kept(store: Counting, failing: str) -> None:
    one = recorded(store)
    await one.open()
    store.failing = {failing}

    assert (await one.finish(end())).response.store is False


@pytest.mark.parametrize("failing", ["update", "count"])
async def test_a_response_whose_client_has_left_is_given_up_where_the_store_cannot_tell(
    store: Counting, failing: str
) -> None:
    one = recorded(store)
    await one.open()
    store.failing = {failing}

    await asyncio.wait_for(one.departed(0.05), 2)

    assert one.is_unwanted


async def test_nothing_is_written_for_a_client_that_is_not_to_come_back(store: Counting) -> None:
    one = recorded(store)
    one.attend()

    await one.departed(0)
    await asyncio.sleep(0.05)

    assert (store.asked, one.is_unwanted, one.is_left_open) == ([], True, False)


async def test_work_ends_when_its_record_is_deleted(store: Counting) -> None:
    one = recorded(store, replace(RESPONSE, background=True))
    await one.open()

    async def work() -> None:
        await asyncio.sleep(60)

    working = asyncio.create_task(one.while_wanted(work()))
    await asyncio.sleep(0.05)
    await store.delete(KEY)

    await asyncio.wait_for(working, 2)
    await one.finish(end("cancelled"))
    assert await kept(store) == (None, ())
