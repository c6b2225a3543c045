"""A run is open once its first event has come."""

from collections.abc import AsyncGenerator

import pytest

from claude_relay.engine.echo import EchoRunner
from claude_relay.engine.runner import ClaudeRunner, RunnerHealth, open_run
from claude_relay.engine.vocabulary import (
    Event,
    ParameterDropped,
    PromptCounted,
    RunEnd,
    RunRequest,
    RunStarted,
    TextDelta,
    Usage,
)
from claude_relay.errors import RateLimitError, UpstreamError
from tests.unit.factories import RunRequestFactory, conversation


class Watched(EchoRunner):
    """An echo that notes when its work has stopped."""

    stopped = False

    async def run(self, request: RunRequest) -> AsyncGenerator[Event, None]:
        try:
            async for event in super().run(request):
                yield event
        finally:
            self.stopped = True


def request(text: str) -> RunRequest:
    return RunRequestFactory.build(turns=conversation(text))


@pytest.mark.anyio
async def test_the_first_event_is_not_lost() -> None:
    run = await open_run(Watched(), request("one two"))

    events = [event async for event in run.events]

    assert events[:-1] == [PromptCounted(Usage(2)), TextDelta("one "), TextDelta("two")]
    assert isinstance(events[-1], RunEnd)


@pytest.mark.anyio
async def test_a_failure_before_the_first_event_is_raised_while_opening() -> None:
    runner = Watched()

    with pytest.raises(RateLimitError):
        await open_run(runner, request("!echo error=429\nhello"))

    assert runner.stopped


@pytest.mark.anyio
async def test_a_later_failure_is_raised_after_the_events_before_it() -> None:
    run = await open_run(Watched(), request("!echo error=502 after=1\none two"))
    events = []

    with pytest.raises(UpstreamError):
        async for event in run.events:
            events.append(event)  # noqa: PERF401 - what came before the failure counts

    assert [event for event in events if isinstance(event, TextDelta)] == [TextDelta("one ")]


@pytest.mark.anyio
async def test_closing_stops_the_work_at_any_point_and_more_than_once() -> None:
    runner = Watched()
    run = await open_run(runner, request("one two three"))
    assert not runner.stopped

    await run.aclose()
    assert runner.stopped
    await run.aclose()


def test_what_can_run_requests_is_a_runner_and_what_cannot_is_none() -> None:
    assert isinstance(EchoRunner(), ClaudeRunner)
    assert not isinstance(object(), ClaudeRunner)


def test_health_needs_no_details() -> None:
    assert RunnerHealth("ok").detail == {}


class Dropping(EchoRunner):
    """An echo whose upstream refuses some wishes."""

    def __init__(self, *fields: str) -> None:
        self._fields = fields

    async def run(self, request: RunRequest) -> AsyncGenerator[Event, None]:
        for field in self._fields:
            yield ParameterDropped(field)
        async for event in super().run(request):
            yield event


@pytest.mark.anyio
@pytest.mark.parametrize("fields", [(), ("top_k",), ("top_k", "top_p")])
async def test_what_the_upstream_refused_is_known_before_the_run_streams(fields: tuple[str, ...]) -> None:
    run = await open_run(Dropping(*fields), request("one two"))

    assert run.dropped == fields
    assert run.begun == RunStarted("echo")
    assert [event async for event in run.events][1:-1] == [TextDelta("one "), TextDelta("two")]


class Beginning(EchoRunner):
    """An echo that has to begin more than once."""

    async def run(self, request: RunRequest) -> AsyncGenerator[Event, None]:
        for how in ("reused", "started"):
            yield RunStarted(how, 0.5)
        async for event in EchoRunner().run(request):
            if not isinstance(event, RunStarted):
                yield event


@pytest.mark.anyio
async def test_how_a_run_began_is_known_before_it_streams_and_the_last_beginning_counts() -> None:
    run = await open_run(Beginning(), request("one"))

    assert run.begun == RunStarted("started", 0.5)
    assert [event async for event in run.events][1] == TextDelta("one")


@pytest.mark.anyio
async def test_an_answer_of_which_only_the_prompt_is_counted_has_not_begun() -> None:
    with pytest.raises(UpstreamError):
        await open_run(Watched(), request("!echo error=502 after=0 delay=0.01\none"))
