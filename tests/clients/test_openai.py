"""The openai package for Python: what its own helpers make of the relay's answers."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Literal

import pytest
from openai import AsyncOpenAI, OpenAI, pydantic_function_tool
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

from tests.clients.overhear import Overhearing
from tests.clients.upstream_side import (
    CACHED_TOKENS,
    COMPLETION_TOKENS,
    PNG_URL,
    PROMPT_TOKENS,
    THE_PICTURE,
    TOTAL_TOKENS,
    asked_schema,
    body,
    in_the_asked_form,
    instructions,
    pictures,
    refused_then_through_the_tool,
    spoken,
    turns,
)
from tests.upstream import FakeUpstream, Message, Script, Text, ToolUse

QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Who is it?"}]


class Pet(BaseModel):
    name: str
    kind: Literal["cat", "dog"]


class Household(BaseModel):
    owner: str
    pets: list[Pet]


HOUSEHOLD = {"owner": "Zoë", "pets": [{"name": "Tom", "kind": "cat"}]}
EXPECTED = Household(owner="Zoë", pets=[Pet(name="Tom", kind="cat")])

both_ways = pytest.mark.parametrize(
    "replies",
    [
        pytest.param(lambda: (in_the_asked_form(HOUSEHOLD),), id="constrained"),
        pytest.param(lambda: refused_then_through_the_tool(HOUSEHOLD), id="tool"),
    ],
)


@pytest.fixture
def client(base_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=base_url, api_key="unused", max_retries=0) as made:
        yield made


def _counts(usage: CompletionUsage | None) -> tuple[int, int, int, int | None]:
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    cached = usage.prompt_tokens_details.cached_tokens
    return usage.prompt_tokens, usage.completion_tokens, usage.total_tokens, cached


COUNTS = (PROMPT_TOKENS, COMPLETION_TOKENS, TOTAL_TOKENS, CACHED_TOKENS)


def test_create_gives_text_finish_reason_and_usage(client: OpenAI, upstream: FakeUpstream, heard: Overhearing) -> None:
    upstream.replies(spoken("It is ", "Tom."))
    answer = client.chat.completions.create(
        model="sonnet",
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Yes?"},
            *QUESTION,
        ],
    )
    assert answer.choices[0].message.content == "It is Tom."
    assert answer.choices[0].finish_reason == "stop"
    assert _counts(answer.usage) == COUNTS
    assert answer._request_id
    assert instructions(upstream) == "Be brief."
    assert turns(upstream) == [("user", ["Hello"]), ("assistant", ["Yes?"]), ("user", ["Who is it?"])]
    assert heard.only().ignored == set()


def test_what_has_no_effect_is_told_beside_the_answer(client: OpenAI) -> None:
    answer = client.chat.completions.with_raw_response.create(
        model="sonnet", messages=QUESTION, seed=7, user="me", presence_penalty=0.5
    )
    assert answer.parse().choices[0].message.content
    ignored = answer.headers["x-claude-relay-ignored"]
    assert set(ignored.split(", ")) == {"seed", "user", "presence_penalty"}


def test_a_stream_gives_pieces_finish_reason_and_usage(client: OpenAI, upstream: FakeUpstream) -> None:
    upstream.replies(spoken("It is ", "Tom."))
    with client.chat.completions.create(
        model="sonnet", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    choices = [choice for chunk in chunks for choice in chunk.choices]
    assert [choice.delta.content for choice in choices if choice.delta.content] == ["It is ", "Tom."]
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["stop"]
    assert [_counts(chunk.usage) for chunk in chunks if chunk.usage] == [COUNTS]


def test_the_streaming_helper_puts_the_answer_together(client: OpenAI, upstream: FakeUpstream) -> None:
    upstream.replies(spoken("It is ", "Tom."))
    with client.chat.completions.stream(
        model="sonnet", messages=QUESTION, stream_options={"include_usage": True}
    ) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        answer = stream.get_final_completion()
    assert "".join(deltas) == "It is Tom."
    assert answer.choices[0].message.content == "It is Tom."
    assert answer.choices[0].finish_reason == "stop"
    assert _counts(answer.usage) == COUNTS


@both_ways
def test_parse_gives_the_model_that_was_asked_for(
    client: OpenAI, upstream: FakeUpstream, replies: Callable[[], tuple[Script, ...]]
) -> None:
    upstream.replies(*replies())
    answer = client.chat.completions.parse(model="sonnet", messages=QUESTION, response_format=Household)
    assert answer.choices[0].message.parsed == EXPECTED
    assert answer.choices[0].finish_reason == "stop"
    assert _counts(answer.usage) == COUNTS


@both_ways
def test_the_streaming_helper_parses_too(
    client: OpenAI, upstream: FakeUpstream, replies: Callable[[], tuple[Script, ...]]
) -> None:
    upstream.replies(*replies())
    with client.chat.completions.stream(model="sonnet", messages=QUESTION, response_format=Household) as stream:
        events = list(stream)
        answer = stream.get_final_completion()
    assert answer.choices[0].message.parsed == EXPECTED
    assert [event.parsed for event in events if event.type == "content.done"] == [EXPECTED]


def test_the_schema_of_parse_reaches_the_upstream_whole(client: OpenAI, upstream: FakeUpstream) -> None:
    upstream.replies(in_the_asked_form(HOUSEHOLD))
    client.chat.completions.parse(model="sonnet", messages=QUESTION, response_format=Household)
    schema = asked_schema(body(upstream))
    assert schema is not None
    assert schema["required"] == ["owner", "pets"]
    assert schema["$defs"]["Pet"]["properties"]["kind"]["enum"] == ["cat", "dog"]


def _called(upstream: FakeUpstream) -> None:
    upstream.replies(Message(blocks=(Text("Let me see."), ToolUse("toolu_1", "Household", HOUSEHOLD))))


def test_parse_gives_the_arguments_of_a_call_as_the_model_that_was_asked_for(
    client: OpenAI, upstream: FakeUpstream, heard: Overhearing
) -> None:
    _called(upstream)
    tools = [pydantic_function_tool(Household)]
    answer = client.chat.completions.parse(model="sonnet", messages=QUESTION, tools=tools, tool_choice="required")
    calls = answer.choices[0].message.tool_calls
    assert calls is not None
    (call,) = calls
    assert call.function.parsed_arguments == EXPECTED
    assert (answer.choices[0].finish_reason, answer.choices[0].message.content) == ("tool_calls", "Let me see.")
    (tool,) = body(upstream)["tools"]
    assert (tool["name"], tool["strict"], tool["input_schema"]["required"]) == ("Household", True, ["owner", "pets"])
    assert heard.only().ignored == set()


def test_the_streaming_helper_tells_of_calls_while_they_are_written(client: OpenAI, upstream: FakeUpstream) -> None:
    _called(upstream)
    tools = [pydantic_function_tool(Household)]
    with client.chat.completions.stream(model="sonnet", messages=QUESTION, tools=tools) as stream:
        events = list(stream)
        answer = stream.get_final_completion()
    pieces = [event.arguments_delta for event in events if event.type == "tool_calls.function.arguments.delta"]
    assert len([piece for piece in pieces if piece]) > 1
    assert json.loads("".join(pieces)) == HOUSEHOLD
    done = [event.parsed_arguments for event in events if event.type == "tool_calls.function.arguments.done"]
    assert done == [EXPECTED]
    calls = answer.choices[0].message.tool_calls
    assert calls is not None
    (call,) = calls
    assert (call.id, call.function.parsed_arguments) == ("toolu_1", EXPECTED)


def test_a_picture_as_data_url_reaches_the_upstream(client: OpenAI, upstream: FakeUpstream, heard: Overhearing) -> None:
    client.chat.completions.create(
        model="sonnet",
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": PNG_URL, "detail": "low"}},
                ],
            }
        ],
    )
    assert pictures(upstream) == [THE_PICTURE]
    assert turns(upstream) == [("user", ["What is this?", "image"])]
    assert heard.only().ignored == {"messages.content.image_url.detail"}


def test_the_async_client_answers_streams_and_parses(base_url: str, upstream: FakeUpstream) -> None:
    upstream.replies(spoken("It is Tom."), in_the_asked_form(HOUSEHOLD))

    async def use() -> tuple[list[str], Household | None]:
        async with AsyncOpenAI(base_url=base_url, api_key="unused", max_retries=0) as client:
            stream = await client.chat.completions.create(model="sonnet", messages=QUESTION, stream=True)
            pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
            answer = await client.chat.completions.parse(model="sonnet", messages=QUESTION, response_format=Household)
            return pieces, answer.choices[0].message.parsed

    pieces, parsed = asyncio.run(use())
    assert "".join(pieces) == "It is Tom."
    assert parsed == EXPECTED


def test_the_models_can_be_listed_and_looked_up(client: OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert "sonnet" in names
    assert client.models.retrieve("sonnet").id == "sonnet"


def test_the_environment_names_the_relay(
    base_url: str, upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "unused")
    upstream.replies(spoken("It is ", "Tom."))
    with OpenAI(max_retries=0) as client:
        pieces = client.chat.completions.create(model="sonnet", messages=QUESTION, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in pieces) == "It is Tom."
