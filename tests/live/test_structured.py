"""Structured output: bare JSON that was checked, by the upstream's own format or by the CLI's tool."""

import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests import upstream as fake
from tests.live.relay import Relay
from tests.upstream import FakeUpstream, Message, Text, ToolUse, text


class Person(BaseModel):
    name: str
    age: int


ADA = '{"name":"Ada","age":36}'
LIST = {"type": "array", "items": {"$ref": "#/$defs/word"}, "$defs": {"word": {"type": "string"}}}


def _format(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


def _tool(answer: object) -> Message:
    assert isinstance(answer, dict)
    return Message(blocks=(Text("Let me answer."), ToolUse("toolu_1", "StructuredOutput", answer)))


def _refusing(answer: object) -> Any:
    """Refuses the upstream's own format, and answers by the CLI's tool; what follows is the end of the turn."""

    def reply(body: dict[str, Any]) -> fake.Reply:
        if "format" in body.get("output_config", {}):
            return fake.bad_request("output_config.format: unsupported schema")
        if body["messages"][-1]["role"] == "user" and "tool_result" in json.dumps(body["messages"][-1]["content"]):
            return text("Done.")
        return _tool(answer)

    return reply


def test_the_upstreams_own_format_is_asked_for_first(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(text(ADA, chunks=4))
    parsed = chat.openai.chat.completions.parse(
        model="sonnet", messages=[{"role": "user", "content": "Who?"}], response_format=Person
    )
    assert parsed.choices[0].message.parsed == Person(name="Ada", age=36)
    body = upstream.messages_requests[0].body
    assert body is not None
    assert body["output_config"]["format"]["schema"]["properties"].keys() == {"name", "age"}
    assert "effort" in body["output_config"]
    assert len(upstream.messages_requests) == 1


def test_the_sdks_stream_helper_works(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(text(ADA, chunks=4))
    with chat.openai.chat.completions.stream(
        model="sonnet", messages=[{"role": "user", "content": "Who?"}], response_format=Person
    ) as stream:
        events = [event.type for event in stream]
        final = stream.get_final_completion()
    assert events.count("content.delta") >= 4
    assert final.choices[0].message.parsed == Person(name="Ada", age=36)


@pytest.mark.parametrize("stream", [False, True])
def test_the_clis_tool_takes_over_when_the_upstream_refuses(chat: Relay, upstream: FakeUpstream, stream: bool) -> None:
    upstream.default = _refusing({"name": "Ada", "age": 36})
    response = chat.chat("Who?", model="opus", response_format=_format(Person.model_json_schema()), stream=stream)
    if stream:
        frames = [json.loads(line[6:]) for line in response.text.split("\n\n") if line.startswith("data: {")]
        content = "".join(frame["choices"][0]["delta"].get("content", "") for frame in frames)
    else:
        content = response.json()["choices"][0]["message"]["content"]
    assert json.loads(content) == {"name": "Ada", "age": 36}


@pytest.mark.parametrize(
    ("schema", "given", "answer"),
    [
        (LIST, {"value": ["a", "b"]}, ["a", "b"]),
        ({"type": "integer"}, {"value": 5}, 5),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"value": None}, None),
    ],
    ids=["array", "scalar", "union"],
)
def test_a_schema_need_not_be_an_object(
    chat: Relay, upstream: FakeUpstream, schema: dict[str, Any], given: object, answer: object
) -> None:
    upstream.default = _refusing(given)
    response = chat.chat("?", model="opus", response_format=_format(schema))
    assert json.loads(response.json()["choices"][0]["message"]["content"]) == answer


@pytest.mark.parametrize("kind", ["chat", "agent"])
def test_any_json_object(request: pytest.FixtureRequest, upstream: FakeUpstream, kind: str) -> None:
    running: Relay = request.getfixturevalue(kind)
    upstream.default = _refusing({"anything": [1]})
    response = running.chat("?", response_format={"type": "json_object"})
    assert json.loads(response.json()["choices"][0]["message"]["content"]) == {"anything": [1]}


@pytest.mark.parametrize("answer", ["I would rather talk.", '{"name": "Ada"}'])
def test_an_answer_that_does_not_fit_is_an_error_not_text(chat: Relay, upstream: FakeUpstream, answer: str) -> None:
    upstream.replies(text(answer))
    response = chat.chat("?", response_format=_format(Person.model_json_schema()))
    assert response.status_code == 502
    assert response.json()["error"]["code"] == "invalid_structured_output"


def test_a_model_that_never_gives_the_tool_an_answer_is_an_error(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.default = text("I would rather talk.")
    response = chat.chat("?", response_format={"type": "json_object"})
    assert response.status_code == 502
    assert response.json()["error"]["code"] == "invalid_structured_output"


def test_a_refusal_is_a_refusal(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(text("No.", stop_reason="refusal"))
    choice = chat.chat("?", response_format=_format(Person.model_json_schema())).json()["choices"][0]
    assert choice["message"]["content"] is None
    assert choice["message"]["refusal"] == "No."
    assert choice["finish_reason"] == "content_filter"


def test_a_broken_schema_is_the_clients_mistake(chat: Relay, upstream: FakeUpstream) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        chat.openai.chat.completions.create(
            model="sonnet",
            messages=[{"role": "user", "content": "?"}],
            response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "objekt"}}},
        )
    assert raised.value.param == "response_format.json_schema.schema"
    assert upstream.messages_requests == []


