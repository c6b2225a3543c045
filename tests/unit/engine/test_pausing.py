"""Answers that end where tools wait for permission, and go on, on a clock that passes only when everybody waits."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Any

import pytest

from claude_relay.engine.approvals import Approval, Approvals
from claude_relay.engine.echo import EchoRunner
from claude_relay.engine.pausing import PausingRunner
from claude_relay.engine.runner import ClaudeRunner
from claude_relay.engine.vocabulary import (
    ApprovalRequested,
    Decision,
    Event,
    RunEnd,
    RunPaused,
    RunRequest,
    RunStarted,
    TextDelta,
    ThinkingDelta,
    ToolActivity,
    ToolOutcome,
    Usage,
)
from claude_relay.errors import InvalidRequestError, UpstreamError
from tests.unit.engine.virtual import BACKEND, now, timers
from tests.unit.factories import RunRequestFactory

pytestmark = pytest.mark.anyio

BASH = ToolActivity("Bash", "ls", {"command": "ls"}, "t1")
READ = ToolActivity("Read", "a", {"file_path": "a"}, "t2")
BEFORE, ALL = Usage(10, 20, 30, 4), Usage(15, 26, 37, 12)
END = RunEnd("end", ALL, thinking_tokens=3, cost=0.5)
Step = Event | float | Exception


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return BACKEND


class Script(EchoRunner):
    """A runner that follows a script: waits some seconds, says something, fails, or waits for what it has asked.

    Attributes:
        pause_at_once: Whether it says nothing more before all that it has asked is decided.
        decisions: What it was told.
        ended: When its runs were closed.
    """

    def __init__(self, approvals: Approvals, *steps: Step) -> None:
        self._approvals = approvals
        self._steps = steps
        self.runs = 0
        self.pause_at_once = True
        self.decisions: list[Decision] = []
        self.ended: list[float] = []

    async def run(self, request: RunRequest) -> AsyncGenerator[Event, None]:
        """Follow the script."""
        self.runs += 1
        waiting: dict[str, asyncio.Event] = {}
        try:
            for step in self._steps:
                match step:
                    case float():
                        await asyncio.sleep(step)
                    case Exception():
                        raise step
                    case ApprovalRequested(approval_id):
                        waiting[approval_id] = asyncio.Event()
                        self._ask(approval_id, request.caller, waiting[approval_id])
                        yield step
                    case RunPaused():
                        yield step
                        if self.pause_at_once:
                            await asyncio.gather(*(event.wait() for event in waiting.values()))
                    case _:
                        yield step
        finally:
            self._approvals.withdraw(waiting)
            self.ended.append(now())

    def _ask(self, approval_id: str, caller: str, decided: asyncio.Event) -> None:
        async def respond(decision: Decision) -> None:
            self.decisions.append(decision)
            decided.set()

        self._approvals.ask(Approval(approval_id, caller, "Bash", {}, "sonnet", 1, "req_1"), respond)


class Relay:
    """A runner whose answers pause, over a script."""

    def __init__(self, *steps: Step) -> None:
        self.approvals = Approvals(30)
        self.script = Script(self.approvals, *steps)
        self.runner = PausingRunner(self.script, self.approvals)

    async def ask(self, caller: str = "ann", *, pauses: bool = True) -> list[Event]:
        """Return the events of a first answer."""
        request = RunRequestFactory.build(caller=caller, pauses=pauses)
        return [event async for event in self.runner.run(request)]

    async def decide(self, *approval_ids: str, caller: str = "ann", approve: bool = True) -> list[Event]:
        """Return the events of the answer to a request that decides."""
        return [event async for event in self.runner.run(deciding(approval_ids, caller, approve=approve))]


def deciding(approval_ids: Iterable[str], caller: str = "ann", *, approve: bool = True) -> RunRequest:
    decisions = tuple(Decision(approval_id, approve) for approval_id in approval_ids)
    return RunRequestFactory.build(caller=caller, pauses=True, decisions=decisions)


def asked(approval_id: str, call_id: str = "t1") -> ApprovalRequested:
    return ApprovalRequested(approval_id, call_id, "Bash", {"command": "ls"})


PAUSED = (RunStarted("started"), BASH, 0.1, asked("a"), RunPaused(BEFORE))
REST = (1.0, ToolOutcome("t1", "ok"), TextDelta("Done."), END)


async def test_it_is_a_runner() -> None:
    assert isinstance(Relay().runner, ClaudeRunner)


async def test_an_answer_ends_where_a_tool_waits_and_goes_on_with_the_decision() -> None:
    relay = Relay(*PAUSED, *REST)

    first = await relay.ask()
    await asyncio.sleep(20)
    second = await relay.decide("a")

    assert first == [RunStarted("started"), asked("a"), RunEnd("approval", BEFORE)]
    assert second == [
        RunStarted("resumed"),
        ToolActivity("Bash", "ls", {"command": "ls"}, "t1", "a"),
        ToolOutcome("t1", "ok"),
        TextDelta("Done."),
        RunEnd("end", Usage(5, 6, 7, 8), cost=0.5),
    ]
    assert relay.script.decisions == [Decision("a", approve=True)]
    assert (relay.script.runs, len(relay.script.ended), timers()) == (1, 1, 0)


async def test_an_answer_that_cannot_pause_waits() -> None:
    relay = Relay(*PAUSED, *REST)

    asking = asyncio.create_task(relay.ask(pauses=False))
    await asyncio.sleep(5)
    await relay.approvals.decide("ann", Decision("a", approve=True))

    assert await asking == [step for step in (*PAUSED, *REST) if not isinstance(step, float)]


async def test_texts_around_a_pause_are_set_apart_at_the_end_of_the_first() -> None:
    relay = Relay(TextDelta("I look."), *PAUSED, TextDelta("\n\nDone."), TextDelta("\n\nBye."), END)

    answers = [await relay.ask(), await relay.decide("a")]

    assert [[event.text for event in answer if isinstance(event, TextDelta)] for answer in answers] == [
        ["I look.", "\n\n"],
        ["Done.", "\n\nBye."],
    ]


@pytest.mark.parametrize("last", [TextDelta("A line.\n"), ThinkingDelta("hm")])
async def test_what_is_apart_already_stays_as_it_is(last: Event) -> None:
    relay = Relay(TextDelta("I look."), last, *PAUSED, TextDelta("\n\nDone."), END)

    first, second = await relay.ask(), await relay.decide("a")

    assert TextDelta("\n\n") not in first
    assert TextDelta("\n\nDone.") in second


async def test_all_that_asks_within_a_moment_is_asked_in_one_answer() -> None:
    relay = Relay(BASH, READ, asked("a"), RunPaused(BEFORE), 0.2, asked("b", "t2"), RunPaused(BEFORE), 60.0)
    relay.script.pause_at_once = False

    first = await relay.ask()

    assert first == [asked("a"), asked("b", "t2"), RunEnd("approval", BEFORE)]
    assert now() == pytest.approx(0.45)
    await relay.runner.stop()


async def test_every_approval_of_an_answer_is_decided_at_once_or_nothing_happens() -> None:
    steps = (BASH, READ, asked("a"), asked("b", "t2"), RunPaused(BEFORE), ToolOutcome("t1", "1"), END)
    relay = Relay(*steps)
    await relay.ask()

    for wrong in (["a"], ["a", "a"], ["a", "b", "b"]):
        with pytest.raises(InvalidRequestError) as raised:
            await relay.decide(*wrong)
        assert (raised.value.code, raised.value.param) == ("approvals_incomplete", "input")
    assert relay.script.decisions == []
    events = await relay.decide("b", "a")

    assert [event.approval_id for event in events if isinstance(event, ToolActivity)] == ["a", "b"]
    assert [decision.approval_id for decision in relay.script.decisions] == ["b", "a"]


async def test_approvals_of_two_answers_are_not_decided_together() -> None:
    relay = Relay(BASH, asked("a"), RunPaused(BEFORE), END)
    await relay.ask()
    relay.script._steps = (BASH, asked("b"), RunPaused(BEFORE), END)
    await relay.ask()

    with pytest.raises(InvalidRequestError):
        await relay.decide("a", "b")

    assert relay.script.decisions == []
    await relay.runner.stop()


@pytest.mark.parametrize(("given", "caller"), [("never", "ann"), ("a", "bob")])
async def test_what_does_not_wait_and_what_is_anothers_is_not_found(given: str, caller: str) -> None:
    relay = Relay(*PAUSED, *REST)
    await relay.ask()

    with pytest.raises(InvalidRequestError) as raised:
        await relay.decide(given, caller=caller)

    assert (raised.value.code, raised.value.param) == ("approval_not_found", "input")
    assert relay.script.decisions == []
    assert (await relay.decide("a"))[-1] == RunEnd("end", Usage(5, 6, 7, 8), cost=0.5)


async def test_a_decision_counts_once() -> None:
    relay = Relay(*PAUSED, *REST)
    await relay.ask()

    second, third = await asyncio.gather(relay.decide("a"), relay.decide("a"), return_exceptions=True)

    assert isinstance(second, list)
    assert isinstance(third, InvalidRequestError)
    assert len(relay.script.decisions) == 1


async def test_what_nobody_decides_is_ended_and_not_found_any_more() -> None:
    relay = Relay(*PAUSED, *REST)
    await relay.ask()

    await asyncio.sleep(31)

    assert relay.script.ended == [30.1]
    assert relay.script.decisions == []
    with pytest.raises(InvalidRequestError):
        await relay.decide("a")


async def test_a_conversation_that_goes_on_without_a_decision_ends_what_waits_before_it_begins() -> None:
    relay = Relay(*PAUSED, *REST)
    await relay.ask()
    after = RunRequestFactory.build(caller="ann", undecided=("a", "gone"))

    async with aclosing(relay.runner.run(after)) as events:
        assert await anext(events) == RunStarted("started")
        assert relay.script.ended == [pytest.approx(0.35)]

    assert relay.script.decisions == []
    assert timers() == 0


@pytest.mark.parametrize(("caller", "undecided"), [("bob", ("a",)), ("ann", ()), ("ann", ("b",))])
async def test_other_conversations_end_nothing_that_waits(caller: str, undecided: tuple[str, ...]) -> None:
    relay = Relay(*PAUSED, *REST)
    await relay.ask()

    async with aclosing(relay.runner.run(RunRequestFactory.build(caller=caller, undecided=undecided))) as events:
        await anext(events)

    assert len(relay.script.ended) == 1
    assert isinstance((await relay.decide("a"))[-1], RunEnd)
    assert relay.script.decisions == [Decision("a", approve=True)]


async def test_a_run_that_ends_while_it_is_paused_is_not_found_any_more() -> None:
    relay = Relay(BASH, asked("a"), RunPaused(BEFORE), 5.0, UpstreamError("The process is gone."))
    relay.script.pause_at_once = False
    await relay.ask()

    await asyncio.sleep(6)

    assert len(relay.script.ended) == 1
    assert timers() == 0
    with pytest.raises(InvalidRequestError):
        await relay.decide("a")


async def test_an_answer_may_pause_again_and_each_counts_its_own_tokens() -> None:
    later = Usage(12, 22, 32, 8)
    again = (ToolOutcome("t1", "ok"), READ, asked("b", "t2"), RunPaused(later), ToolOutcome("t2", "no"), END)
    relay = Relay(*PAUSED, *again)

    ends = [answer[-1] for answer in (await relay.ask(), await relay.decide("a"), await relay.decide("b"))]

    assert ends == [
        RunEnd("approval", BEFORE),
        RunEnd("approval", Usage(2, 2, 2, 4)),
        RunEnd("end", Usage(3, 4, 5, 4), cost=0.5),
    ]


async def test_a_tool_that_needs_no_permission_is_shown_after_half_a_second_or_with_what_comes_next() -> None:
    relay = Relay(BASH, 5.0, ToolOutcome("t1", "ok"), READ, 0.1, TextDelta("x"), END)

    found = [(now(), event) async for event in relay.runner.run(RunRequestFactory.build(pauses=True))]

    assert found == [(0.5, BASH), (5, ToolOutcome("t1", "ok")), (5.1, READ), (5.1, TextDelta("x")), (5.1, END)]


async def test_a_tool_that_still_runs_is_shown_in_the_answer_that_goes_on() -> None:
    relay = Relay(READ, BASH, asked("a"), RunPaused(BEFORE), ToolOutcome("t2", "x"), ToolOutcome("t1", "y"), END)

    first, second = await relay.ask(), await relay.decide("a")

    assert [event for event in first if isinstance(event, ToolActivity)] == []
    assert [event.approval_id for event in second if isinstance(event, ToolActivity)] == [None, "a"]


async def test_what_is_decided_elsewhere_in_the_meantime_is_not_waited_for() -> None:
    relay = Relay(*PAUSED, *REST)

    asking = asyncio.create_task(relay.ask())
    await asyncio.sleep(0.2)
    await relay.approvals.decide("ann", Decision("a", approve=True))
    events = await asking

    assert events[-1] == END
    assert relay.script.decisions == [Decision("a", approve=True)]


async def test_a_client_that_leaves_before_the_pause_ends_the_run() -> None:
    relay = Relay(*PAUSED, *REST)

    async with aclosing(relay.runner.run(RunRequestFactory.build(caller="ann", pauses=True))) as events:
        assert await anext(events) == RunStarted("started")
        assert await anext(events) == asked("a")

    assert relay.script.ended == [0.1]
    assert not relay.approvals.is_waiting("a")
    assert timers() == 0


async def test_a_client_that_leaves_an_answer_that_goes_on_ends_the_run() -> None:
    relay = Relay(*PAUSED, *REST)
    await relay.ask()

    async with aclosing(relay.runner.run(deciding(["a"]))) as events:
        await anext(events)

    assert len(relay.script.ended) == 1


async def test_a_failure_after_the_decision_is_the_requests() -> None:
    relay = Relay(*PAUSED, UpstreamError("It broke."))
    await relay.ask()

    with pytest.raises(UpstreamError, match="It broke"):
        await relay.decide("a")


async def test_no_run_is_left_when_the_runner_stops() -> None:
    relay = Relay(*PAUSED, *REST)
    await relay.ask()

    await relay.runner.stop()

    assert len(relay.script.ended) == 1
    assert timers() == 0
