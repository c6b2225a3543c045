"""Schemas are usable and bounded, answers fit them, and nothing takes long, whatever both are."""

import contextlib
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from claude_relay.engine import structured_output
from claude_relay.engine.structured_output import (
    SchemaError,
    examine,
    fits,
    is_quick,
    misfit,
    parsed,
    tool_answer,
    tool_schema,
)
from claude_relay.engine.vocabulary import JsonOutput
from claude_relay.errors import UpstreamError

Schema = dict[str, Any]
DRAFTS = [
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
]
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
SOON = 2.0
"""Seconds that nothing here may take, on a slow and busy machine."""


def refusal(schema: Schema) -> str:
    with pytest.raises(SchemaError) as raised:
        examine(schema)
    return str(raised.value)


def nested(depth: int, keyword: str = "items") -> Schema:
    schema: Schema = {}
    for _ in range(depth):
        schema = {keyword: schema}
    return schema


def chained(length: int, link: Callable[[str], Schema]) -> Schema:
    """Return a schema whose definitions refer each to the next."""
    definitions: Schema = {f"d{number}": link(f"#/$defs/d{number + 1}") for number in range(length)}
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{length}": {"type": "integer"}}}


def twice(keyword: str) -> Callable[[str], Schema]:
    return lambda reference: {keyword: [{"$ref": reference}, {"$ref": reference}]}


# --- what a client may send ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"$schema": "https://dialects.example/mine", "type": "string"},
        {"$id": "https://schemas.example/s", "$ref": "t#/$defs/z", "$defs": {"a": {"$id": "t", "$defs": {"z": {}}}}},
        {"$ref": "#name", "$defs": {"a": {"$anchor": "name"}}},
        {"$ref": "#/$defs/a~1b%20c", "$defs": {"a/b c": {"type": "string"}}},
        {"$ref": "#/anyOf/1", "anyOf": [{}, {"type": "string"}]},
        {"$ref": "#/$defs/a", "$defs": {"a": True}},
        {"properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}, "pattern": {"type": "string"}}},
        {"properties": {"enum": {"const": {"$ref": "#/nowhere"}}, "default": {"default": {"$ref": 5}}}},
        {"anyOf": [{"properties": {"next": {"$ref": "#"}}}, {"type": "null"}]},
        {"type": "string", "format": "nobody knows this", "pattern": "^(?=a)"},
        {"maximum": 10**400, "minimum": -1e308},
        nested(structured_output.MAX_DEPTH),
    ],
)
def test_a_schema_that_means_something_is_taken(schema: Schema) -> None:
    examine(schema)


@pytest.mark.parametrize("draft", DRAFTS)
def test_every_draft_that_is_in_use_is_known(draft: str) -> None:
    definitions = "$defs" if "20" in draft else "definitions"
    schema = {"$schema": draft, definitions: {"a": {"type": "string"}}, "items": {"$ref": f"#/{definitions}/a"}}

    examine(schema)
    assert fits(schema, ["a"])
    assert not fits(schema, [5])
    assert "strin" in refusal({**schema, "type": "strin"})


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "strin"}, "$.type"),
        ({"properties": []}, "$.properties"),
        ({"properties": {"a": {"minLength": -1}}}, "$.properties.a.minLength"),
        ({"$schema": 5}, "$.$schema"),
        ({"$schema": []}, "$.$schema"),
        ({"$schema": {"a": 1}}, "$"),
        ({"$id": {"a": 1}}, "$.$id"),
        ({"$ref": {"a": []}}, "$.$ref"),
        ({"$anchor": []}, "$.$anchor"),
        ({"$defs": {"a": {"$dynamicAnchor": 5}}}, "$dynamicAnchor"),
        ({"$id": 5}, "$.$id"),
        ({"$ref": 5}, "$.$ref"),
        ({"$ref": None}, "$.$ref"),
        ({"items": {"$id": ["a"]}}, "$.items.$id"),
        ({"$id": "http://[bad"}, "is no URI"),
        ({"$ref": "http://[bad"}, "is no URI"),
        ({"$ref": "#/$defs/missing"}, "'#/$defs/missing'"),
        ({"$ref": "#missing"}, "'#missing'"),
        ({"$ref": "#/const", "const": 5}, "'#/const'"),
        ({"$ref": "#/anyOf/7", "anyOf": [{}]}, "'#/anyOf/7'"),
        ({"$ref": "#/anyOf/" + "9" * 5000, "anyOf": [{}]}, "nothing inside"),
        ({"$ref": "other.json"}, "'other.json'"),
        ({"$ref": "https://schemas.example/a.json"}, "'https://schemas.example/a.json'"),
        ({"$ref": "#"}, "leads back to itself"),
        ({"allOf": [{"not": {"$ref": "#"}}]}, "leads back to itself"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, "back to itself"),
    ],
)
def test_a_schema_that_means_nothing_is_refused_with_the_place(schema: Schema, words: str) -> None:
    assert words in refusal(schema)
    assert len(refusal(schema)) < 500


