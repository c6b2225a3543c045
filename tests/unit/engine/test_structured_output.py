"""An answer fits its schema, whatever both are, and what Claude Code's tool gets means the same."""

import time
from typing import Any

import pytest

from claude_relay.engine.json_schema import check_schema
from claude_relay.engine.structured_output import JsonStart, fits, is_quick, misfit, parsed, tool_answer, tool_schema
from claude_relay.engine.vocabulary import JsonOutput
from claude_relay.errors import UpstreamError
from tests.unit.engine.schemas import DRAFTS, SOON, Schema, chained, twice

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


# --- answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "array", "items": {"type": "integer"}}, [1, 2], ["a"]),
        ({"type": "integer"}, 5, 5.5),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, None, 5),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}, "a", 5),
        (
            {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}},
            {"next": {"next": None}},
            {"next": {"next": 5}},
        ),
        ({"enum": ["a", 1, None]}, 1, "b"),
        ({"maximum": 10**400}, 10**399, 10**401),
        ({"pattern": "^a+$"}, "aa", "b"),
        ({"pattern": "^(?=a)"}, "ab", "b"),
        ({"pattern": "^(a)\\1$"}, "aa", "ab"),
        ({"patternProperties": {"^(?!x)": {"type": "string"}}}, {"x": 5}, {"a": 5}),
    ],
)
def test_any_schema_is_understood(schema: Schema, good: object, bad: object) -> None:
    assert fits(schema, good)
    assert misfit(schema, good) is None
    assert not fits(schema, bad)
    assert misfit(schema, bad)


def test_a_pattern_that_nobody_knows_holds_no_answer_back() -> None:
    assert fits({"pattern": "("}, "a")


@pytest.mark.parametrize(
    "keyword", [{"format": "date"}, {"contentEncoding": "base64"}, {"contentMediaType": "application/json"}]
)
@pytest.mark.parametrize("draft", DRAFTS)
def test_what_a_text_is_said_to_hold_is_not_asserted(draft: str, keyword: Schema) -> None:
    assert fits({"$schema": draft, "type": "string", **keyword}, "tomorrow!")


def test_what_does_not_fit_is_said_with_its_place_and_without_patterns() -> None:
    schema = {"properties": {"a": {"items": {"pattern": "^[a-z]+$"}}}}

    assert misfit(schema, {"a": ["b", "5"]}) == "$.a[1]: the text does not match its 'pattern'"


@pytest.mark.parametrize("text", ["Sure!", "", '{"a":', "5 and more", "NaN", "[-Infinity]", "1" * 5000, "[" * 10**5])
def test_what_is_no_json_is_said_to_be_none(text: str) -> None:
    with pytest.raises(UpstreamError) as raised:
        parsed(text)

    assert raised.value.code == "invalid_structured_output"
    assert "it is not JSON" in raised.value.message


@pytest.mark.parametrize("size", [10_000, 100_000])
@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(.*a){20}$", "(a*)*b$"])
def test_a_pattern_takes_a_time_in_proportion_to_the_text(pattern: str, size: int) -> None:
    start = time.process_time()

    assert not fits({"pattern": pattern}, "a" * size + "!")
    assert time.process_time() - start < SOON


QUICK: list[tuple[Schema, bool]] = [
    (SCHEMA, True),
    ({"type": "object"}, True),
    ({"properties": {f"p{i}": {"enum": ["a", "b"]} for i in range(100)}}, True),
    (chained(10, twice("anyOf")), False),
    ({"anyOf": [{"properties": {"a": {"$ref": "#"}}}, {"type": "null"}]}, False),
    ({"pattern": "a"}, False),
    ({"properties": {"a": {"patternProperties": {"a": {}}}}}, False),
    ({"multipleOf": 0.1}, False),
    ({"uniqueItems": True}, False),
    ({"maximum": 10**40}, False),
    ({"unevaluatedProperties": False}, False),
    ({"items": {"enum": [[0] * 1000]}}, False),
    ({"items": {"const": {"a": [0] * 1000}}}, False),
    ({"items": {"enum": [{"a": i} for i in range(200)]}}, False),
    ({"$ref": "#/const", "const": {"type": "string"}}, False),
    ({"$ref": "#/nowhere"}, False),
    ({"properties": {f"p{i}": {} for i in range(5000)}}, False),
]


@pytest.mark.parametrize(("schema", "quick"), QUICK)
def test_only_what_is_certain_to_be_quick_is_called_so(schema: Schema, quick: bool) -> None:
    assert is_quick(schema, "x" * 2000) is quick
    assert not is_quick(schema, "x" * 2_000_000)


