"""Admission: how many runs go on at once, how many wait, and which caller is next."""

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

from claude_relay.errors import RateLimitError
from claude_relay.settings import Settings

_FIRST_GUESS = 5.0
"""Seconds that a run is thought to take before any was seen."""
_LONGEST_ADVICE = 600.0
_WEIGHT = 0.2
"""How much the latest run counts in the average."""


class Capacity(Struct, frozen=True):
    """How many runs may go on and wait at once.

    Attributes:
        concurrent: Runs at once.
        queue: Runs that may wait.
        queue_timeout: Seconds that a run waits at most.
        per_caller: Runs at once of one caller; 0 means no limit but ``concurrent``.
    """

    concurrent: int
    queue: int
    queue_timeout: float
    per_caller: int = 0


def capacity(settings: Settings, concurrent: int) -> Capacity:
    """Return the capacity that the operator chose.

    Args:
        settings: The operator's choices.
        concurrent: Runs at once.
    """
    return Capacity(concurrent, settings.max_queue, settings.queue_timeout, settings.max_per_caller)


class Ticket:
    """The place of one run: in the queue, or among those that go on.

    Args:
        queue_timeout: Seconds that it waits at most.

    Attributes:
        turn: Is over when the run may go on, or fails when it gave way to another.
        admitted_at: When that was, on the monotonic clock; None before.
    """

    def __init__(self, queue_timeout: float) -> None:
        self.turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.admitted_at: float | None = None
        self._came = time.monotonic()
        self._queue_timeout = queue_timeout

    async def wait(self) -> float:
        """Wait until the run may go on, and return how long that took, in seconds.

        Raises:
            RateLimitError: The queue is full, and others come first.
            TimeoutError: The wait became too long.
        """
        async with asyncio.timeout(self._queue_timeout):
            await self.turn
        self.admitted_at = time.monotonic()
        return self.admitted_at - self._came


class Admission:
    """Admits runs up to the capacity. Further runs wait in a queue, in which callers take turns.

    Args:
        capacity: How much room there is.
    """

    def __init__(self, capacity: Capacity) -> None:
        self._capacity = capacity
        self._running: Counter[str] = Counter()
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}
        self._duration = _FIRST_GUESS

    @property
    def running(self) -> int:
        """How many go on."""
        return self._running.total()

    @property
    def waiting(self) -> int:
        """How many wait in the queue."""
        return sum(map(len, self._queues.values()))

    @contextmanager
    def enter(self, caller: str) -> Iterator[Ticket]:
        """Hold a ticket for as long as the block lasts; one that still waits when it ends leaves the queue.

        Args:
            caller: Whose run it is; callers who wait come in one after the other, however many runs each has.

        Yields:
            The ticket, whose turn is to be waited for.

        Raises:
            RateLimitError: The queue is full, or the wait became too long.
        """
        ticket = Ticket(self._capacity.queue_timeout)
        if self._has_room(caller):
            self._running[caller] += 1
            ticket.turn.set_result(None)
        else:
            self._require_room(caller)
            self._queues.setdefault(caller, deque()).append(ticket.turn)
        try:
            try:
                yield ticket
            finally:
                if ticket.admitted_at is not None:
                    self._duration += _WEIGHT * (time.monotonic() - ticket.admitted_at - self._duration)
                self._withdraw(caller, ticket.turn)
        except TimeoutError:
            if ticket.admitted_at is not None:
                raise
            raise self._too_late() from None

    def _has_room(self, caller: str) -> bool:
        mine = self._capacity.per_caller or self._capacity.concurrent
        return self._running.total() < self._capacity.concurrent and self._running[caller] < mine

    def _require_room(self, caller: str) -> None:
        """Make room in a full queue for a caller that has fewer requests in it than another."""
        if self.waiting < self._capacity.queue:
            return
        longest = max(self._queues.values(), key=len, default=deque())
        if len(longest) <= len(self._queues.get(caller, ())) + 1:
            raise self._full()
        latest = longest.pop()
        if not latest.done():
            latest.set_exception(self._full())

    def _withdraw(self, caller: str, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled() and turn.exception() is None:
            self._leave(caller)
            return
        queue = self._queues.get(caller, deque())
        if turn in queue:
            queue.remove(turn)
        if not queue:
            self._queues.pop(caller, None)

    def _leave(self, caller: str) -> None:
        self._running[caller] -= 1
        self._running += Counter()
        while (following := next(filter(self._has_room, self._queues), None)) is not None:
            self._admit_next(following)

    def _admit_next(self, caller: str) -> None:
        """Admit the next caller's oldest request, and move that caller to the end of the order."""
        queue = self._queues.pop(caller)
        turn = queue.popleft()
        if queue:
            self._queues[caller] = queue
        if not turn.done():
            self._running[caller] += 1
            turn.set_result(None)

    def _full(self) -> RateLimitError:
        return RateLimitError(
            "Too many requests are waiting. Please try again later.", code="queue_full", retry_after=self._advice()
        )

    def _too_late(self) -> RateLimitError:
        return RateLimitError(
            f"The request waited {self._capacity.queue_timeout:g} seconds in the queue. Please try again later.",
            code="queue_timeout",
            retry_after=self._advice(),
        )

    def _advice(self) -> float:
        """Return when a ticket should be free for one who comes now, in seconds, by how long runs take at present."""
        rounds = (self.waiting + 1) / self._capacity.concurrent
        return float(min(_LONGEST_ADVICE, max(1, math.ceil(rounds * self._duration))))
