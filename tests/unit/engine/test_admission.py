"""How many may come in at once, and who waits."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from claude_relay.engine.admission import Admission
from claude_relay.errors import RateLimitError

pytestmark = pytest.mark.anyio


class Visits:
    """Visitors who stay until they are told to go.

    Attributes:
        came: Who came in, in order.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.came: list[str] = []

    async def begin(self, *names: str) -> None:
        for name in names:
            self._ends[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._visit(name))
            await settled()

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await settled()

    async def leave(self, name: str) -> None:
        self.tasks[name].cancel()
        await settled()

    async def _visit(self, name: str) -> None:
        async with self._admission.admitted():
            self.came.append(name)
            await self._ends[name].wait()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def visits_of(concurrent: int, queue: int) -> AsyncIterator[Visits]:
    visits = Visits(Admission(concurrent, queue))
    yield visits
    for task in visits.tasks.values():
        task.cancel()
    await asyncio.gather(*visits.tasks.values(), return_exceptions=True)


@pytest.fixture
async def one() -> AsyncIterator[Visits]:
    """One place, and a line for two."""
    async for visits in visits_of(1, 2):
        yield visits


def refused(visits: Visits, name: str) -> bool:
    task = visits.tasks[name]
    return task.done() and not task.cancelled() and isinstance(task.exception(), RateLimitError)


async def test_as_many_as_there_are_places_come_in_at_once() -> None:
    async for visits in visits_of(3, 0):
        await visits.begin("a", "b", "c")

        assert visits.came == ["a", "b", "c"]


async def test_who_comes_first_is_served_first(one: Visits) -> None:
    await one.begin("a", "b", "c")
    assert (one.came, one._admission.waiting) == (["a"], 2)

    await one.end("a")
    assert (one.came, one._admission.waiting) == (["a", "b"], 1)

    await one.end("b")
    assert (one.came, one._admission.waiting) == (["a", "b", "c"], 0)


async def test_who_finds_the_line_full_is_told_when_to_come_back(one: Visits) -> None:
    await one.begin("a", "b", "c", "d")

    with pytest.raises(RateLimitError) as raised:
        await one.tasks["d"]

    assert (raised.value.status, raised.value.code, raised.value.retry_after) == (429, "queue_full", 5.0)
    assert one._admission.waiting == 2


async def test_without_a_line_nobody_waits() -> None:
    async for visits in visits_of(1, 0):
        await visits.begin("a", "b")
        assert refused(visits, "b")

        await visits.end("a")
        await visits.begin("c")
        assert visits.came == ["a", "c"]


async def test_who_leaves_the_line_makes_room_in_it(one: Visits) -> None:
    await one.begin("a", "b", "c")

    await one.leave("b")
    assert one._admission.waiting == 1
    await one.begin("d")
    assert not refused(one, "d")

    await one.end("a")
    await one.end("c")
    assert one.came == ["a", "c", "d"]


async def test_who_is_cancelled_inside_leaves_the_place_to_the_next(one: Visits) -> None:
    await one.begin("a", "b")

    await one.leave("a")

    assert one.came == ["a", "b"]
    assert one._admission.waiting == 0


async def test_who_fails_inside_leaves_the_place_to_the_next() -> None:
    admission = Admission(1, 0)

    with pytest.raises(ZeroDivisionError):
        async with admission.admitted():
            raise ZeroDivisionError

    async with admission.admitted():
        pass


async def test_who_leaves_in_the_moment_of_being_called_in_gives_the_place_on(one: Visits) -> None:
    await one.begin("a", "b", "c")

    one._ends["a"].set()
    await asyncio.sleep(0)
    one.tasks["b"].cancel()
    await settled()

    assert one.came[-1] == "c"
    assert one._admission.waiting == 0


async def test_nobody_who_comes_later_overtakes_the_line(one: Visits) -> None:
    await one.begin("a", "b")

    one._ends["a"].set()
    one._ends["d"] = asyncio.Event()
    one.tasks["d"] = asyncio.create_task(one._visit("d"))
    await settled()

    assert one.came == ["a", "b"]
