"""How many may come in at once, who waits, and whose turn it is."""

import asyncio
import gc
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from claude_relay.engine.limits import admission as admission_module
from claude_relay.engine.limits.admission import Admission, Capacity, capacity
from claude_relay.errors import RateLimitError
from claude_relay.settings import Settings

pytestmark = pytest.mark.anyio

ENDLESS = 1000.0


class Visits:
    """Visitors who stay until they are told to go. Who calls is the letter that the name begins with.

    Attributes:
        came: Who came in, in order.
    """

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self._ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.came: list[str] = []
        self.inside: set[str] = set()

    async def begin(self, *names: str) -> None:
        for name in names:
            self.begin_unseen(name)
            await settled()

    def begin_unseen(self, name: str) -> None:
        self._ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._visit(name))

    async def end(self, *names: str) -> None:
        for name in names:
            self.end_unseen(name)
            await settled()

    def end_unseen(self, name: str) -> None:
        self._ends[name].set()

    async def leave(self, name: str) -> None:
        self.tasks[name].cancel()
        await settled()

    async def failure(self, name: str) -> RateLimitError:
        with pytest.raises(RateLimitError) as raised:
            await self.tasks[name]
        return raised.value

    async def _visit(self, name: str) -> None:
        with self.admission.enter(name[0]) as ticket:
            await ticket.wait()
            self.came.append(name)
            self.inside.add(name)
            try:
                await self._ends[name].wait()
            finally:
                self.inside.discard(name)


async def settled() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


@asynccontextmanager
async def visits(
    concurrent: int, queue: int, queue_timeout: float = ENDLESS, per_caller: int = 0
) -> AsyncIterator[Visits]:
    """Everybody has left in the end, and every place is free again."""
    found = Visits(Admission(Capacity(concurrent, queue, queue_timeout, per_caller)))
    yield found
    for task in found.tasks.values():
        task.cancel()
    await asyncio.gather(*found.tasks.values(), return_exceptions=True)
    assert_empty(found.admission)


def assert_empty(admission: Admission) -> None:
    """Nothing is kept of those who have left, so that callers who come once cost nothing for ever."""
    assert admission.waiting == 0
    assert admission._running == Counter()
    assert len(admission._running) == 0
    assert admission._queues == {}


# --- room and order --------------------------------------------------------------------------------------------------


async def test_as_many_as_there_are_places_come_in_at_once() -> None:
    async with visits(3, 2) as found:
        await found.begin("a1", "a2", "a3", "a4")

        assert found.came == ["a1", "a2", "a3"]
        assert found.admission.waiting == 1


async def test_who_comes_first_is_served_first() -> None:
    async with visits(1, 2) as found:
        await found.begin("a1", "a2", "a3")
        assert (found.came, found.admission.waiting) == (["a1"], 2)

        await found.end("a1")
        assert (found.came, found.admission.waiting) == (["a1", "a2"], 1)

        await found.end("a2")
        assert (found.came, found.admission.waiting) == (["a1", "a2", "a3"], 0)


async def test_without_a_line_nobody_waits() -> None:
    async with visits(1, 0) as found:
        await found.begin("a1", "b1")
        assert (await found.failure("b1")).code == "queue_full"

        await found.end("a1")
        await found.begin("b2")
        assert found.came == ["a1", "b2"]


async def test_who_finds_the_line_full_is_told_when_to_come_back() -> None:
    async with visits(1, 2) as found:
        await found.begin("a1", "a2", "a3", "a4")

        error = await found.failure("a4")

        assert (error.status, error.code, error.retry_after) == (429, "queue_full", 15.0)
        assert found.admission.waiting == 2


async def test_who_fails_inside_leaves_the_place_to_the_next() -> None:
    admission = Admission(Capacity(1, 0, ENDLESS))

    with pytest.raises(ZeroDivisionError), admission.enter("a"):
        raise ZeroDivisionError

    with admission.enter("a"):
        pass
    assert_empty(admission)


async def test_nobody_who_comes_later_overtakes_the_line() -> None:
    async with visits(1, 2) as found:
        await found.begin("a1", "b1")

        found.end_unseen("a1")
        found.begin_unseen("c1")
        await settled()
        assert found.came == ["a1", "b1"]

        await found.end("b1")
        assert found.came == ["a1", "b1", "c1"]


async def test_how_long_somebody_waited_is_known() -> None:
    admission = Admission(Capacity(1, 1, ENDLESS))
    waits: list[float] = []

    async def visit(seconds: float) -> None:
        with admission.enter("a") as ticket:
            waits.append(await ticket.wait())
            await asyncio.sleep(seconds)

    await asyncio.gather(visit(0.05), visit(0))

    first, second = waits
    assert first < 0.05 <= second < 5


# --- callers ---------------------------------------------------------------------------------------------------------


