"""pydantic-ai: agents whose model is the relay."""

import asyncio

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, NativeOutput  # type: ignore[import-not-found, unused-ignore]
from pydantic_ai.models.openai import OpenAIChatModel  # type: ignore[import-not-found, unused-ignore]
from pydantic_ai.providers.openai import OpenAIProvider  # type: ignore[import-not-found, unused-ignore]

from tests.clients.overhear import Overhearing
from tests.clients.upstream_side import (
    CACHED_TOKENS,
    COMPLETION_TOKENS,
    PNG_URL,
    PROMPT_TOKENS,
    THE_PICTURE,
    body,
    in_the_asked_form,
    instructions,
    pictures,
    spoken,
    turns,
)
from tests.upstream import FakeUpstream, Message, ToolUse


class Pet(BaseModel):
    """A pet."""

    name: str
    age: int


@pytest.fixture
def model(base_url: str) -> OpenAIChatModel:
    return OpenAIChatModel("sonnet", provider=OpenAIProvider(base_url=base_url, api_key="unused"))


def test_run_gives_text_finish_reason_and_usage(
    model: OpenAIChatModel, upstream: FakeUpstream, heard: Overhearing
) -> None:
    upstream.replies(spoken("It is ", "Tom."))
    result = Agent(model, instructions="Be brief.").run_sync("Who is it?")
    assert result.output == "It is Tom."
    assert result.response.finish_reason == "stop"
    assert result.usage.input_tokens == PROMPT_TOKENS
    assert result.usage.output_tokens == COMPLETION_TOKENS
    assert result.usage.cache_read_tokens == CACHED_TOKENS
    assert instructions(upstream) == "Be brief."
    assert turns(upstream) == [("user", ["Who is it?"])]
    assert heard.only().ignored == set()


def test_a_conversation_goes_on_with_its_turns(model: OpenAIChatModel, upstream: FakeUpstream) -> None:
    upstream.replies(spoken("Yes?"))
    agent = Agent(model)
    first = agent.run_sync("Hello")
    upstream.clear()
    agent.run_sync("Who is it?", message_history=first.all_messages())
    assert turns(upstream) == [("user", ["Hello"]), ("assistant", ["Yes?"]), ("user", ["Who is it?"])]


def test_run_stream_gives_pieces_and_usage(model: OpenAIChatModel, upstream: FakeUpstream) -> None:
    upstream.replies(spoken("It is ", "Tom."))

    async def use() -> tuple[list[str], int]:
        async with Agent(model).run_stream("Who is it?") as result:
            pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
            return pieces, result.usage.output_tokens

    pieces, output_tokens = asyncio.run(use())
    assert pieces == ["It is ", "Tom."]
    assert output_tokens == COMPLETION_TOKENS


def test_native_output_gives_the_model_that_was_asked_for(model: OpenAIChatModel, upstream: FakeUpstream) -> None:
    upstream.replies(in_the_asked_form({"name": "Tom", "age": 3}))
    result = Agent(model, output_type=NativeOutput(Pet)).run_sync("Who is it?")
    assert result.output == Pet(name="Tom", age=3)
    assert body(upstream)["output_config"]["format"]["schema"]["required"] == ["name", "age"]


def test_native_output_can_be_streamed(model: OpenAIChatModel, upstream: FakeUpstream) -> None:
    upstream.replies(in_the_asked_form({"name": "Tom", "age": 3}))

    async def use() -> Pet:
        async with Agent(model, output_type=NativeOutput(Pet)).run_stream("Who is it?") as result:
            found: Pet = await result.get_output()
            return found

    assert asyncio.run(use()) == Pet(name="Tom", age=3)


def test_output_by_tool_forces_a_call(model: OpenAIChatModel, upstream: FakeUpstream, heard: Overhearing) -> None:
    upstream.replies(Message(blocks=(ToolUse("toolu_1", "final_result", {"name": "Tom", "age": 3}),)))
    result = Agent(model, output_type=Pet).run_sync("Who is it?")
    assert result.output == Pet(name="Tom", age=3)
    assert body(upstream)["tool_choice"] == {"type": "any"}
    assert [tool["name"] for tool in body(upstream)["tools"]] == ["final_result"]
    assert heard.only().ignored == set()


def test_a_picture_reaches_the_upstream(model: OpenAIChatModel, upstream: FakeUpstream) -> None:
    Agent(model).run_sync(["What is this?", BinaryContent.from_data_uri(PNG_URL)])
    assert pictures(upstream) == [THE_PICTURE]
    assert turns(upstream) == [("user", ["What is this?", "image"])]
