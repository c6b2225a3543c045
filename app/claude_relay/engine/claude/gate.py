"""Few runs begin at a time: to begin is what costs the CLI most, and many at once slow each other down."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

_PATIENCE = 2.0
"""Seconds after which a run that has still not begun no longer keeps others from it."""
_GRACE = 0.03
"""Seconds after which a run that has asked its upstream is thought to wait for it. Where the upstream answers at once,
the CLI is busy until its answer ends, and the process that has just become free is the quickest for the next."""


class Gate:
    """Lets a number of runs begin at the same time. Those that wait for their upstream do not count.

    Args:
        width: Runs that may be at their beginning.
    """

    def __init__(self, width: int) -> None:
        self._width = asyncio.Semaphore(width)

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[Callable[[], None]]:
        """Hold a place until the run waits for its upstream, or takes too long to ask it, or ends.

        Yields:
            What to call when the upstream has been asked; more calls change nothing.
        """
        await self._width.acquire()
        place = _Place(self._width)
        try:
            yield place.asked
        finally:
            place.leave()


class _Place:
    def __init__(self, width: asyncio.Semaphore) -> None:
        self._width = width
        self._asked = self._left = False
        self._timer = asyncio.get_running_loop().call_later(_PATIENCE, self.leave)

    def asked(self) -> None:
        if not self._asked and not self._left:
            self._asked = True
            self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(_GRACE, self.leave)

    def leave(self) -> None:
        self._timer.cancel()
        if not self._left:
            self._left = True
            self._width.release()
