"""Several runs of one question: opened together, merged, closed together."""

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest

from claude_relay.engine.echo import EchoRunner
from claude_relay.engine.fanout import Answers, opened
from claude_relay.engine.limits.limited import limited
from claude_relay.engine.limits.quotas import quotas
from claude_relay.engine.runner import Run
from claude_relay.engine.vocabulary import Event, ParameterDropped, RunEnd, RunRequest, TextDelta, Usage
from claude_relay.errors import RateLimitError, UpstreamError
from claude_relay.settings import Settings
from claude_relay.store.counters import MemoryCounters
from tests.unit.factories import RunRequestFactory

pytestmark = pytest.mark.anyio

END = RunEnd("end", Usage())
Script = Callable[[], AsyncGenerator[Event, None]]


class Scripted(EchoRunner):
    """Each run plays the next script.

    Attributes:
        begun: Numbers of the runs that began.
        over: Numbers of the runs that are over, in that order.
        at_once: The largest number of runs at one time.
    """

    def __init__(self, *scripts: Script) -> None:
        self._scripts = iter(enumerate(scripts))
        self.begun: list[int] = []
        self.over: list[int] = []
        self.at_once = 0

    async def run(self, request: RunRequest) -> AsyncGenerator[Event, None]:  # noqa: ARG002
        number, script = next(self._scripts)
        self.begun.append(number)
        self.at_once = max(self.at_once, len(self.begun) - len(self.over))
        try:
            async for event in script():
                yield event
        finally:
            self.over.append(number)


def says(*texts: str, pause: float = 0, failure: Exception | None = None) -> Script:
    """Return a script: some texts with pauses between them, and an end or a failure."""

    async def script() -> AsyncGenerator[Event, None]:
        for text in texts:
            yield TextDelta(text)
            await asyncio.sleep(pause)
        if failure is not None:
            raise failure
        yield END

    return script


def waits(*texts: str) -> Script:
    """Return a script that never ends by itself."""
    return says(*texts, pause=60)


async def failing() -> AsyncGenerator[Event, None]:
    await asyncio.sleep(0.005)
    raise RateLimitError("slow down")
    yield END


async def ask(runner: Scripted, count: int) -> Answers:
    async with asyncio.timeout(2):
        return await opened(runner, [RunRequestFactory.build()] * count)


async def gather(answers: Answers) -> dict[int, list[Event]]:
    """Return all events by their answer."""
    found: dict[int, list[Event]] = {}
    async with asyncio.timeout(2):
        async for index, event in answers.events():
            found.setdefault(index, []).append(event)
    return found


@pytest.mark.parametrize("count", [1, 2, 8])
async def test_a_question_is_asked_as_often_as_wanted_and_no_event_is_lost(count: int) -> None:
    runner = Scripted(*(says(f"{number}", "x") for number in range(count)))

    events = await gather(await ask(runner, count))

    assert {index: [str(getattr(event, "text", "")) for event in found] for index, found in events.items()} == {
        number: [f"{number}", "x", ""] for number in range(count)
    }
    assert sorted(runner.over) == list(range(count))


async def test_all_runs_go_on_at_the_same_time() -> None:
    runner = Scripted(says("a", pause=0.02), says("b", pause=0.02), says("c", pause=0.02))

    await gather(await ask(runner, 3))

    assert runner.at_once == 3


async def test_a_quick_answer_does_not_wait_for_a_slow_one() -> None:
    runner = Scripted(says("slow", pause=0.05), says("a", "b", "c"))

    order = [index async for index, _ in (await ask(runner, 2)).events()]

    assert order[-1] == 0
    assert order.count(1) == 4


async def test_events_of_each_answer_stay_in_order() -> None:
    runner = Scripted(*(says(*"abcdef", pause=0.001) for _ in range(3)))

    events = await gather(await ask(runner, 3))

    assert [events[index] for index in range(3)] == [[*map(TextDelta, "abcdef"), END]] * 3


async def test_what_was_dropped_by_any_run_is_named_once() -> None:
    async def dropping() -> AsyncGenerator[Event, None]:
        yield ParameterDropped("top_k")
        yield END

    async def dropping_two() -> AsyncGenerator[Event, None]:
        yield ParameterDropped("top_k")
        yield ParameterDropped("top_p")
        yield TextDelta("a")
        yield END

    answers = await ask(Scripted(dropping, dropping_two, says("a")), 3)

    assert answers.dropped == ("top_k", "top_p")
    assert (await gather(answers))[0] == [END]


