"""Messages in order -> turns, as the upstream takes them. Pure."""

import itertools
import re
from collections import defaultdict, deque
from collections.abc import Iterable

from msgspec.structs import replace

from claude_relay.engine.vocabulary import AgentToolUse, Piece, Role, Text, ThinkingBlock, ToolCall, Turn
from claude_relay.errors import quoted

_LEGAL_ID = re.compile(r"[a-zA-Z0-9_-]+")
_NAMED = 5
"""Calls that an error names; there may be many."""
SILENCE = Turn("user", (Text("."),))
"""A turn of a user who says nothing, which the upstream does not take: an empty message, or no message before the
assistant's greeting."""


def instruction(text: str) -> Text:
    """Mark an instruction in the middle of a conversation, where most models take no system messages."""
    return Text(f"<system>\n{text}\n</system>")


class TurnError(ValueError):
    """The messages are not a valid conversation."""


class MissingResultError(TurnError):
    """Calls of tools have no result before the next message; the text names some of them."""


class UnknownCallError(TurnError):
    """A message has the result of a call that was not made; the text names the call."""


class Turns:
    """Joins messages of one role in a row, and sees that every call of a tool has its result in time.

    For each message: ``go_on`` if it is more than the result of a call, ``take_call`` for each result, then ``add``.
    Reasoning after which the assistant says and does nothing is left out, since the upstream takes none there.

    Clients name calls as they like, also with one name several times, but the upstream wants each id to be of
    letters, digits, ``_`` and ``-``, and to occur once. Ids that are not like that are replaced by the call's number,
    so that the same messages have the same ids in the next request too.
    """

    def __init__(self) -> None:
        self._joined: list[tuple[Role, list[Piece]]] = []
        self._thinking: list[Piece] = []
        self._ids: set[str] = set()
        self._waiting: dict[str, ToolCall] = {}
        self._by_client: defaultdict[str, deque[str]] = defaultdict(deque)

    @property
    def is_waiting(self) -> bool:
        """Whether a call waits for its result."""
        return bool(self._waiting)

    def go_on(self) -> None:
        """Check that no call waits for its result; otherwise the upstream would be told that the call failed.

        Raises:
            MissingResultError: One does.
        """
        if self._waiting:
            named = ", ".join(call.id for call in itertools.islice(self._waiting.values(), _NAMED))
            others = len(self._waiting) - _NAMED
            raise MissingResultError(f"{named}, and {others} more" if others > 0 else named)

    def take_call(self, call_id: str) -> str:
        """Take a call that has its result, the first one if several have its id; return its id upstream.

        Raises:
            UnknownCallError: No such call waits.
        """
        if not self._by_client[call_id]:
            raise UnknownCallError(quoted(call_id))
        found = self._by_client[call_id].popleft()
        del self._waiting[found]
        return found

    def take_call_of(self, tool: str) -> str:
        """Take the first call of a tool that waits, for results that do not name their call; return its id upstream.

        Raises:
            UnknownCallError: None waits.
        """
        for call in self._waiting.values():
            if call.name == tool:
                return self.take_call(call.id)
        raise UnknownCallError(quoted(tool))

    def add(self, role: Role, content: Iterable[Piece]) -> None:
        """Add what a message says, if anything. Calls in it wait for their results from here on."""
        content = list(map(self._with_legal_id, content))
        if content:
            content = self._led_to(role, content)
        if self._joined and self._joined[-1][0] == role:
            self._joined[-1][1].extend(content)
        elif content:
            self._joined.append((role, content))

    def drop_thinking(self) -> None:
        """Leave out what the assistant has thought in the turn that it is in."""
        self._thinking = []
        if self._joined and self._joined[-1][0] == "assistant":
            self._joined[-1][1][:] = [piece for piece in self._joined[-1][1] if not isinstance(piece, ThinkingBlock)]

    def add_silence(self) -> None:
        """Add the user's turn if it is not theirs already."""
        if not self._joined or self._joined[-1][0] != "user":
            self.add("user", SILENCE.content)

    def joined(self) -> tuple[Turn, ...]:
        """Return the turns. They begin with the user, roles alternate, and none is empty.

        Raises:
            MissingResultError: A call still waits for its result.
        """
        self.go_on()
        made = tuple(Turn(role, tuple(content)) for role, content in self._joined)
        return (SILENCE, *made) if made and made[0].role == "assistant" else made

    def _led_to(self, role: Role, content: list[Piece]) -> list[Piece]:
        """Return what is said with the reasoning that led to it, and keep back what leads to nothing yet."""
        thinking, self._thinking = self._thinking, []
        if role == "user":
            return content
        content = [*thinking, *content]
        end = len(content)
        while end and isinstance(content[end - 1], ThinkingBlock):
            end -= 1
        self._thinking = content[end:]
        return content[:end]

    def _with_legal_id(self, piece: Piece) -> Piece:
        """Return a piece with the id that the upstream gets, if it is a call."""
        match piece:
            case ToolCall():
                made = self._legal(piece.id)
                self._waiting[made] = piece
                self._by_client[piece.id].append(made)
                return replace(piece, id=made)
            case AgentToolUse():
                return replace(piece, id=self._legal(piece.id))
        return piece

    def _legal(self, call_id: str) -> str:
        made = call_id
        if made in self._ids or not _LEGAL_ID.fullmatch(made):
            made = f"call_{len(self._ids)}"
            while made in self._ids:
                made += "_"
        self._ids.add(made)
        return made
