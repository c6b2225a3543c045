"""A client's schema is usable and bounded, and nothing is fetched for it."""

import contextlib
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from claude_relay.engine import json_schema
from claude_relay.engine.json_schema import SchemaError, check_schema
from claude_relay.engine.structured_output import fits, is_quick
from tests.unit.engine.schemas import DRAFTS, SOON, Schema, chained, twice


def refusal(schema: Schema) -> str:
    with pytest.raises(SchemaError) as raised:
        check_schema(schema)
    return str(raised.value)


def nested(depth: int, keyword: str = "items") -> Schema:
    schema: Schema = {}
    for _ in range(depth):
        schema = {keyword: schema}
    return schema


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
        nested(json_schema.MAX_DEPTH),
    ],
)
def test_a_schema_that_means_something_is_taken(schema: Schema) -> None:
    check_schema(schema)


@pytest.mark.parametrize("draft", DRAFTS)
def test_every_draft_that_is_in_use_is_known(draft: str) -> None:
    definitions = "$defs" if "20" in draft else "definitions"
    schema = {"$schema": draft, definitions: {"a": {"type": "string"}}, "items": {"$ref": f"#/{definitions}/a"}}

    check_schema(schema)
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
        ({"$id": "http://[bad"}, "is not a URI"),
        ({"$ref": "http://[bad"}, "is not a URI"),
        ({"$ref": "#/$defs/missing"}, "'#/$defs/missing'"),
        ({"$ref": "#missing"}, "'#missing'"),
        ({"$ref": "#/const", "const": 5}, "'#/const'"),
        ({"$ref": "#/anyOf/7", "anyOf": [{}]}, "'#/anyOf/7'"),
        ({"$ref": "#/anyOf/" + "9" * 5000, "anyOf": [{}]}, "does not lead to a place"),
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
    "properties": (lambda n: {"properties": {f"p{i}": {} for i in range(n)}}, json_schema.MAX_PROPERTIES),
    "properties of several objects": (
        lambda n: {"anyOf": [{"properties": {f"p{i}": {} for i in range(n // 2)}}] * 2},
        json_schema.MAX_PROPERTIES,
    ),
    "enum values": (lambda n: {"items": {"enum": list(range(n))}}, json_schema.MAX_ENUM_VALUES),
    "nesting": (nested, json_schema.MAX_DEPTH),
    "names": (lambda n: {"properties": {"p" * n: {}}}, json_schema.MAX_NAMES),
    "texts of an enum": (lambda n: {"enum": ["e" * n]}, json_schema.MAX_NAMES),
    "a constant": (lambda n: {"const": "c" * n}, json_schema.MAX_NAMES),
    "schemas": (lambda n: {"anyOf": [{}] * (n - 1)}, json_schema.MAX_SUBSCHEMAS),
    "references": (
        lambda n: {"$defs": {f"d{i}": {} for i in range(n)}, "anyOf": [{"$ref": f"#/$defs/d{i}"} for i in range(n)]},
        json_schema.MAX_REFERENCES,
    ),
    "a name": (lambda n: {"$id": "urn:" + "a" * (n - 4)}, json_schema.MAX_URI),
    "a description": (lambda n: {"description": "d" * n}, json_schema.MAX_SIZE),
}


@pytest.mark.slow
@pytest.mark.parametrize(("make", "limit"), BEYOND.values(), ids=BEYOND.keys())
def test_a_limit_is_what_a_schema_may_have_and_is_named_when_it_has_more(
    make: Callable[[int], Schema], limit: int
) -> None:
    check_schema(make(limit))

    assert f"more than {limit:,} " in refusal(make(limit + 2))
    assert "more than " in refusal(make(10 * limit))


@pytest.mark.slow
@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf"])
def test_references_that_double_are_taken_as_far_as_they_can_be_followed(keyword: str) -> None:
    check_schema(chained(10, twice(keyword)))

    for many in (30, 300, 900):
        assert f"more than {json_schema.MAX_EXPANSION:,} schemas for one value" in refusal(
            chained(many, twice(keyword))
        )


HEAVY: dict[str, Callable[[int], Schema]] = {
    "properties": lambda n: {"properties": {f"p{i}": {"type": "string"} for i in range(n)}},
    "unknown keywords": lambda n: {f"x{i}": {} for i in range(n)},
    "schemas in a list": lambda n: {"allOf": [{"items": {}} for _ in range(n)]},
    "examples": lambda n: {"examples": [{"a": 1}] * n},
    "examples in lists": lambda n: {"default": [[]] * n},
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
    "long names": lambda n: {"$id": "http://a.example/" + "a" * n, "anyOf": [{"$ref": "#/not"}] * n, "not": {}},
    "names in names": lambda n: {"anyOf": [{"$id": "a/" * 900, "not": {"$id": "b/" * 900}, "$ref": "c"}] * n},
    "long references": lambda n: {"anyOf": [{"$ref": "#" + "/anyOf/0" * (i % 1000)} for i in range(n)]},
}


@pytest.mark.slow
@pytest.mark.parametrize("size", [2_000, 20_000])
@pytest.mark.parametrize("make", HEAVY.values(), ids=HEAVY.keys())
def test_no_schema_takes_long_to_be_examined(make: Callable[[int], Schema], size: int) -> None:
    schema = make(size)
    start = time.process_time()
    try:
        check_schema(schema)
    except SchemaError:
        pass
    else:
        is_quick(schema, "5" * 100_000)
    assert time.process_time() - start < SOON


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
            check_schema(schema(url))
        # nothing was read, so nothing says that a text is no integer
        assert fits(schema(url), "a")
        canary.shutdown()

    assert canary.asked == 0


@pytest.mark.parametrize("depth", [100, 500, 900])
@pytest.mark.parametrize("keyword", ["const", "default", "enum", "x-mine"])
def test_data_nested_deeply_is_refused(keyword: str, depth: int) -> None:
    data: list[Any] = []
    for _ in range(depth):
        data = [data]

    assert "levels of nesting" in refusal({keyword: data})
