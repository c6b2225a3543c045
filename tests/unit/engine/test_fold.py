"""Events of a run, folded to the answer they stand for."""

from claude_relay.engine.fold import Answer, Call, fold
from claude_relay.engine.vocabulary import (
    RunEnd,
    RunStarted,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)


def test_pieces_are_joined_and_calls_keep_their_order() -> None:
    events = (
        RunStarted("started"),
        ThinkingDelta("hm"),
        TextDelta("Let me "),
        TextDelta("see."),
        ToolCallStart("1", "weather"),
        ToolCallDelta('{"city":'),
        ToolCallDelta('"Oslo"}'),
        ToolCallStart("2", "time"),
        RunEnd("tool_calls", Usage()),
    )

    assert fold(events) == Answer(
        "Let me see.", (Call("1", "weather", '{"city":"Oslo"}'), Call("2", "time", "")), "tool_calls"
    )


def test_nothing_is_an_answer_too() -> None:
    assert fold(()) == Answer("", (), "end")
