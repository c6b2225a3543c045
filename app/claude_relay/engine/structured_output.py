"""Answers that must be JSON: whether they fit their schema, and which schema Claude Code's tool gets. Pure."""

import json
from collections.abc import Callable
from typing import Any, Protocol

import jsonschema_rs

from claude_relay.engine.json_schema import DATA, MAPS, described, of_known_draft, written_out
from claude_relay.engine.plain_schemas import plain
from claude_relay.engine.vocabulary import JsonOutput
from claude_relay.errors import UpstreamError

MAX_COST = 1_000_000
"""Size of a schema, its references written out, times characters of an answer: up to here a check is a matter of ms."""
MAX_QUICK_CHARACTERS = 250_000
"""Characters of an answer up to which it is looked at how long a check takes."""
_TOOL_FIELD = "value"
"""Where a schema that is no object stands inside the one that the CLI's tool takes."""


def is_quick(schema: dict[str, Any], text: str) -> bool:
    """Whether it is certain that ``fits`` takes no more than some milliseconds."""
    if len(text) > MAX_QUICK_CHARACTERS:
        return False
    size = written_out(schema)
    return size is not None and size * len(text) <= MAX_COST


class _Annotation:
    """A keyword that is not checked."""

    def __init__(self, *_: Any) -> None: ...

    def validate(self, instance: Any) -> None:
        """Take anything."""


class Validator(Protocol):
    """Checks values against a schema."""

    def is_valid(self, instance: Any) -> bool:
        """Whether a value fits."""
        ...

    def validate(self, instance: Any) -> None:
        """Raise ``jsonschema_rs.ValidationError`` when a value does not fit."""
        ...


def validator(schema: dict[str, Any]) -> Validator | None:
    """Return what checks against a schema of whatever draft, or None if it uses patterns that nobody here knows.

    Patterns are matched in linear time, except those with look-around or back references.
    """
    engines: tuple[Callable[[], Any], ...] = (jsonschema_rs.RegexOptions, jsonschema_rs.FancyRegexOptions)
    for engine in engines:
        try:
            return jsonschema_rs.validator_for(
                of_known_draft(schema),
                validate_formats=False,
                offline=True,
                pattern_options=engine(),
                keywords={"contentEncoding": _Annotation, "contentMediaType": _Annotation},
            )
        except ValueError:
            continue
    return None


def parsed(text: str) -> Any:
    """Return the JSON of an answer.

    Raises:
        UpstreamError: It is none.
    """
    try:
        value = json.loads(text, parse_constant=_no_json)
        if "\\ud" in text or "\\uD" in text:
            # a lone surrogate is JSON, but nothing that a validator takes
            mended = json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            value = json.loads(mended)
    except ValueError as error:
        raise schema_mismatch(f"it is not JSON ({error})") from None
    except RecursionError:
        raise schema_mismatch("it is not JSON that can be read, since it is nested too deeply") from None
    return value


def fits(schema: dict[str, Any], value: Any) -> bool:
    """Whether a value fits a schema. This can take any time; ``is_quick`` tells."""
    checker = validator(schema)
    return checker is None or checker.is_valid(value)


def misfit(schema: dict[str, Any], value: Any) -> str | None:
    """Return where and why a value does not fit. This can take any time."""
    checker = validator(schema)
    if checker is not None:
        try:
            checker.validate(value)
        except jsonschema_rs.ValidationError as error:
            return described(error)
    return None


def schema_mismatch(why: str) -> UpstreamError:
    """Return the error for an answer that is not the JSON it had to be."""
    return UpstreamError(
        f"The model did not answer with JSON that fits the schema: {why}.", code="invalid_structured_output"
    )


def _no_json(constant: str) -> float:
    raise ValueError(f"{constant} is not a JSON number")


def tool_schema(output: JsonOutput) -> dict[str, Any]:
    """Return the schema for the CLI's tool, whose input can only be an object and whose validator is a strict one."""
    return plain(output.schema if _is_object(output.schema) else _wrapped(output.schema))


def _wrapped(schema: dict[str, Any]) -> dict[str, Any]:
    definitions = {name: value for name, value in schema.items() if name in {"$defs", "definitions"}}
    inner = {name: value for name, value in schema.items() if name not in {"$defs", "definitions", "$schema"}}
    return {
        "type": "object",
        "properties": {_TOOL_FIELD: _rerooted(inner)},
        "required": [_TOOL_FIELD],
        "additionalProperties": False,
        **_rerooted(definitions),
    }


def tool_answer(output: JsonOutput, given: Any) -> Any:
    """Return the answer inside what the CLI's tool was given."""
    return given if _is_object(output.schema) or not isinstance(given, dict) else given.get(_TOOL_FIELD)


def _is_object(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "object"


def _rerooted(schema: dict[str, Any]) -> dict[str, Any]:
    """Adapt references to the root to the schema's new place."""
    moved = {keyword: _moved(keyword, value) for keyword, value in schema.items()}
    reference = schema.get("$ref")
    if isinstance(reference, str) and _points_into_root(reference):
        moved["$ref"] = f"#/properties/{_TOOL_FIELD}{reference[1:]}"
    return moved


def _moved(keyword: str, value: Any) -> Any:
    if keyword in DATA:
        return value
    if isinstance(value, list):
        return [_rerooted(item) if isinstance(item, dict) else item for item in value]
    if isinstance(value, dict):
        if keyword in MAPS:
            return {name: _rerooted(item) if isinstance(item, dict) else item for name, item in value.items()}
        return _rerooted(value)
    return value


def _points_into_root(reference: str) -> bool:
    return reference == "#" or (reference.startswith("#/") and not reference.startswith(("#/$defs/", "#/definitions/")))
