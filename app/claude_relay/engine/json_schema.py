"""JSON schemas of clients: what they may have, what they refer to, and how large they are. Nothing is looked up."""

from collections.abc import Callable, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import starmap
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

import jsonschema_rs
import msgspec

MAX_PROPERTIES = 5_000
"""Properties in a schema, all objects together; OpenAI's own limit."""
MAX_DEPTH = 64
"""Schemas inside schemas; OpenAI allows 10 levels of objects."""
MAX_ENUM_VALUES = 5_000
"""Values of ``enum`` in a schema, all together; OpenAI allows 1,000."""
MAX_NAMES = 120_000
"""Characters of all names of properties and definitions and all texts in ``enum`` and ``const``; OpenAI's own limit."""
MAX_SUBSCHEMAS = 20_000
"""Schemas inside a schema, all together."""
MAX_REFERENCES = 2_000
"""Different references (``$ref``) in a schema."""
MAX_EXPANSION = 100_000
"""Schemas that one value is held against, when references are written out."""
MAX_SIZE = 1_000_000
"""Characters of a schema beside these names: descriptions, examples, lists."""
MAX_URI = 2_000
"""Characters of the URI of a schema (``$id``), which each reference in it begins with."""

UNTOLD = 1_000_000
"""The size of what cannot be told."""
MAX_QUICK_SUBSCHEMAS = 1_000
"""Schemas inside a schema up to which it is looked at how long a check takes."""

