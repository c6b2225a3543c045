"""Which request gets which process: one that holds its conversation, a reset one, a spare, or a new one."""

import asyncio
import itertools
import logging
import operator
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from claude_relay.engine.claude.capabilities import Current
from claude_relay.engine.claude.control import ProcessGoneError
from claude_relay.engine.claude.matching import Binding, Conversation, Kind
from claude_relay.engine.claude.pace import Pace
from claude_relay.engine.claude.session import (
    REPLY_TIMEOUT,
    Origin,
    Session,
    UnresponsiveError,
    UnsolicitedTurnError,
)
from claude_relay.engine.claude.spares import Spares, Waiting
from claude_relay.engine.vocabulary import RunRequest
from claude_relay.errors import RelayError, UnavailableError, UpstreamError
from claude_relay.settings import Personality

_log = logging.getLogger(__name__)

_STOPPING = 1.0
"""Seconds after which another relay may be there."""
_START_TIMEOUT = 60.0
"""Seconds that a process gets to answer at all; on a machine with much to do that may take many."""
_CONVERSATION_KEPT = 1.0
"""Seconds that a process is left to a conversation that was continued before, while others like it go on."""
_PROBE_INTERVAL = 30.0
"""Seconds between two questions to idle processes whether they still answer."""
_PROBE_TIMEOUT = 5.0
"""Seconds that they get for that, where nobody waits for one of them."""

Open = Callable[[Kind], Awaitable[Session]]
"""Starts a process."""


class Limits(Struct, frozen=True):
    """How many processes there may be, and for how long.

    Attributes:
        warm: Spares kept for each kind in use, or likely to be.
        processes: Processes in all; idle ones make room first.
        starts: Processes that are started at the same time for requests that wait.
        idle_seconds: How long a process waits for its next question.
        turns: Questions that a process answers in its life; 0 means any number.
        memory: Bytes of memory beyond which a process is not used again.
        agents_once: Whether a process of an agent answers one question only.
    """

    warm: int
    processes: int
    starts: int
    idle_seconds: float
    turns: int
    memory: int
    agents_once: bool = False


class Counts(Struct, frozen=True):
    """Processes by what they do, and how requests got theirs since the start.

    Attributes:
        starting: Being started.
        spare: Ready, for anybody.
        idle: Idle, with a conversation.
        busy: Serving a request.
        ending: On their way out.
        unresponsive: Ended because they did not answer while they were idle.
        unsolicited: Ended because they took a turn that nobody asked for.
    """

    starting: int
    spare: int
    idle: int
    busy: int
    ending: int
    reused: int
    reset: int
    prewarmed: int
    started: int
    unresponsive: int
    unsolicited: int


