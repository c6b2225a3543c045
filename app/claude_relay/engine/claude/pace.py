"""How fast processes answer, and so how many of those who wait will be served before another one has started. Pure."""

from msgspec import Struct

from claude_relay.engine.claude.matching import Binding
from claude_relay.engine.claude.session import Session

_FIRST_START = 0.5
"""Seconds that a start is thought to take until one was seen."""
_LATE = 0.05
"""Seconds after which an answer that takes longer than the last one is counted on no more."""


class _Answering(Struct):
    """A process, and its answers.

    Attributes:
        since: When it got its present request; None if it has none.
        took: Seconds of its last answer; None before the first.
    """

    since: float | None = None
    took: float | None = None


class Pace:
    """What is known of the speed of processes. All times are in seconds, of any one clock.

    Attributes:
        start: Seconds that the latest start took.
    """

    def __init__(self) -> None:
        self.start = _FIRST_START
        self._answering: dict[Session, _Answering] = {}

    def began(self, session: Session, now: float) -> None:
        """Take note that a process got a request."""
        self._answering.setdefault(session, _Answering()).since = now

    def ended(self, session: Session, now: float) -> None:
        """Take note that a process has answered."""
        found = self._answering.get(session)
        if found is not None and found.since is not None:
            found.took, found.since = now - found.since, None

    def forget(self, session: Session) -> None:
        """Take note that a process has ended."""
        self._answering.pop(session, None)

    def served_soon(self, binding: Binding, now: float) -> int:
        """Return how many requests the busy processes of a binding will have served before a start would be over.

        They will, if each takes as long as it did last time; one that takes longer is counted on no more.
        """
        return sum(
            self._answers(found.since + found.took - now, found.took)
            for session, found in self._answering.items()
            if found.since is not None
            and found.took is not None
            and now < found.since + found.took + _LATE
            and session.binding == binding
        )

    def _answers(self, left: float, took: float) -> int:
        """Return how many times a process is given back while another one starts."""
        rest = self.start - max(0.0, left)
        return 1 + int(rest / max(took, 0.001)) if rest > 0 else 0
