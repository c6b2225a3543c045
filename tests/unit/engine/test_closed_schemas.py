"""Schemas for the upstream's own format."""

from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from claude_relay.engine.closed_schemas import closed

TEXT = {"type": "string"}


class Address(BaseModel):
    street: str = Field(min_length=1, max_length=80)
    kind: Literal["home", "work"] = "home"


class Person(BaseModel):
    name: str = Field(description="Full name", pattern="^[A-Z]")
    age: int = Field(ge=0, le=150)
    email: str | None = None
    addresses: list[Address] = Field(min_length=1, max_length=5)


def test_an_everyday_schema_is_closed_and_its_limits_are_told() -> None:
    copy = closed(Person.model_json_schema())

    assert copy is not None
    assert copy["additionalProperties"] is copy["$defs"]["Address"]["additionalProperties"] is False
    assert copy["required"] == ["name", "age", "addresses"]
    assert copy["properties"]["name"] == {
        "title": "Name",
        "type": "string",
        "description": "Full name\n\n{pattern: ^[A-Z]}",
    }
    assert copy["properties"]["age"]["description"] == "{minimum: 0, maximum: 150}"
    assert copy["properties"]["addresses"]["minItems"] == 1
    assert copy["properties"]["addresses"]["description"] == "{maxItems: 5}"
    assert copy["$defs"]["Address"]["properties"]["street"]["description"] == "{minLength: 1, maxLength: 80}"
    assert not {"minimum", "maximum", "minLength", "maxLength", "maxItems", "pattern"} & set(_keywords(copy))


def _keywords(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [keyword for item in schema for keyword in _keywords(item)]
    if not isinstance(schema, dict):
        return []
    return [*schema, *(keyword for item in schema.values() for keyword in _keywords(item))]


@pytest.mark.parametrize(
    ("schema", "copy"),
    [
        ({"$schema": "x", "x-a": 1, "type": "integer"}, {"type": "integer"}),
        ({"oneOf": [TEXT, {"type": "null"}], "discriminator": {}}, {"anyOf": [TEXT, {"type": "null"}]}),
        ({"allOf": [TEXT], "description": "x"}, {"anyOf": [TEXT], "description": "x"}),
        ({"type": ["string", "null"], "format": "date"}, {"type": ["string", "null"], "format": "date"}),
        ({**TEXT, "format": "phone"}, {**TEXT, "description": "{format: phone}"}),
        ({"const": None}, {"const": None}),
        ({"enum": ["a", 1]}, {"enum": ["a", 1]}),
        (
            {"type": "object", "additionalProperties": False},
            {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
        ),
    ],
)
def test_what_the_format_has_other_words_for_is_said_in_them(schema: dict[str, Any], copy: dict[str, Any]) -> None:
    assert closed(schema) == copy


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        {"type": "object", "additionalProperties": TEXT},
        {"type": "object", "properties": {"a": TEXT}, "additionalProperties": TEXT},
        {"type": "object", "properties": {"a": TEXT}, "required": ["b"]},
        {"type": "object", "properties": {"a": {}}},
        {"type": "object", "properties": {"a": True}},
        {"type": "array"},
        {"type": "array", "prefixItems": [TEXT]},
        {"type": "array", "items": {"$ref": "#"}},
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/a"}}}},
        {"$ref": "#/$defs/b", "$defs": {"a": TEXT}},
        {"$ref": "https://example.com/x"},
        {"enum": [{"a": 1}]},
        {"const": []},
        {"allOf": [TEXT, TEXT]},
        {"type": "string", "not": {"const": "a"}},
        {"type": "object", "properties": {"a": TEXT}, "if": {"required": ["a"]}, "then": {"minProperties": 2}},
    ],
)
def test_what_it_has_no_words_for_goes_another_way(schema: dict[str, Any]) -> None:
    assert closed(schema) is None


def test_references_that_fan_out_are_followed_once() -> None:
    levels = {
        f"d{level}": {"type": "object", "properties": {name: {"$ref": f"#/$defs/d{level + 1}"} for name in "abcdefgh"}}
        for level in range(60)
    }

    assert closed({"$ref": "#/$defs/d0", "$defs": {**levels, "d60": TEXT}}) is not None
