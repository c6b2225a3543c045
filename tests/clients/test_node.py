"""The clients for Node: the openai package and the Vercel AI SDK, each in a script that tells what its user gets."""

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
    asked_schema,
    in_the_asked_form,
    instructions,
    pictures,
    spoken,
    through_the_tool,
    turns,
)
from tests.upstream import FakeUpstream, Message, Script, Text, Thinking

CONVERSATION = [("user", ["Hello"]), ("assistant", ["Yes?"]), ("user", ["Who is it?"])]

Scenario = Callable[[str], Any]


def _scenario(scripts: Path, script: str, base_url: str, home: Path) -> Scenario:
    return lambda name: node_side.run(scripts, script, name, base_url, home)


@pytest.fixture
def openai(scripts: Path, base_url: str, home: Path) -> Scenario:
    """Runs a scenario of the openai package."""
    return _scenario(scripts, "openai.mjs", base_url, home)


@pytest.fixture
def ai_sdk(scripts: Path, base_url: str, home: Path) -> Scenario:
    """Runs a scenario of the Vercel AI SDK."""
    return _scenario(scripts, "ai-sdk.mjs", base_url, home)


def _openai_counts(usage: dict[str, Any]) -> tuple[int, int, int, int]:
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    return usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"], cached


def _ai_sdk_counts(usage: dict[str, Any]) -> tuple[int, int, int, int]:
    cached = usage["inputTokenDetails"]["cacheReadTokens"]
    return usage["inputTokens"], usage["outputTokens"], usage["totalTokens"], cached


COUNTS = (PROMPT_TOKENS, COMPLETION_TOKENS, TOTAL_TOKENS, CACHED_TOKENS)


def test_openai_create_gives_text_finish_reason_and_usage(
    openai: Scenario, upstream: FakeUpstream, heard: Overhearing
) -> None:
    upstream.replies(spoken("It is ", "Tom."))
    answer = openai("create")
    assert (answer["text"], answer["finishReason"]) == ("It is Tom.", "stop")
    assert _openai_counts(answer["usage"]) == COUNTS
    assert instructions(upstream) == "Be brief."
    assert turns(upstream) == CONVERSATION
    assert heard.only().ignored == set()


def test_openai_streams_pieces_finish_reason_and_usage(openai: Scenario, upstream: FakeUpstream) -> None:
    upstream.replies(spoken("It is ", "Tom."))
    answer = openai("stream")
    assert answer["pieces"] == ["It is ", "Tom."]
    assert answer["finishReasons"] == ["stop"]
    assert [_openai_counts(usage) for usage in answer["usages"]] == [COUNTS]


def test_the_streaming_helper_of_openai_puts_the_answer_together(openai: Scenario, upstream: FakeUpstream) -> None:
    upstream.replies(spoken("It is ", "Tom."))
    answer = openai("streamHelper")
    assert answer["pieces"] == ["It is ", "Tom."]
    assert (answer["text"], answer["finishReason"]) == ("It is Tom.", "stop")
    assert _openai_counts(answer["usage"]) == COUNTS


@both_ways
@pytest.mark.parametrize("scenario", ["parse", "streamedParse"])
def test_openai_parses_what_a_zod_schema_asks_for(
    openai: Scenario, upstream: FakeUpstream, scenario: str, replies: Callable[[], tuple[Script, ...]]
) -> None:
    upstream.replies(*replies())
    answer = openai(scenario)
    assert answer["parsed"] == PET
    assert answer["finishReason"] == "stop"


def test_openai_sends_pictures(openai: Scenario, upstream: FakeUpstream) -> None:
    openai("image")
    assert pictures(upstream) == [THE_PICTURE]
    assert turns(upstream) == [("user", ["What is this?", "image"])]


def test_openai_throws_what_the_relay_refuses(openai: Scenario, upstream: FakeUpstream) -> None:
    error = openai("error")
    assert (error["kind"], error["status"], error["param"]) == ("BadRequestError", 400, "temperature")
    assert upstream.messages_requests == []


def test_openai_lists_the_models(openai: Scenario) -> None:
    assert "sonnet" in openai("models")


