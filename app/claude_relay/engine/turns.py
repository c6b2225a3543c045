"""Messages in order -> turns, as the upstream takes them. Pure."""

import itertools
from collections.abc import Iterable

from claude_relay.engine.vocabulary import Piece, Role, Text, ToolCall, Turn
from claude_relay.errors import quoted

_NAMED = 5
"""Calls that an error names; there may be many."""
_OPENING = Turn("user", (Text("."),))
"""A conversation begins with the user, but many clients begin with a greeting of the assistant."""


class TurnError(ValueError):
    """The messages are not a valid conversation."""


class MissingResultError(TurnError):
    """Calls of tools have no result before the next message; the text names some of them."""


class UnknownCallError(TurnError):
    """A message has the result of a call that was not made; the text names the call."""


class Turns:
    """Joins messages of one role in a row, and sees that every call of a tool has its result in time.

    For each message: ``go_on`` if it is more than the result of a call, ``take_call`` for each result, then ``add``.
    """

    def __init__(self) -> None:
        self._joined: list[tuple[Role, list[Piece]]] = []
        self._waiting: dict[str, str] = {}

    def go_on(self) -> None:
        """Check that no call waits for its result; otherwise the upstream would be told that the call failed.

        Raises:
            MissingResultError: One does.
        """
        if self._waiting:
            named = ", ".join(itertools.islice(self._waiting, _NAMED))
            others = len(self._waiting) - _NAMED
            raise MissingResultError(f"{named}, and {others} more" if others > 0 else named)

    def take_call(self, call_id: str) -> None:
        """Take a call that has its result.

        Raises:
            UnknownCallError: No such call waits.
        """
        if self._waiting.pop(call_id, None) is None:
            raise UnknownCallError(quoted(call_id))

    def take_call_of(self, tool: str) -> str:
        """Take the first call of a tool that waits, for results that do not name their call; return its id.

        Raises:
            UnknownCallError: None waits.
        """
        for call_id, called in self._waiting.items():
            if called == tool:
                del self._waiting[call_id]
                return call_id
        raise UnknownCallError(quoted(tool))

    def add(self, role: Role, content: Iterable[Piece]) -> None:
        """Add what a message says, if anything. Calls in it wait for their results from here on."""
        content = tuple(content)
        self._waiting.update((piece.id, piece.name) for piece in content if isinstance(piece, ToolCall))
        if self._joined and self._joined[-1][0] == role:
            self._joined[-1][1].extend(content)
        elif content:
            self._joined.append((role, list(content)))

    def joined(self) -> tuple[Turn, ...]:
        """Return the turns. They begin with the user, roles alternate, and none is empty.

        Raises:
            MissingResultError: A call still waits for its result.
        """
        self.go_on()
        made = tuple(Turn(role, tuple(content)) for role, content in self._joined)
        return (_OPENING, *made) if made and made[0].role == "assistant" else made