_ROOT = "urn:schema"
"""What a schema is called that does not name itself."""
_DRAFT_4 = "http://json-schema.org/draft-04/schema"
"""The one whose schemas are named by ``id``."""
_DRAFTS = {
    _DRAFT_4,
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-07/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
}
MAPS = {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"}
"""Keywords whose value has schemas under names that are free."""
_ANCHORS = {"$anchor", "$dynamicAnchor", "$id", "id"}
DATA = {"const", "enum", "default", "examples"}
"""Keywords whose value is no schema, whatever it looks like."""
_SAME_PLACE = {"$ref", "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"}
"""Keywords whose schemas are held against the very value that the schema itself is held against."""
_COSTLY = {
    "pattern",
    "patternProperties",
    "multipleOf",
    "uniqueItems",
    "unevaluatedProperties",
    "unevaluatedItems",
    "$dynamicRef",
    "$recursiveRef",
}
"""Keywords whose cost does not follow from the number of schemas."""
_WITHOUT_PATTERN = {
    "pattern": "the text does not match its 'pattern'",
    "propertyNames": "the name of a property does not fit 'propertyNames'",
    "not": "it fits the schema of 'not'",
}
"""What to say of errors whose own message repeats a pattern."""
_MACHINE_WORD = 64
"""Bits of an integer up to which comparing it costs nothing to speak of."""


class SchemaError(ValueError):
    """A schema cannot be used; the text says why."""


class _Subschema(msgspec.Struct, frozen=True, gc=False):
    """A schema inside a schema.

    Attributes:
        schema: Its keywords.
        base: The URI that its references are relative to.
        depth: How many schemas it stands in.
        inner: The schemas in it, each with the keyword it stands under.
    """

    schema: dict[str, Any]
    base: str
    depth: int
    inner: list[tuple[str, dict[str, Any]]]


def check_schema(schema: dict[str, Any]) -> None:
    """Check a schema before anything is asked. Nothing is looked up for it, on the network or on disk.

    Raises:
        SchemaError: It is beyond a limit, is no JSON schema, or refers to what is not in it.
    """
    subschemas = _walk(schema, MAX_SUBSCHEMAS)
    _limit(subschemas)
    try:
        jsonschema_rs.meta.validate(of_known_draft(schema))
    except jsonschema_rs.ValidationError as error:
        raise SchemaError(described(error)) from None
    except ValueError as error:
        raise SchemaError(str(error)) from None
    if any("$ref" in found.schema for found in subschemas):
        _limit_expansion(_references(subschemas, _SAME_PLACE))


def _limit(subschemas: list[_Subschema]) -> None:
    properties = enums = names = size = 0
    for found in subschemas:
        for keyword, value in found.schema.items():
            if keyword in MAPS and isinstance(value, dict):
                names += sum(map(len, value))
                properties += len(value) if keyword == "properties" else 0
            elif keyword == "enum" and isinstance(value, list):
                enums += len(value)
                names += sum(len(text) for text in value if isinstance(text, str))
            elif keyword == "const" and isinstance(value, str):
                names += len(value)
            elif isinstance(value, str):
                size += len(value)
            if keyword in DATA or isinstance(value, list):
                size += _data_size(value)
        _require(properties, MAX_PROPERTIES, "properties in total")
        _require(found.depth, MAX_DEPTH, "levels of nesting")
        _require(enums, MAX_ENUM_VALUES, "enum values in total")
        _require(
            names, MAX_NAMES, "characters in the names of properties and definitions and the texts of enum and const"
        )
        _require(size, MAX_SIZE, "characters beside these names")


def _data_size(value: Any) -> int:
    try:
        size = len(msgspec.json.encode(value))
    except RecursionError:
        size = MAX_SIZE + 1
    if MAX_DEPTH < size <= MAX_SIZE:
        level = [value]
        for _ in range(MAX_DEPTH):
            level = [item for outer in level for item in _items(outer) if isinstance(item, dict | list) and item]
        _require(MAX_DEPTH + len(level), MAX_DEPTH, "levels of nesting")
    return size


def _items(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _limit_expansion(graph: dict[int, list[int]]) -> None:
    """Count the schemas that one value is held against, with all references written out."""
    counts: dict[int, int] = {}
    try:
        for place in TopologicalSorter(graph).static_order():
            counts[place] = 1 + sum(counts[used] for used in graph.get(place, ()))
            _require(counts[place], MAX_EXPANSION, "schemas for one value when its references are written out")
    except CycleError:
        raise SchemaError("a '$ref' leads back to itself, with no property or item in between") from None


def _require(count: int, most: int, what: str) -> None:
    if count > most:
        raise SchemaError(f"it has more than {most:,} {what}")


def _dialect(schema: dict[str, Any]) -> str | None:
    dialect = schema.get("$schema")
    return dialect.rstrip("#") if isinstance(dialect, str) else None


def of_known_draft(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema without an unknown ``$schema``, which the library would fetch from the network."""
    dialect = _dialect(schema)
    if dialect is None or dialect in _DRAFTS:
        return schema
    return {name: value for name, value in schema.items() if name != "$schema"}


def _walk(schema: dict[str, Any], most: int) -> list[_Subschema]:
    """Return a schema and all schemas in it, each before what it has inside.

    Raises:
        SchemaError: They are more than this.
    """
    naming = "id" if _dialect(schema) == _DRAFT_4 else "$id"
    found: list[_Subschema] = []
    rest = [(schema, _ROOT, 0)]
    while rest:
        current, base, depth = rest.pop()
        name = current.get(naming)
        if isinstance(name, str) and not name.startswith("#"):
            base = urldefrag(_joined(base, name)).url
            _require(len(base), MAX_URI, f"characters in a URI ({_short(naming)})")
        inner = _inner(current, most)
        found.append(_Subschema(current, base, depth, inner))
        _require(len(found) + len(rest) + len(inner), most, "schemas inside it")
        rest += [(item, base, depth + 1) for _, item in inner]
    return found


def _inner(schema: dict[str, Any], most: int) -> list[tuple[str, dict[str, Any]]]:
    inner: list[tuple[str, dict[str, Any]]] = []
    _require(len(schema), most, "keywords in one schema")
    for keyword, value in schema.items():
        if keyword in DATA or not isinstance(value, dict | list):
            continue
        if keyword == "properties":
            _require(len(value), MAX_PROPERTIES, "properties in total")
        if isinstance(value, list) or keyword in MAPS:
            _require(len(value), most, f"entries in {_short(keyword)}")
            items = value if isinstance(value, list) else value.values()
            inner += [(keyword, item) for item in items if isinstance(item, dict)]
        else:
            inner.append((keyword, value))
    return inner


def _joined(base: str, reference: str) -> str:
    """Return the URI that a reference means."""
    if reference.startswith("#"):
        return base + reference
    try:
        return urljoin(base, reference)
    except ValueError:
        raise SchemaError(f"{_short(reference)} is not a URI") from None


def _references(subschemas: list[_Subschema], keywords: set[str]) -> dict[int, list[int]]:
    """Return which schema uses which, by identity: through its references and some of its keywords.

    Raises:
        SchemaError: A reference leads nowhere, or there are too many.
    """
    places = _places(subschemas)
    targets: dict[str, int] = {}
    graph: dict[int, list[int]] = {}
    for found in subschemas:
        used = [id(item) for keyword, item in found.inner if keyword in keywords]
        if isinstance(reference := found.schema.get("$ref"), str):
            uri = _joined(found.base, reference)
            if uri not in targets:
                targets[uri] = id(_target(places, uri, reference))
                _require(len(targets), MAX_REFERENCES, "different references")
            used.append(targets[uri])
        if used:
            graph[id(found.schema)] = used
    return graph


def _places(subschemas: list[_Subschema]) -> dict[str, Any]:
    """Return what a reference can name: whole schemas by their URI, and anchors in them."""
    places: dict[str, Any] = {_ROOT: subschemas[0].schema}
    for found in subschemas:
        places.setdefault(found.base, found.schema)
        for keyword in _ANCHORS & found.schema.keys():
            if isinstance(anchor := found.schema[keyword], str):
                # drafts 4 to 7 write an anchor as a name that begins with "#"
                places[f"{found.base}#{anchor.removeprefix('#')}"] = found.schema
    return places


def _target(places: Mapping[str, Any], uri: str, reference: str) -> Any:
    if uri in places:
        return places[uri]
    document, _, fragment = uri.partition("#")
    place = places.get(document)
    if not fragment or fragment.startswith("/"):
        for step in unquote(fragment).split("/")[1:]:
            place = _stepped(place, step.replace("~1", "/").replace("~0", "~"))
        if isinstance(place, dict | bool):
            return place
    raise SchemaError(f"the '$ref' {_short(reference)} does not lead to a place in the schema")


def _stepped(place: Any, step: str) -> Any:
    if isinstance(place, dict):
        return place.get(step)
    if isinstance(place, list) and step.isdecimal() and len(step) <= len(str(len(place))) and int(step) < len(place):
        return place[int(step)]
    return None


def written_out(schema: dict[str, Any]) -> int | None:
    """Return how large a schema is with all its references written out, or None when that is much or has no end."""
    try:
        subschemas = _walk(schema, MAX_QUICK_SUBSCHEMAS)
        graph = _references(subschemas, {keyword for found in subschemas for keyword, _ in found.inner})
    except SchemaError:
        return None
    if any(_COSTLY & found.schema.keys() for found in subschemas):
        return None
    sizes = {id(found.schema): 1 + sum(starmap(_size, found.schema.items())) for found in subschemas}
    try:
        for place in TopologicalSorter(graph).static_order():
            # what only a reference makes a schema was not walked through
            sizes[place] = sizes.get(place, UNTOLD) + sum(sizes[used] for used in graph.get(place, ()))
    except CycleError:
        return None
    return sizes[id(schema)]


def _size(keyword: str, value: Any) -> int:
    """Return the cost of a keyword: texts are looked up at once, other data is compared one by one."""
    if keyword in DATA and not isinstance(value, str):
        is_texts = isinstance(value, list) and all(isinstance(item, str) for item in value)
        return len(value) if is_texts else len(msgspec.json.encode(value))
    if isinstance(value, int) and value.bit_length() > _MACHINE_WORD:
        return UNTOLD
    return 1 + len(value) if isinstance(value, list) else 1


def with_references(schema: dict[str, Any], moved: Callable[[str], str]) -> dict[str, Any]:
    """Return a copy of a schema with other references (``$ref``).

    Args:
        schema: The schema.
        moved: Returns what stands in the place of a reference.
    """

    def copy(keyword: str, value: Any) -> Any:
        match value:
            case str() if keyword == "$ref":
                return moved(value)
            case list() if keyword not in DATA:
                return [with_references(item, moved) if isinstance(item, dict) else item for item in value]
            case dict() if keyword in MAPS:
                return {name: copy("", item) for name, item in value.items()}
            case dict() if keyword not in DATA:
                return with_references(value, moved)
        return value

    return {keyword: copy(keyword, value) for keyword, value in schema.items()}


def described(error: jsonschema_rs.ValidationError) -> str:
    """Return where something is wrong and what, briefly and without patterns."""
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path)
    message = _WITHOUT_PATTERN.get(error.kind.name, error.message)
    return f"{_cut('$' + path, 200)}: {_cut(message, 200)}"


def _short(text: str) -> str:
    return repr(_cut(text, 100))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
