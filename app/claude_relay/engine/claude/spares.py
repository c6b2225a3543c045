"""Starts processes: for requests that wait for one, and to be kept ready for whoever comes."""

import asyncio
import logging
import math
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Protocol

from msgspec import Struct

from claude_relay.engine.claude.matching import Binding, Kind
from claude_relay.engine.claude.session import Origin, Session
from claude_relay.engine.vocabulary import RunRequest
from claude_relay.errors import RelayError

_log = logging.getLogger(__name__)

_REFILL_DELAY = 0.25
"""Seconds between taking a spare and starting the next: the request that took it is on its way by then, and does not
share its CPU with a start-up."""
_LOOK_AGAIN = 0.05
"""Seconds after which it is looked again whether those who wait need more processes."""
_RETRY_DELAY = 5.0
"""Seconds before starting a spare is tried again after it failed."""


class Waiting(Struct, eq=False):
    """A request that waits for a process.

    Attributes:
        request: What will be asked.
        binding: What a used process must be bound to, to be reset for it; None if only a new one will do.
        session: The process, once it is there.
    """

    request: RunRequest
    binding: Binding | None
    session: asyncio.Future[Session]


class Processes(Protocol):
    """All processes there are, as the one who has them lets ``Spares`` use them."""

    def start_process(self, kind: Kind) -> asyncio.Task[Session]:
        """Start a process, in a task of its own that ends when the process is ready."""

    def make_room(self) -> bool:
        """Make room for one more process if that can be done, and tell whether there is room."""

    def hand_over(self, waiting: Waiting, session: Session, origin: Origin) -> None:
        """Give a process to a request that waits."""

    def take_resettable(self, request: RunRequest) -> Session | None:
        """Find an idle process that can be reset for a request, and take it."""

    def retire(self, session: Session) -> None:
        """End a process."""

    def served_soon(self, binding: Binding) -> int:
        """Return how many requests that may have a used process of a binding get one before another could start."""


