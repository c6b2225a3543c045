"""Calls of the client's tools in the form that the client uses, streamed or complete. Pure."""

from collections.abc import Collection, Iterable, Iterator

from msgspec import UNSET, UnsetType

from claude_relay.chat import schemas
from claude_relay.engine.fold import Call
from claude_relay.engine.vocabulary import Event, ToolCallDelta, ToolCallStart


class StreamedCalls:
    """The calls of one streamed answer.

    Args:
        custom_tools: Tools whose calls are told as custom ones.
        legacy: Whether calls are told in the older form, ``function_call``, which knows one for each answer.
    """

    def __init__(self, custom_tools: Collection[str], *, legacy: bool) -> None:
        self._custom_tools = custom_tools
        self._legacy = legacy
        self._count = 0
        self._name = ""

    def deltas(self, event: Event) -> Iterator[schemas.ChoiceDelta]:
        """Yield what an event adds to the calls."""
        match event:
            case ToolCallStart(call_id, name):
                self._count, self._name = self._count + 1, name
                if self._is_told:
                    yield self._delta("", name, call_id)
            case ToolCallDelta(piece) if self._is_told:
                yield self._delta(piece)

    @property
    def _is_told(self) -> bool:
        return not self._legacy or self._count == 1

    def _delta(
        self, piece: str, name: str | UnsetType = UNSET, call_id: str | UnsetType = UNSET
    ) -> schemas.ChoiceDelta:
        function = schemas.FunctionDelta(name, piece)
        if self._legacy:
            return schemas.ChoiceDelta(function_call=function)
        is_custom = self._name in self._custom_tools
        told = {"custom": schemas.CustomDelta(name, piece)} if is_custom else {"function": function}
        kind = UNSET if call_id is UNSET else "custom" if is_custom else "function"
        return schemas.ChoiceDelta(tool_calls=[schemas.ToolCallDelta(self._count - 1, call_id, kind, **told)])


def whole(calls: Iterable[Call], custom_tools: Collection[str]) -> list[schemas.ToolCall]:
    """Return the calls of a whole answer."""
    return [
        schemas.ToolCall(call.id, type="custom", custom=schemas.CustomCall(call.name, call.arguments))
        if call.name in custom_tools
        else schemas.ToolCall(call.id, schemas.FunctionCall(call.name, call.arguments))
        for call in calls
    ]