WORST: list[tuple[Schema, str]] = [
    ({"items": {"allOf": [{"type": "integer"} for _ in range(100)]}}, "0,"),
    ({"items": {"anyOf": [*({"required": [f"p{i}"]} for i in range(100)), {}]}}, "{},"),
    ({"items": {"enum": [{"a": i} for i in range(100)]}}, '{"a":99},'),
    ({"items": {"oneOf": [{"const": [i]} for i in range(100)]}}, "[99],"),
    ({"items": {"enum": [i + 0.5 for i in range(300)]}}, "299.5,"),
    ({"items": {"contains": {"const": 5}}}, "[4,5],"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("schema", "item"), WORST)
def test_what_is_called_quick_is(schema: Schema, item: str) -> None:
    count = 1
    while is_quick(schema, item * 2 * count):
        count *= 2
    value = parsed("[" + (item * count)[:-1] + "]")
    start = time.process_time()
    fits(schema, value)

    assert time.process_time() - start < SOON / 4


# --- the schema of the CLI's tool ------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", [SCHEMA, {"type": "object"}, {**SCHEMA, "$defs": {"a": {}}}])
def test_an_object_is_the_tools_input_as_it_is(schema: dict[str, Any]) -> None:
    output = JsonOutput(schema)

    assert tool_schema(schema) == schema
    assert tool_answer(output, {"a": "b"}) == {"a": "b"}


WRAPPED = [
    pytest.param({"type": "array", "items": {"type": "integer"}}, [1, 2], ["a"], id="array"),
    pytest.param({"type": "string"}, "a", 5, id="scalar"),
    pytest.param({"type": ["object", "null"]}, None, 5, id="two types"),
    pytest.param({"enum": ["a", "b"]}, "b", "c", id="enum"),
    pytest.param({"anyOf": [{"type": "string"}, {"type": "integer"}]}, 5, None, id="union"),
    pytest.param(
        {"$ref": "#/$defs/Thing", "$defs": {"Thing": {"type": "object", "required": ["a"]}}},
        {"a": 1},
        {},
        id="reference at the root",
    ),
    pytest.param(
        {"type": "array", "items": {"$ref": "#/definitions/n"}, "definitions": {"n": {"type": "integer"}}},
        [1],
        ["a"],
        id="older definitions",
    ),
    pytest.param(
        {
            "type": "array",
            "items": {"$ref": "#/$defs/a"},
            "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"type": "integer"}},
        },
        [1],
        ["a"],
        id="definitions that refer to each other",
    ),
    pytest.param(
        {"type": "array", "items": {"anyOf": [{"type": "string"}, {"$ref": "#"}]}},
        ["a", ["b", []]],
        ["a", [5]],
        id="recursive",
    ),
    pytest.param(
        {"type": "array", "items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"properties": {"again": {"$ref": "#"}}}}},
        [{"again": []}],
        [{"again": 5}],
        id="recursive through a definition",
    ),
    pytest.param(
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "integer"}, 5, "a", id="with a dialect"
    ),
    pytest.param(
        {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/items"}}]}},
        ["a", ["b"]],
        [[5]],
        id="reference into itself",
    ),
]


@pytest.mark.parametrize(("schema", "good", "bad"), WRAPPED)
def test_anything_else_stands_in_a_field_of_an_object_and_still_means_the_same(
    schema: dict[str, Any], good: object, bad: object
) -> None:
    output = JsonOutput(schema)
    wrapped = tool_schema(schema)

    check_schema(wrapped)
    assert wrapped["type"] == "object"
    assert fits(wrapped, {"value": good})
    assert not fits(wrapped, {"value": bad})
    assert not fits(wrapped, {})
    assert not fits(wrapped, {"value": good, "more": 1})
    assert tool_answer(output, {"value": good}) == good


@pytest.mark.parametrize("name", ["a b", "$filter", "x" * 65, "", "\N{SNOWMAN}"])
def test_an_object_whose_properties_have_names_that_no_tool_may_have_stands_in_a_field(name: str) -> None:
    schema = {"type": "object", "properties": {name: {"type": "string"}}}
    output = JsonOutput(schema)

    assert tool_schema(schema)["properties"] == {"value": schema}
    assert tool_answer(output, {"value": {name: "x"}}) == {name: "x"}


def test_wrapping_leaves_the_callers_schema_as_it_was() -> None:
    schema = {"type": "array", "items": {"$ref": "#"}}

    tool_schema(schema)

    assert schema == {"type": "array", "items": {"$ref": "#"}}


def test_data_that_looks_like_a_reference_is_left_alone() -> None:
    schema = {"type": "array", "const": {"$ref": "#"}, "items": {"properties": {"const": {"$ref": "#/x"}}}, "x": {}}

    (moved,) = tool_schema(schema)["properties"].values()

    assert moved["const"] == {"$ref": "#"}
    assert moved["items"]["properties"]["const"] == {"$ref": "#/properties/value/x"}


@pytest.mark.parametrize("given", [[1], "a", None, 5])
def test_an_answer_that_is_not_in_its_field_is_taken_as_it_is(given: object) -> None:
    assert tool_answer(JsonOutput({"type": "array"}), given) == given


# --- where JSON begins -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pieces", "told", "kept"),
    [
        (['{"a":', " 1}"], ['{"a":', " 1}"], ""),
        ([" ", "\n", "[1", "]"], ["", "", " \n[1", "]"], ""),
        (["I can", "not"], ["", ""], "I cannot"),
        ([" "], [""], " "),
        ([], [], ""),
    ],
)
def test_text_is_kept_back_until_it_looks_like_json(pieces: list[str], told: list[str], kept: str) -> None:
    start = JsonStart()

    assert [start.feed(piece) for piece in pieces] == told
    assert start.flush() == kept
    assert start.flush() == ""