def test_tools_beside_any_json_object_reach_the_upstream_as_they_are(chat: Relay, upstream: FakeUpstream) -> None:
    closed = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    long = {"name": "z", "description": "d" * 5000, "parameters": closed, "strict": True}
    tools = [{"type": "function", "function": long}, {"type": "function", "function": {"name": "a"}}]
    fields: dict[str, Any] = {"tools": tools, "response_format": {"type": "json_object"}}
    upstream.replies(
        Message(blocks=(ToolUse("toolu_1", "z", {}),)),
        Message(blocks=(ToolUse("toolu_2", "StructuredOutput", {"n": 1}),)),
    )

    called, answered = chat.chat("?", **fields).json(), chat.chat("!", **fields).json()

    sent = [request.body["tools"] for request in upstream.messages_requests if request.body]
    assert [tool["name"] for tool in sent[0]] == ["z", "a", "StructuredOutput"]
    assert (sent[0][0]["description"], sent[0][0]["strict"]) == ("d" * 5000, True)
    assert called["choices"][0]["finish_reason"] == "tool_calls"
    assert called["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "z"
    assert json.loads(answered["choices"][0]["message"]["content"]) == {"n": 1}
    assert answered["choices"][0]["finish_reason"] == "stop"


EVERYDAY = {
    "the dialect of 2020": {"$schema": "https://json-schema.org/draft/2020-12/schema"},
    "words of OpenAPI": {"example": {"name": "Bob"}, "discriminator": {"propertyName": "name"}, "x-order": 1},
    "a tuple": {"properties": {"name": {"type": "string"}, "at": {"type": "array", "prefixItems": [{}]}}},
    "a pattern of another engine": {"properties": {"name": {"type": "string", "pattern": "(?i)ada"}}},
    "conditions": {"dependentRequired": {"name": []}, "unevaluatedProperties": True},
    "an unknown reference": {"$defs": {"a": {"$anchor": "b"}}, "properties": {"name": {"$ref": "#b"}}},
}


@pytest.mark.parametrize("more", EVERYDAY.values(), ids=EVERYDAY.keys())
def test_claude_codes_tool_takes_everyday_schemas(agent: Relay, upstream: FakeUpstream, more: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"], **more}
    upstream.replies(_tool({"name": "Ada"}))

    response = agent.chat("Who?", response_format=_format(schema))
    agent.settle()

    assert json.loads(response.json()["choices"][0]["message"]["content"]) == {"name": "Ada"}
    assert len(upstream.messages_requests) == 1


def test_any_object_is_streamed_as_it_is_written(either: Relay, upstream: FakeUpstream) -> None:
    written = '{"a": [1, 2],  "b": "\\u00e4"}'
    call = ToolUse(
        "toolu_1", "StructuredOutput", {}, chunks=(written[:6], written[6:15], written[15:]), written=written
    )
    upstream.replies(Message(blocks=(Text("Let me answer."), call)))

    response = either.chat("?", response_format={"type": "json_object"}, stream=True)
    either.settle()

    frames = [json.loads(line[6:]) for line in response.text.split("\n\n") if line.startswith("data: {")]
    pieces = [content for frame in frames if (content := frame["choices"][0]["delta"].get("content"))]
    assert "".join(pieces) == written
    assert len(pieces) == 3
    assert len(upstream.messages_requests) == 1


@pytest.mark.parametrize("response_format", [None, {"type": "json_object"}])
def test_a_tool_of_the_clients_may_have_the_name_of_claude_codes_own(
    either: Relay, upstream: FakeUpstream, response_format: Any
) -> None:
    tool = {"type": "function", "function": {"name": "StructuredOutput", "parameters": {"type": "object"}}}

    def reply(body: dict[str, Any]) -> fake.Reply:
        names = [listed["name"] for listed in body["tools"]]
        (name,) = [name for name in names if name == ("StructuredOutput_" if response_format else "StructuredOutput")]
        return Message(blocks=(ToolUse("toolu_1", name, {"a": 1}),))

    upstream.replies(reply)
    message = either.chat("?", tools=[tool], response_format=response_format).json()["choices"][0]["message"]
    either.settle()

    assert [call["function"]["name"] for call in message["tool_calls"]] == ["StructuredOutput"]
    assert len(upstream.messages_requests) == 1
    history = [
        {"role": "user", "content": "?"},
        message,
        {"role": "tool", "tool_call_id": "toolu_1", "content": "done"},
    ]
    upstream.replies(text("Well."))
    assert either.post(messages=history, model="sonnet", tools=[tool]).status_code == 200
