"""Engine events become OpenAI's answers, whole and in chunks."""

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from claude_relay.chat.outbound import RenderOptions, chunks, completion, fold
from claude_relay.engine.fanout import Indexed
from claude_relay.engine.vocabulary import (
    ApprovalRequested,
    Event,
    ParameterDropped,
    RunEnd,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolActivity,
    ToolCallStart,
    Usage,
)
from claude_relay.web.usage import completion_usage
from tests.unit.factories import UsageFactory

pytestmark = pytest.mark.anyio

END = RunEnd("end", Usage(1, 20, 300, 4000))
THOUGHT = ThinkingDelta("hm")
WORK = ToolActivity("Bash", "npm test")


def options(**fields: Any) -> RenderOptions:
    return RenderOptions("chatcmpl-1", 1_700_000_000, "gpt-x", **fields)


async def stream(events: Iterable[Indexed]) -> AsyncIterator[Indexed]:
    for event in events:
        yield event


def of(index: int, *events: Event) -> list[Indexed]:
    return [(index, event) for event in events]


async def streamed(presentation: RenderOptions, events: Iterable[Indexed]) -> list[dict[str, Any]]:
    """Return chunks as they go over the wire."""
    return [json.loads(msgspec.json.encode(chunk)) async for chunk in chunks(presentation, stream(events))]


async def deltas(presentation: RenderOptions, *events: Event) -> list[dict[str, Any]]:
    return [chunk["choices"][0]["delta"] for chunk in await streamed(presentation, of(0, *events))]


def collect(presentation: RenderOptions, events: Iterable[Indexed]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(msgspec.json.encode(fold(presentation, events)))
    return answer


def message(presentation: RenderOptions, *events: Event) -> dict[str, Any]:
    found: dict[str, Any] = collect(presentation, of(0, *events))["choices"][0]["message"]
    return found


# --- one answer ------------------------------------------------------------------------------------------------------


async def test_a_stream_is_exactly_the_sequence_that_clients_accept() -> None:
    sent = await streamed(options(), of(0, TextDelta("Hel"), TextDelta("lo"), END))

    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "gpt-x"}
    assert sent == [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
        for delta, finish in [
            ({"role": "assistant", "content": ""}, None),
            ({"content": "Hel"}, None),
            ({"content": "lo"}, None),
            ({}, "stop"),
        ]
    ]


async def test_openais_own_types_take_what_is_sent() -> None:
    events = [*of(0, THOUGHT, TextDelta("a"), END), *of(1, TextDelta("b"), END)]
    presentation = options(answers=2, usage=True)

    for chunk in await streamed(presentation, events):
        ChatCompletionChunk.model_validate(chunk, strict=True)
    answer = ChatCompletion.model_validate(collect(presentation, events))
    assert [choice.message.content for choice in answer.choices] == ["a", "b"]


def test_a_whole_answer_holds_all_text() -> None:
    answer = collect(options(), of(0, TextDelta("Hel"), TextDelta("lo"), END))

    assert answer["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello", "refusal": None},
            "finish_reason": "stop",
            "logprobs": None,
        }
    ]
    assert (answer["id"], answer["object"], answer["model"]) == ("chatcmpl-1", "chat.completion", "gpt-x")


async def test_a_whole_answer_is_folded_from_events_as_they_come() -> None:
    events = of(0, TextDelta("a"), END)

    assert await completion(options(), stream(events)) == fold(options(), events)


def test_an_answer_without_text_is_an_empty_text() -> None:
    assert message(options(), END)["content"] == ""


@pytest.mark.parametrize(
    ("stop", "finish"),
    [("end", "stop"), ("stop_sequence", "stop"), ("length", "length"), ("refusal", "content_filter")],
)
async def test_every_end_has_openais_word_in_exactly_one_chunk(stop: StopReason, finish: str) -> None:
    events = of(0, TextDelta("a"), RunEnd(stop, Usage()))

    reasons = [chunk["choices"][0]["finish_reason"] for chunk in await streamed(options(), events)]

    assert [reason for reason in reasons if reason] == reasons[-1:] == [finish]
    assert collect(options(), events)["choices"][0]["finish_reason"] == finish


# --- several answers -------------------------------------------------------------------------------------------------


