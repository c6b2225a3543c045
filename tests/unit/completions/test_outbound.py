"""What clients get of completions: texts in the shape that OpenAI's library reads."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from openai.types import Completion as OpenAIs

from claude_relay.completions.outbound import RenderOptions, chunks, completion
from claude_relay.engine.fanout import Indexed
from claude_relay.engine.vocabulary import RunEnd, StopReason, TextDelta, ThinkingDelta, ToolActivity, Usage

pytestmark = pytest.mark.anyio
OPTIONS = RenderOptions("cmpl-1", 7, "sonnet", ("Once",))
USED = Usage(10, 300, 20, 4)
END = RunEnd("end", USED, cost=0.5)


async def events(found: Sequence[Indexed]) -> AsyncIterator[Indexed]:
    for event in found:
        yield event


def plain(answer: msgspec.Struct) -> dict[str, Any]:
    built: dict[str, Any] = msgspec.to_builtins(answer)
    return built


async def whole(options: RenderOptions, *found: Indexed) -> dict[str, Any]:
    answer = plain(await completion(options, events(found)))
    OpenAIs.model_validate(answer, strict=True)
    return answer


async def streamed(options: RenderOptions, *found: Indexed) -> list[dict[str, Any]]:
    return [plain(chunk) async for chunk in chunks(options, events(found))]


async def test_a_text_keeps_its_white_space_and_has_no_thinking_in_it() -> None:
    told = (ThinkingDelta("Hm."), TextDelta("\n  upon"), ToolActivity("Bash"), TextDelta(" a time"), END)

    answer = await whole(OPTIONS, *((0, event) for event in told))

    assert answer == {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 7,
        "model": "sonnet",
        "choices": [{"text": "\n  upon a time", "index": 0, "logprobs": None, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 330,
            "completion_tokens": 4,
            "total_tokens": 334,
            "prompt_tokens_details": {"cached_tokens": 300},
            "cost": 0.5,
        },
    }


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        ("end", "stop"),
        ("stop_sequence", "stop"),
        ("length", "length"),
        ("context_window", "length"),
        ("refusal", "content_filter"),
    ],
)
async def test_it_is_told_why_a_text_ended(stop: StopReason, reason: str) -> None:
    ended = ((0, RunEnd(stop, USED)),)

    assert (await whole(OPTIONS, *ended))["choices"][0]["finish_reason"] == reason
    assert (await streamed(OPTIONS, *ended))[-1]["choices"][0]["finish_reason"] == reason


async def test_continuations_stand_in_the_order_of_their_prompts_and_echo_them() -> None:
    options = replace(OPTIONS, prompts=("a", "b"), each=2, echo=True)
    found: list[Indexed] = [(index, event) for index in (3, 1, 0, 2) for event in (TextDelta(str(index)), END)]

    answer = await whole(options, *found)
    stream = await streamed(options, *found)

    assert [(choice["index"], choice["text"]) for choice in answer["choices"]] == [
        (0, "a0"),
        (1, "a1"),
        (2, "b2"),
        (3, "b3"),
    ]
    assert answer["usage"]["completion_tokens"] == 16
    told = ["", "", "", ""]
    for chunk in stream:
        (choice,) = chunk["choices"]
        told[choice["index"]] += choice["text"]
    assert told == ["a0", "a1", "b2", "b3"]


async def test_a_stream_tells_each_piece_then_why_it_ended_then_what_was_used() -> None:
    found: list[Indexed] = [(0, TextDelta("a")), (0, TextDelta("b")), (0, END)]

    stream = await streamed(replace(OPTIONS, usage=True), *found)

    assert [[(choice["text"], choice["finish_reason"]) for choice in chunk["choices"]] for chunk in stream] == [
        [("a", None)],
        [("b", None)],
        [("", "stop")],
        [],
    ]
    *others, last = [chunk["usage"] for chunk in stream]
    assert others == [None] * 3
    assert last["total_tokens"] == 334
    assert all("usage" not in chunk for chunk in await streamed(OPTIONS, *found))


WRAPPED = ((0, TextDelta("```py\nx")), (0, TextDelta(" = 1\n```")), (0, END))


async def test_a_code_block_around_a_text_is_left_out() -> None:
    assert (await whole(OPTIONS, *WRAPPED))["choices"][0]["text"] == "x = 1"
    assert [chunk["choices"][0]["text"] for chunk in await streamed(OPTIONS, *WRAPPED)] == ["x", " = 1", ""]


@pytest.mark.parametrize(
    "options", [replace(OPTIONS, prompts=("# Use\n\n```sh\n```\n",)), replace(OPTIONS, suffix="\n```")]
)
async def test_a_text_with_code_blocks_goes_on_with_them(options: RenderOptions) -> None:
    assert (await whole(options, *WRAPPED))["choices"][0]["text"] == "```py\nx = 1\n```"
