"""A run whose tools need permission, with a small stand-in for the CLI."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from claude_relay.engine.approvals import Approvals
from claude_relay.engine.claude.runner import ClaudeCodeRunner
from claude_relay.engine.vocabulary import (
    ApprovalRequested,
    Decision,
    Event,
    RunEnd,
    RunPaused,
    RunRequest,
    TextDelta,
    Usage,
)
from claude_relay.settings import Settings
from tests.unit.engine.claude.fakes import FakeCli
from tests.unit.factories import RunRequestFactory

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

Make = Callable[[str], ClaudeCodeRunner]
QUESTION: RunRequest = RunRequestFactory.build(personality="agent", caller="ann", model="sonnet")


@pytest.fixture
def approvals() -> Approvals:
    return Approvals(5)


@pytest.fixture
async def make(cli: FakeCli, tmp_path: Path, approvals: Approvals) -> AsyncIterator[Make]:
    """Make runners that ask, and are stopped in the end."""
    runners: list[ClaudeCodeRunner] = []

    def build(mode: str) -> ClaudeCodeRunner:
        settings = Settings(
            claude_path=str(cli.executable()), cwd=str(tmp_path), warm=0, self_test=False, permission_mode="ask"
        )
        runners.append(ClaudeCodeRunner(settings, {**cli.environ, "FAKE_CLI": mode}, cli.spend, approvals))
        return runners[-1]

    yield build
    for runner in runners:
        await runner.stop()


async def test_a_tool_that_needs_permission_waits_for_a_decision(make: Make, approvals: Approvals) -> None:
    events: list[Event] = []
    async with aclosing(make("asks").run(QUESTION)) as run:
        async for event in run:
            events.append(event)
            if isinstance(event, RunPaused):
                (waiting,) = approvals.of("ann")
                assert (waiting.tool, waiting.arguments, waiting.model) == ("Bash", {"command": "ls"}, "sonnet")
                await approvals.decide("ann", Decision(waiting.id, approve=True))

    _, asked, paused, text, end = events
    assert asked == ApprovalRequested(waiting.id, "toolu_1", "Bash", {"command": "ls"})
    assert paused == RunPaused(Usage())
    assert isinstance(text, TextDelta)
    assert '{"behavior": "allow", "updatedInput": {"command": "ls"}}' in text.text
    assert isinstance(end, RunEnd)
    assert approvals.of("ann") == ()


async def test_a_run_is_paused_when_the_model_has_written_its_message(make: Make, approvals: Approvals) -> None:
    kinds: list[str] = []
    async with aclosing(make("asks in between").run(QUESTION)) as run:
        async for event in run:
            kinds.append(type(event).__name__)
            if isinstance(event, RunPaused):
                assert event.usage.input_tokens == 7
                for waiting in approvals.of("ann"):
                    await approvals.decide("ann", Decision(waiting.id, approve=False))

    assert kinds[1:5] == ["ApprovalRequested", "TextDelta", "ApprovalRequested", "RunPaused"]
    assert kinds[-1] == "RunEnd"
    assert kinds.count("RunPaused") == 1


async def test_what_the_cli_does_not_want_to_know_any_more_does_not_wait(make: Make, approvals: Approvals) -> None:
    events = [event async for event in make("asks and withdraws").run(QUESTION)]

    assert any(isinstance(event, ApprovalRequested) for event in events)
    assert isinstance(events[-1], RunEnd)
    assert approvals.of("ann") == ()


async def test_a_run_that_is_closed_waits_no_more_and_leaves_no_process(
    make: Make, approvals: Approvals, cli: FakeCli
) -> None:
    runner = make("asks")
    async with aclosing(runner.run(QUESTION)) as run:
        async for event in run:
            if isinstance(event, RunPaused):
                break

    assert approvals.of("ann") == ()
    async with asyncio.timeout(5):
        while runner._pool.counts.ending:  # noqa: ASYNC110 - the pool tells nobody
            await asyncio.sleep(0.01)
    await cli.all_ended()
