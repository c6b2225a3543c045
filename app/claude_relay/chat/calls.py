"""Calls of the client's tools in the form that the client uses, streamed or complete. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from msgspec import UNSET, UnsetType

from claude_relay.chat import schemas
from claude_relay.engine.custom_tools import Arguments, InputText, Json
from claude_relay.engine.vocabulary import Event, RunEnd, ToolCallDelta, ToolCallStart

CustomTools = Mapping[str, Literal["custom", "function"]]
"""Tools that take text, and how their calls are told: as they are, or as functions whose arguments are the text."""


class StreamedCalls:
    """The calls of one streamed answer.

    Args:
        custom_tools: Tools that take text.
        legacy: Whether calls are told in the older form, ``function_call``, which knows one for each answer.
    """

    def __init__(self, custom_tools: CustomTools, *, legacy: bool) -> None:
        self._custom_tools = custom_tools
        self._legacy = legacy
        self._count = 0
        self._name = ""
        self._arguments: Arguments | None = None

    def deltas(self, event: Event) -> Iterator[schemas.ChoiceDelta]:
        """Yield what an event adds to the calls."""
        match event:
            case ToolCallStart(call_id, name):
                yield from self._ended()
                self._count += 1
                if not self._legacy or self._count == 1:
                    self._name, self._arguments = name, _reader(name, self._custom_tools)
                    yield self._delta("", name, call_id)
            case ToolCallDelta(piece) if self._arguments is not None:
                yield from self._told(self._arguments.feed(piece))
            case RunEnd():
                yield from self._ended()

    def _ended(self) -> Iterator[schemas.ChoiceDelta]:
        if self._arguments is not None:
            yield from self._told(self._arguments.flush())
        self._arguments = None

    def _told(self, piece: str) -> Iterator[schemas.ChoiceDelta]:
        if piece:
            yield self._delta(piece)

    def _delta(
        self, piece: str, name: str | UnsetType = UNSET, call_id: str | UnsetType = UNSET
    ) -> schemas.ChoiceDelta:
        function = schemas.FunctionDelta(name, piece)
        if self._legacy:
            return schemas.ChoiceDelta(function_call=function)
        kind = self._custom_tools.get(self._name, "function")
        told = {"function": function} if kind == "function" else {"custom": schemas.CustomDelta(name, piece)}
        index, named = self._count - 1, UNSET if call_id is UNSET else kind
        return schemas.ChoiceDelta(tool_calls=[schemas.ToolCallDelta(index, call_id, named, **told)])


def collect(events: Iterable[Event], custom_tools: CustomTools) -> list[schemas.ToolCall]:
    """Return the complete calls in a run's events."""
    found: list[tuple[ToolCallStart, list[str]]] = []
    for event in events:
        match event:
            case ToolCallStart():
                found.append((event, []))
            case ToolCallDelta(piece):
                found[-1][1].append(piece)
    return [_whole(start, "".join(pieces), custom_tools) for start, pieces in found]


def _whole(start: ToolCallStart, arguments: str, custom_tools: CustomTools) -> schemas.ToolCall:
    reader = _reader(start.name, custom_tools)
    told = reader.feed(arguments) + reader.flush()
    if custom_tools.get(start.name) == "custom":
        return schemas.ToolCall(start.id, type="custom", custom=schemas.CustomCall(start.name, told))
    return schemas.ToolCall(start.id, schemas.FunctionCall(start.name, told))


def _reader(name: str, custom_tools: CustomTools) -> Arguments:
    return InputText() if name in custom_tools else Json()
