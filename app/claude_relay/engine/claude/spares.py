"""Processes kept ready for whoever comes, of each personality in use."""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Callable, Iterable

from claude_relay.engine.claude.session import Session
from claude_relay.errors import RelayError
from claude_relay.settings import Personality

_log = logging.getLogger(__name__)

_REFILL_DELAY = 0.25
"""Seconds between taking a spare and starting the next: the request that took it is on its way by then, and does not
share its CPU with a start-up."""
_RETRY_DELAY = 5.0
"""Seconds before starting a spare is tried again after it failed."""


class Spares:
    """The spares of one pool.

    Args:
        number: How many are kept of each personality.
        start: Starts a process, in a task of its own that ends when the process is ready.
        has_room: Makes room for one more process if that can be done, and tells whether there is room.
    """

    def __init__(
        self, number: int, start: Callable[[Personality], asyncio.Task[Session]], has_room: Callable[[], bool]
    ) -> None:
        self._number = number
        self._start = start
        self._has_room = has_room
        self._waiting: defaultdict[Personality, deque[asyncio.Task[Session]]] = defaultdict(deque)
        self._refill_needed = asyncio.Event()

    def __len__(self) -> int:
        """Return how many there are, those included that are not ready yet."""
        return sum(map(len, self._waiting.values()))

    def expect(self, likely: Iterable[Personality]) -> None:
        """Keep spares of the personalities that will likely be asked, in this order, and of all that are."""
        for personality in likely:
            self._waiting[personality]
        self._refill_needed.set()

    async def keep(self) -> None:
        """Start what is missing, one process at a time: several at once would each take many times as long."""
        while True:
            await self._refill_needed.wait()
            self._refill_needed.clear()
            for personality, waiting in tuple(self._waiting.items()):
                while len(waiting) < self._number and self._has_room():
                    opening = self._start(personality)
                    waiting.append(opening)
                    await asyncio.wait({opening})
                    if (error := opening.exception()) is not None:
                        _log.warning("no %s process could be kept ready: %s", personality, error)
                        if opening in waiting:
                            waiting.remove(opening)
                        await asyncio.sleep(_RETRY_DELAY)

    async def take(self, personality: Personality) -> Session | None:
        """Return the spare that is ready, or will be first; None if there is none. Another one is started later."""
        waiting = self._waiting[personality]
        self._refill_in(_REFILL_DELAY)
        while waiting:
            opening = waiting.popleft()
            try:
                return await asyncio.shield(opening)
            except asyncio.CancelledError:
                if not opening.cancelled():
                    # whoever wanted it is gone
                    waiting.appendleft(opening)
                    raise
            except RelayError:
                continue
        return None

    def forget(self, session: Session) -> None:
        """Count a process no more, and start another one in its place after a while."""
        for waiting in self._waiting.values():
            for opening in [opening for opening in waiting if _opened(opening) is session]:
                waiting.remove(opening)
                self._refill_in(_RETRY_DELAY)

    def clear(self) -> None:
        """Forget all."""
        self._waiting.clear()

    def _refill_in(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self._refill_needed.set)


def _opened(opening: asyncio.Task[Session]) -> Session | None:
    finished = opening.done() and not opening.cancelled() and opening.exception() is None
    return opening.result() if finished else None
