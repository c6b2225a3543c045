"""Anthropic's own SDK, as its helpers use the Messages API: what it makes of the relay's answers."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import anthropic  # type: ignore[import-not-found, unused-ignore]
import pytest
from langchain_anthropic import ChatAnthropic  # type: ignore[import-not-found, unused-ignore]
from langchain_core.tools import tool as langchain_tool  # type: ignore[import-not-found, unused-ignore]
from pydantic import BaseModel, SecretStr

from tests.clients.overhear import Overhearing
from tests.clients.upstream_side import (
    PNG,
    THE_PICTURE,
    body,
    in_the_asked_form,
    instructions,
    pictures,
    spoken,
    turns,
)
from tests.live.relay import Relay
from tests.upstream import FakeUpstream, Message, Reply, Text, Thinking, ToolUse, error_after, overloaded, text

HELLO = [{"role": "user", "content": "Hello"}]
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


class Weather(BaseModel):
    city: str
    degrees: int


@pytest.fixture
def client(chat: Relay) -> Iterator[Any]:
    with anthropic.Anthropic(base_url=chat.url, api_key="unused", max_retries=0) as opened:
        yield opened


def calling(call: str, **arguments: Any) -> Message:
    return Message(blocks=(Text("I look."), ToolUse(call, "get_weather", arguments)))


def test_a_message_has_its_text_its_end_and_its_counts(client: Any, upstream: FakeUpstream) -> None:
    upstream.replies(spoken("Hello ", "there"))

    answer = client.messages.create(model="sonnet", max_tokens=100, system="Be brief.", messages=HELLO)

    assert [block.text for block in answer.content] == ["Hello there"]
    assert (answer.stop_reason, answer.stop_sequence, answer.model) == ("end_turn", None, "sonnet")
    assert answer._request_id.startswith("req_")
    usage = answer.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (7, 11, 13)
    assert usage.output_tokens == 5
    assert instructions(upstream) == "Be brief."
    assert turns(upstream) == [("user", ["Hello"])]


def test_a_stream_has_every_delta_and_the_counts_of_the_prompt_from_its_first_event_on(
    client: Any, upstream: FakeUpstream
) -> None:
    upstream.replies(spoken("Hello ", "there"))

    with client.messages.stream(model="sonnet", max_tokens=100, messages=HELLO) as stream:
        events = list(stream)
        message = stream.get_final_message()

    assert [event.text for event in events if event.type == "text"] == ["Hello ", "there"]
    (start,) = [event for event in events if event.type == "message_start"]
    assert (start.message.usage.input_tokens, start.message.usage.cache_read_input_tokens) == (7, 11)
    assert message.content[0].text == "Hello there"
    assert (message.stop_reason, message.usage.output_tokens, message.usage.input_tokens) == ("end_turn", 5, 7)


def test_an_answer_is_parsed(client: Any, upstream: FakeUpstream) -> None:
    upstream.replies(in_the_asked_form({"city": "Oslo", "degrees": -5}))

    answer = client.messages.parse(model="sonnet", max_tokens=100, messages=HELLO, output_format=Weather)

    assert answer.parsed_output == Weather(city="Oslo", degrees=-5)


def test_the_stop_sequence_that_ended_an_answer_is_told(client: Any, upstream: FakeUpstream) -> None:
    upstream.replies(text("one ", stop_reason="stop_sequence", stop_sequence="END"))

    answer = client.messages.create(model="sonnet", max_tokens=100, messages=HELLO, stop_sequences=["END", "STOP"])

    assert (answer.stop_reason, answer.stop_sequence) == ("stop_sequence", "END")
    assert body(upstream)["stop_sequences"] == ["END", "STOP"]


def test_pictures_and_files_reach_the_model(client: Any, upstream: FakeUpstream) -> None:
    pdf = base64.b64encode(b"%PDF-1.4 words").decode()
    content = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        {
            "type": "document",
            "title": "a.pdf",
            "source": {"type": "base64", "media_type": "application/pdf", "data": pdf},
        },
        {"type": "text", "text": "What is it?", "cache_control": {"type": "ephemeral"}},
    ]

    client.messages.create(model="sonnet", max_tokens=100, messages=[{"role": "user", "content": content}])

    assert pictures(upstream) == [THE_PICTURE]
    sent = body(upstream)["messages"][0]["content"]
    assert [block["source"]["data"] for block in sent if block["type"] == "document"] == [pdf]


def test_a_round_of_tools(client: Any, upstream: FakeUpstream) -> None:
    upstream.replies(calling("toolu_1", city="Oslo"), text("Cold."))

    first = client.messages.create(model="sonnet", max_tokens=100, messages=HELLO, tools=[WEATHER])
    call = first.content[1]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "-5", "is_error": True}
    messages = [*HELLO, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = client.messages.create(model="sonnet", max_tokens=100, messages=messages, tools=[WEATHER])

    assert (first.stop_reason, call.name, call.input) == ("tool_use", "get_weather", {"city": "Oslo"})
    assert second.content[0].text == "Cold."
    *_, last = upstream.messages_requests
    assert last.body is not None
    (sent,) = [block for block in last.body["messages"][-1]["content"] if block["type"] == "tool_result"]
    assert (sent["tool_use_id"], sent["is_error"]) == ("toolu_1", True)


def test_a_forced_call_and_one_call_at_a_time_reach_the_upstream(client: Any, upstream: FakeUpstream) -> None:
    upstream.replies(Message(blocks=(ToolUse("toolu_1", "get_weather", {"city": "Oslo"}),)))

    client.messages.create(
        model="sonnet",
        max_tokens=100,
        messages=HELLO,
        tools=[WEATHER],
        tool_choice={"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True},
    )

    assert body(upstream)["tool_choice"] == {
        "type": "tool",
        "name": "get_weather",
        "disable_parallel_tool_use": True,
    }


def test_the_tool_runner_sends_each_of_five_turns_once(client: Any, upstream: FakeUpstream, heard: Overhearing) -> None:
    cities = ["Oslo", "Rome", "Bonn", "Lima"]

    @anthropic.beta_tool  # type: ignore[untyped-decorator, unused-ignore]
    def get_weather(city: str) -> str:
        """The weather of a city.

        Args:
            city: Its name.
        """
        return f"It rains in {city}."

    upstream.replies(*(calling(f"toolu_{at}", city=city) for at, city in enumerate(cities)), text("It rains."))

    runner = client.beta.messages.tool_runner(model="sonnet", max_tokens=100, messages=HELLO, tools=[get_weather])
    last = runner.until_done()

    assert last.content[0].text == "It rains."
    assert [request.body["thread"]["type"] for request in heard.heard] == ["create", *["continue"] * 4]
    assert [len(request.body["messages"]) for request in heard.heard] == [1] * 5
    assert all("tools" not in request.body for request in heard.heard[1:])
    assert all(request.status == 200 for request in heard.heard)
    *_, final = upstream.messages_requests
    assert len(upstream.messages_requests) == 5
    assert final.body is not None
    results = [
        block["content"][0]["text"]
        for message in final.body["messages"]
        for block in message["content"]
        if isinstance(message["content"], list) and block["type"] == "tool_result"
    ]
    assert results == [f"It rains in {city}." for city in cities]
    assert [tool["name"] for tool in final.body["tools"]] == ["get_weather"]


def test_thinking_is_shown_only_to_who_asked_for_it(client: Any, upstream: FakeUpstream) -> None:
    upstream.replies(*[Message(blocks=(Thinking("Let me see."), Text("Yes.")))] * 3)

    plain = client.messages.create(model="sonnet", max_tokens=2000, messages=HELLO)
    shown = client.messages.create(model="sonnet", max_tokens=2000, messages=HELLO, thinking={"type": "adaptive"})
    omitted = client.messages.create(
        model="sonnet", max_tokens=2000, messages=HELLO, thinking={"type": "adaptive", "display": "omitted"}
    )

    assert [block.type for block in plain.content] == ["text"]
    assert [block.type for block in shown.content] == ["thinking", "text"]
    assert (shown.content[0].thinking, shown.content[0].signature) == ("Let me see.", "c2lnbmF0dXJl")
    assert (omitted.content[0].thinking, omitted.content[0].signature) == ("", "c2lnbmF0dXJl")


def test_a_thought_goes_back_with_its_signature_on_any_process(
    client: Any, chat: Relay, upstream: FakeUpstream
) -> None:
    asked = {"model": "sonnet", "max_tokens": 2000, "tools": [WEATHER], "thinking": {"type": "adaptive"}}
    upstream.replies(Message(blocks=(Thinking("Hm."), ToolUse("toolu_1", "get_weather", {"city": "Oslo"}))))
    upstream.replies(text("Cold."), text("Cold."))

    first = client.messages.create(messages=HELLO, **asked)
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "-5"}
    messages = [*HELLO, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    client.messages.create(messages=messages, **asked)
    with anthropic.Anthropic(base_url=chat.url, api_key="somebody-else", max_retries=0) as other:
        other.messages.create(messages=messages, **asked)

    for request in upstream.messages_requests[1:]:
        assert request.body is not None
        blocks = [block for message in request.body["messages"] for block in message["content"] if "type" in block]
        thoughts = [(block["thinking"], block["signature"]) for block in blocks if block["type"] == "thinking"]
        assert thoughts == [("Hm.", "c2lnbmF0dXJl")]


def test_errors_are_those_of_the_sdk(client: Any, upstream: FakeUpstream) -> None:
    with pytest.raises(anthropic.BadRequestError, match="at least one message") as bad:
        client.messages.create(model="sonnet", max_tokens=100, messages=[])
    assert bad.value.body["error"]["type"] == "invalid_request_error"
    assert bad.value.request_id == bad.value.body["request_id"]

    upstream.replies(overloaded())
    with pytest.raises(anthropic.InternalServerError) as full:
        client.messages.create(model="sonnet", max_tokens=100, messages=HELLO)
    assert (full.value.status_code, full.value.body["error"]["type"]) == (529, "overloaded_error")

    upstream.replies(error_after(1, text(chunks=("one ", "two"))))
    with (
        pytest.raises(anthropic.APIStatusError, match="overloaded"),
        client.messages.stream(model="sonnet", max_tokens=100, messages=HELLO) as stream,
    ):
        list(stream)


def test_langchain_asks_for_a_form_and_calls_tools(chat: Relay, upstream: FakeUpstream) -> None:
    def to_the_tool(asked: dict[str, Any]) -> Reply:
        (offered,) = asked["tools"]
        return Message(blocks=(ToolUse("toolu_1", offered["name"], {"city": "Oslo", "degrees": -5}),))

    @langchain_tool  # type: ignore[untyped-decorator, unused-ignore]
    def get_weather(city: str) -> str:
        """The weather of a city."""
        return city

    model = ChatAnthropic(model="sonnet", base_url=chat.url, api_key=SecretStr("unused"), max_retries=0)
    upstream.replies(to_the_tool, calling("toolu_2", city="Rome"), spoken("a ", "b"))

    structured = model.with_structured_output(Weather).invoke("Hello")
    called = model.bind_tools([get_weather]).invoke("Hello")
    streamed = list(model.stream("Hello"))

    assert structured == Weather(city="Oslo", degrees=-5)
    assert [(call["name"], call["args"]) for call in called.tool_calls] == [("get_weather", {"city": "Rome"})]
    assert "".join(chunk.text for chunk in streamed) == "a b"
    total = json.loads(json.dumps(sum(streamed[1:], streamed[0]).usage_metadata))
    assert total["output_tokens"] == 5
