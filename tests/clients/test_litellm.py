"""litellm: the relay as one more OpenAI-compatible provider."""

import asyncio
from typing import Any

import litellm  # type: ignore[import-not-found, unused-ignore]
from pydantic import BaseModel

from tests.clients.overhear import Overhearing
from tests.clients.upstream_side import (
    CACHED_TOKENS,
    COMPLETION_TOKENS,
    PNG_URL,
    PROMPT_TOKENS,
    THE_PICTURE,
    TOTAL_TOKENS,
    in_the_asked_form,
    instructions,
    pictures,
    spoken,
    turns,
)
from tests.upstream import FakeUpstream, Message, Text, Thinking

QUESTION = [{"role": "user", "content": "Who is it?"}]


class Pet(BaseModel):
    name: str
    age: int


def _with(base_url: str, **more: Any) -> dict[str, Any]:
    return {"model": "openai/sonnet", "base_url": base_url, "api_key": "unused", "max_retries": 0, **more}


def test_completion_gives_text_finish_reason_and_usage(
    base_url: str, upstream: FakeUpstream, heard: Overhearing
) -> None:
    upstream.replies(spoken("It is ", "Tom."))
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Yes?"},
        *QUESTION,
    ]
    answer = litellm.completion(**_with(base_url, messages=messages))
    assert answer.choices[0].message.content == "It is Tom."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens == PROMPT_TOKENS
    assert answer.usage.completion_tokens == COMPLETION_TOKENS
    assert answer.usage.total_tokens == TOTAL_TOKENS
    assert answer.usage.prompt_tokens_details.cached_tokens == CACHED_TOKENS
    assert instructions(upstream) == "Be brief."
    assert turns(upstream) == [("user", ["Hello"]), ("assistant", ["Yes?"]), ("user", ["Who is it?"])]
    assert heard.only().ignored == set()


def test_a_stream_gives_pieces_and_can_be_rebuilt_with_its_usage(base_url: str, upstream: FakeUpstream) -> None:
    upstream.replies(spoken("It is ", "Tom."))
    stream = litellm.completion(
        **_with(base_url, messages=QUESTION, stream=True, stream_options={"include_usage": True})
    )
    chunks = list(stream)
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert [piece for piece in pieces if piece] == ["It is ", "Tom."]
    whole: Any = litellm.stream_chunk_builder(chunks, messages=QUESTION)
    assert whole.choices[0].message.content == "It is Tom."
    assert whole.choices[0].finish_reason == "stop"
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (PROMPT_TOKENS, COMPLETION_TOKENS)


def test_acompletion_streams(base_url: str, upstream: FakeUpstream) -> None:
    upstream.replies(spoken("It is ", "Tom."))

    async def use() -> list[str]:
        stream = await litellm.acompletion(**_with(base_url, messages=QUESTION, stream=True))
        return [chunk.choices[0].delta.content or "" async for chunk in stream]

    assert "".join(asyncio.run(use())) == "It is Tom."


def test_a_pydantic_response_format_gives_its_json(base_url: str, upstream: FakeUpstream) -> None:
    upstream.replies(in_the_asked_form({"name": "Tom", "age": 3}))
    answer = litellm.completion(**_with(base_url, messages=QUESTION, response_format=Pet))
    assert Pet.model_validate_json(answer.choices[0].message.content) == Pet(name="Tom", age=3)


def test_a_picture_reaches_the_upstream(base_url: str, upstream: FakeUpstream) -> None:
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": PNG_URL}]
    litellm.completion(**_with(base_url, messages=[{"role": "user", "content": content}]))
    assert pictures(upstream) == [THE_PICTURE]
    assert turns(upstream) == [("user", ["What is this?", "image"])]


def test_reasoning_is_kept_apart_from_the_text(base_url: str, upstream: FakeUpstream) -> None:
    upstream.replies(Message(blocks=(Thinking("Let me see."), Text("Tom."))))
    answer = litellm.completion(**_with(base_url, messages=QUESTION))
    assert answer.choices[0].message.content == "Tom."
    assert answer.choices[0].message.reasoning_content == "Let me see."
