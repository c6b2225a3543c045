"""What a process is bound to, and which conversation it holds. Pure."""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from claude_relay.engine.custom_tools import arguments_of
from claude_relay.engine.fold import fold
from claude_relay.engine.profiles import Profile
from claude_relay.engine.vocabulary import (
    AgentToolUse,
    Event,
    Piece,
    RunRequest,
    Text,
    ThinkingBlock,
    Tool,
    ToolCall,
    Turn,
)
from claude_relay.settings import Personality

_TEXT_OR_OWN = Text | ThinkingBlock | AgentToolUse


class Kind(Struct, frozen=True):
    """What a process is started as, and can be nothing else.

    Attributes:
        personality: What answers.
        profile: What the operator set for it, if it is not as all others of its personality.
    """

    personality: Personality
    profile: Profile | None = None

    @classmethod
    def of(cls, request: RunRequest) -> "Kind":
        """Return what a process must be started as if it is to answer a request."""
        return cls(request.personality, request.profile)

    @property
    def has_worktree(self) -> bool:
        """Whether each process works in a git worktree of its own: a plain model of the same profile needs none."""
        return self.personality == "agent" and self.profile is not None and self.profile.worktree

    def __str__(self) -> str:
        """Return what the log calls it."""
        return self.personality if self.profile is None else self.profile.name


class Binding(Struct, frozen=True):
    """The configuration of a process that never changes.

    Attributes:
        caller: Who it works for; nobody else ever gets it.
        kind: What it was started as.
        system: The caller's instructions.
        tools: The client's tools it knows.
        tool_schema: The schema its tool for answers was given, as JSON.
        account: Whose use its work is.
    """

    caller: str
    kind: Kind
    system: str | None
    tools: tuple[Tool, ...]
    tool_schema: bytes | None
    account: str = ""

    @classmethod
    def of(cls, request: RunRequest) -> "Binding":
        """Return what a process must be bound to if it is to answer a request."""
        schema = msgspec.json.encode(request.output.schema) if request.output and request.answers_by_tool else None
        return cls(request.caller, Kind.of(request), request.system, request.tools, schema, request.account)


class Conversation(Struct, frozen=True):
    """A conversation in a form that can be compared.

    What clients change without meaning it does not count: white space around texts, how the assistant's text is cut
    into pieces, how arguments are written. Nor does whether they send reasoning back, or repeat what an agent did: the
    process has its own.

    Attributes:
        turns: Its turns.
    """

    turns: tuple[Any, ...]

    @classmethod
    def of(cls, turns: Iterable[Turn]) -> "Conversation":
        """Return the comparable form of turns."""
        return cls(tuple(map(_comparable, turns)))

    def followed_by(self, *turns: Turn) -> "Conversation":
        """Return the conversation with more turns."""
        return Conversation((*self.turns, *map(_comparable, turns)))


def answered(events: Iterable[Event], tools: Iterable[Tool] = ()) -> Turn | None:
    """Return the turn of the assistant that events stand for, or None if there is nothing that can be compared.

    Args:
        events: The events of a run.
        tools: The client's tools.
    """
    answer = fold(events)
    text_tools = {tool.name for tool in tools if tool.takes_text}
    content: list[Piece] = [Text(answer.text)] if answer.text.strip() else []
    for call in answer.calls:
        is_text = call.name in text_tools
        arguments = call.arguments if is_text else arguments_of(call.arguments)
        if isinstance(arguments, str) and not is_text:
            # nobody knows what the process holds of such a call
            return None
        content.append(ToolCall(call.id, call.name, arguments))
    return Turn("assistant", tuple(content)) if content else None


def _comparable_piece(piece: Piece) -> Any:
    """Arguments are compared as JSON values: unlike in Python, 1 and true differ."""
    if isinstance(piece, ToolCall):
        try:
            return (piece.id, piece.name, msgspec.json.encode(_whole(piece.arguments), order="deterministic"))
        except RecursionError:
            # nested too deeply to be looked at; the id is the upstream's own
            return (piece.id, piece.name)
    return piece


def _whole(value: Any) -> Any:
    """Many clients have only one type of number and send 1.0 back as 1."""
    match value:
        case dict():
            return {name: _whole(item) for name, item in value.items()}
        case list():
            return [_whole(item) for item in value]
        case float() if value.is_integer():
            return int(value)
    return value


def _comparable(turn: Turn) -> tuple[Any, ...]:
    if turn.role == "assistant":
        text = "".join([piece.text for piece in turn.content if isinstance(piece, Text)]).strip()
        others = [piece for piece in turn.content if not isinstance(piece, _TEXT_OR_OWN)]
        return ("assistant", text, *map(_comparable_piece, others))
    return ("user", *[Text(piece.text.strip()) if isinstance(piece, Text) else piece for piece in turn.content])