async def test_callers_take_turns_however_many_runs_each_has() -> None:
    async with visits(1, 10) as found:
        await found.begin("a1", "a2", "a3", "a4", "b1", "b2", "c1")

        await found.end("a1", "a2", "b1", "c1", "a3", "b2")

        assert found.came == ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]


async def test_a_full_line_makes_room_for_a_caller_who_has_fewer_in_it() -> None:
    async with visits(1, 3) as found:
        await found.begin("x1", "a1", "a2", "a3")

        await found.begin("b1")

        assert (await found.failure("a3")).code == "queue_full"
        assert found.admission.waiting == 3
        await found.end("x1", "a1", "b1")
        assert found.came == ["x1", "a1", "b1", "a2"]


async def test_a_full_line_makes_no_room_for_a_caller_who_would_then_have_more_in_it() -> None:
    async with visits(1, 3) as found:
        await found.begin("x1", "a1", "a2", "b1")

        await found.begin("b2")

        assert (await found.failure("b2")).code == "queue_full"
        await found.end("x1", "a1", "b1")
        assert found.came == ["x1", "a1", "b1", "a2"]


async def test_a_line_that_is_full_of_single_callers_is_full_for_one_more() -> None:
    async with visits(1, 2) as found:
        await found.begin("x1", "a1", "b1", "c1")

        assert (await found.failure("c1")).code == "queue_full"
        assert found.admission.waiting == 2


async def test_a_caller_at_its_limit_waits_and_keeps_nobody_else_from_coming_in() -> None:
    async with visits(3, 9, per_caller=1) as found:
        await found.begin("a1", "a2", "a3", "b1")
        assert found.came == ["a1", "b1"]

        await found.begin("c1")
        assert found.came == ["a1", "b1", "c1"]

        await found.end("b1")
        assert found.came == ["a1", "b1", "c1"]
        await found.end("a1")
        assert found.came == ["a1", "b1", "c1", "a2"]


async def test_one_who_leaves_lets_in_all_who_can_come() -> None:
    async with visits(2, 9, per_caller=1) as found:
        await found.begin("a1", "a2", "b1", "b2")

        found.end_unseen("a1")
        found.end_unseen("b1")
        await settled()

        assert found.came == ["a1", "b1", "a2", "b2"]


# --- those who leave, and those who wait too long --------------------------------------------------------------------


async def test_who_leaves_the_line_makes_room_in_it() -> None:
    async with visits(1, 2) as found:
        await found.begin("a1", "a2", "a3")

        await found.leave("a2")
        assert found.admission.waiting == 1
        await found.begin("a4")

        await found.end("a1", "a3")
        assert found.came == ["a1", "a3", "a4"]


async def test_who_is_cancelled_inside_leaves_the_place_to_the_next() -> None:
    async with visits(1, 2) as found:
        await found.begin("a1", "b1")

        await found.leave("a1")

        assert (found.came, found.inside) == (["a1", "b1"], {"b1"})


async def test_who_is_cancelled_in_the_moment_of_being_let_in_gives_the_place_on() -> None:
    async with visits(1, 2) as found:
        await found.begin("a1", "b1", "c1")

        found.end_unseen("a1")
        while not found.tasks["a1"].done():  # noqa: ASYNC110 - an event would come too late
            await asyncio.sleep(0)
        assert (found.came, found.admission.waiting) == (["a1"], 1), "b1 was let in and does not know yet"
        found.tasks["b1"].cancel()
        await settled()

        assert found.came == ["a1", "c1"]
        assert found.tasks["b1"].cancelled()


async def test_a_place_is_not_given_to_one_who_is_leaving() -> None:
    async with visits(1, 2) as found:
        await found.begin("a1", "b1", "c1")

        found.tasks["a1"].cancel()
        found.tasks["b1"].cancel()
        await settled()

        assert (found.came, found.inside) == (["a1", "c1"], {"c1"})


async def test_a_full_line_makes_room_even_if_who_would_have_to_go_is_leaving_already() -> None:
    async with visits(1, 2) as found:
        await found.begin("x1", "a1", "a2")

        found.begin_unseen("b1")
        found.tasks["a2"].cancel()
        await settled()

        assert found.tasks["a2"].cancelled()
        await found.end("x1", "a1")
        assert found.came == ["x1", "a1", "b1"]


async def test_who_has_to_go_and_leaves_in_that_moment_is_gone() -> None:
    async with visits(1, 2) as found:
        await found.begin("x1", "a1", "a2")

        found.begin_unseen("b1")
        await asyncio.sleep(0)
        found.tasks["a2"].cancel()
        await settled()

        assert found.tasks["a2"].cancelled()
        await found.end("x1", "a1")
        assert found.came == ["x1", "a1", "b1"]


async def test_nobody_waits_longer_than_patience_lasts() -> None:
    async with visits(1, 2, queue_timeout=0.05) as found:
        await found.begin("a1", "b1")

        error = await found.failure("b1")

        assert (error.status, error.code) == (429, "queue_timeout")
        assert "0.05 seconds" in error.message
        assert error.retry_after == 5.0
        assert found.admission.waiting == 0


