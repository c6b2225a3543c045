"""What is wrong with a value is told in the sentences of OpenAI's API, never in msgspec's."""

import json
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Struct

from claude_relay.chat.schemas import ChatCompletionRequest
from claude_relay.errors import InvalidRequestError
from claude_relay.web.validation_errors import RULE, converted, to_invalid_request


class Words(Struct, tag_field="type", tag="text"):
    text: str


class Picture(Struct, tag_field="type", tag="image"):
    url: str


class Sound(Struct, tag_field="type", tag="sound"):
    data: str


class Asked(Struct, tag_field="role", tag="user"):
    content: str | list[Words | Picture]


class Answered(Struct, tag_field="role", tag="assistant"):
    content: str | list[Words | Sound]


class Order(Struct):
    messages: Annotated[list[Asked | Answered], Meta(min_length=1)] = []
    effort: Literal["low", "high"] | None = None
    switch: Literal["on"] | dict[str, Any] | None = None
    name: Annotated[str, Meta(pattern="^[a-z]+$", extra={RULE: "letters"})] | None = None
    other: Annotated[str, Meta(pattern="^[a-z]+$")] = "a"
    count: Annotated[int, Meta(ge=1, le=8)] = 1
    share: Annotated[float, Meta(gt=0, lt=1.5)] | None = None
    many: str | list[str] | dict[str, int] | None = None
    flag: bool | None = None
    limits: dict[str, Literal["few"]] = {}
    pair: Annotated[list[int], Meta(min_length=2)] | None = None


def told(body: object, expected: Any = Order) -> str:
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.json.decode(json.dumps(body), type=expected)
    return to_invalid_request(str(raised.value), expected).message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "Invalid type for the body: expected an object, but got an array instead."),
        ({"messages": "hi"}, "Invalid type for 'messages': expected an array, but got a string instead."),
        ({"flag": 1.5}, "Invalid type for 'flag': expected a boolean, but got a decimal instead."),
        ({"count": None}, "Invalid type for 'count': expected an integer, but got null instead."),
        (
            {"many": 5},
            "Invalid type for 'many': expected one of a string, object, or array, but got an integer instead.",
        ),
        (
            {"messages": [{"role": "user", "content": 5}]},
            "Invalid type for 'messages[0].content': expected one of a string or array, but got an integer instead.",
        ),
        ({"messages": [{"role": 5}]}, "Invalid type for 'messages[0].role': expected a string."),
    ],
)
def test_a_wrong_type_is_told_with_the_types_that_are_right(body: object, message: str) -> None:
    assert told(body) == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"count": 0}, "Invalid 'count': integer below minimum value. Expected a value >= 1."),
        ({"count": 9}, "Invalid 'count': integer above maximum value. Expected a value <= 8."),
        ({"share": 0}, "Invalid 'share': decimal below minimum value. Expected a value > 0."),
        ({"share": 2}, "Invalid 'share': decimal above maximum value. Expected a value < 1.5."),
        (
            {"messages": []},
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        ),
        ({"pair": [1]}, "Invalid value for 'pair': expected array of length >= 2."),
    ],
)
def test_a_value_out_of_its_range_is_told_with_the_range(body: object, message: str) -> None:
    assert told(body) == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"effort": "huge"}, "Invalid value: 'huge'. Supported values are: 'high' and 'low'."),
        ({"switch": "off"}, "Invalid value: 'off'. Supported values are: 'on'."),
        ({"limits": {"a": "many"}}, "Invalid value: 'many'. Supported values are: 'few'."),
        ({"messages": [{"role": "bot"}]}, "Invalid value: 'bot'. Supported values are: 'assistant' and 'user'."),
        (
            {"messages": [{"role": "user", "content": [{"type": "x - at `$.model`"}]}]},
            "Invalid value: 'x - at `$.model`'. Supported values are: 'image', 'sound', and 'text'.",
        ),
    ],
)
def test_a_value_that_is_unknown_is_told_with_those_that_are_known(body: object, message: str) -> None:
    assert told(body) == message


def test_a_value_that_only_another_place_takes_is_not_called_supported() -> None:
    body = {"messages": [{"role": "user", "content": [{"type": "sound"}]}]}

    assert told(body) == "Invalid value for 'messages[0].content[0].type': 'sound' is not supported here."


def test_a_long_value_is_told_in_part() -> None:
    assert len(told({"effort": "x" * 5_000})) < 300


def test_a_pattern_is_told_as_the_rule_that_it_is() -> None:
    assert told({"name": "A1"}) == "Invalid value for 'name': must be letters."


def test_a_pattern_without_a_rule_in_words_is_not_told() -> None:
    assert told({"other": "A1"}) == "Invalid value for 'other': does not have the required form."


def test_every_pattern_of_a_chat_request_has_a_rule_in_words() -> None:
    schema = msgspec.json.schema(ChatCompletionRequest)
    patterns = {json.dumps(found) for found in _with_a_pattern(schema)}
    names: list[dict[str, object]] = [
        {"tools": [{"type": "function", "function": {"name": "a b"}}]},
        {"tools": [{"type": "custom", "custom": {"name": "a b"}}]},
        {"tools": [{"type": "custom", "name": "a b"}]},
        {"functions": [{"name": "a b"}]},
    ]

    assert len(patterns) == 2
    named = {"response_format": {"type": "json_schema", "json_schema": {"name": "a b"}}}
    message = told({"messages": [{"role": "user"}], **named}, ChatCompletionRequest)
    assert message.endswith("must be 1 to 64 of a-z, A-Z, 0-9, '_' and '-'.")
    for fields in names:
        message = told({"messages": [{"role": "user"}], **fields}, ChatCompletionRequest)
        assert message.endswith("must be 1 to 128 of a-z, A-Z, 0-9, '_' and '-'.")


def _with_a_pattern(schema: Any) -> list[Any]:
    if isinstance(schema, list):
        return [found for each in schema for found in _with_a_pattern(each)]
    if not isinstance(schema, dict):
        return []
    here = [schema["pattern"]] if isinstance(schema.get("pattern"), str) else []
    return here + [found for each in schema.values() for found in _with_a_pattern(each)]


class Part(msgspec.Struct):
    kind: Literal["a", "b"]
    inner: list[int] = []


@pytest.mark.parametrize(
    ("value", "param", "message"),
    [
        ({}, "input[0].kind", "Missing required parameter: 'input[0].kind'."),
        (5, "input[0]", "Invalid type for 'input[0]': expected an object, but got an integer instead."),
        ({"kind": "c"}, "input[0].kind", "Invalid value: 'c'. Supported values are: 'a' and 'b'."),
        (
            {"kind": "a", "inner": ["x"]},
            "input[0].inner[0]",
            "Invalid type for 'input[0].inner[0]': expected an integer, but got a string instead.",
        ),
    ],
)
def test_a_part_that_does_not_fit_is_named_by_its_place_in_the_body(value: Any, param: str, message: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        converted(value, Part, "input[0]")

    assert (raised.value.param, raised.value.message) == (param, message)


def test_a_part_that_fits_is_what_it_must_be() -> None:
    assert converted({"kind": "a", "inner": [1], "x": 2}, Part, "input[0]") == Part("a", [1])
