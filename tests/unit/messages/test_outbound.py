"""A message has all that clients need, whole or as a stream."""

from collections.abc import AsyncIterator
from typing import Any, get_args

import msgspec
import pytest

from claude_relay.engine.fanout import Indexed
from claude_relay.engine.vocabulary import (
    Event,
    PromptCounted,
    RedactedThinking,
    RunEnd,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ThinkingEnd,
    ToolActivity,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from claude_relay.messages.outbound import MessageInProgress, RenderOptions, finish
from claude_relay.messages.output import ShownThinking
from claude_relay.web.frames import frame
from tests.unit.messages.bodies import RECORDED, events_of

pytestmark = pytest.mark.anyio

SHOWN = ShownThinking(blocks=True)
COUNTED = PromptCounted(Usage(11, 3, 2, 1))
END = RunEnd("end", Usage(11, 3, 2, 7))
TEXT: list[Event] = [TextDelta("Hello "), TextDelta("you.")]
CALLS: list[Event] = [
    TextDelta("I look."),
    ToolCallStart("toolu_1", "f"),
    ToolCallDelta('{"a":'),
    ToolCallDelta("1.0}"),
    ToolCallStart("toolu_2", "g"),
]
THOUGHT: list[Event] = [ThinkingDelta("Let me "), ThinkingDelta("think."), ThinkingEnd("c2ln")]


async def test_what_is_kept_has_all_thoughts_shown_or_not() -> None:
    kept = MessageInProgress(RenderOptions("msg_1", "sonnet", ShownThinking(blocks=False), is_kept=True))

    message = await kept.whole(indexed(*THOUGHT, *TEXT, END))

    assert [type(block).__name__ for block in message.content] == ["TextBlock"]
    assert [type(block).__name__ for block in kept.kept] == ["ThinkingBlock", "TextBlock"]
    assert progress().kept == []


def progress(thinking: ShownThinking = SHOWN) -> MessageInProgress:
    return MessageInProgress(RenderOptions("msg_1", "sonnet", thinking))


async def indexed(*events: Event) -> AsyncIterator[Indexed]:
    for event in events:
        yield 0, event


async def streamed(*events: Event, thinking: ShownThinking = SHOWN) -> list[dict[str, Any]]:
    told = progress(thinking).events(indexed(*events))
    return events_of("".join([frame(event, event.type).decode() async for event in told]))


async def whole(*events: Event, thinking: ShownThinking = SHOWN) -> dict[str, Any]:
    message: dict[str, Any] = msgspec.to_builtins(await progress(thinking).whole(indexed(*events)))
    return message


def folded(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the message that a client makes of a stream."""
    first, *others = events
    message: dict[str, Any] = first["message"]
    written = ""
    for event in others:
        match event:
            case {"type": "content_block_start"}:
                assert event["index"] == len(message["content"])
                message["content"].append(event["content_block"])
                written = ""
            case {"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": piece}}:
                written += piece
            case {"type": "content_block_delta", "delta": delta}:
                block = message["content"][event["index"]]
                name = delta["type"].removesuffix("_delta")
                block[name] += delta[name]
            case {"type": "content_block_stop"} if written:
                message["content"][event["index"]]["input"] = msgspec.json.decode(written)
            case {"type": "message_delta"}:
                message.update(event["delta"], usage=event["usage"])
    return message


async def test_the_events_of_a_text_and_what_is_in_each() -> None:
    events = await streamed(COUNTED, *TEXT, END)

    assert events == [
        {
            "type": "message_start",
            "message": {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "sonnet",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {
                    "input_tokens": 11,
                    "cache_creation_input_tokens": 2,
                    "cache_read_input_tokens": 3,
                    "output_tokens": 1,
                },
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello "}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "you."}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {
                "input_tokens": 11,
                "cache_creation_input_tokens": 2,
                "cache_read_input_tokens": 3,
                "output_tokens": 7,
            },
        },
        {"type": "message_stop"},
    ]


@pytest.mark.parametrize(
    ("name", "events"),
    [
        ("text", TEXT),
        ("thinking-then-text", [*THOUGHT, *TEXT]),
        ("tool_use", [ToolCallStart("toolu_1", "get_weather"), ToolCallDelta('{"city":'), ToolCallDelta('"Paris"}')]),
    ],
)
async def test_a_stream_has_all_that_recorded_ones_have_that_every_client_took(name: str, events: list[Event]) -> None:
    def shape(event: dict[str, Any]) -> tuple[str, ...]:
        inner = event.get("delta") or event.get("content_block") or {}
        return event["type"], str(event.get("index")), str(inner.get("type"))

    recorded = events_of((RECORDED / "streams" / f"{name}.sse").read_text())
    ours = await streamed(COUNTED, *events, END)

    assert {shape(event) for event in recorded} - {("ping", "None", "None")} == {shape(event) for event in ours}
    for event in recorded:
        for ours_of_kind in [one for one in ours if shape(one) == shape(event)][:1]:
            assert set(event) <= set(ours_of_kind)


async def test_calls_come_in_pieces_and_each_block_ends_before_the_next_begins() -> None:
    events = await streamed(COUNTED, *CALLS, RunEnd("tool_calls", Usage()))

    kinds = [(event["type"], event.get("index")) for event in events]
    assert kinds == [
        ("message_start", None),
        ("content_block_start", 0),
        ("content_block_delta", 0),
        ("content_block_stop", 0),
        ("content_block_start", 1),
        ("content_block_delta", 1),
        ("content_block_delta", 1),
        ("content_block_stop", 1),
        ("content_block_start", 2),
        ("content_block_stop", 2),
        ("message_delta", None),
        ("message_stop", None),
    ]
    assert events[4]["content_block"] == {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


async def test_a_thought_ends_with_its_proof_byte_for_byte() -> None:
    events = await streamed(COUNTED, *THOUGHT, RedactedThinking("ZGF0YQ=="), *TEXT, END)

    assert folded(events)["content"] == [
        {"type": "thinking", "thinking": "Let me think.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
        {"type": "text", "text": "Hello you."},
    ]
    deltas = [event["delta"]["type"] for event in events if event["type"] == "content_block_delta"]
    assert deltas[:3] == ["thinking_delta", "thinking_delta", "signature_delta"]


async def test_a_thought_whose_text_is_not_shown_has_its_proof() -> None:
    hidden = ShownThinking(blocks=True, text=False)
    expected = [{"type": "thinking", "thinking": "", "signature": "c2ln"}, {"type": "text", "text": "Hello you."}]

    assert (await whole(*THOUGHT, *TEXT, END, thinking=hidden))["content"] == expected
    assert (await whole(ThinkingEnd("c2ln"), *TEXT, END))["content"] == expected


async def test_a_thought_that_nobody_asked_for_is_not_shown() -> None:
    hidden = ShownThinking(blocks=False)

    message = await whole(*THOUGHT, RedactedThinking("x"), *TEXT, END, thinking=hidden)

    assert message["content"] == [{"type": "text", "text": "Hello you."}]


async def test_two_thoughts_in_a_row_are_two_blocks_and_one_without_proof_is_one_too() -> None:
    message = await whole(*THOUGHT, ThinkingDelta("More."), ThinkingEnd(""), *TEXT, END)

    assert message["content"][:2] == [
        {"type": "thinking", "thinking": "Let me think.", "signature": "c2ln"},
        {"type": "thinking", "thinking": "More.", "signature": ""},
    ]


@pytest.mark.parametrize("events", [TEXT, CALLS, [*THOUGHT, *TEXT, *CALLS], []])
async def test_a_stream_comes_to_the_same_message_as_a_whole_one(events: list[Event]) -> None:
    end = RunEnd("stop_sequence", Usage(11, 3, 2, 7), 5, stop_sequence="END")

    message = await whole(COUNTED, *events, end)

    assert folded(await streamed(COUNTED, *events, end)) == message
    assert message["usage"]["output_tokens_details"] == {"thinking_tokens": 5}
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")


async def test_arguments_that_a_limit_cut_off_are_no_object() -> None:
    message = await whole(ToolCallStart("toolu_1", "f"), ToolCallDelta('{"a'), RunEnd("length", Usage()))

    assert message["content"] == [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]


async def test_what_an_agent_does_itself_is_no_block() -> None:
    message = await whole(*TEXT, ToolActivity("Bash", "ls"), TextDelta("\n\nDone."), END)

    assert message["content"] == [{"type": "text", "text": "Hello you.\n\nDone."}]


@pytest.mark.parametrize("stop", get_args(StopReason))
async def test_each_end_of_a_run_has_anthropics_word(stop: StopReason) -> None:
    message = await whole(*TEXT, RunEnd(stop, Usage()))

    assert message["stop_reason"] == finish(stop)
    assert finish(stop) in {
        "end_turn",
        "max_tokens",
        "stop_sequence",
        "tool_use",
        "refusal",
        "pause_turn",
        "model_context_window_exceeded",
    }


async def test_a_stream_of_which_the_prompt_was_not_counted_begins_all_the_same() -> None:
    first, *_ = await streamed(*TEXT, END)

    assert first["message"]["usage"]["input_tokens"] == 0