async def test_a_cancellation_is_no_lack_of_patience() -> None:
    async with visits(1, 2, queue_timeout=ENDLESS) as found:
        await found.begin("a1", "b1")

        await found.leave("b1")

        assert found.tasks["b1"].cancelled()


# --- advice ----------------------------------------------------------------------------------------------------------


class Clock:
    """Stands in for the module ``time``."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(admission_module, "time", found)
    return found


async def taking(admission: Admission, clock: Clock, *durations: float) -> None:
    for seconds in durations:
        with admission.enter("a") as ticket:
            await ticket.wait()
            clock.now += seconds


@pytest.mark.parametrize(
    ("durations", "concurrent", "advice"),
    [
        ((), 1, 5.0),
        ((), 2, 3.0),
        ((10.0,), 1, 6.0),
        ((20.0,) * 50, 1, 20.0),
        ((20.0,) * 50, 4, 5.0),
        ((0.001,) * 50, 1, 1.0),
        ((100_000.0,), 1, 600.0),
    ],
)
async def test_the_advice_follows_how_long_runs_take(
    clock: Clock, durations: tuple[float, ...], concurrent: int, advice: float
) -> None:
    async with visits(concurrent, 0) as found:
        await taking(found.admission, clock, *durations)
        await found.begin(*(f"a{number}" for number in range(concurrent)))

        await found.begin("late")

        assert (await found.failure("late")).retry_after == advice


# --- the room --------------------------------------------------------------------------------------------------------


def test_how_many_wait_and_how_long_is_the_operators() -> None:
    settings = Settings(max_queue=4, queue_timeout=5.0, max_per_caller=2)

    assert capacity(settings, 3) == Capacity(concurrent=3, queue=4, queue_timeout=5.0, per_caller=2)


# --- anything at all -------------------------------------------------------------------------------------------------


class Crowd:
    """Anybody comes, goes and changes their mind at any time; what must always hold is looked at after each step."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.capacity = Capacity(
            self.chance.randint(1, 4), self.chance.randint(0, 6), ENDLESS, self.chance.choice((0, 0, 1, 2))
        )
        self.visits = Visits(Admission(self.capacity))
        self._names = (f"{self.chance.choice('abcd')}{number}" for number in range(10_000))

    async def live(self, steps: int) -> None:
        for _ in range(steps):
            for _ in range(self.chance.randint(1, 3)):
                self.act()
            for _ in range(self.chance.choice((0, 1, 1, 2))):
                await asyncio.sleep(0)
            self.look()
            if self.chance.random() < 0.3:
                await settled()
                self.look_for_needless_waiting()

    def act(self) -> None:
        living = [name for name, task in self.visits.tasks.items() if not task.done()]
        actions: list[Callable[[str], object]] = [self.visits.end_unseen, lambda name: self.visits.tasks[name].cancel()]
        if not living or self.chance.random() < 0.5:
            self.visits.begin_unseen(next(self._names))
        else:
            self.chance.choice(actions)(self.chance.choice(living))

    def look(self) -> None:
        callers = Counter(name[0] for name in self.visits.inside)
        assert len(self.visits.inside) <= self.capacity.concurrent
        assert self.visits.admission.waiting <= self.capacity.queue
        assert max(callers.values(), default=0) <= (self.capacity.per_caller or self.capacity.concurrent)

    def look_for_needless_waiting(self) -> None:
        """Whoever waits does so because there is no room, and nobody is lost."""
        living = {name for name, task in self.visits.tasks.items() if not task.done()}
        waiting = living - self.visits.inside
        assert self.visits.admission.waiting == len(waiting)
        callers = Counter(name[0] for name in self.visits.inside)
        mine = self.capacity.per_caller or self.capacity.concurrent
        full = len(self.visits.inside) == self.capacity.concurrent
        assert all(full or callers[name[0]] >= mine for name in waiting)

    async def everybody_is_served(self) -> None:
        for _ in range(len(self.visits.tasks) + 1):
            for name in tuple(self.visits.inside):
                self.visits.end_unseen(name)
            await settled()
        outcomes = await asyncio.gather(*self.visits.tasks.values(), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {type(None), RateLimitError, asyncio.CancelledError}
        assert_empty(self.visits.admission)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(150))
async def test_whatever_happens_no_place_is_lost_and_never_are_there_too_many(seed: int) -> None:
    crowd = Crowd(seed)

    await crowd.live(60)
    await crowd.everybody_is_served()


async def test_whoever_was_refused_leaves_no_complaint_that_nobody_looked() -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    async with visits(1, 2) as found:
        await found.begin("x1", "a1", "a2")
        found.begin_unseen("b1")
        await asyncio.sleep(0)
        await found.leave("a2")
    gc.collect()

    assert complaints == []
