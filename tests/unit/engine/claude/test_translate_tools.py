"""Calls of the client's tools become events, and end the run."""

from typing import Any

import msgspec
import pytest

from claude_relay import errors
from claude_relay.engine.claude import wire
from claude_relay.engine.claude.translate import Translator
from claude_relay.engine.vocabulary import (
    Event,
    JsonOutput,
    RunEnd,
    TextDelta,
    ToolActivity,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from tests.unit import captures

TOOLS = ("get_weather", "get_time")
PARIS = [ToolCallDelta('{"cit'), ToolCallDelta('y": "P'), ToolCallDelta('aris"}')]
ROME = [ToolCallDelta('{"cit'), ToolCallDelta('y": "'), ToolCallDelta('Rome"}')]
OBJECT = JsonOutput({"type": "object"})


def told(lines: list[wire.Line], *, tools: tuple[str, ...] = TOOLS, alone: bool = False) -> list[Event]:
    """Translate one turn as the runner does: no line after the end is looked at."""
    return fed(Translator(None, tools, alone=alone), lines)


def fed(translator: Translator, lines: list[wire.Line]) -> list[Event]:
    events: list[Event] = []
    for line in lines:
        for event in translator.feed(line):
            events.append(event)
            if isinstance(event, RunEnd):
                return events
    return events


def ends(events: list[Event]) -> tuple[str, Usage]:
    """Return why events end, and with which usage."""
    end = events[-1]
    assert isinstance(end, RunEnd)
    return end.stop, end.usage


def started() -> wire.StreamEvent:
    return wire.StreamEvent(wire.MessageStart(wire.StartedMessage(wire.Tokens(input_tokens=1))))


def text(piece: str) -> wire.StreamEvent:
    return wire.StreamEvent(wire.ContentBlockDelta(wire.TextPiece(piece)))


def begun(name: str, call_id: str = "1", parent: str | None = None) -> wire.StreamEvent:
    return wire.StreamEvent(wire.ContentBlockStart(wire.StartedBlock("tool_use", call_id, name)), parent)


def written(piece: str, parent: str | None = None) -> wire.StreamEvent:
    return wire.StreamEvent(wire.ContentBlockDelta(wire.ArgumentsPiece(piece)), parent)


def stopped(reason: str | None = "tool_use") -> wire.StreamEvent:
    return wire.StreamEvent(wire.MessageDelta(wire.MessageEnd(reason), wire.Tokens(output_tokens=1)))


def over(**fields: Any) -> wire.Result:
    return wire.Result("success", **fields)


# --- recordings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        ("tool-defer-one", [ToolCallStart("toolu_01P", "get_weather"), *PARIS]),
        (
            "tool-defer-two",
            [ToolCallStart("toolu_01P", "get_weather"), *PARIS, ToolCallStart("toolu_01R", "get_weather"), *ROME],
        ),
    ],
)
@pytest.mark.parametrize("alone", [True, False])
def test_recorded_calls_are_given_as_they_are_written_after_the_text_before_them(
    name: str, calls: list[Event], alone: bool
) -> None:
    calling, answering = captures.turns(name)

    events = told(calling, alone=alone)

    assert [event for event in events[:-1] if not isinstance(event, TextDelta)] == calls
    assert events[:2] == [TextDelta("Let me"), TextDelta(" check.")]
    stop, usage = ends(events)
    assert (stop, usage.prompt_tokens) == ("tool_calls", 420)
    assert ends(told(answering, alone=alone))[0] == "end"


def test_calls_of_tools_that_are_not_the_clients_are_an_agents_work() -> None:
    calling, _ = captures.turns("tool-defer-two")

    events = told(calling, tools=())

    assert [event.tool for event in events if isinstance(event, ToolActivity)] == ["get_weather"] * 2
    assert not [event for event in events if isinstance(event, ToolCallStart | ToolCallDelta)]
    assert ends(events)[0] == "end"


def test_a_recorded_call_that_the_cli_ran_by_itself_ends_the_run_when_the_model_is_asked_again() -> None:
    (lines,) = captures.turns("tool-mcp-executed")

    events = told(lines)

    assert events[:-1] == [ToolCallStart("toolu_01P", "get_weather"), *PARIS]
    assert ends(events) == ("tool_calls", Usage(100, 300, 20, 3))


# --- made up ---------------------------------------------------------------------------------------------------------


def test_the_upstream_asked_again_after_a_call_ends_the_run_before_it_answers() -> None:
    lines: list[wire.Line] = [
        started(),
        begun("get_time"),
        written("{}"),
        stopped(),
        started(),
        text("It is late."),
        over(),
    ]

    events = told(lines)

    assert events[:-1] == [ToolCallStart("1", "get_time"), ToolCallDelta("{}")]
    assert ends(events) == ("tool_calls", Usage(1, 0, 0, 1))


def test_an_agent_may_work_before_it_calls() -> None:
    own = wire.Assistant(wire.AssistantMessage([wire.ContentBlock("tool_use", "Bash", {"command": "ls"})]))
    calling: list[wire.Line] = [begun("get_time"), written("{}"), stopped(), over()]

    events = told([started(), begun("Bash", "0"), written('{"command":"ls"}'), own, stopped(), started(), *calling])

    assert events[:-1] == [
        ToolActivity("Bash", "ls", {"command": "ls"}),
        ToolCallStart("1", "get_time"),
        ToolCallDelta("{}"),
    ]
    assert ends(events)[0] == "tool_calls"


