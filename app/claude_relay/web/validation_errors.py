"""What msgspec says of a value that does not fit its type, in the sentences of OpenAI's API. Pure."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from claude_relay.errors import InvalidRequestError, missing

T = TypeVar("T")

RULE = "rule"
"""Where a ``Meta`` says in words, in its ``extra``, what its pattern demands."""

_PATH = re.compile(r"^(?:key in )?\$\.?(?P<path>.*)`$")
_STEP = re.compile(r"\[[^\]]*\]|[^.\[]+")
_MISSING = re.compile(r"missing required field `(?P<name>[^`]+)`")
_TYPE = re.compile(r"Expected `(?P<expected>[a-z |]+)`(?:, got `(?P<found>[a-z]+)`)?")
_BOUND = re.compile(r"Expected `(?P<kind>int|float)` (?P<rule>(?P<comparison>[<>]=?) (?P<bound>\S+))")
_EMPTY = re.compile(r"Expected `array` of length >= 1")
_PATTERN = re.compile(r"Expected `str` matching regex ")
_VALUE = re.compile(r"Invalid (?:enum )?value (?P<value>.*)", re.DOTALL)
_LONGEST_VALUE = 200
"""Characters of a value that a message repeats."""
_KINDS = {
    "array": "array",
    "bool": "boolean",
    "float": "decimal",
    "int": "integer",
    "null": "null",
    "object": "object",
    "str": "string",
}
"""OpenAI's names for msgspec's types."""


def converted(value: Any, kind: type[T], within: str) -> T:
    """Return a part of a body as what it must be, where that depends on the part itself.

    Args:
        value: The part, as plain JSON types.
        kind: What it must be.
        within: The part's path in the body.

    Raises:
        InvalidRequestError: It is not that.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise to_invalid_request(str(error), kind, within) from None


def to_invalid_request(text: str, expected: Any, within: str = "") -> InvalidRequestError:
    """Turn msgspec's ``... - at `$.messages[0].content` `` into a message and a ``param``.

    Args:
        text: The message of msgspec's ``ValidationError``.
        expected: The type that the body, or the part, was decoded to, which has the rule that was broken.
        within: The path of the part in the body.
    """
    what, _, where = text.rpartition(" - at `")
    found = _PATH.match(where)
    what, inside = (what, found["path"]) if found else (text, "")
    path = f"{within}{inside}" if inside.startswith("[") else f"{within}.{inside}".strip(".")
    if lacking := _MISSING.search(what):
        return missing(f"{path}.{lacking['name']}".lstrip("."))
    return InvalidRequestError(_message(what, path, inside, expected), param=path or None, code="invalid_value")


def _message(what: str, path: str, inside: str, expected: Any) -> str:
    if _EMPTY.fullmatch(what):
        return (
            f"Invalid '{path}': empty array. Expected an array with minimum length 1, but got an empty array instead."
        )
    if bound := _BOUND.fullmatch(what):
        side = "below minimum" if bound["comparison"].startswith(">") else "above maximum"
        rule = bound["rule"].removesuffix(".0")
        return f"Invalid '{path}': {_KINDS[bound['kind']]} {side} value. Expected a value {rule}."
    if wrong := _TYPE.fullmatch(what):
        got = f", but got {_with_article(wrong['found'])} instead" if wrong["found"] else ""
        subject = f"'{path}'" if path else "the body"
        return f"Invalid type for {subject}: expected {_one_of(wrong['expected'])}{got}."
    if _PATTERN.match(what):
        rule = next((f"must be {rule}" for rule in _rules(expected, inside)), "does not have the required form")
        return f"Invalid value for '{path}': {rule}."
    if value := _VALUE.fullmatch(what):
        return _unsupported(value["value"], path, sorted(set(_supported(expected, inside))))
    return f"Invalid value for '{path}': {what[:1].lower()}{what[1:]}.".replace("`", "")


def _unsupported(shown: str, path: str, supported: list[str]) -> str:
    if len(shown) > _LONGEST_VALUE:
        shown = f"{shown[:_LONGEST_VALUE]}...'"
    if not supported or shown[1:-1] in supported:
        # some places of the same name take it, this one does not
        return f"Invalid value for '{path}': {shown} is not supported here."
    *others, last = map(repr, supported)
    listed = f"{', '.join(others)}, and {last}" if len(others) > 1 else " and ".join((*others, last))
    return f"Invalid value: {shown}. Supported values are: {listed}."


def _with_article(kind: str) -> str:
    name = _KINDS.get(kind, kind)
    if name == "null":
        return name
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def _one_of(kinds: str) -> str:
    """Say which types are expected. That null is one more goes without saying: it stands for an absent value."""
    named = kinds.split(" | ")
    first, *others = [kind for kind in named if kind != "null"] or named
    if not others:
        return _with_article(first)
    *between, last = [_KINDS.get(kind, kind) for kind in others]
    listed = ", ".join((_with_article(first), *between))
    return f"one of {listed}{',' if between else ''} or {last}"


def _supported(expected: Any, path: str) -> Iterator[str]:
    """Yield the values that can stand at a path: those of a Literal, or the tags of the Structs that hold it."""
    *outer, last = _STEP.findall(path) or [""]
    for holder in _at(expected, outer):
        if isinstance(holder, inspect.StructType) and holder.tag_field == last:
            yield str(holder.tag)
    for found in _at(expected, [*outer, last]):
        if isinstance(found, inspect.LiteralType):
            yield from map(str, found.values)


def _rules(expected: Any, path: str) -> Iterator[str]:
    """Yield what the patterns at a path demand, in words."""
    for found in _declared(expected, _STEP.findall(path)):
        for inner in _unwrapped(found, inspect.UnionType):
            if isinstance(inner, inspect.Metadata) and inner.extra and RULE in inner.extra:
                yield str(inner.extra[RULE])


def _at(expected: Any, steps: Iterable[str]) -> Iterator[inspect.Type]:
    """Yield all types that can stand at a path, without what is only wrapped around them."""
    for found in _declared(expected, steps):
        yield from _unwrapped(found, inspect.UnionType, inspect.Metadata)


def _declared(expected: Any, steps: Iterable[str]) -> list[inspect.Type]:
    """Return the types that can stand at a path, as they are declared."""
    found = [inspect.type_info(expected)]
    for step in steps:
        found = [
            inner
            for outer in found
            for each in _unwrapped(outer, inspect.UnionType, inspect.Metadata)
            for inner in _inside(each, step)
        ]
    return found


def _unwrapped(found: inspect.Type, *wrappers: type[inspect.Type]) -> Iterator[inspect.Type]:
    if isinstance(found, inspect.UnionType) and isinstance(found, wrappers):
        for each in found.types:
            yield from _unwrapped(each, *wrappers)
    elif isinstance(found, inspect.Metadata) and isinstance(found, wrappers):
        yield from _unwrapped(found.type, *wrappers)
    else:
        yield found


def _inside(found: inspect.Type, step: str) -> Iterator[inspect.Type]:
    match found:
        case inspect.ListType(item_type=item) if step.startswith("["):
            yield item
        case inspect.DictType(value_type=value) if step.startswith("["):
            yield value
        case inspect.StructType(fields=fields):
            yield from (field.type for field in fields if field.encode_name == step)
