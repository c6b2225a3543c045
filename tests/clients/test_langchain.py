"""langchain-openai: ``ChatOpenAI`` with the relay as its base URL."""

import asyncio

import pytest
from langchain_core.messages import (  # type: ignore[import-not-found, unused-ignore]
    AIMessage,
    AIMessageChunk,
    HumanMessage,
    SystemMessage,
)
from langchain_openai import ChatOpenAI  # type: ignore[import-not-found, unused-ignore]
from pydantic import BaseModel, SecretStr

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
    spoken,
    turns,
)
from tests.upstream import FakeUpstream, Message, ToolUse


class Pet(BaseModel):
    """A pet."""

    name: str
    age: int


@pytest.fixture
def model(base_url: str) -> ChatOpenAI:
    return ChatOpenAI(model="sonnet", base_url=base_url, api_key=SecretStr("unused"), max_retries=0)


def test_invoke_gives_text_finish_reason_and_usage(
    model: ChatOpenAI, upstream: FakeUpstream, heard: Overhearing
) -> None:
    upstream.replies(spoken("It is ", "Tom."))
    answer = model.invoke(
        [SystemMessage("Be brief."), HumanMessage("Hello"), AIMessage("Yes?"), HumanMessage("Who is it?")]
    )
    assert answer.text == "It is Tom."
    assert answer.response_metadata["finish_reason"] == "stop"
    assert answer.response_metadata["model_name"] == "sonnet"
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["input_tokens"] == PROMPT_TOKENS
    assert answer.usage_metadata["output_tokens"] == COMPLETION_TOKENS
    assert answer.usage_metadata["total_tokens"] == TOTAL_TOKENS
    assert answer.usage_metadata["input_token_details"]["cache_read"] == CACHED_TOKENS
    assert instructions(upstream) == "Be brief."
    assert turns(upstream) == [("user", ["Hello"]), ("assistant", ["Yes?"]), ("user", ["Who is it?"])]
    assert heard.only().ignored == set()


def test_stream_gives_pieces_that_add_up_to_the_answer(model: ChatOpenAI, upstream: FakeUpstream) -> None:
    upstream.replies(spoken("It is ", "Tom."))
    chunks = list(model.stream("Who is it?", stream_usage=True))
    assert [chunk.text for chunk in chunks if chunk.text] == ["It is ", "Tom."]
    whole = AIMessageChunk(content="")
    for chunk in chunks:
        whole += chunk
    assert whole.text == "It is Tom."
    assert whole.response_metadata["finish_reason"] == "stop"
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["total_tokens"] == TOTAL_TOKENS


def test_astream_gives_pieces(model: ChatOpenAI, upstream: FakeUpstream) -> None:
    upstream.replies(spoken("It is ", "Tom."))

    async def use() -> list[str]:
        return [chunk.text async for chunk in model.astream("Who is it?")]

    assert [piece for piece in asyncio.run(use()) if piece] == ["It is ", "Tom."]


def test_with_structured_output_gives_the_model_that_was_asked_for(model: ChatOpenAI, upstream: FakeUpstream) -> None:
    upstream.replies(in_the_asked_form({"name": "Tom", "age": 3}))
    assert model.with_structured_output(Pet).invoke("Who is it?") == Pet(name="Tom", age=3)
    schema = asked_schema(body(upstream))
    assert schema is not None
    assert schema["required"] == ["name", "age"]


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # its own: a chunk with its parsed object
def test_structured_output_can_be_streamed(model: ChatOpenAI, upstream: FakeUpstream) -> None:
    upstream.replies(in_the_asked_form({"name": "Tom", "age": 3}))
    *_, last = model.with_structured_output(Pet).stream("Who is it?")
    assert last == Pet(name="Tom", age=3)


def test_structured_output_by_function_calling_forces_the_tool(
    model: ChatOpenAI, upstream: FakeUpstream, heard: Overhearing
) -> None:
    upstream.replies(Message(blocks=(ToolUse("toolu_1", "Pet", {"name": "Tom", "age": 3}),)))
    structured = model.with_structured_output(Pet, method="function_calling")
    assert structured.invoke("Who is it?") == Pet(name="Tom", age=3)
    sent = body(upstream)
    assert (sent["tool_choice"]["type"], sent["tool_choice"]["name"]) == ("tool", "Pet")
    (tool,) = sent["tools"]
    assert (tool["description"], tool["input_schema"]["required"]) == ("A pet.", ["name", "age"])
    assert heard.only().ignored == set()


def test_structured_output_by_function_calling_can_be_streamed(model: ChatOpenAI, upstream: FakeUpstream) -> None:
    upstream.replies(Message(blocks=(ToolUse("toolu_1", "Pet", {"name": "Tom", "age": 3}),)))
    *_, last = model.with_structured_output(Pet, method="function_calling").stream("Who is it?")
    assert last == Pet(name="Tom", age=3)


@pytest.mark.parametrize(
    ("choice", "sent"),
    [("any", {"type": "any"}), ("Pet", {"type": "tool", "name": "Pet"}), ("none", {"type": "none"})],
)
def test_the_choice_of_bound_tools_reaches_the_upstream(
    model: ChatOpenAI, upstream: FakeUpstream, choice: str, sent: dict[str, str]
) -> None:
    upstream.replies(Message(blocks=(ToolUse("toolu_1", "Pet", {"name": "Tom", "age": 3}),)))
    answer = model.bind_tools([Pet], tool_choice=choice).invoke("Who is it?")
    assert body(upstream)["tool_choice"] == sent
    assert [(call["name"], call["args"]) for call in answer.tool_calls] == [("Pet", {"name": "Tom", "age": 3})]


@pytest.mark.parametrize(
    "part",
    [
        pytest.param({"type": "image_url", "image_url": {"url": PNG_URL}}, id="openai-part"),
        pytest.param(
            {"type": "image", "base64": PNG_URL.partition(",")[2], "mime_type": "image/png"}, id="langchain-part"
        ),
    ],
)
def test_a_picture_reaches_the_upstream(model: ChatOpenAI, upstream: FakeUpstream, part: dict[str, object]) -> None:
    model.invoke([HumanMessage([{"type": "text", "text": "What is this?"}, part])])
    assert pictures(upstream) == [THE_PICTURE]
    assert turns(upstream) == [("user", ["What is this?", "image"])]


def test_sampling_reaches_the_upstream(base_url: str, upstream: FakeUpstream, heard: Overhearing) -> None:
    model = ChatOpenAI(
        model="sonnet",
        base_url=base_url,
        api_key=SecretStr("unused"),
        max_retries=0,
        temperature=0.25,
        max_completion_tokens=77,
        stop_sequences=["END"],
        seed=7,
    )
    model.invoke("Who is it?")
    sent = body(upstream)
    assert (sent["temperature"], sent["max_tokens"], sent["stop_sequences"]) == (0.25, 77, ["END"])
    assert heard.only().ignored == {"seed"}
