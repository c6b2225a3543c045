"""Capacity: how many runs may go on at once, and how many may wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from claude_relay.errors import RateLimitError

_RETRY_AFTER = 5.0
"""Seconds after which a full queue is worth another try."""


class Admission:
    """Lets a number of runs in at once; the others wait in line, first come, first served.

    Args:
        concurrent: Runs at once.
        queue: Runs that may wait.
    """

    def __init__(self, concurrent: int, queue: int) -> None:
        self._places = asyncio.Semaphore(concurrent)
        self._queue = queue
        self.waiting = 0

    @asynccontextmanager
    async def admitted(self) -> AsyncIterator[None]:
        """Hold a place for as long as the block lasts. Whoever leaves while waiting leaves the line too.

        Raises:
            RateLimitError: The line is full.
        """
        if self._places.locked() and self.waiting >= self._queue:
            raise RateLimitError(
                "Too many requests are waiting; try again later.", code="queue_full", retry_after=_RETRY_AFTER
            )
        self.waiting += 1
        try:
            await self._places.acquire()
        finally:
            self.waiting -= 1
        try:
            yield
        finally:
            self._places.release()