class Spares:
    """The processes that nobody has used yet, and the requests that wait for one.

    A request that waits gets whichever comes first, a process that is given back or one that was started. What was
    started for a request that has got another one becomes a spare.

    Args:
        processes: All processes, these included.
        number: How many are kept of each kind.
        at_once: How many are started at the same time, if requests wait for them. Spares are started one at a time:
            several at once would each take many times as long.
    """

    def __init__(self, processes: Processes, number: int, at_once: int) -> None:
        self._processes = processes
        self._number = number
        self._at_once = at_once
        self._ready: defaultdict[Kind, dict[Session, float]] = defaultdict(dict)
        self._wanted_last: dict[Kind, float] = {}
        self._waiting: deque[Waiting] = deque()
        self._starting: Counter[Kind] = Counter()
        self._pauses = 0
        self._look_again: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Return how many are ready."""
        return sum(map(len, self._ready.values()))

    def expect(self, likely: Iterable[Kind]) -> None:
        """Keep spares of the kinds that will likely be asked for, in this order, and of all that are."""
        for kind in likely:
            self._ready[kind]
        self._fill()

    def take(self, kind: Kind) -> Session | None:
        """Return the spare that has been ready for longest, if there is one. Another is started after a while."""
        ready = self._in_use(kind)
        self._fill_in(_REFILL_DELAY)
        if not ready:
            return None
        session = next(iter(ready))
        del ready[session]
        return session

    def wait(self, request: RunRequest, binding: Binding | None) -> Waiting:
        """Take note of a request that waits for a process, and start one unless enough are being started."""
        waiting = Waiting(request, binding, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._in_use(Kind.of(request))
        self._serve_waiting()
        return waiting

    def leave(self, waiting: Waiting) -> None:
        """Take note that a request waits no more, whatever the reason."""
        if waiting in self._waiting:
            self._waiting.remove(waiting)

    def waiting_for(self, session: Session) -> Waiting | None:
        """Return the request that has waited longest of those that may have a process which is given back."""
        return self._first(lambda one: one.binding is not None and one.binding == session.binding)

    def forget(self, session: Session) -> None:
        """Count a process no more, and start another one in its place after a while."""
        if self._ready[session.kind].pop(session, None) is not None:
            self._fill_in(_RETRY_DELAY)

    def surplus(self, before: float = math.inf) -> Session | None:
        """Return, and count no more, a spare that is one too many, if it was ready before some time."""
        for kind, ready in self._ready.items():
            session = next(iter(ready), None)
            if session is not None and len(ready) > self._number_of(kind) and ready[session] < before:
                del ready[session]
                return session
        return None

    def of_unused(self, before: float) -> list[Session]:
        """Return, and count no more, the spares of profiles that nobody has asked for since some time."""
        unused = [kind for kind, asked in self._wanted_last.items() if asked < before and not self._is_awaited(kind)]
        for kind in unused:
            del self._wanted_last[kind]
        return [session for kind in unused for session in self._ready.pop(kind, ())]

    def of_another(self, kind: Kind) -> Session | None:
        """Return, and count no more, the spare of another profile that was asked for least recently."""
        for other in sorted(self._wanted_last, key=self._wanted_last.__getitem__):
            if other != kind and (session := next(iter(self._ready[other]), None)) is not None:
                del self._ready[other][session]
                return session
        return None

    def clear(self, error: RelayError) -> None:
        """Forget all spares, and fail all who wait."""
        self._ready.clear()
        while waiting := self._first(lambda _: True):
            waiting.session.set_exception(error)

    def _first(self, fits: Callable[[Waiting], bool]) -> Waiting | None:
        """Return, and count no more, who has waited longest of some."""
        waiting = next((one for one in self._waiting if not one.session.done() and fits(one)), None)
        if waiting is not None:
            self._waiting.remove(waiting)
        return waiting

    def _serve_waiting(self) -> None:
        """Start processes for those who wait, whether there is room or not: they are let in one by one."""
        for waiting in [one for one in self._waiting if one.binding is not None and not one.session.done()]:
            if (session := self._processes.take_resettable(waiting.request)) is not None:
                self._waiting.remove(waiting)
                self._processes.hand_over(waiting, session, "reset")
        for kind, number in self._wanted().items():
            while self._starting.total() < self._at_once and self._starting[kind] < number:
                self._make_room(kind)
                self._begin(kind, is_spare=False)
        if self._look_again is not None:
            self._look_again.cancel()
        again = bool(self._waiting)
        self._look_again = asyncio.get_running_loop().call_later(_LOOK_AGAIN, self._serve_waiting) if again else None

    def _wanted(self) -> Counter[Kind]:
        """Return how many processes are wanted for those who will not soon get a used one."""
        bindings: list[Binding] = []
        wanted = Counter(Kind.of(one.request) for one in self._waiting)
        for waiting in self._waiting:
            binding = waiting.binding
            if binding is not None and binding not in bindings:
                bindings.append(binding)
                alike = sum(one.binding == binding for one in self._waiting)
                wanted[Kind.of(waiting.request)] -= min(alike, self._processes.served_soon(binding))
        return wanted

    def _fill(self) -> None:
        """Start the next spare that is missing, if nothing else is being started."""
        for kind, ready in self._ready.items():
            lacks = len(ready) < self._number_of(kind) and not self._starting.total() and not self._pauses
            if lacks and self._processes.make_room():
                self._begin(kind, is_spare=True)

    def _begin(self, kind: Kind, *, is_spare: bool) -> None:
        self._starting[kind] += 1
        opening = self._processes.start_process(kind)
        opening.add_done_callback(lambda opened: self._opened(kind, opened, is_spare=is_spare))

    def _opened(self, kind: Kind, opened: asyncio.Task[Session], *, is_spare: bool) -> None:
        self._starting[kind] -= 1
        if opened.cancelled():
            return
        error = opened.exception()
        if error is None:
            self._keep(opened.result())
        elif not is_spare and (waiting := self._first(lambda one: Kind.of(one.request) == kind)):
            waiting.session.set_exception(error)
        else:
            _log.warning("no %s process could be kept ready: %s", kind, error)
            self._pause()
        self._serve_waiting()
        self._fill_in(_REFILL_DELAY)

    def _keep(self, session: Session) -> None:
        if waiting := self._first(lambda one: Kind.of(one.request) == session.kind):
            self._processes.hand_over(waiting, session, "started")
        elif session.is_watched:
            self._ready[session.kind][session] = time.monotonic()
        else:
            # it has ended already
            self._pause()

    def _in_use(self, kind: Kind) -> dict[Session, float]:
        """Take note that a kind was asked for, and return what is ready of it."""
        if kind.profile is not None:
            self._wanted_last[kind] = time.monotonic()
        return self._ready[kind]

    def _number_of(self, kind: Kind) -> int:
        """A worktree is made for a conversation, from what its repository holds then."""
        return 0 if kind.has_worktree else self._number

    def _is_awaited(self, kind: Kind) -> bool:
        return self._starting[kind] > 0 or any(Kind.of(one.request) == kind for one in self._waiting)

    def _make_room(self, kind: Kind) -> None:
        """Make room for a process that a request waits for; spares of profiles are ended for it too."""
        if not self._processes.make_room() and (spare := self.of_another(kind)) is not None:
            self._processes.retire(spare)

    def _pause(self) -> None:
        """Start no spare for a while; what is waited for is started all the same."""
        self._pauses += 1

        def go_on() -> None:
            self._pauses -= 1
            self._fill()

        asyncio.get_running_loop().call_later(_RETRY_DELAY, go_on)

    def _fill_in(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self._fill)
