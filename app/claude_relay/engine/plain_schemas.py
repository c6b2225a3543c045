"""A client's schema as a strict validator of draft 7 takes it, which refuses whatever it does not know. Pure.

Claude Code's is one: it drops a schema that it refuses, and the tool for the answer with it. The answer is held against
the client's own schema in the end, so a copy may say less.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET

Schema = dict[str, Any]

_LITERAL = r"[^\\^$.*+?()\[\]{}|]"
_SYNTAX = r"^$\\.*+?()\[\]{}|/"
_CLASS = rf"\[\^?(?:[^\\\[\]]|\\[dDwWsSnrt{_SYNTAX}-])+\]"
_ATOM = rf"(?:{_LITERAL}|\.|\\[dDwWsSnrt{_SYNTAX}]|{_CLASS})"
_TIMES = r"(?:[*+?]|\{\d+(?:,\d*)?\})?\??"
_PORTABLE = re.compile(rf"(?:{_ATOM}{_TIMES}|\((?:\?:)?|\){_TIMES}|[|^$])*+")
_LONGEST_PATTERN = 500


def plain(schema: Schema) -> Schema:
    """Return a schema that says no more than the client's, in words that every validator knows."""
    made = _plain(schema)
    copy: Schema = _with_known_references(made, made)
    return copy


def is_portable(pattern: str) -> bool:
    """Whether a pattern means the same in every engine, and can be compiled by all of them."""
    if len(pattern) > _LONGEST_PATTERN or not _PORTABLE.fullmatch(pattern):
        return False
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def pointed(root: Any, reference: Any) -> Any:
    """Return what a reference within a schema points at; None if it leads nowhere, or out of the schema."""
    if not isinstance(reference, str) or not re.match(r"#(?:/|$)", reference):
        return None
    place = root
    for step in reference.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(place, list) and name.isdecimal() and int(name) < len(place):
            place = place[int(name)]
        elif isinstance(place, dict):
            place = place.get(name)
        else:
            return None
    return place


def _plain(schema: Any) -> Any:
    """Schemas may be true or false."""
    if not isinstance(schema, dict):
        return schema
    found = {keyword: copy(schema[keyword]) for keyword, copy in _COPIES.items() if keyword in schema}
    made = {keyword: value for keyword, value in found.items() if value is not UNSET}
    if isinstance(first := schema.get("prefixItems"), list) and first:
        # draft 7 says it in other words
        made |= {"items": list(map(_plain, first)), "additionalItems": _plain(schema.get("items", True))}
    if "if" not in made or not {"then", "else"} & made.keys():
        return {keyword: value for keyword, value in made.items() if keyword not in {"if", "then", "else"}}
    return made


def _as_it_is(value: Any) -> Any:
    return value


def _number(value: Any) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else UNSET


def _schemas(value: Any) -> Any:
    return list(map(_plain, value)) if isinstance(value, list) and value else UNSET


def _one_or_all(value: Any) -> Any:
    return _schemas(value) if isinstance(value, list) else _plain(value)


def _named(value: Any) -> Any:
    return {name: _plain(item) for name, item in value.items()} if isinstance(value, dict) else UNSET


def _by_pattern(value: Any) -> Any:
    return (
        _named({name: item for name, item in value.items() if is_portable(name)}) if isinstance(value, dict) else UNSET
    )


def _pattern(value: Any) -> Any:
    return value if isinstance(value, str) and is_portable(value) else UNSET


def _values(value: Any) -> Any:
    if not isinstance(value, list) or not value:
        return UNSET
    distinct: dict[bytes, Any] = {}
    for item in value:
        distinct.setdefault(_identity(item), item)
    return list(distinct.values())


def _identity(value: Any) -> bytes:
    """Return what tells values apart: 1 and 1.0 are one, 1 and true are two."""
    is_whole = isinstance(value, float) and value.is_integer()
    return msgspec.json.encode(int(value) if is_whole else value, order="deterministic")


_COPIES: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(
        ("type", "title", "description", "default", "const", "format", "required", "uniqueItems"), _as_it_is
    ),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), _number),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), _number),
    **dict.fromkeys(("allOf", "anyOf", "oneOf"), _schemas),
    **dict.fromkeys(("not", "additionalProperties", "propertyNames", "contains", "if", "then", "else"), _plain),
    **dict.fromkeys(("properties", "$defs", "definitions"), _named),
    "items": _one_or_all,
    "patternProperties": _by_pattern,
    "enum": _values,
    "pattern": _pattern,
    "$ref": _as_it_is,
}
"""How the value of each keyword is copied; all others are left out."""


def _with_known_references(value: Any, root: Schema) -> Any:
    """Leave out references to what is not in the copy, or was named by a URI."""
    if isinstance(value, list):
        return [_with_known_references(item, root) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        keyword: item if keyword in {"const", "enum", "default"} else _with_known_references(item, root)
        for keyword, item in value.items()
        if keyword != "$ref" or not isinstance(item, str) or isinstance(pointed(root, item), dict | bool)
    }