class Pool:
    """Hands out sessions and ends them.

    Args:
        open_session: Starts a process, without waiting for it to be ready.
        limits: How many there may be, and for how long.
        memory_of: Tells the memory of a process by its id, in bytes.
        capabilities: Tells what is used of the CLI.

    Attributes:
        failure: Why the latest process did not start; None if it did.
    """

    def __init__(
        self, open_session: Open, limits: Limits, memory_of: Callable[[int], int], capabilities: Current
    ) -> None:
        self.failure: str | None = None
        self._open_session = open_session
        self._limits = limits
        self._memory_of = memory_of
        self._capabilities = capabilities
        self._pace = Pace()
        self._spares = Spares(self, limits.warm, limits.starts)
        self._idle: dict[Session, float] = {}
        self._alive: set[Session] = set()
        self._busy: set[Session] = set()
        self._opening: set[asyncio.Task[Session]] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._got: Counter[Origin] = Counter()
        self._faults: Counter[type[ProcessGoneError]] = Counter()
        self._stopped = False
        self._starting: set[asyncio.Task[Any] | None] = set()
        self._keepers: list[asyncio.Task[None]] = []

    @property
    def counts(self) -> Counts:
        """How many processes there are."""
        return Counts(
            starting=len(self._opening),
            spare=len(self._spares),
            idle=len(self._idle),
            busy=len(self._busy),
            ending=len(self._ending),
            reused=self._got["reused"],
            reset=self._got["reset"],
            prewarmed=self._got["prewarmed"],
            started=self._got["started"],
            unresponsive=self._faults[UnresponsiveError],
            unsolicited=self._faults[UnsolicitedTurnError],
        )

    @property
    def is_quiet(self) -> bool:
        """Whether no process is being started, and no request waits for the first of its answer."""
        return not self._opening and all(session.has_output for session in self._busy)

    def start(self, *likely: Personality) -> None:
        """Begin to keep spares: of the personalities that will likely be asked, in this order, and of all that are."""
        self._spares.expect(map(Kind, likely))
        keepers = (self._reap_idle(), self._probe_idle())
        self._keepers = [asyncio.create_task(keeper) for keeper in keepers]

    async def stop(self) -> None:
        """End every process, busy ones included, and start no more."""
        self._stopped = True
        self._spares.clear(_stopping())
        for task in (*self._keepers, *self._opening):
            task.cancel()
        await asyncio.gather(*self._keepers, *self._opening, return_exceptions=True)
        for session in tuple(self._alive):
            self.retire(session)
        while self._ending:
            await asyncio.wait(self._ending)

    async def checkout(self, request: RunRequest, *, fresh: bool = False) -> Session:
        """Return a session for one request alone, ready for its question.

        Correctness never depends on what is found: any process can serve any request from the messages it carries.

        Args:
            request: What will be asked.
            fresh: Whether a process is started for it in any case.

        Raises:
            RelayError: No process can be started, or the relay is stopping.
        """
        if self._stopped:
            raise _stopping()
        found = None if fresh else self._found(request)
        return found or await self._waited_for(request, fresh=fresh)

    async def probe(self, within: float = REPLY_TIMEOUT) -> None:
        """Ask all processes that wait whether they still answer, and end those that do not within some seconds."""
        waiting = [session for session in self._alive if session.is_watched]
        answers = await asyncio.gather(*(session.responds(within) for session in waiting))
        for session in itertools.compress(waiting, map(operator.not_, answers)):
            self._lost(session)

    def _found(self, request: RunRequest) -> Session | None:
        if session := self._holding(request):
            return self._take(session, "reused")
        if session := self.take_resettable(request):
            return self._take(session, "reset")
        if session := self._spare(Kind.of(request)):
            return self._take(session, "prewarmed")
        return None

    async def _waited_for(self, request: RunRequest, *, fresh: bool) -> Session:
        """Wait for a process that is given back or started, whichever comes first."""
        may_be_reset = not fresh and request.personality == "chat" and self._capabilities().reset
        waiting = self._spares.wait(request, Binding.of(request) if may_be_reset else None)
        try:
            return await waiting.session
        except asyncio.CancelledError:
            if waiting.session.done() and not waiting.session.cancelled() and waiting.session.exception() is None:
                self.retire(waiting.session.result())
            raise
        finally:
            self._spares.leave(waiting)

    def release(self, session: Session) -> None:
        """Take a session back after its answer, to be used again if that can be done."""
        self._busy.discard(session)
        self._pace.ended(session, _now())
        if not self._is_worth_keeping(session):
            self.retire(session)
            return
        if not session.is_continued and (waiting := self._spares.waiting_for(session)):
            session.forget()
            self.hand_over(waiting, session, "reset")
            return
        self._idle[session] = time.monotonic()
        session.watch(self._lost)
        while self._total > self._limits.processes and self._idle:
            self.retire(next(iter(self._idle)))

    def retire(self, session: Session) -> None:
        """End a session's process, without making anyone wait for it. A second call changes nothing."""
        if session not in self._alive:
            return
        self._alive.discard(session)
        self._busy.discard(session)
        self._pace.forget(session)
        self._idle.pop(session, None)
        if session.fault is not None:
            self._faults[type(session.fault)] += 1
        task = asyncio.create_task(_end(session))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def hand_over(self, waiting: Waiting, session: Session, origin: Origin) -> None:
        """Give a process to a request that waits."""
        waiting.session.set_result(self._take(session, origin))

    def take_resettable(self, request: RunRequest) -> Session | None:
        """Find a process of the same caller and configuration that can forget its conversation, and take it."""
        if not self._capabilities().reset or request.personality == "agent":
            return None
        binding = Binding.of(request)
        idle = self._idle_ones(binding)
        continued = [session for session in reversed(idle) if session.is_continued]
        # a conversation that was continued will be again, and the one idle longest least likely
        free = [session for session in idle if not session.is_continued] or continued
        if not free or (free is continued and self._is_kept(continued[0], binding)):
            return None
        # what is set already need not be set again
        session = next((session for session in free if session.is_set_for(request)), free[0])
        del self._idle[session]
        session.forget()
        return session

    def make_room(self) -> bool:
        """End what was idle longest, if one more process would be too many, and tell whether there is room now."""
        while self._total >= self._limits.processes and (
            spare := self._spares.surplus() or next(iter(self._idle), None)
        ):
            self.retire(spare)
        return self._total < self._limits.processes

    def start_process(self, kind: Kind) -> asyncio.Task[Session]:
        """Start a process in a task of its own, so that ``stop`` finds what is only just beginning."""
        if self._stopped:
            raise _stopping()
        opening = asyncio.create_task(self._open(kind))
        self._opening.add(opening)
        self._starting.add(opening)
        opening.add_done_callback(self._opening.discard)
        opening.add_done_callback(self._starting.discard)
        return opening

    def served_soon(self, binding: Binding) -> int:
        """Return how many requests that may have a used process of a binding get one before another could start."""
        return self._pace.served_soon(binding, _now())

    def _lost(self, session: Session) -> None:
        """End an idle process."""
        self._spares.forget(session)
        self.retire(session)

    def _take(self, session: Session, origin: Origin) -> Session:
        self._got[origin] += 1
        session.assign(origin)
        self._busy.add(session)
        self._pace.began(session, _now())
        return session

    def _holding(self, request: RunRequest) -> Session | None:
        """Find the process that holds exactly this conversation, but for its last turn."""
        past: Conversation | None = None
        for session in self._idle_ones(Binding.of(request)):
            history = session.history
            if history is None or len(history.turns) != len(request.turns) - 1 or session.model != request.model:
                continue
            past = past or Conversation.of(request.turns[:-1])
            if history == past:
                del self._idle[session]
                return session
        return None

    def _is_kept(self, session: Session, binding: Binding) -> bool:
        """Whether a process is left to its conversation for now: where several go on at once, and there is room."""
        if self._total >= self._limits.processes or all(busy.binding != binding for busy in self._busy):
            return False
        return time.monotonic() - self._idle[session] < _CONVERSATION_KEPT

    def _idle_ones(self, binding: Binding) -> list[Session]:
        """The one used last comes first: it is the warmest."""
        for session in [session for session in self._idle if not session.alive]:
            self.retire(session)
        return [session for session in reversed(self._idle) if session.binding == binding]

    def _is_worth_keeping(self, session: Session) -> bool:
        if session not in self._alive or session.in_turn or not session.alive:
            return False
        if session.personality == "agent" and self._limits.agents_once:
            return False
        can_go_on = session.history is not None or (self._capabilities().reset and session.personality == "chat")
        young = not self._limits.turns or session.turns < self._limits.turns
        return (
            self._capabilities().reuse
            and can_go_on
            and young
            and self._memory_of(session.process.pid) < self._limits.memory
        )

    @property
    def _total(self) -> int:
        """All processes, those included that are only just being started."""
        return len(self._alive) + len(self._starting)

    def _spare(self, kind: Kind) -> Session | None:
        while session := self._spares.take(kind):
            if session.alive and session in self._alive:
                return session
            self.retire(session)
        return None

    async def _reap_idle(self) -> None:
        """End processes that were idle for too long, and clean up after those that have ended."""
        while True:
            await asyncio.sleep(min(1.0, self._limits.idle_seconds))
            too_old = time.monotonic() - self._limits.idle_seconds
            for session in [session for session, since in self._idle.items() if since < too_old or not session.alive]:
                self.retire(session)
            while surplus := self._spares.surplus(too_old):
                self.retire(surplus)
            for unused in self._spares.of_unused(too_old):
                self.retire(unused)

    async def _probe_idle(self) -> None:
        """Probe the waiting processes, so that those that hang are found before a request needs them."""
        while True:
            await asyncio.sleep(_PROBE_INTERVAL)
            await self.probe(_PROBE_TIMEOUT)

    async def _open(self, kind: Kind) -> Session:
        began = _now()
        try:
            session = await self._ready(kind)
        except RelayError as error:
            self.failure = (isinstance(error, ProcessGoneError) and error.last_words) or error.message
            raise
        self.failure = None
        self._pace.start = _now() - began
        return session

    async def _ready(self, kind: Kind) -> Session:
        session = await self._open_session(kind)
        self._alive.add(session)
        self._starting.discard(asyncio.current_task())
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                await session.ready()
        except TimeoutError:
            self.retire(session)
            raise UpstreamError("Claude Code was started, but does not answer.", code="claude_unresponsive") from None
        except BaseException:
            self.retire(session)
            raise
        session.watch(self._lost)
        return session


def _now() -> float:
    return asyncio.get_running_loop().time()


def _stopping() -> UnavailableError:
    return UnavailableError("The relay is stopping.", code="shutting_down", retry_after=_STOPPING)


async def _end(session: Session) -> None:
    """End its turn first: killed in the middle of its work, the CLI would leave its own tools running."""
    try:
        await session.end_turn()
    finally:
        await session.process.close()
