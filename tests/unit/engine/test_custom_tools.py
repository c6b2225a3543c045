"""Tools that take text, and the text inside their arguments, read while they come."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_relay.engine.custom_tools import InputText, Json, ToolCalls, text_tool, with_input
from claude_relay.engine.vocabulary import Event, RunEnd, TextDelta, Tool, ToolCallDelta, ToolCallStart, Usage


def read(raw: str, *cuts: int) -> tuple[list[str], str]:
    """Return what is told of each piece, and then of the rest."""
    reader = InputText()
    places = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    told = [reader.feed(raw[start:end]) for start, end in itertools.pairwise(places)]
    return told, reader.flush()


@pytest.mark.parametrize(("expected", "described"), [("", {}), ("A patch.", {"description": "A patch."})])
def test_a_tool_that_takes_text_has_one_argument(expected: str, described: dict[str, str]) -> None:
    tool = text_tool("edit", "Edits.", expected)

    assert (tool.name, tool.description) == ("edit", "Edits.")
    assert tool.schema["properties"] == {"input": {"type": "string", **described}}
    assert tool.schema["required"] == list(with_input("text"))


@pytest.mark.slow
@given(st.text(), st.booleans(), st.lists(st.integers(0, 80)))
def test_the_text_is_the_same_wherever_its_json_is_cut(text: str, ascii_only: bool, cuts: list[int]) -> None:
    told, rest = read(json.dumps({"input": text}, ensure_ascii=ascii_only), *cuts)

    assert "".join(told) + rest == text


def test_text_is_told_as_it_is_written() -> None:
    assert read('{"input": "*** Begin\\nPatch"}', 15, 21, 22)[0] == ["*** ", "Begin", "\n", "Patch"]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ('{"input": "half of', "half of"),
        ('{"input": "half\\', "half"),
        ('{"input": "half\\u00', "half"),
        ('{"input": "a lone \\ud83d half', "a lone \N{REPLACEMENT CHARACTER} half"),
        ('{"input": "half a pair \\ud83d', "half a pair \N{REPLACEMENT CHARACTER}"),
        ('{"input": "half a pair \\ud83d\\u', "half a pair \N{REPLACEMENT CHARACTER}"),
        ('{"input": "\\udc00\\ud83d\\u0041"}', "\N{REPLACEMENT CHARACTER}" * 2 + "A"),
        ('{"input": "\\\\ud83d', "\\ud83d"),
        ('{ "input" :"raw\nline"}', "raw\nline"),
        ('{"patch": "x"}', '{"patch": "x"}'),
        ("", ""),
    ],
)
@pytest.mark.parametrize("piece", [1, 100])
def test_what_is_broken_or_not_as_expected_loses_nothing_that_can_be_told(raw: str, text: str, piece: int) -> None:
    told, rest = read(raw, *range(0, len(raw), piece))

    assert "".join(told) + rest == text


def test_the_calls_of_a_run_are_read_each_by_its_tool() -> None:
    calls = ToolCalls([text_tool("edit", ""), Tool("time", "", {"type": "object"})])
    end = RunEnd("tool_calls", Usage())
    edit, time, other = (ToolCallStart(f"id_{name}", name) for name in ("edit", "time", "other"))
    cut = (ToolCallDelta('{"input": "x'), ToolCallDelta('\\n"}'))
    events: list[Event] = [TextDelta("a"), edit, *cut, time, other, ToolCallDelta("{"), end]

    assert [told for event in events for told in calls.feed(event)] == [
        TextDelta("a"),
        *(edit, ToolCallDelta("x"), ToolCallDelta("\n")),
        *(time, ToolCallDelta("{}")),
        *(other, ToolCallDelta("{")),
        end,
    ]


def test_arguments_that_are_json_are_told_as_they_come_and_never_empty() -> None:
    some, none = Json(), Json()

    assert [some.feed(""), some.feed('{"a":'), some.feed("1}"), some.flush()] == ["", '{"a":', "1}", ""]
    assert none.flush() == "{}"