async def silent() -> AsyncGenerator[Event, None]:
    await asyncio.sleep(60)
    yield END


async def test_one_run_that_fails_before_any_begins_fails_the_question_and_stops_the_others() -> None:
    runner = Scripted(silent, failing, silent)

    with pytest.raises(RateLimitError):
        await ask(runner, 3)

    assert sorted(runner.over) == [0, 1, 2]


async def test_a_question_that_is_given_up_while_it_is_opened_stops_all_runs() -> None:
    runner = Scripted(silent, silent)
    opening = asyncio.create_task(ask(runner, 2))
    await asyncio.sleep(0.01)

    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)

    assert sorted(runner.over) == [0, 1]


async def test_a_run_that_fails_to_begin_after_another_has_ends_the_events_and_stops_all() -> None:
    runner = Scripted(waits("a"), failing, silent)
    answers = await ask(runner, 3)

    with pytest.raises(RateLimitError):
        await gather(answers)
    await answers.aclose()

    assert sorted(runner.over) == [0, 1, 2]


async def test_answers_that_may_only_be_given_one_after_the_other_are_all_given() -> None:
    runner = Scripted(says("a"), says("b"), says("c"))
    settings = Settings(max_concurrent=1)
    one_at_a_time = limited(runner, settings, quotas(settings, MemoryCounters()))
    async with asyncio.timeout(5):
        answers = await opened(one_at_a_time, [RunRequestFactory.build()] * 3)
        found = await gather(answers)

    assert found == {0: [TextDelta("a"), END], 1: [TextDelta("b"), END], 2: [TextDelta("c"), END]}
    assert runner.at_once == 1


async def test_one_run_that_fails_in_the_middle_ends_the_events_and_stops_the_others() -> None:
    runner = Scripted(waits("a"), says("b", failure=UpstreamError("it broke")))
    answers = await ask(runner, 2)

    with pytest.raises(UpstreamError):
        await gather(answers)
    await answers.aclose()

    assert sorted(runner.over) == [0, 1]


@pytest.mark.parametrize("count", [1, 3])
async def test_closing_before_any_event_was_taken_stops_all_runs(count: int) -> None:
    runner = Scripted(*(waits("a") for _ in range(count)))
    answers = await ask(runner, count)

    await answers.aclose()
    await answers.aclose()

    assert sorted(runner.over) == list(range(count))


async def test_closing_after_the_end_changes_nothing() -> None:
    runner = Scripted(says("a"), says("b"))
    answers = await ask(runner, 2)
    await gather(answers)

    await answers.aclose()

    assert sorted(runner.over) == [0, 1]


@pytest.mark.parametrize("count", [1, 2])
async def test_a_reader_that_is_cancelled_while_it_waits_leaves_nothing_running(count: int) -> None:
    runner = Scripted(*(waits("a") for _ in range(count)))
    answers = await ask(runner, count)
    reading = asyncio.create_task(gather(answers))
    await asyncio.sleep(0.01)

    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await answers.aclose()

    assert sorted(runner.over) == list(range(count))


@pytest.mark.parametrize(
    "count",
    [
        1,
        pytest.param(
            2,
        ),
    ],
)
async def test_closing_while_the_reader_is_busy_with_an_event_stops_all_runs(count: int) -> None:
    runner = Scripted(says("a", "b", pause=0.001), *(waits("c") for _ in range(count - 1)))
    events = (answers := await ask(runner, count)).events()
    for _ in range(count + 1):
        await anext(events)
    await asyncio.sleep(0.01)

    try:
        await answers.aclose()
        assert sorted(runner.over) == list(range(count))
    finally:
        await events.aclose()  # type: ignore[attr-defined] # it is a generator


async def test_a_run_may_be_given_that_was_opened_elsewhere() -> None:
    rest = says("b")()

    async def elsewhere() -> Run:
        return Run(TextDelta("a"), rest, ("top_p",))

    answers = Answers([asyncio.create_task(elsewhere())])
    await answers.begin()

    assert answers.dropped == ("top_p",)
    assert (await gather(answers))[0] == [TextDelta("a"), TextDelta("b"), END]