def test_what_an_agent_writes_to_its_own_tools_is_not_written_to_the_clients() -> None:
    calling: list[wire.Line] = [
        begun("get_time"),
        written("{}"),
        begun("Bash", "2"),
        written('{"command":"ls"}'),
        stopped(),
        over(),
    ]

    assert told([started(), *calling])[:-1] == [ToolCallStart("1", "get_time"), ToolCallDelta("{}")]


def test_calls_of_a_subagent_are_its_own_business() -> None:
    lines: list[wire.Line] = [
        started(),
        begun("get_time", parent="toolu_9"),
        written("{}", "toolu_9"),
        text("Hi"),
        stopped("end_turn"),
    ]

    assert told([*lines, over()])[:-1] == [TextDelta("Hi")]


def test_empty_pieces_of_arguments_are_not_passed_on() -> None:
    assert told([started(), begun("get_time"), written(""), written("{}"), written(""), stopped(), over()])[:-1] == [
        ToolCallStart("1", "get_time"),
        ToolCallDelta("{}"),
    ]


def test_the_whole_answer_is_not_said_again_where_there_was_a_call() -> None:
    assert told([started(), begun("get_time"), stopped(), over(result="(no content)")])[:-1] == [
        ToolCallStart("1", "get_time")
    ]


def test_a_call_that_met_the_token_limit_is_not_complete() -> None:
    events = told([started(), begun("get_time"), written('{"a'), stopped("max_tokens"), started()])

    assert ends(events)[0] == "length"


@pytest.mark.parametrize("rest", [[], [stopped(None)], [started()]], ids=["result", "no reason", "asked again"])
def test_a_call_that_broke_off_is_an_error(rest: list[wire.Line]) -> None:
    with pytest.raises(errors.UpstreamError) as raised:
        told([started(), begun("get_time"), written('{"a'), *rest, over()])

    assert raised.value.code == "upstream_disconnected"


def test_a_call_of_an_unknown_tool_is_the_clients_where_there_are_no_others_and_ends_the_run_at_once() -> None:
    lines: list[wire.Line] = [started(), begun("get_tme"), written("{}"), stopped()]

    events = told(lines, alone=True)

    assert events[:-1] == [ToolCallStart("1", "get_tme"), ToolCallDelta("{}")]
    assert ends(events)[0] == "tool_calls"
    assert told(lines) == []
    assert ends(told(lines, tools=(), alone=True))[0] == "end"


# --- beside an answer that the CLI's tool takes ----------------------------------------------------------------------


@pytest.mark.parametrize("alone", [True, False])
def test_the_tool_that_takes_an_answer_is_never_the_clients(alone: bool) -> None:
    lines: list[wire.Line] = [
        started(),
        begun("StructuredOutput"),
        written('{"a":1}'),
        stopped(),
        over(structured_output={"a": 1}),
    ]

    assert fed(Translator(OBJECT, TOOLS, alone=alone), lines)[:-1] == [TextDelta('{"a":1}')]


def test_a_call_instead_of_an_answer_that_the_clis_tool_would_take_is_a_call() -> None:
    lines: list[wire.Line] = [started(), begun("get_time"), written("{}"), stopped(), over(stop_reason="tool_deferred")]

    events = fed(Translator(OBJECT, TOOLS, alone=True), lines)

    assert events[:-1] == [ToolCallStart("1", "get_time"), ToolCallDelta("{}")]
    assert ends(events)[0] == "tool_calls"


def test_ids_are_read_from_the_stream() -> None:
    line = wire.decode(msgspec.json.encode({
        "type": "stream_event",
        "event": {
            "type": "content_block_start",
            "index": 1,
            "content_block": {"type": "tool_use", "id": "toolu_1", "name": "get_time", "input": {}},
        },
    }))  # fmt: skip

    assert told([line]) == [ToolCallStart("toolu_1", "get_time")]


# --- what the CLI would go on from by itself -------------------------------------------------------------------------


@pytest.mark.parametrize("said", [(), (text(" \n"),), (text(""),)], ids=["nothing", "white space", "an empty text"])
def test_an_answer_without_words_ends_before_the_cli_asks_for_some_in_chat_alone(said: tuple[wire.Line, ...]) -> None:
    lines: list[wire.Line] = [started(), *said, stopped("end_turn")]

    assert ends(told(lines, tools=(), alone=True))[0] == "end"
    assert not [event for event in told(lines, tools=()) if isinstance(event, RunEnd)]


@pytest.mark.parametrize("pieces", [('{"a',), ("[", "1]"), ("null",)])
@pytest.mark.parametrize("after", [(), (begun("get_weather", "2"), written("{}"))], ids=["last", "before another"])
def test_a_call_whose_arguments_are_no_object_ends_the_run_before_the_cli_answers_it(
    pieces: tuple[str, ...], after: tuple[wire.Line, ...]
) -> None:
    lines: list[wire.Line] = [started(), begun("get_weather"), *map(written, pieces), *after, stopped()]

    assert ends(told(lines, alone=True))[0] == "tool_calls"
    assert not [event for event in told(lines) if isinstance(event, RunEnd)]


def test_the_arguments_of_a_call_may_be_cut_within_a_character() -> None:
    lines: list[wire.Line] = [started(), begun("get_weather"), written('{"a":"\ud83d'), written('\ude00"}'), stopped()]

    pieces = [event.arguments for event in told(lines) if isinstance(event, ToolCallDelta)]

    assert pieces == ['{"a":"', '\N{GRINNING FACE}"}']
