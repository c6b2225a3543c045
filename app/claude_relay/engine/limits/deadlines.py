"""How long a run may take: until its first event, between two of them, and in all."""

import asyncio
from collections.abc import AsyncGenerator

from msgspec import Struct

from claude_relay.engine.vocabulary import (
    ApprovalRequested,
    Event,
    ParameterDropped,
    PromptCounted,
    RunStarted,
    ToolOutcome,
)
from claude_relay.errors import DeadlineError


class Deadlines(Struct, frozen=True):
    """Seconds that a run may take.

    Attributes:
        first: Until it says something.
        silence: Between two events. The time a reader takes for one does not count.
        total: In all.
        approval: How much longer a silence may be while a tool waits for permission.
    """

    first: float
    silence: float
    total: float
    approval: float = 0.0


async def with_deadlines(events: AsyncGenerator[Event, None], deadlines: Deadlines) -> AsyncGenerator[Event, None]:
    """Pass events on, and stop waiting for them when they take too long.

    Raises:
        DeadlineError: They do.
    """
    watch = _Watch(deadlines)
    try:
        while True:
            try:
                event = await watch.next(events)
            except StopAsyncIteration:
                return
            yield event
    finally:
        watch.stop()


class _Watch:
    """One timer for all events of a run: it looks when the earliest deadline could be over, and then looks again."""

    def __init__(self, deadlines: Deadlines) -> None:
        self._loop = asyncio.get_running_loop()
        self._deadlines = deadlines
        self._began = self._since = self._loop.time()
        self._first = True
        self._asked: set[str] = set()
        self._waiter: asyncio.Task[object] | None = None
        self._missed: DeadlineError | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def next(self, events: AsyncGenerator[Event, None]) -> Event:
        self._since = self._loop.time()
        if self._since >= self._began + self._deadlines.total:
            raise self._failure()
        if self._timer is None:
            self._look_later()
        waiter = self._waiter = asyncio.current_task(self._loop)
        assert waiter is not None  # noqa: S101 - a request is always served by a task
        cancelled_before = waiter.cancelling()
        try:
            event = await anext(events)
        except asyncio.CancelledError:
            if self._missed is None or waiter.cancelling() > cancelled_before + 1:
                raise
        finally:
            self._waiter = None
            if self._missed is not None:
                waiter.uncancel()
        if self._missed is not None:
            raise self._missed
        self._first = self._first and isinstance(event, RunStarted | ParameterDropped | PromptCounted)
        if isinstance(event, ApprovalRequested):
            self._asked.add(event.call_id)
        elif isinstance(event, ToolOutcome):
            self._asked.discard(event.id)
        return event

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _due(self) -> float:
        limits = self._deadlines
        silence = limits.silence + (limits.approval if self._asked else 0.0)
        waited_for = self._began + limits.first if self._first else self._since + silence
        return min(waited_for, self._began + limits.total)

    def _look_later(self) -> None:
        """Set the timer, not later than the deadline of a silence that begins with an event in between."""
        self._timer = self._loop.call_at(min(self._due(), self._loop.time() + self._deadlines.silence), self._look)

    def _look(self) -> None:
        self._timer = None
        if self._waiter is None:
            # whoever reads takes their time: that is not the run's fault
            return
        if self._loop.time() < self._due():
            self._look_later()
            return
        self._missed = self._failure()
        self._waiter.cancel()

    def _failure(self) -> DeadlineError:
        limits = self._deadlines
        if self._loop.time() >= self._began + limits.total:
            return _missed(f"The answer took more than {limits.total:g} seconds.", "total_timeout")
        if self._first:
            return _missed(f"The answer did not begin within {limits.first:g} seconds.", "first_event_timeout")
        return _missed(f"The answer paused for more than {limits.silence:g} seconds.", "silence_timeout")


def _missed(message: str, code: str) -> DeadlineError:
    """An agent's work must not be begun again by an SDK of its own accord."""
    return DeadlineError(message, code=code)