async def test_several_answers_are_told_apart_by_their_index_however_their_events_are_mixed() -> None:
    events: list[Indexed] = [
        (1, TextDelta("b")),
        (0, TextDelta("a")),
        (1, END),
        (2, TextDelta("c")),
        (0, TextDelta("A")),
        (2, RunEnd("length", Usage(output_tokens=1))),
        (0, END),
    ]

    sent = await streamed(options(answers=3, usage=True), events)

    *choices, last = sent
    by_index: dict[int, list[dict[str, Any]]] = {0: [], 1: [], 2: []}
    for chunk in choices:
        (choice,) = chunk["choices"]
        by_index[choice["index"]].append(choice)
    assert [found[0]["delta"]["role"] for found in by_index.values()] == ["assistant"] * 3
    assert ["".join(choice["delta"].get("content", "") for choice in found) for found in by_index.values()] == [
        "aA",
        "b",
        "c",
    ]
    assert [
        [choice["finish_reason"] for choice in found if choice["finish_reason"]] for found in by_index.values()
    ] == [
        ["stop"],
        ["stop"],
        ["length"],
    ]
    assert [sum("role" in choice["delta"] for choice in found) for found in by_index.values()] == [1, 1, 1]
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 8001


def test_several_whole_answers_stand_in_the_order_of_their_index_with_one_sum() -> None:
    answer = collect(options(answers=2), [(1, TextDelta("b")), (1, END), (0, TextDelta("a")), (0, END)])

    assert [(choice["index"], choice["message"]["content"]) for choice in answer["choices"]] == [(0, "a"), (1, "b")]
    assert answer["usage"]["prompt_tokens"] == 2 * 321


# --- usage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [True, False])
async def test_a_stream_tells_its_usage_in_one_chunk_at_the_end_and_only_when_asked(asked: bool) -> None:
    sent = await streamed(options(usage=asked), of(0, TextDelta("a"), END))

    assert [bool(chunk.get("usage")) for chunk in sent] == [False] * 3 + [True] * asked
    if asked:
        assert sent[-1]["choices"] == []
        assert sent[-1]["id"] == "chatcmpl-1"


@pytest.mark.parametrize("events", [[TextDelta("a")], [THOUGHT], [ToolCallStart("call_1", "f")], []])
@pytest.mark.parametrize("asked", [True, False])
async def test_the_other_chunks_of_a_stream_with_usage_say_that_they_have_none(
    asked: bool, events: list[Event]
) -> None:
    sent = await streamed(options(usage=asked), of(0, *events, END))

    others = [chunk for chunk in sent if chunk["choices"]]
    assert len(others) == 2 + len(events)
    assert [chunk.get("usage", "absent") for chunk in others] == [None if asked else "absent"] * len(others)


def test_cached_tokens_are_part_of_the_prompt() -> None:
    assert msgspec.to_builtins(completion_usage([END])) == {
        "prompt_tokens": 321,
        "completion_tokens": 4000,
        "total_tokens": 4321,
        "prompt_tokens_details": {"cached_tokens": 20},
    }


@pytest.mark.parametrize("usages", [UsageFactory.batch(number) for number in (1, 2, 5)], ids=len)
def test_the_total_is_the_sum_of_everything(usages: list[Usage]) -> None:
    counted = completion_usage(RunEnd("end", usage) for usage in usages)

    assert counted.prompt_tokens == sum(usage.prompt_tokens for usage in usages)
    assert counted.completion_tokens == sum(usage.output_tokens for usage in usages)
    assert counted.total_tokens == counted.prompt_tokens + counted.completion_tokens


@pytest.mark.parametrize(
    ("told", "thinking", "cost"),
    [
        ([(3, 0.5)], 3, 0.5),
        ([(0, 0.0)], 0, 0.0),
        ([(3, 0.5), (4, 0.25)], 7, 0.75),
        ([(3, 0.5), (None, 0.25)], None, 0.75),
        ([(3, None), (4, 0.25)], 7, None),
        ([(None, None)], None, None),
    ],
)
def test_cost_and_reasoning_tokens_are_told_if_all_runs_told_them(
    told: list[tuple[int | None, float | None]], thinking: int | None, cost: float | None
) -> None:
    usage = msgspec.to_builtins(completion_usage(RunEnd("end", Usage(), *figures) for figures in told))

    assert usage.get("completion_tokens_details") == (None if thinking is None else {"reasoning_tokens": thinking})
    assert usage.get("cost") == cost


# --- reasoning and activity ------------------------------------------------------------------------------------------


