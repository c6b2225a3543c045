"""Schemas for a validator that refuses whatever it does not know."""

from typing import Any

import pytest

from claude_relay.engine.plain_schemas import is_portable, plain

TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "copy"),
    [
        ({"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "x", **TEXT}, TEXT),
        ({"type": "object", "x-order": 1, "example": {}, "nullable": True, "deprecated": True}, {"type": "object"}),
        (
            {"oneOf": [TEXT, {"type": "integer"}], "discriminator": {"propertyName": "kind"}},
            {"oneOf": [TEXT, {"type": "integer"}]},
        ),
        (
            {"type": "array", "prefixItems": [TEXT, {"type": "integer"}], "minItems": 2},
            {"type": "array", "minItems": 2, "items": [TEXT, {"type": "integer"}], "additionalItems": True},
        ),
        (
            {"type": "array", "prefixItems": [TEXT], "items": False},
            {"type": "array", "items": [TEXT], "additionalItems": False},
        ),
        ({"properties": {"a": {**TEXT, "pattern": "(?i)x"}}}, {"properties": {"a": TEXT}}),
        ({"patternProperties": {"^a": TEXT, "(?<!b)c": TEXT}}, {"patternProperties": {"^a": TEXT}}),
        ({"enum": [1, 1, 2]}, {"enum": [1, 2]}),
        ({"enum": ["1", 1, 1.0, {"a": 1}, {"a": 1}, "{'a': 1}"]}, {"enum": ["1", 1, {"a": 1}, "{'a': 1}"]}),
        ({"enum": []}, {}),
        ({"if": {"const": 1}}, {}),
        ({"if": {"const": 1}, "then": TEXT}, {"if": {"const": 1}, "then": TEXT}),
        ({"type": "number", "minimum": 1, "exclusiveMinimum": True}, {"type": "number", "minimum": 1}),
        ({"allOf": [], "dependentRequired": {}, "unevaluatedProperties": False}, {}),
        ({"properties": {"a": True, "$ref": TEXT}}, {"properties": {"a": True, "$ref": TEXT}}),
        (
            {"const": {"$ref": "#/nowhere"}, "default": [{"$ref": "x"}]},
            {"const": {"$ref": "#/nowhere"}, "default": [{"$ref": "x"}]},
        ),
    ],
)
def test_only_what_every_validator_knows_is_left(schema: dict[str, Any], copy: dict[str, Any]) -> None:
    assert plain(schema) == copy


@pytest.mark.parametrize(
    ("reference", "is_kept"),
    [
        ("#", True),
        ("#/$defs/a", True),
        ("#/properties/b", True),
        ("#/components/a", False),
        ("#a", False),
        ("x#/y", False),
    ],
)
def test_references_to_what_is_not_in_the_copy_are_left_out(reference: str, is_kept: bool) -> None:
    schema = {
        "properties": {"b": {"$ref": reference, "description": "x"}},
        "$defs": {"a": {"$anchor": "a"}},
        "components": {"a": TEXT},
    }

    assert ("$ref" in plain(schema)["properties"]["b"]) is is_kept


@pytest.mark.parametrize("pattern", [r"^[\w.+-]+@\w+\.\w{2,}$", "a|(?:b|c)*", r"^\d{4}-\d{2}$", "^$", r"[^\s/]+?"])
def test_a_pattern_of_all_engines_is_portable(pattern: str) -> None:
    assert is_portable(pattern)


@pytest.mark.parametrize(
    "pattern", ["(?i)x", r"a\-b", r"\Aa\Z", "a**", "a{", "(", r"[\w-.]", r"\p{L}", "(?=a)", r"(a)\1", "a" * 501]
)
def test_any_other_is_not(pattern: str) -> None:
    assert not is_portable(pattern)


def test_values_that_are_equal_in_python_alone_are_kept_in_their_order() -> None:
    assert list(map(repr, plain({"enum": [True, 1, 0, False, 1]})["enum"])) == ["True", "1", "0", "False"]
