"""Calls of the client's functions become OpenAI's, whole and in pieces."""

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from claude_relay.chat.outbound import RenderOptions, chunks, fold
from claude_relay.engine.fanout import Indexed
from claude_relay.engine.vocabulary import Event, RunEnd, TextDelta, ThinkingDelta, ToolCallDelta, ToolCallStart, Usage

pytestmark = pytest.mark.anyio

END = RunEnd("tool_calls", Usage())
OPTIONS = RenderOptions("chatcmpl-1", 1_700_000_000, "gpt-x")
LEGACY = msgspec.structs.replace(OPTIONS, legacy=True)
ONE = (ToolCallStart("toolu_1", "weather"), ToolCallDelta('{"ci'), ToolCallDelta('ty":"Oslo"}'))
TWO = (ToolCallStart("toolu_2", "time"), ToolCallDelta("{}"))


async def stream(events: Iterable[Indexed]) -> AsyncIterator[Indexed]:
    for event in events:
        yield event


async def streamed(options: RenderOptions, *events: Event, index: int = 0) -> list[dict[str, Any]]:
    """Return the choices of all chunks but the first."""
    told = chunks(options, stream((index, event) for event in events))
    _, *rest = [json.loads(msgspec.json.encode(chunk))["choices"][0] async for chunk in told]
    return rest


async def deltas(options: RenderOptions, *events: Event) -> list[dict[str, Any]]:
    return [choice["delta"] for choice in await streamed(options, *events)]


def collect(options: RenderOptions, *events: Event) -> dict[str, Any]:
    """Return the only choice of a whole answer."""
    answer = json.loads(msgspec.json.encode(fold(options, [(0, event) for event in events])))
    choice: dict[str, Any] = answer["choices"][0]
    return choice


def called(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


async def accumulated(options: RenderOptions, *events: Event) -> list[tuple[str, str, str]]:
    """Return the calls as clients put them together: id, name and arguments."""
    found: list[list[str]] = []
    for delta in await deltas(options, *events):
        for piece in delta.get("tool_calls", []):
            if piece["index"] == len(found):
                found.append([piece["id"], piece["function"]["name"], ""])
            found[piece["index"]][2] += piece["function"]["arguments"]
    return [(call_id, name, arguments) for call_id, name, arguments in found]


# --- in pieces -------------------------------------------------------------------------------------------------------


async def test_a_call_is_told_with_its_id_and_name_first_and_then_its_arguments_as_they_are_written() -> None:
    assert await streamed(OPTIONS, *ONE, END) == [
        {"index": 0, "delta": delta, "finish_reason": finish}
        for delta, finish in [
            (
                {
                    "tool_calls": [
                        {
                            "index": 0,
                            "id": "toolu_1",
                            "type": "function",
                            "function": {"name": "weather", "arguments": ""},
                        }
                    ]
                },
                None,
            ),
            ({"tool_calls": [{"index": 0, "function": {"arguments": '{"ci'}}]}, None),
            ({"tool_calls": [{"index": 0, "function": {"arguments": 'ty":"Oslo"}'}}]}, None),
            ({}, "tool_calls"),
        ]
    ]


async def test_several_calls_are_told_apart_by_their_index_after_the_text_before_them() -> None:
    events = (ThinkingDelta("hm"), TextDelta("Let me see."), *ONE, *TWO, END)

    found = await deltas(OPTIONS, *events)

    assert found[:2] == [{"reasoning_content": "hm"}, {"content": "Let me see."}]
    assert [delta["tool_calls"][0]["index"] for delta in found[2:-1]] == [0, 0, 0, 1, 1]
    assert await accumulated(OPTIONS, *events) == [("toolu_1", "weather", '{"city":"Oslo"}'), ("toolu_2", "time", "{}")]


async def test_each_of_several_answers_counts_its_own_calls() -> None:
    options = msgspec.structs.replace(OPTIONS, answers=2)
    events: list[Indexed] = [(0, ONE[0]), (1, TWO[0]), (0, ONE[1]), (1, TWO[1]), (0, ONE[2]), (0, TWO[0]), (0, TWO[1])]
    ends: list[Indexed] = [(0, END), (1, END)]

    told = [json.loads(msgspec.json.encode(chunk)) async for chunk in chunks(options, stream([*events, *ends]))]

    indexes = [
        (choice["index"], choice["delta"]["tool_calls"][0]["index"])
        for chunk in told
        for choice in chunk["choices"]
        if "tool_calls" in choice["delta"]
    ]
    assert indexes == [(0, 0), (1, 0), (0, 0), (1, 0), (0, 0), (0, 1), (0, 1)]


async def test_the_legacy_form_has_neither_ids_nor_indexes_and_an_end_of_its_own() -> None:
    assert await streamed(LEGACY, *ONE, END) == [
        {"index": 0, "delta": delta, "finish_reason": finish}
        for delta, finish in [
            ({"function_call": {"name": "weather", "arguments": ""}}, None),
            ({"function_call": {"arguments": '{"ci'}}, None),
            ({"function_call": {"arguments": 'ty":"Oslo"}'}}, None),
            ({}, "function_call"),
        ]
    ]


async def test_the_legacy_form_tells_the_first_call_alone() -> None:
    pieces = [delta["function_call"] for delta in await deltas(LEGACY, *ONE, *TWO, END) if delta]

    assert "".join(piece.get("name", "") for piece in pieces) == "weather"
    assert "".join(piece["arguments"] for piece in pieces) == '{"city":"Oslo"}'


async def test_openais_own_types_take_calls() -> None:
    events = (TextDelta("Let me see."), *ONE, *TWO, END)

    async for chunk in chunks(OPTIONS, stream((0, event) for event in events)):
        ChatCompletionChunk.model_validate_json(msgspec.json.encode(chunk), strict=True)
    for options in (OPTIONS, LEGACY):
        answer = msgspec.json.encode(fold(options, [(0, event) for event in events]))
        ChatCompletion.model_validate_json(answer, strict=True)


# --- whole -----------------------------------------------------------------------------------------------------------


def test_an_answer_that_is_nothing_but_calls_has_no_content() -> None:
    assert collect(OPTIONS, *ONE, *TWO, END) == {
        "index": 0,
        "message": {
            "role": "assistant",
            "content": None,
            "refusal": None,
            "tool_calls": [called("toolu_1", "weather", '{"city":"Oslo"}'), called("toolu_2", "time", "{}")],
        },
        "finish_reason": "tool_calls",
        "logprobs": None,
    }


def test_text_before_calls_is_kept() -> None:
    assert collect(OPTIONS, TextDelta("Let me "), TextDelta("see."), *ONE, END)["message"]["content"] == "Let me see."


def test_arguments_are_passed_on_as_they_were_written() -> None:
    written = '{ "b": 1.0, "a": "\\u00e4" }'

    message = collect(OPTIONS, ToolCallStart("1", "time"), ToolCallDelta(written), END)["message"]

    assert message["tool_calls"][0]["function"]["arguments"] == written


def test_a_whole_answer_in_the_legacy_form_has_one_call() -> None:
    choice = collect(LEGACY, *ONE, *TWO, END)

    assert choice["message"]["function_call"] == {"name": "weather", "arguments": '{"city":"Oslo"}'}
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "function_call"


@pytest.mark.parametrize("options", [OPTIONS, LEGACY])
def test_an_answer_without_calls_does_not_speak_of_them(options: RenderOptions) -> None:
    choice = collect(options, TextDelta("Hi"), RunEnd("end", Usage()))

    assert not {"tool_calls", "function_call"} & choice["message"].keys()
    assert choice["finish_reason"] == "stop"
