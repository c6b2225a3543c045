"""A runner under the operator's limits, on a clock that passes only when everybody waits."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest

from claude_relay.engine.echo import EchoRunner
from claude_relay.engine.fanout import opened
from claude_relay.engine.limits import admission
from claude_relay.engine.limits.limited import LimitedRunner, limited
from claude_relay.engine.limits.quotas import quotas
from claude_relay.engine.runner import ClaudeRunner, RunnerHealth, open_run
from claude_relay.engine.vocabulary import Event, ParameterDropped, RunAccepted, RunEnd, RunRequest, RunStarted
from claude_relay.errors import DeadlineError, QuotaError, RateLimitError, RelayError, UpstreamError
from claude_relay.settings import Settings
from claude_relay.store.counters import MemoryCounters
from tests.unit.engine.virtual import BACKEND, now, timers
from tests.unit.factories import RunRequestFactory, conversation

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return BACKEND


@pytest.fixture(autouse=True)
async def one_clock(anyio_backend: object, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:  # noqa: ARG001
    """The line's clock is the loop's too, and no timer is left in the end."""

    class Time:
        monotonic = staticmethod(now)

    monkeypatch.setattr(admission, "time", Time)
    monkeypatch.setattr("claude_relay.engine.limits.limited.time", Time)
    yield
    assert timers() == 0


def under(runner: ClaudeRunner, settings: Settings) -> LimitedRunner:
    return limited(runner, settings, quotas(settings, MemoryCounters()))


class Watched(EchoRunner):
    """An echo that counts what is under way.

    Attributes:
        most: Most runs that were under way at once.
        running: Runs under way.
    """

    def __init__(self) -> None:
        self.running = self.most = self.starts = self.stops = 0

    async def start(self) -> None:
        self.starts += 1

    async def stop(self) -> None:
        self.stops += 1

    async def run(self, request: RunRequest) -> AsyncGenerator[Event, None]:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            async for event in super().run(request):
                yield event
        finally:
            self.running -= 1


def asking(text: str, account: str = "ann") -> RunRequest:
    return RunRequestFactory.build(turns=conversation(text), account=account)


async def asked(runner: ClaudeRunner, text: str = "hi", account: str = "ann") -> list[Event]:
    return [event async for event in runner.run(asking(text, account))]


async def refused(runner: ClaudeRunner, text: str = "hi", account: str = "ann") -> RelayError:
    with pytest.raises(RelayError) as raised:
        await asked(runner, text, account)
    return raised.value


async def test_it_is_a_runner_and_looks_like_the_one_that_does_the_work() -> None:
    inner = Watched()
    runner = under(inner, Settings())

    await runner.start()
    await runner.stop()

    assert isinstance(runner, ClaudeRunner)
    assert (runner.name, runner.models, runner.context_window("echo")) == ("echo", ("echo",), 200_000)
    assert (inner.starts, inner.stops) == (1, 1)


async def test_within_the_limits_an_answer_is_what_it_would_be_without_them() -> None:
    text = "!echo delay=1 interval=1\none two"

    assert await asked(under(EchoRunner(), Settings()), text) == [RunAccepted(), *await asked(EchoRunner(), text)]


async def test_a_run_tells_how_long_it_waited_in_line() -> None:
    runner = under(EchoRunner(), Settings(max_concurrent=1))

    first, second = await asyncio.gather(asked(runner, "!echo delay=7\nhi"), asked(runner))

    assert (first[1], second[1]) == (RunStarted("echo", 0.0), RunStarted("echo", 7.0))


async def test_every_beginning_of_a_run_tells_it_and_how_long_it_took_to_get_a_process() -> None:
    class Twice(EchoRunner):
        async def run(self, request: RunRequest) -> AsyncGenerator[Event, None]:
            await asyncio.sleep(2)
            yield RunStarted("reused")
            yield ParameterDropped("top_k")
            async for event in EchoRunner().run(request):
                yield event

    runner = under(Twice(), Settings(max_concurrent=1))

    answers = await asyncio.gather(asked(runner, "!echo delay=3\nhi"), asked(runner))

    assert answers[1][1:4] == [RunStarted("reused", 5.0, 2.0), ParameterDropped("top_k"), RunStarted("echo", 5.0, 2.0)]


async def test_no_more_run_at_once_than_the_operator_allows_and_health_tells_who_waits() -> None:
    inner = Watched()
    runner = under(inner, Settings(max_concurrent=2))
    running = [asyncio.create_task(asked(runner, "!echo delay=1\nhi")) for _ in range(5)]
    await asyncio.sleep(0.5)

    assert runner.health().detail == {**inner.health().detail, "running": 2, "waiting": 3}

    await asyncio.gather(*running)
    assert (inner.most, inner.running, runner.health().detail["waiting"], now()) == (2, 0, 0, 3.0)


async def test_a_runner_that_is_degraded_is_so_under_limits_too() -> None:
    class Ill(EchoRunner):
        def health(self) -> RunnerHealth:
            return RunnerHealth("degraded", reason="no disk", remedy="a disk")

    assert under(Ill(), Settings()).health() == RunnerHealth(
        "degraded", {"running": 0, "waiting": 0}, "no disk", "a disk"
    )


async def test_a_full_line_is_told_to_the_client() -> None:
    inner = Watched()
    runner = under(inner, Settings(max_concurrent=1, max_queue=0))
    first = asyncio.create_task(asked(runner, "!echo delay=1\nhi"))
    await asyncio.sleep(0.5)

    error = await refused(runner)
    await first

    assert (error.status, error.code, error.retry_after) == (429, "queue_full", 5.0)
    assert inner.most == 1


async def test_who_waits_too_long_is_told_too() -> None:
    runner = under(EchoRunner(), Settings(max_concurrent=1, queue_timeout=4.0))
    first = asyncio.create_task(asked(runner, "!echo delay=9\nhi"))
    await asyncio.sleep(0)

    assert (await refused(runner)).code == "queue_timeout"

    assert now() == 4.0
    await first


async def test_a_callers_own_limit_is_no_other_callers() -> None:
    inner = Watched()
    runner = under(inner, Settings(max_concurrent=9, max_per_caller=1))
    answers = [asked(runner, "!echo delay=1\nhi", account) for account in ("ann", "ann", "ann", "bob")]

    await asyncio.gather(*answers)

    assert (inner.most, now()) == (2, 3.0)


@pytest.mark.parametrize(
    ("limits", "script", "code", "at"),
    [
        ({"first_event_timeout": 2.0}, "delay=5", "first_event_timeout", 2),
        ({"silence_timeout": 2.0}, "delay=1 interval=5", "silence_timeout", 3),
        ({"total_timeout": 2.5}, "interval=1 repeat=9", "total_timeout", 2.5),
    ],
)
async def test_an_answer_that_takes_too_long_is_stopped_and_its_place_free(
    limits: dict[str, Any], script: str, code: str, at: float
) -> None:
    inner = Watched()
    runner = under(inner, Settings(max_concurrent=1, **limits))

    error = await refused(runner, f"!echo {script}\none two")

    assert isinstance(error, DeadlineError)
    assert (error.status, error.code, now(), inner.running) == (504, code, at, 0)
    assert isinstance((await asked(runner))[-1], RunEnd)


async def test_the_time_in_line_is_not_the_answers() -> None:
    runner = under(EchoRunner(), Settings(max_concurrent=1, first_event_timeout=5.0, total_timeout=6.0))

    answers = await asyncio.gather(*(asked(runner, "!echo delay=4\nhi") for _ in range(4)))

    assert all(isinstance(answer[-1], RunEnd) for answer in answers)
    assert now() == 16.0


@pytest.mark.parametrize(
    ("script", "error"), [("error=502", UpstreamError), ("error=429 after=1", RateLimitError), ("nonsense", RelayError)]
)
async def test_a_failed_run_leaves_its_place(script: str, error: type[RelayError]) -> None:
    inner = Watched()
    runner = under(inner, Settings(max_concurrent=1, max_queue=0))

    assert isinstance(await refused(runner, f"!echo {script}\none two"), error)

    assert inner.running == 0
    await asked(runner)


async def test_closing_a_run_stops_the_work_and_frees_its_place_at_once() -> None:
    inner = Watched()
    runner = under(inner, Settings(max_concurrent=1, max_queue=0))
    run = await open_run(runner, asking("one two three"))
    assert inner.running == 1

    await run.aclose()

    assert inner.running == 0
    await asked(runner)


async def test_who_is_cancelled_at_work_or_in_line_leaves_nothing_behind() -> None:
    inner = Watched()
    runner = under(inner, Settings(max_concurrent=1, max_queue=1))
    running = asyncio.create_task(asked(runner, "!echo delay=2\nhi"))
    waiting = asyncio.create_task(asked(runner, "!echo delay=2\nhi"))
    await asyncio.sleep(1)
    assert (inner.running, runner.health().detail["waiting"]) == (1, 1)

    for task in (waiting, running):
        task.cancel()
        await asyncio.wait({task})

    assert (inner.running, runner.health().detail["waiting"]) == (0, 0)
    assert isinstance((await asked(runner))[-1], RunEnd)


# --- quotas ------------------------------------------------------------------------------------------------------


async def test_a_caller_may_ask_so_many_times_in_a_minute_and_others_too() -> None:
    inner = Watched()
    runner = under(inner, Settings(max_per_minute=2))
    await asked(runner)
    await asked(runner)

    error = await refused(runner)

    assert (error.status, error.code) == (429, "rate_limit_exceeded")
    await asked(runner, account="bob")


async def test_what_a_full_line_refuses_is_not_counted() -> None:
    runner = under(Watched(), Settings(max_per_minute=2, max_concurrent=1, max_queue=0))
    working = asyncio.create_task(asked(runner, "!echo delay=5\nhi"))
    await asyncio.sleep(1)

    for _ in range(5):
        assert (await refused(runner)).code == "queue_full"
    await working
    await asked(runner)

    assert (await refused(runner)).code == "rate_limit_exceeded"


async def test_of_several_answers_to_one_question_that_are_too_many_none_is_counted() -> None:
    runner = under(Watched(), Settings(max_per_minute=2))

    with pytest.raises(RateLimitError):
        await opened(runner, [asking("hi")] * 3)

    assert [len(await asked(runner)) for _ in range(2)] == [5, 5]


async def test_a_caller_that_calls_itself_by_another_name_has_the_same_limits() -> None:
    runner = under(Watched(), Settings(max_per_minute=2))

    for name in ("one", "two"):
        async for _ in runner.run(RunRequestFactory.build(caller=name, account="local:1000")):
            pass
    with pytest.raises(RelayError) as raised:
        await anext(runner.run(RunRequestFactory.build(caller="three", account="local:1000")))

    assert raised.value.status == 429


async def test_who_has_spent_what_a_day_allows_is_refused_and_others_are_not() -> None:
    settings = Settings(max_usd_per_day=1.0)
    used = quotas(settings, MemoryCounters())
    runner = limited(EchoRunner(), settings, used)
    used.charge_cost("ann", 0.75)
    await asked(runner)
    used.charge_cost("ann", 0.25)

    error = await refused(runner)

    assert isinstance(error, QuotaError)
    await asked(runner, account="bob")


async def test_without_limits_of_its_own_a_caller_meets_none() -> None:
    settings = Settings()
    used = quotas(settings, MemoryCounters())
    used.charge_cost("ann", 1000.0)

    for _ in range(100):
        assert isinstance((await asked(limited(EchoRunner(), settings, used)))[-1], RunEnd)


# --- what is known before an answer begins ---------------------------------------------------------------------------


async def test_who_waits_in_line_knows_at_once_that_it_may() -> None:
    runner = under(EchoRunner(), Settings(max_concurrent=1))
    first = asyncio.create_task(asked(runner, "!echo delay=7\nhi"))
    await asyncio.sleep(1)
    came: list[float] = []

    run = await open_run(runner, asking("hi"), lambda: came.append(now()))

    assert (came[0], now()) == (1.0, 7.0)
    await run.aclose()
    await first


async def test_who_has_spent_what_a_day_allows_is_not_let_in() -> None:
    used = quotas(Settings(max_usd_per_day=1.0), MemoryCounters())
    runner = limited(EchoRunner(), Settings(), used)
    used.charge_cost("ann", 2.0)
    came: list[float] = []

    with pytest.raises(QuotaError):
        await open_run(runner, asking("hi"), lambda: came.append(now()))

    assert came == []
