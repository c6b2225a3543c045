"""Tools of agents that wait for somebody's permission, and who may give it. One ``Approvals`` for an application."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Literal

from msgspec import Struct

from claude_relay.engine.vocabulary import Decision
from claude_relay.errors import InvalidRequestError, NotFoundError, RelayError, quoted

Respond = Callable[[Decision], Awaitable[None]]
"""Tells the agent what was decided."""
Outcome = Literal["approved", "denied", "timed_out", "withdrawn"]
"""What became of an approval: ``timed_out`` if nobody decided, ``withdrawn`` if the agent did not wait any more."""
Observer = Callable[[Outcome, float], None]
"""Is told what became of each approval, and how many seconds it waited."""


class Approval(Struct, frozen=True):
    """A tool that waits for permission.

    Attributes:
        id: Its id, which cannot be guessed.
        caller: Whose request it belongs to; nobody else may decide.
        tool: The tool.
        arguments: What it is called with.
        model: The model that calls it.
        created_at: Since when it waits, in seconds since the epoch.
        request_id: The request it belongs to, as the log names it.
    """

    id: str
    caller: str
    tool: str
    arguments: dict[str, Any]
    model: str
    created_at: int
    request_id: str


class _Entry(Struct):
    """An approval that waits.

    Attributes:
        approval: The approval.
        respond: Tells the agent what was decided.
        timer: Ends the wait.
        expire: What happens then.
        since: Since when it waits, by the event loop's clock.
        is_held: Whether only a request that goes on from its response may decide.
    """

    approval: Approval
    respond: Respond
    timer: asyncio.TimerHandle
    expire: Callable[[], Awaitable[None]]
    since: float
    is_held: bool = False


class Approvals:
    """What waits for permission. After some time it is denied.

    Args:
        timeout: Seconds to wait.

    Attributes:
        observe: Is told what became of each.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.observe: Observer = _ignore
        self._waiting: dict[str, _Entry] = {}
        self._expiring: set[asyncio.Task[None]] = set()

    def ask(self, approval: Approval, respond: Respond) -> None:
        """Begin to wait for a decision.

        Args:
            approval: What waits.
            respond: Tells the agent what was decided; called once at most.
        """
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self.timeout, self._expire, approval.id)
        reason = f"Nobody answered within {self.timeout:g} seconds."
        denied = Decision(approval.id, approve=False, reason=reason)
        self._waiting[approval.id] = _Entry(approval, respond, timer, partial(respond, denied), loop.time())

    def withdraw(self, approval_ids: Iterable[str]) -> None:
        """Stop waiting, since the agent does not wait any more."""
        for approval_id in approval_ids:
            if approval_id in self._waiting:
                self._end(approval_id, "withdrawn")

    def cancel(self, approval_id: str) -> None:
        """Stop waiting, since the agent goes on by itself; what is held is ended, for nobody would see how."""
        entry = self._waiting.get(approval_id)
        self.withdraw((approval_id,))
        if entry is not None and entry.is_held:
            self._start(entry.expire)

    async def abandon(self, caller: str, approval_ids: Iterable[str]) -> None:
        """End those answers of a caller that wait for one of these: no request will go on from them."""
        for approval_id in approval_ids:
            if self.is_held(caller, approval_id):
                end = self._waiting[approval_id].expire
                self.withdraw((approval_id,))
                await _done(end)

    def is_waiting(self, approval_id: str) -> bool:
        """Whether something waits that was not decided yet."""
        return approval_id in self._waiting

    def waits(self) -> tuple[float, ...]:
        """Return for how many seconds each has waited so far."""
        return tuple(asyncio.get_running_loop().time() - entry.since for entry in self._waiting.values())

    def of(self, caller: str) -> tuple[Approval, ...]:
        """Return what waits of a caller's requests, the oldest first."""
        return tuple(entry.approval for entry in self._waiting.values() if entry.approval.caller == caller)

    async def decide(self, caller: str, decision: Decision) -> Approval:
        """Permit or deny what waits, and return what that was.

        Raises:
            NotFoundError: Nothing like that waits, of this caller's.
            InvalidRequestError: It belongs to a response that has ended, which is to be gone on from.
        """
        entry = self._waiting.get(decision.approval_id)
        if entry is None or entry.approval.caller != caller:
            raise NotFoundError(f"Approval {quoted(decision.approval_id)} not found: {GONE}", code="approval_not_found")
        if entry.is_held:
            raise InvalidRequestError(
                "This approval belongs to a response that has ended: go on from it, with an 'mcp_approval_response'.",
                code="approval_of_response",
            )
        (respond,) = self.take((decision,))
        await respond(decision)
        return entry.approval

    def hold(self, approval_ids: Iterable[str], expire: Callable[[], Awaitable[None]]) -> tuple[str, ...]:
        """Leave the decision to requests that go on from a response.

        Args:
            approval_ids: What waits.
            expire: Ends all of it when one has waited too long.

        Returns:
            Those of them that still wait.
        """
        found = tuple(filter(self.is_waiting, approval_ids))
        for approval_id in found:
            entry = self._waiting[approval_id]
            entry.is_held, entry.expire = True, expire
        return found

    def is_held(self, caller: str, approval_id: str) -> bool:
        """Whether something of a caller's waits for a request that goes on from its response."""
        entry = self._waiting.get(approval_id)
        return entry is not None and entry.is_held and entry.approval.caller == caller

    def take(self, decisions: Iterable[Decision]) -> list[Respond]:
        """Stop waiting, and return what tells the agent of each decision."""
        return [self._end(one.approval_id, "approved" if one.approve else "denied").respond for one in decisions]

    def _expire(self, approval_id: str) -> None:
        self._start(self._end(approval_id, "timed_out").expire)

    def _end(self, approval_id: str, outcome: Outcome) -> _Entry:
        entry = self._waiting.pop(approval_id)
        entry.timer.cancel()
        self.observe(outcome, asyncio.get_running_loop().time() - entry.since)
        return entry

    def _start(self, work: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.create_task(_done(work))
        self._expiring.add(task)
        task.add_done_callback(self._expiring.discard)


GONE = "it was answered, its time was over, or its process has ended, as it does when the relay is restarted."
"""Why an approval may not be there."""


def _ignore(_outcome: Outcome, _seconds: float) -> None:
    """Observe nothing."""


async def _done(work: Callable[[], Awaitable[None]]) -> None:
    # an agent that is gone need not be told, and whoever reads its answer hears of it
    with contextlib.suppress(RelayError):
        await work()
