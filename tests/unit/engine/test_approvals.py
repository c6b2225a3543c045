"""What waits for permission: who may give it, once, and until when."""

import asyncio
import gc
from typing import Any

import pytest

from claude_relay.engine.approvals import Approval, Approvals
from claude_relay.engine.vocabulary import Decision
from claude_relay.errors import InvalidRequestError, NotFoundError, UpstreamError
from tests.unit.engine.virtual import BACKEND, now, timers

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return BACKEND


class Agent:
    """Waits for decisions, and knows when each came."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, Decision]] = []

    async def hear(self, decision: Decision) -> None:
        self.heard.append((now(), decision))


def approval(approval_id: str, caller: str = "ann") -> Approval:
    return Approval(approval_id, caller, "Bash", {"command": "ls"}, "sonnet", 1, "req_1")


async def test_what_is_decided_is_told_once_and_waits_no_more() -> None:
    agent, approvals = Agent(), Approvals(30)
    approvals.ask(approval("a"), agent.hear)
    approvals.ask(approval("b"), agent.hear)

    found = await approvals.decide("ann", Decision("a", approve=True))

    assert found == approval("a")
    assert agent.heard == [(0, Decision("a", approve=True))]
    assert approvals.of("ann") == (approval("b"),)
    with pytest.raises(NotFoundError):
        await approvals.decide("ann", Decision("a", approve=False))
    approvals.withdraw(["b"])
    assert timers() == 0


async def test_another_callers_is_not_found_and_goes_on_to_wait() -> None:
    agent, approvals = Agent(), Approvals(30)
    approvals.ask(approval("a"), agent.hear)

    assert approvals.of("bob") == ()
    with pytest.raises(NotFoundError) as raised:
        await approvals.decide("bob", Decision("a", approve=True))

    assert raised.value.code == "approval_not_found"
    assert (agent.heard, approvals.is_waiting("a")) == ([], True)
    approvals.withdraw(["a"])


async def test_what_nobody_decides_is_denied_with_the_reason_why() -> None:
    agent, approvals = Agent(), Approvals(30)
    approvals.ask(approval("a"), agent.hear)

    await asyncio.sleep(31)

    assert agent.heard == [(30, Decision("a", approve=False, reason="Nobody answered within 30 seconds."))]
    assert not approvals.is_waiting("a")


async def test_what_became_of_each_is_observed_with_how_long_it_waited() -> None:
    agent, approvals, observed = Agent(), Approvals(30), []
    approvals.observe = lambda outcome, seconds: observed.append((outcome, seconds))
    for name in "abcd":
        approvals.ask(approval(name), agent.hear)

    await asyncio.sleep(2)
    assert approvals.waits() == (2, 2, 2, 2)
    await approvals.decide("ann", Decision("a", approve=True))
    await approvals.decide("ann", Decision("b", approve=False))
    approvals.withdraw(["c", "never heard of"])
    await asyncio.sleep(29)

    assert observed == [("approved", 2), ("denied", 2), ("withdrawn", 2), ("timed_out", 30)]
    assert approvals.waits() == ()


async def test_what_is_withdrawn_is_never_told() -> None:
    agent, approvals = Agent(), Approvals(30)
    approvals.ask(approval("a"), agent.hear)

    approvals.withdraw(["a", "never heard of"])
    await asyncio.sleep(31)

    assert agent.heard == []


async def test_what_is_held_is_for_the_request_that_goes_on_from_its_response() -> None:
    agent, approvals = Agent(), Approvals(30)
    approvals.ask(approval("a"), agent.hear)

    assert approvals.hold(["a", "gone"], end_nothing) == ("a",)
    with pytest.raises(InvalidRequestError) as raised:
        await approvals.decide("ann", Decision("a", approve=True))
    assert raised.value.code == "approval_of_response"
    assert (approvals.is_held("ann", "a"), approvals.is_held("bob", "a"), approvals.is_held("ann", "gone")) == (
        True,
        False,
        False,
    )
    (respond,) = approvals.take([Decision("a", approve=True)])
    await respond(Decision("a", approve=True))

    assert agent.heard == [(0, Decision("a", approve=True))]
    assert timers() == 0


async def test_what_is_held_too_long_is_not_denied_but_ended() -> None:
    agent, approvals, ended = Agent(), Approvals(30), []
    approvals.ask(approval("a"), agent.hear)

    async def end() -> None:
        ended.append(now())

    approvals.hold(["a"], end)
    await asyncio.sleep(31)

    assert (ended, agent.heard) == ([30], [])


async def test_what_the_agent_does_not_wait_for_any_more_is_not_told_and_ended_if_it_is_held() -> None:
    agent, approvals, ended = Agent(), Approvals(30), []
    approvals.ask(approval("a"), agent.hear)
    approvals.ask(approval("b"), agent.hear)

    async def end() -> None:
        ended.append(now())

    approvals.hold(["b"], end)
    for approval_id in ("a", "b", "never heard of"):
        approvals.cancel(approval_id)
    await asyncio.sleep(1)

    assert (ended, agent.heard, timers()) == ([0], [], 0)


async def test_an_agent_that_is_gone_when_the_time_is_over_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    approvals = Approvals(30)

    async def gone(_: Decision) -> None:
        raise UpstreamError("The process is gone.")

    approvals.ask(approval("a"), gone)
    await asyncio.sleep(31)
    gc.collect()

    assert caplog.text == ""


async def end_nothing() -> None:
    raise AssertionError("nothing has expired")