async def test_thinking_is_reasoning_and_never_text() -> None:
    events = (THOUGHT, TextDelta("a"), END)

    assert await deltas(options(), *events) == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "hm"},
        {"content": "a"},
        {},
    ]
    assert message(options(), *events) == {
        "role": "assistant",
        "content": "a",
        "reasoning_content": "hm",
        "refusal": None,
    }


async def test_thinking_can_be_hidden() -> None:
    events = (THOUGHT, TextDelta("a"), END)

    assert await deltas(options(reasoning=False), *events) == [
        {"role": "assistant", "content": ""},
        {"content": "a"},
        {},
    ]
    assert "reasoning_content" not in message(options(reasoning=False), *events)


@pytest.mark.parametrize(
    ("activity", "line"),
    [
        (WORK, "Bash: npm test\n"),
        (ToolActivity("Read"), "Read\n"),
        (ToolActivity("Task", "a: b"), "Task: a: b\n"),
        (ApprovalRequested("mcpr_1", "t1", "Bash"), "Bash waits for permission: mcpr_1\n"),
    ],
)
async def test_an_agents_work_is_shown_as_one_line_of_reasoning_each(activity: Event, line: str) -> None:
    assert await deltas(options(activity=True), activity, activity, END) == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": line},
        {"reasoning_content": line},
        {},
    ]
    assert message(options(activity=True), activity, activity, END)["reasoning_content"] == line * 2


async def test_an_agents_work_is_not_shown_unless_it_was_asked_for() -> None:
    assert await deltas(options(), WORK, END) == [{"role": "assistant", "content": ""}, {}]
    assert "reasoning_content" not in message(options(), WORK, END)


async def test_an_agents_work_can_be_shown_without_its_thinking() -> None:
    presentation = options(reasoning=False, activity=True)

    assert message(presentation, THOUGHT, WORK, END)["reasoning_content"] == "Bash: npm test\n"


async def test_a_field_that_was_dropped_late_is_not_part_of_the_answer() -> None:
    assert len(await deltas(options(activity=True), ParameterDropped("top_k"), END)) == 2


# --- refusals --------------------------------------------------------------------------------------------------------


async def test_a_model_that_declines_without_a_word_is_told_of_in_the_refusal() -> None:
    declined = RunEnd("refusal", Usage())

    found = message(options(), declined)
    assert found["content"] is None
    assert found["refusal"]
    assert await deltas(options(), declined) == [
        {"role": "assistant", "content": ""},
        {"refusal": found["refusal"]},
        {},
    ]


async def test_a_model_that_declines_in_words_has_said_them() -> None:
    events = (TextDelta("I can't."), RunEnd("refusal", Usage()))

    assert message(options(), *events) == {"role": "assistant", "content": "I can't.", "refusal": None}
    assert not any("refusal" in delta for delta in await deltas(options(), *events))


async def test_a_refusal_never_stands_where_json_is_expected() -> None:
    events = (TextDelta("I "), TextDelta("can't."), RunEnd("refusal", Usage()))

    assert message(options(structured=True), *events) == {"role": "assistant", "content": None, "refusal": "I can't."}
    sent = await deltas(options(structured=True), *events)
    assert [delta["refusal"] for delta in sent if "refusal" in delta] == ["I can't."]
    assert not any(delta.get("content") for delta in sent)


async def test_json_is_shown_as_it_comes_and_other_words_in_its_place_are_not_lost() -> None:
    json = (TextDelta(" "), TextDelta('{"a"'), TextDelta(": 1}"), END)
    words = (TextDelta("Hm, "), TextDelta("no."), END)

    contents = [
        [delta.get("content") for delta in await deltas(options(structured=True), *events)][1:]
        for events in (json, words)
    ]

    assert contents[0][:2] == [' {"a"', ": 1}"]
    assert contents[1][0] == "Hm, no."


async def test_each_of_several_answers_declines_for_itself() -> None:
    events: list[Indexed] = [(0, TextDelta("a")), (1, RunEnd("refusal", Usage())), (0, END)]

    sent = await streamed(options(answers=2), events)

    assert [chunk["choices"][0]["index"] for chunk in sent if "refusal" in chunk["choices"][0]["delta"]] == [1]
    choices = collect(options(answers=2), events)["choices"]
    assert [bool(choice["message"]["refusal"]) for choice in choices] == [False, True]
