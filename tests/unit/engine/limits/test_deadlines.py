"""How long a run may take, on a clock that passes only when everybody waits."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from claude_relay.engine.limits.deadlines import Deadlines, with_deadlines
from claude_relay.engine.vocabulary import (
    ApprovalRequested,
    Event,
    ParameterDropped,
    RunEnd,
    RunStarted,
    TextDelta,
    ToolActivity,
    ToolOutcome,
    Usage,
)
from claude_relay.errors import DeadlineError, UpstreamError
from tests.unit.engine.virtual import BACKEND, now, timers

pytestmark = pytest.mark.anyio

LIMITS = Deadlines(first=10, silence=30, total=100)
END = RunEnd("end", Usage())


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return BACKEND


@pytest.fixture(autouse=True)
async def no_timer_is_left(anyio_backend: object) -> AsyncIterator[None]:  # noqa: ARG001 - runs on its loop
    yield
    assert timers() == 0


class Script:
    """A run that says things after some seconds each.

    Attributes:
        stopped: When its generator was closed, by its loop's clock.
    """

    def __init__(self, *steps: tuple[float, Event]) -> None:
        self._steps = steps
        self.stopped: float | None = None

    async def run(self) -> AsyncGenerator[Event, None]:
        try:
            for seconds, event in self._steps:
                await asyncio.sleep(seconds)
                yield event
        finally:
            self.stopped = now()


class Read:
    """What a reader got, and how that ended.

    Attributes:
        events: What it got, each with the second when it came.
        failed: The code of its failure, and when.
    """

    def __init__(self) -> None:
        self.events: list[tuple[float, Event]] = []
        self.failed: tuple[str | None, float] | None = None


async def read(script: Script, limits: Deadlines = LIMITS, pauses: dict[int, float] | None = None) -> Read:
    """Read a run to its end, as ``LimitedRunner`` does; after some events the reader pauses."""
    found = Read()
    try:
        async with aclosing(script.run()) as events, aclosing(with_deadlines(events, limits)) as timely:
            async for event in timely:
                found.events.append((now(), event))
                await asyncio.sleep((pauses or {}).get(len(found.events), 0))
    except DeadlineError as error:
        found.failed = (error.code, now())
    assert script.stopped == now()
    return found


def said(*seconds: float) -> list[tuple[float, Event]]:
    return [(pause, TextDelta("a")) for pause in seconds]


async def test_what_comes_in_time_is_passed_on_when_it_comes() -> None:
    script = Script((1, RunStarted("started")), (8, TextDelta("a")), (29, ToolActivity("Bash")), (1, END))

    found = await read(script)

    assert found.failed is None
    assert found.events == [(1, RunStarted("started")), (9, TextDelta("a")), (38, ToolActivity("Bash")), (39, END)]


@pytest.mark.parametrize(
    "steps", [said(10.5), [], [(1, RunStarted("started"))], [(4, RunStarted("a")), (5, ParameterDropped("top_k"))]]
)
async def test_a_run_that_has_said_nothing_in_time_is_over(steps: list[tuple[float, Event]]) -> None:
    found = await read(Script(*steps, (1000, END)))

    assert found.failed == ("first_event_timeout", 10)


@pytest.mark.parametrize(
    ("steps", "code", "at"),
    [
        (said(1, 31), "silence_timeout", 31),
        (said(9, 29, 31), "silence_timeout", 68),
        (said(1, 29, 29, 29, 29), "total_timeout", 100),
        (said(1, *[0.5] * 500), "total_timeout", 100),
    ],
)
async def test_a_run_that_falls_silent_or_never_ends_is_over(
    steps: list[tuple[float, Event]], code: str, at: float
) -> None:
    assert (await read(Script(*steps))).failed == (code, at)


@pytest.mark.parametrize(("first", "silence"), [(90, 3), (3, 90), (5, 5)])
async def test_deadlines_hold_whichever_is_the_longer(first: float, silence: float) -> None:
    limits = Deadlines(first, silence, total=1000)

    assert (await read(Script(*said(first + 1)), limits)).failed == ("first_event_timeout", first)
    began = now()
    assert (await read(Script(*said(1, 2, silence + 1)), limits)).failed == ("silence_timeout", began + 3 + silence)


async def test_the_total_counts_before_the_first_event_too() -> None:
    assert (await read(Script((50, END)), Deadlines(60, 60, 20))).failed == ("total_timeout", 20)


@pytest.mark.parametrize("pause", [31, 60, 95])
async def test_a_reader_who_takes_their_time_is_not_the_runs_fault(pause: float) -> None:
    found = await read(Script(*said(1, 1), (1, END)), pauses={1: pause})

    assert found.failed is None
    assert [at for at, _ in found.events] == [1, 2 + pause, 3 + pause]


async def test_silence_is_counted_anew_after_a_reader_took_their_time() -> None:
    found = await read(Script(*said(1, 35)), pauses={1: 50})

    assert found.failed == ("silence_timeout", 81)


async def test_a_reader_who_comes_back_after_the_total_gets_nothing_more() -> None:
    found = await read(Script(*said(1, 0, 0)), pauses={1: 100})

    assert found.failed == ("total_timeout", 101)
    assert len(found.events) == 1


async def test_nothing_is_watched_while_nobody_waits() -> None:
    async with aclosing(Script(*said(1), (1, END)).run()) as events, aclosing(with_deadlines(events, LIMITS)) as timely:
        await anext(timely)
        await asyncio.sleep(50)

        assert timers() == 0


async def test_the_words_say_what_took_too_long() -> None:
    words = []
    for limits, steps in (
        (Deadlines(1.5, 9, 9), said(5)),
        (Deadlines(9, 2, 9), said(1, 5)),
        (Deadlines(9, 9, 3), said(1, 5)),
    ):
        with pytest.raises(DeadlineError) as raised:
            [event async for event in with_deadlines(Script(*steps).run(), limits)]
        assert (raised.value.status, raised.value.should_retry) == (504, False)
        words.append(raised.value.message)

    assert words == [
        "The answer did not begin within 1.5 seconds.",
        "The answer paused for more than 2 seconds.",
        "The answer took more than 3 seconds.",
    ]


# --- failures and cancellations --------------------------------------------------------------------------------------


async def test_a_failure_of_the_run_is_its_own() -> None:
    async def fails() -> AsyncGenerator[Event, None]:
        yield TextDelta("a")
        raise UpstreamError("broken")

    got = []
    with pytest.raises(UpstreamError, match="broken"):
        async for event in with_deadlines(fails(), LIMITS):
            got.append(event)  # noqa: PERF401 - what came before the failure counts

    assert got == [TextDelta("a")]


async def test_a_timeout_inside_the_run_is_its_own() -> None:
    async def fails() -> AsyncGenerator[Event, None]:
        async with asyncio.timeout(5):
            await asyncio.sleep(9)
        yield END

    with pytest.raises(TimeoutError):
        await anext(with_deadlines(fails(), LIMITS))


async def test_a_reader_who_is_cancelled_is_cancelled() -> None:
    script = Script(*said(1, 20))
    reading = asyncio.create_task(read(script))
    await asyncio.sleep(2)

    reading.cancel()
    await asyncio.wait({reading})

    assert reading.cancelled()
    assert script.stopped == 2


async def test_a_timeout_around_a_reader_works_before_and_after_a_deadline() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await read(Script(*said(20)))
    assert now() == 5

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(50):
            assert (await read(Script(*said(20)))).failed == ("first_event_timeout", 15)
            await asyncio.sleep(1000)
    assert now() == 55


async def test_a_deadline_leaves_no_cancellation_behind() -> None:
    await read(Script(*said(20)))

    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_reader_who_is_cancelled_in_the_moment_of_a_deadline_is_cancelled() -> None:
    reading = asyncio.create_task(read(Script(*said(20))))
    asyncio.get_running_loop().call_at(10, reading.cancel)

    await asyncio.wait({reading})

    assert now() == 10
    assert reading.cancelled()
    assert reading.cancelling() == 1


@pytest.mark.parametrize("end", ["says something", "fails", "ends"])
async def test_a_run_that_does_not_hear_the_end_is_over_all_the_same(end: str) -> None:
    async def deaf() -> AsyncGenerator[Event, None]:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            if end == "fails":
                raise UpstreamError("stopping") from None
        if end == "says something":
            yield END

    got: list[Event] = []
    expected = {"says something": DeadlineError, "fails": UpstreamError, "ends": StopAsyncIteration}
    with pytest.raises(expected[end]):
        got.append(await anext(with_deadlines(deaf(), LIMITS)))

    task = asyncio.current_task()
    assert task is not None
    assert (got, task.cancelling(), now()) == ([], 0, 10)


async def test_another_task_may_read_on() -> None:
    timely = with_deadlines(Script(*said(1, 2, 40)).run(), LIMITS)
    await anext(timely)

    async def rest() -> list[Event]:
        return [event async for event in timely]

    with pytest.raises(DeadlineError, match="paused for more than"):
        await asyncio.create_task(rest())
    assert now() == 33


async def test_a_reader_who_stops_reading_leaves_nothing_behind() -> None:
    script = Script(*said(1, 2, 3))
    async with aclosing(script.run()) as events, aclosing(with_deadlines(events, LIMITS)) as timely:
        await anext(timely)

    assert script.stopped == 1


ASKED = ApprovalRequested("a", "t1", "Bash")


@pytest.mark.parametrize(
    ("steps", "at"),
    [
        (((1, ASKED), (1000, END)), 51),
        (((1, ASKED), (1, TextDelta("meanwhile")), (1000, END)), 52),
        (((1, ASKED), (45, ToolOutcome("t1", "ok")), (1000, END)), 76),
        (((1, ASKED), (1, ToolOutcome("another", "ok")), (1000, END)), 52),
    ],
)
async def test_a_silence_is_longer_by_the_time_that_a_tool_may_wait_for_permission(
    steps: tuple[tuple[float, Event], ...], at: float
) -> None:
    found = await read(Script(*steps), Deadlines(first=10, silence=30, total=1000, approval=20))

    assert found.failed == ("silence_timeout", at)