BEYOND = {
    "properties": (lambda n: {"properties": {f"p{i}": {} for i in range(n)}}, structured_output.MAX_PROPERTIES),
    "properties of several objects": (
        lambda n: {"anyOf": [{"properties": {f"p{i}": {} for i in range(n // 2)}}] * 2},
        structured_output.MAX_PROPERTIES,
    ),
    "enum values": (lambda n: {"items": {"enum": list(range(n))}}, structured_output.MAX_ENUM_VALUES),
    "nesting": (nested, structured_output.MAX_DEPTH),
    "names": (lambda n: {"properties": {"p" * n: {}}}, structured_output.MAX_NAMES),
    "texts of an enum": (lambda n: {"enum": ["e" * n]}, structured_output.MAX_NAMES),
    "a constant": (lambda n: {"const": "c" * n}, structured_output.MAX_NAMES),
    "schemas": (lambda n: {"anyOf": [{}] * (n - 1)}, structured_output.MAX_SUBSCHEMAS),
    "references": (
        lambda n: {"$defs": {f"d{i}": {} for i in range(n)}, "anyOf": [{"$ref": f"#/$defs/d{i}"} for i in range(n)]},
        structured_output.MAX_REFERENCES,
    ),
    "a description": (lambda n: {"description": "d" * n}, structured_output.MAX_SIZE),
}


@pytest.mark.parametrize(("make", "limit"), BEYOND.values(), ids=BEYOND.keys())
def test_a_limit_is_what_a_schema_may_have_and_is_named_when_it_has_more(
    make: Callable[[int], Schema], limit: int
) -> None:
    examine(make(limit))

    assert f"more than {limit:,} " in refusal(make(limit + 2))
    assert "more than " in refusal(make(10 * limit))


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf"])
def test_references_that_double_are_taken_as_far_as_they_can_be_followed(keyword: str) -> None:
    examine(chained(10, twice(keyword)))

    for many in (30, 300, 900):
        assert f"more than {structured_output.MAX_EXPANSION:,} schemas for one value" in refusal(
            chained(many, twice(keyword))
        )


HEAVY: dict[str, Callable[[int], Schema]] = {
    "properties": lambda n: {"properties": {f"p{i}": {"type": "string"} for i in range(n)}},
    "unknown keywords": lambda n: {f"x{i}": {} for i in range(n)},
    "schemas in a list": lambda n: {"allOf": [{"items": {}} for _ in range(n)]},
    "examples": lambda n: {"examples": [{"a": 1}] * n},
    "names that are required": lambda n: {"required": [f"p{i}" for i in range(n)]},
    "definitions in a row": lambda n: chained(n, lambda reference: {"$ref": reference}),
    "definitions that double": lambda n: chained(n, twice("anyOf")),
    "properties that nobody named": lambda n: {
        "$ref": "#/$defs/d0",
        "$defs": {
            f"d{i}": {"properties": {"a": {"$ref": f"#/$defs/d{(7 * i + 1) % n}"}}, "unevaluatedProperties": False}
            for i in range(n)
        },
    },
    "patterns": lambda n: {"allOf": [{"pattern": rf"^(\p{{L}}{{1,100}}){i}$"} for i in range(n)]},
    "nesting": nested,
    "long references": lambda n: {"anyOf": [{"$ref": "#" + "/anyOf/0" * (i % 1000)} for i in range(n)]},
}


@pytest.mark.parametrize("size", [2_000, 20_000])
@pytest.mark.parametrize("make", HEAVY.values(), ids=HEAVY.keys())
def test_no_schema_takes_long_to_be_examined(make: Callable[[int], Schema], size: int) -> None:
    schema = make(size)
    start = time.monotonic()
    try:
        examine(schema)
    except SchemaError:
        pass
    else:
        is_quick(schema, "5" * 100_000)
    assert time.monotonic() - start < SOON


class Canary(HTTPServer):
    """A server of schemas that nobody should ask for."""

    asked = 0


class _Asked(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Canary)
        self.server.asked += 1
        self.send_error(404)

    def log_message(self, *_: object) -> None: ...


@pytest.mark.parametrize(
    "schema",
    [
        lambda url: {"$ref": url},
        lambda url: {"$schema": url},
        lambda url: {"$schema": url, "properties": {"a": {"$id": "b", "$schema": url}}},
        lambda url: {"$id": url, "$ref": "b.json"},
        lambda url: {"$dynamicRef": url},
        lambda url: {"$schema": DRAFTS[3], "$recursiveRef": url},
        lambda url: {"properties": {"a": {"$id": url, "items": {"$ref": "c"}}}},
    ],
)
@pytest.mark.parametrize("scheme", ["http", "file"])
def test_a_schema_makes_the_relay_fetch_nothing(tmp_path: Path, schema: Callable[[str], Schema], scheme: str) -> None:
    (tmp_path / "a.json").write_text('{"type": "integer"}')
    with Canary(("127.0.0.1", 0), _Asked) as canary:
        Thread(target=canary.serve_forever, args=(0.01,)).start()
        url = (tmp_path / "a.json").as_uri() if scheme == "file" else f"http://127.0.0.1:{canary.server_port}/a.json"
        with contextlib.suppress(SchemaError):
            examine(schema(url))
        # nothing was read, so nothing says that a text is no integer
        assert fits(schema(url), "a")
        canary.shutdown()

    assert canary.asked == 0


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

    assert misfit(schema, {"a": ["b", "5"]}) == "$.a[1]: the text does not match its pattern"


@pytest.mark.parametrize("text", ["Sure!", "", '{"a":', "5 and more", "NaN", "[-Infinity]", "1" * 5000, "[" * 10**5])
def test_what_is_no_json_is_said_to_be_none(text: str) -> None:
    with pytest.raises(UpstreamError) as raised:
        parsed(text)

    assert raised.value.code == "invalid_structured_output"
    assert "it is no JSON" in raised.value.message


@pytest.mark.parametrize("size", [10_000, 100_000])
@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(.*a){20}$", "(a*)*b$"])
def test_a_pattern_takes_a_time_in_proportion_to_the_text(pattern: str, size: int) -> None:
    start = time.monotonic()

    assert not fits({"pattern": pattern}, "a" * size + "!")
    assert time.monotonic() - start < SOON


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


@pytest.mark.parametrize(("schema", "item"), WORST)
def test_what_is_called_quick_is(schema: Schema, item: str) -> None:
    count = 1
    while is_quick(schema, item * 2 * count):
        count *= 2
    value = parsed("[" + (item * count)[:-1] + "]")
    start = time.monotonic()
    fits(schema, value)

    assert time.monotonic() - start < SOON / 4


# --- the schema of the CLI's tool ------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", [SCHEMA, {"type": "object"}, {**SCHEMA, "$defs": {"a": {}}, "$schema": "x"}])
def test_an_object_is_the_tools_input_as_it_is(schema: dict[str, Any]) -> None:
    output = JsonOutput(schema, constrained=False)

    assert tool_schema(output) == schema
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
    output = JsonOutput(schema, constrained=False)
    wrapped = tool_schema(output)

    examine(wrapped)
    assert wrapped["type"] == "object"
    assert fits(wrapped, {"value": good})
    assert not fits(wrapped, {"value": bad})
    assert not fits(wrapped, {})
    assert not fits(wrapped, {"value": good, "more": 1})
    assert tool_answer(output, {"value": good}) == good


def test_wrapping_leaves_the_callers_schema_as_it_was() -> None:
    schema = {"type": "array", "items": {"$ref": "#"}}

    tool_schema(JsonOutput(schema, constrained=False))

    assert schema == {"type": "array", "items": {"$ref": "#"}}


@pytest.mark.parametrize("given", [[1], "a", None, 5])
def test_an_answer_that_is_not_in_its_field_is_taken_as_it_is(given: object) -> None:
    assert tool_answer(JsonOutput({"type": "array"}, constrained=False), given) == given
