"""Clients of the responses API for Node: the openai package, openai-agents and the Vercel AI SDK, as they come."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients import node_side
from tests.clients.agents import over_http
from tests.clients.node_side import PET, both_ways
from tests.clients.overhear import Overhearing
from tests.clients.upstream_side import CACHED_TOKENS, COMPLETION_TOKENS, PROMPT_TOKENS, TOTAL_TOKENS, spoken
from tests.upstream import FakeUpstream, Message, Script, Thinking, ToolUse, stall_after, text

QUESTIONS = ("What is 3 squared?", "And 4?", "And both together?")
ROUNDS = (
    Message(blocks=(Thinking("A tool knows."), ToolUse("toolu_1", "square", {"n": 3}))),
    text("9."),
    Message(blocks=(ToolUse("toolu_2", "square", {"n": 4}), ToolUse("toolu_3", "square", {"n": 5}))),
    text("16."),
    text("25."),
)

WORDS = tuple(f"word{number} " for number in range(25))
SLOW = text(chunks=WORDS, interval=0.1)

Scenario = Callable[[str], Any]


@pytest.fixture
def scenario(scripts: Path, base_url: str, home: Path) -> Scenario:
    """Runs one with the tool and the questions."""

    def run(name: str) -> Any:
        with over_http(lambda n: str(n * n)) as url:
            return node_side.run(scripts, "responses.mjs", name, base_url, home, url, *QUESTIONS)

    return run


def test_create_gives_text_and_all_counts(scenario: Scenario, upstream: FakeUpstream) -> None:
    upstream.replies(spoken("It is ", "Tom."))

    answer = scenario("create")

    assert (answer["text"], answer["status"]) == ("It is Tom.", "completed")
    assert answer["usage"] == {
        "input_tokens": PROMPT_TOKENS,
        "input_tokens_details": {**answer["usage"]["input_tokens_details"], "cached_tokens": CACHED_TOKENS},
        "output_tokens": COMPLETION_TOKENS,
        "output_tokens_details": answer["usage"]["output_tokens_details"],
        "total_tokens": TOTAL_TOKENS,
    }


def test_a_stream_has_its_events_in_order_and_the_helper_puts_them_together(
    scenario: Scenario, upstream: FakeUpstream
) -> None:
    upstream.replies(spoken("It is ", "Tom."), spoken("It is ", "Tom."))

    answer = scenario("stream")

    assert [kind.removeprefix("response.") for kind in answer["types"]] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert answer["text"] == scenario("streamHelper") == "It is Tom."


def test_a_request_that_the_package_sends_again_with_its_key_is_asked_once(
    scenario: Scenario, upstream: FakeUpstream
) -> None:
    upstream.replies(SLOW)

    assert scenario("sendAgain") == "".join(WORDS)
    assert len(upstream.messages_requests) == 1


def test_a_stream_in_the_background_is_left_and_resumed(scenario: Scenario, upstream: FakeUpstream) -> None:
    upstream.replies(SLOW)

    told = scenario("resume")

    assert (told["text"], told["end"]) == ("".join(WORDS), "response.completed")
    assert told["numbers"] == list(range(len(told["numbers"])))
    assert len(upstream.messages_requests) == 1


def test_a_response_in_the_background_is_polled_and_cancelled(scenario: Scenario, upstream: FakeUpstream) -> None:
    upstream.replies(stall_after(1))

    assert scenario("cancel") == ["queued", "in_progress", "cancelled"]


@both_ways
@pytest.mark.parametrize("name", ["parse", "generateObject"])
def test_a_zod_schema_gives_an_object(
    scenario: Scenario, upstream: FakeUpstream, name: str, replies: Callable[[], tuple[Script, ...]]
) -> None:
    upstream.replies(*replies())

    assert scenario(name) == PET


def test_a_conversation_goes_on_from_what_was_kept(scenario: Scenario, upstream: FakeUpstream) -> None:
    upstream.replies(text("One."), text("Two."))

    assert scenario("goOn") == {"kept": "One.", "text": "Two.", "items": 1, "gone": 404}


@pytest.mark.parametrize("name", ["generateText", "streamText", "agents", "agentsStreamed"])
def test_three_turns_with_tools(scenario: Scenario, upstream: FakeUpstream, heard: Overhearing, name: str) -> None:
    upstream.replies(*ROUNDS)

    assert scenario(name) == ["9.", "16.", "25."]

    assert {request.path for request in heard.heard} == {"/v1/responses"}
    assert len(upstream.messages_requests) == len(ROUNDS)
    body = upstream.messages_requests[-1].body
    assert body is not None
    blocks = [block for turn in body["messages"] for block in turn["content"] if isinstance(block, dict)]
    told = {block["tool_use_id"]: block["content"] for block in blocks if block["type"] == "tool_result"}
    assert {call: str(content) for call, content in told.items()}.keys() == {"toolu_1", "toolu_2", "toolu_3"}
    assert ["9" in str(told["toolu_1"]), "16" in str(told["toolu_2"]), "25" in str(told["toolu_3"])] == [True] * 3
