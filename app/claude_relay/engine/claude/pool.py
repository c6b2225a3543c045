"""Processes kept ready, and who gets which. In this house a process serves one request and then ends."""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable

from msgspec import Struct

from claude_relay.engine.claude.session import Session
from claude_relay.errors import RelayError
from claude_relay.settings import Personality

_log = logging.getLogger(__name__)

_REFILL_DELAY = 0.25
"""Seconds between taking a spare and starting the next: the request that took it is on its way by then, and does not
share its CPU with a start-up."""
_RETRY_DELAY = 5.0
"""Seconds before starting a spare is tried again after it failed."""

Open = Callable[[Personality], Awaitable[Session]]
"""Starts a process."""


class Counts(Struct, frozen=True):
    """Processes by what they do: ready for a request, serving one, or on their way out."""

    spare: int
    busy: int
    ending: int


class Pool:
    """Hands out sessions and ends them.

    Args:
        open_session: Starts a process, without waiting for it to be ready.
        warm: Spares kept for each personality in use.
    """

    def __init__(self, open_session: Open, warm: int) -> None:
        self._open_session = open_session
        self._warm = warm
        self._spares: defaultdict[Personality, deque[asyncio.Task[Session]]] = defaultdict(deque)
        self._alive: set[Session] = set()
        self._busy: set[Session] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._lacking = asyncio.Event()
        self._opening: set[asyncio.Task[Session]] = set()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def counts(self) -> Counts:
        """How many processes there are."""
        return Counts(spare=sum(map(len, self._spares.values())), busy=len(self._busy), ending=len(self._ending))

    def start(self, personality: Personality) -> None:
        """Begin to keep spares, first of all for one personality."""
        self._spares[personality]
        self._keeper = asyncio.create_task(self._keep_spares())
        self._lacking.set()

    async def stop(self) -> None:
        """End every process, busy ones included."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        for task in self._opening:
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        self._spares.clear()
        for session in tuple(self._alive):
            self.retire(session)
        while self._ending:
            await asyncio.gather(*self._ending)

    async def checkout(self, personality: Personality) -> Session:
        """Return a session that nobody else has: a spare if there is one, else one started now.

        Raises:
            RelayError: No process can be started.
        """
        session = await self._spare(personality) or await self._started(personality)
        self._busy.add(session)
        return session

    def retire(self, session: Session) -> None:
        """End a session's process, without making anyone wait for it. A second call changes nothing."""
        if session not in self._alive:
            return
        self._alive.discard(session)
        self._busy.discard(session)
        task = asyncio.create_task(_end(session))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _spare(self, personality: Personality) -> Session | None:
        spares = self._spares[personality]
        asyncio.get_running_loop().call_later(_REFILL_DELAY, self._lacking.set)
        while spares:
            opening = spares.popleft()
            try:
                session = await asyncio.shield(opening)
            except asyncio.CancelledError:
                spares.appendleft(opening)
                raise
            except RelayError:
                continue
            if session.alive:
                return session
            self.retire(session)
        return None

    async def _started(self, personality: Personality) -> Session:
        opening = self._start(personality)
        try:
            return await opening
        except asyncio.CancelledError:
            opening.add_done_callback(self._abandon)
            raise

    def _abandon(self, opening: asyncio.Task[Session]) -> None:
        """End a process that was ready in the very moment when nobody wanted it any more."""
        if not opening.cancelled() and opening.exception() is None:
            self.retire(opening.result())

    async def _keep_spares(self) -> None:
        """Start what is lacking, one process at a time: several at once would each take many times as long."""
        while True:
            await self._lacking.wait()
            self._lacking.clear()
            for personality, spares in tuple(self._spares.items()):
                while len(spares) < self._warm:
                    opening = self._start(personality)
                    spares.append(opening)
                    await asyncio.wait({opening})
                    if (error := opening.exception()) is not None:
                        _log.warning("no %s process could be kept ready: %s", personality, error)
                        _discard(spares, opening)
                        await asyncio.sleep(_RETRY_DELAY)

    def _start(self, personality: Personality) -> asyncio.Task[Session]:
        """Start a process in a task of its own, so that ``stop`` finds what is only just beginning."""
        opening = asyncio.create_task(self._open(personality))
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)
        return opening

    async def _open(self, personality: Personality) -> Session:
        session = await self._open_session(personality)
        self._alive.add(session)
        try:
            await session.ready()
        except BaseException:
            self.retire(session)
            raise
        return session


def _discard(spares: deque[asyncio.Task[Session]], opening: asyncio.Task[Session]) -> None:
    if opening in spares:
        spares.remove(opening)


async def _end(session: Session) -> None:
    """Interrupt first: killed in the middle of its work, the CLI would leave its own tools running."""
    if session.asking:
        await session.interrupt()
    await session.process.close()
