"""How long a run may take: until its first event, between two of them, and in all."""

import asyncio
from collections.abc import AsyncGenerator

from msgspec import Struct

from claude_relay.engine.vocabulary import Begun, Dropped, Event
from claude_relay.errors import DeadlineError


class Deadlines(Struct, frozen=True):
    """Seconds that a run may take.

    Attributes:
        first: Until it says something.
        silence: Between two events. The time a reader takes for one does not count.
        total: In all.
    """

    first: float
    silence: float
    total: float


async def watched(events: AsyncGenerator[Event, None], deadlines: Deadlines) -> AsyncGenerator[Event, None]:
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
        self._waiter: asyncio.Task[object] | None = None
        self._missed: DeadlineError | None = None
        self._timer = self._loop.call_at(self._due(), self._look)

    async def next(self, events: AsyncGenerator[Event, None]) -> Event:
        self._since, self._waiter = self._loop.time(), asyncio.current_task()
        if self._since >= self._began + self._deadlines.total:
            raise self._failure()
        try:
            event = await anext(events)
        except asyncio.CancelledError:
            if self._missed is None or self._waiter is None:
                raise
            self._waiter.uncancel()
            raise self._missed from None
        finally:
            self._waiter = None
        self._first = self._first and isinstance(event, Begun | Dropped)
        return event

    def stop(self) -> None:
        self._timer.cancel()

    def _due(self) -> float:
        patience = self._deadlines.first if self._first else self._deadlines.silence
        return min(self._since + patience, self._began + self._deadlines.total)

    def _look(self) -> None:
        now = self._loop.time()
        if self._waiter is None:
            # whoever reads takes their time: that is not the run's fault
            self._timer = self._loop.call_at(now + min(self._deadlines.silence, self._deadlines.total), self._look)
        elif now < self._due():
            self._timer = self._loop.call_at(self._due(), self._look)
        else:
            self._missed = self._failure()
            self._waiter.cancel()

    def _failure(self) -> DeadlineError:
        limits = self._deadlines
        if self._loop.time() >= self._began + limits.total:
            return DeadlineError(f"The answer took more than {limits.total:g} seconds.", code="total_timeout")
        if self._first:
            return DeadlineError(f"Nothing came within {limits.first:g} seconds.", code="first_event_timeout")
        return DeadlineError(f"Nothing more came within {limits.silence:g} seconds.", code="silence_timeout")
