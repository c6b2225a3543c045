"""What the fake upstream remembers of a request."""

from dataclasses import dataclass, field
from threading import Event
from typing import Any


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """One request and the fate of its reply.

    ``headers`` have lower-case names; ``body`` is the decoded JSON object, None if it was none.
    ``started`` is the time.monotonic() at which the request's head arrived, ``sent`` that of
    every delta handed to the connection, in order. ``disconnected`` is set when the client
    closed the connection before the reply was complete, ``finished`` when the reply ended
    either way.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: dict[str, Any] | None
    started: float
    sent: list[float] = field(default_factory=list)
    disconnected: Event = field(default_factory=Event)
    finished: Event = field(default_factory=Event)

    @property
    def is_messages(self) -> bool:
        """Whether this asks for a message."""
        return self.method == "POST" and self.path == "/v1/messages"
