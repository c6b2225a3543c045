"""LangChain.js, in a script that tells what its user gets; its agents are in ``test_tool_loops``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients import node_side
from tests.clients.node_side import PET, both_ways
from tests.clients.overhear import Overhearing
from tests.clients.upstream_side import (
    CACHED_TOKENS,
    COMPLETION_TOKENS,
    PROMPT_TOKENS,
    THE_PICTURE,
    TOTAL_TOKENS,
    instructions,
    pictures,
    spoken,
    through_the_tool,
    turns,
)
from tests.upstream import FakeUpstream, Message, Script, Text, ToolUse, text

Scenario = Callable[[str], Any]

USAGE = {
    "input_tokens": PROMPT_TOKENS,
    "output_tokens": COMPLETION_TOKENS,
    "total_tokens": TOTAL_TOKENS,
    "input_token_details": {"cache_read": CACHED_TOKENS},
    "output_token_details": {"reasoning": 0},
}
CUT = Message(
    blocks=(Text("I do."), ToolUse("toolu_1", "square", {}, written='{"n": 1')),
    stop_reason="max_tokens",
    # the CLI needs a moment to learn that it must not go on by itself
    head_delay=0.5,
)


@pytest.fixture
def langchain(scripts: Path, base_url: str, home: Path) -> Scenario:
    """Runs a scenario."""
    return lambda name: node_side.run(scripts, "langchain.mjs", name, base_url, home)


def test_a_model_gives_text_finish_reason_and_usage(
    langchain: Scenario, upstream: FakeUpstream, heard: Overhearing
) -> None:
    upstream.replies(spoken("It is ", "Tom."))
    assert langchain("invoke") == {"text": "It is Tom.", "finishReason": "stop", "usage": USAGE}
    assert instructions(upstream) == "Be brief."
    assert turns(upstream) == [("user", ["Hello"]), ("assistant", ["Yes?"]), ("user", ["Who is it?"])]
    assert heard.only().ignored == set()


def test_a_model_streams_pieces_finish_reason_and_usage(langchain: Scenario, upstream: FakeUpstream) -> None:
    upstream.replies(spoken("It is ", "Tom."))
    expected = {"pieces": ["It is ", "Tom."], "text": "It is Tom.", "finishReason": "stop", "usage": USAGE}
    assert langchain("stream") == expected


@both_ways
@pytest.mark.parametrize("scenario", ["structured", "streamedStructured"])
def test_a_model_gives_what_a_zod_schema_asks_for(
    langchain: Scenario, upstream: FakeUpstream, scenario: str, replies: Callable[[], tuple[Script, ...]]
) -> None:
    upstream.replies(*replies())
    assert langchain(scenario) == PET


def test_a_schema_may_be_a_tool(langchain: Scenario, upstream: FakeUpstream, heard: Overhearing) -> None:
    upstream.replies(Message(blocks=(ToolUse("toolu_1", "extract", PET),)))
    assert langchain("structuredByCall") == PET
    assert heard.only().body["tool_choice"] == {"type": "function", "function": {"name": "extract"}}


def test_json_may_be_asked_for_without_a_schema(langchain: Scenario, upstream: FakeUpstream) -> None:
    upstream.replies(through_the_tool(PET))
    assert langchain("structuredWithoutSchema") == PET


def test_a_call_that_max_tokens_cut_is_answered_by_its_id(
    langchain: Scenario, upstream: FakeUpstream, heard: Overhearing
) -> None:
    upstream.replies(CUT, spoken("It is ", "Tom."))
    answer = langchain("answeredCut")
    assert (answer["cut"]["finishReason"], answer["calls"]) == ("length", [])
    assert [(call["id"], call["args"]) for call in answer["invalid"]] == [("toolu_1", '{"n": 1')]
    assert answer["text"] == "It is Tom."
    assert [message["role"] for message in heard.heard[-1].body["messages"]] == ["user", "assistant", "tool"]


def test_a_call_that_max_tokens_cut_is_refused_without_an_answer_as_openai_does(
    langchain: Scenario, upstream: FakeUpstream
) -> None:
    """LangChain.js sends such a call back as it was, though its agents have not answered it."""
    upstream.replies(CUT, text("It is Tom."))
    error = langchain("unansweredCut")
    assert (error["status"], error["code"]) == (400, "INVALID_TOOL_RESULTS")
    assert "toolu_1" in error["message"]


def test_a_model_is_sent_pictures(langchain: Scenario, upstream: FakeUpstream) -> None:
    langchain("image")
    assert pictures(upstream) == [THE_PICTURE]


def test_what_the_relay_refuses_is_thrown(langchain: Scenario, upstream: FakeUpstream) -> None:
    error = langchain("error")
    assert (error["status"], error["param"]) == (400, "temperature")
    assert upstream.messages_requests == []
