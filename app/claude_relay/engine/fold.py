"""The events of a run -> the answer they stand for. Pure."""

from collections.abc import Iterable

from msgspec import Struct

from claude_relay.engine.vocabulary import Event, RunEnd, StopReason, TextDelta, ToolCallDelta, ToolCallStart


class Call(Struct, frozen=True):
    """A call of a client's tool.

    Attributes:
        id: Its id.
        name: The tool.
        arguments: JSON as the model wrote it, or the text that a text tool gets.
    """

    id: str
    name: str
    arguments: str


class Answer(Struct, frozen=True):
    """What was answered.

    Attributes:
        text: All words of the answer.
        calls: The calls, in order.
        stop: Why it ended.
    """

    text: str
    calls: tuple[Call, ...]
    stop: StopReason = "end"


def fold(events: Iterable[Event]) -> Answer:
    """Return the answer that the events of one run stand for."""
    text: list[str] = []
    calls: list[tuple[ToolCallStart, list[str]]] = []
    stop: StopReason = "end"
    for event in events:
        match event:
            case TextDelta(piece):
                text.append(piece)
            case ToolCallStart():
                calls.append((event, []))
            case ToolCallDelta(piece):
                calls[-1][1].append(piece)
            case RunEnd(reason):
                stop = reason
    made = tuple(Call(start.id, start.name, "".join(pieces)) for start, pieces in calls)
    return Answer("".join(text), made, stop)