def test_generate_text_gives_text_finish_reason_and_usage(
    ai_sdk: Scenario, upstream: FakeUpstream, heard: Overhearing
) -> None:
    upstream.replies(spoken("It is ", "Tom."))
    answer = ai_sdk("generateText")
    assert (answer["text"], answer["finishReason"]) == ("It is Tom.", "stop")
    assert _ai_sdk_counts(answer["usage"]) == COUNTS
    assert instructions(upstream) == "Be brief."
    assert turns(upstream) == CONVERSATION
    assert heard.only().ignored == set()
    assert answer["warnings"] == []


def test_stream_text_gives_pieces_finish_reason_and_usage(ai_sdk: Scenario, upstream: FakeUpstream) -> None:
    upstream.replies(spoken("It is ", "Tom."))
    answer = ai_sdk("streamText")
    assert answer["pieces"] == ["It is ", "Tom."]
    assert (answer["text"], answer["finishReason"]) == ("It is Tom.", "stop")
    assert _ai_sdk_counts(answer["usage"]) == COUNTS


@pytest.mark.parametrize("scenario", ["generateText", "streamText"])
def test_the_ai_sdk_keeps_reasoning_apart_from_the_text(
    ai_sdk: Scenario, upstream: FakeUpstream, scenario: str
) -> None:
    upstream.replies(Message(blocks=(Thinking("Let me see."), Text("Tom."))))
    answer = ai_sdk(scenario)
    assert (answer["reasoning"], answer["text"]) == ("Let me see.", "Tom.")


@both_ways
def test_generate_object_gives_what_a_zod_schema_asks_for(
    ai_sdk: Scenario, upstream: FakeUpstream, replies: Callable[[], tuple[Script, ...]]
) -> None:
    upstream.replies(*replies())
    answer = ai_sdk("generateObject")
    assert (answer["object"], answer["finishReason"]) == (PET, "stop")
    assert _ai_sdk_counts(answer["usage"]) == COUNTS


def test_generate_object_gives_lists(ai_sdk: Scenario, upstream: FakeUpstream) -> None:
    upstream.replies(in_the_asked_form({"elements": [PET, PET]}))
    assert ai_sdk("generateArray")["object"] == [PET, PET]


def test_generate_object_of_a_provider_without_schemas_asks_for_any_object(
    ai_sdk: Scenario, upstream: FakeUpstream, heard: Overhearing
) -> None:
    """Without ``supportsStructuredOutputs`` the client sends no schema at all, and says so in a warning."""
    upstream.replies(through_the_tool(PET))
    answer = ai_sdk("generateObjectWithoutSchema")
    assert answer["object"] == PET
    assert heard.only().body["response_format"] == {"type": "json_object"}
    assert [warning["feature"] for warning in answer["warnings"]] == ["responseFormat"]


@both_ways
def test_stream_object_ends_with_what_a_zod_schema_asks_for(
    ai_sdk: Scenario, upstream: FakeUpstream, replies: Callable[[], tuple[Script, ...]]
) -> None:
    upstream.replies(*replies())
    answer = ai_sdk("streamObject")
    assert (answer["object"], answer["finishReason"]) == (PET, "stop")
    assert answer["stages"][-1] == PET


def test_an_object_grows_while_it_is_written(ai_sdk: Scenario, upstream: FakeUpstream) -> None:
    upstream.replies(spoken('{"name": "Tom",', ' "kind": "cat",', ' "age": 3}'))
    answer = ai_sdk("streamObject")
    assert answer["stages"] == [{"name": "Tom"}, {"name": "Tom", "kind": "cat"}, PET]
    (request,) = upstream.messages_requests
    assert request.body is not None
    assert asked_schema(request.body) is not None


def test_the_ai_sdk_sends_pictures(ai_sdk: Scenario, upstream: FakeUpstream) -> None:
    ai_sdk("image")
    assert pictures(upstream) == [THE_PICTURE]
    assert turns(upstream) == [("user", ["What is this?", "image"])]


def test_the_ai_sdk_throws_what_the_relay_refuses(ai_sdk: Scenario, upstream: FakeUpstream) -> None:
    error = ai_sdk("error")
    assert (error["kind"], error["status"]) == ("AI_APICallError", 400)
    assert "temperature" in error["message"]
    assert upstream.messages_requests == []
