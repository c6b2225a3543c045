"""Answers that must be JSON: whether they fit their schema, and which schema Claude Code's tool gets. Pure."""

import json
import re
from collections.abc import Callable
from typing import Any, Protocol

import jsonschema_rs

from claude_relay.engine.json_schema import (
    SchemaError,
    check_schema,
    described,
    of_known_draft,
    with_references,
    written_out,
)
from claude_relay.engine.plain_schemas import plain
from claude_relay.engine.property_names import takes_names
from claude_relay.engine.vocabulary import JsonOutput
from claude_relay.errors import InvalidRequestError, UpstreamError, quoted

MAX_COST = 1_000_000
"""Size of a schema, its references written out, times characters of an answer: up to here a check is a matter of ms."""
MAX_QUICK_CHARACTERS = 250_000
"""Characters of an answer up to which it is looked at how long a check takes."""
_TOOL_FIELD = "value"
"""Where a schema that cannot be that of a tool stands inside the one that the CLI's tool takes."""

_JSON = re.compile(r"\s*[\[{\"0-9tfn-]")
"""How JSON begins, and the words of a model that declines seldom do."""


class JsonStart:
    """Keeps text back until it looks like JSON: where JSON is expected, other words are a refusal."""

    def __init__(self) -> None:
        self._held: list[str] = []
        self._is_json: bool | None = None

    def feed(self, text: str) -> str:
        """Return what is known to be JSON."""
        if self._is_json and not self._held:
            return text
        self._held.append(text)
        if self._is_json is None and text.strip():
            self._is_json = bool(_JSON.match(text))
        return self.flush() if self._is_json else ""

    def flush(self) -> str:
        """Return what was kept back."""
        held = "".join(self._held)
        self._held.clear()
        return held


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


def held_to_schema(name: str, schema: dict[str, Any], param: str) -> JsonOutput:
    """Return the output that a client's schema asks for.

    Args:
        name: What the client calls it.
        schema: The schema.
        param: Where it stands in the request.

    Raises:
        InvalidRequestError: It is no schema, or one that is too large.
    """
    try:
        check_schema(schema)
    except SchemaError as error:
        raise InvalidRequestError(
            f"Invalid schema for response_format {quoted(name)}: {error}.", param=param, code="invalid_json_schema"
        ) from None
    return JsonOutput(schema)


def schema_mismatch(why: str) -> UpstreamError:
    """Return the error for an answer that is not the JSON it had to be."""
    return UpstreamError(
        f"The model did not answer with JSON that fits the schema: {why}.", code="invalid_structured_output"
    )


def _no_json(constant: str) -> float:
    raise ValueError(f"{constant} is not a JSON number")


def tool_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema for the CLI's tool, whose input can only be an object, and whose validator is a strict one."""
    return plain(schema if _fits_tool(schema) else _wrapped(schema))


def _wrapped(schema: dict[str, Any]) -> dict[str, Any]:
    moved = with_references(schema, _rerooted)
    definitions = {name: value for name, value in moved.items() if name in {"$defs", "definitions"}}
    inner = {name: value for name, value in moved.items() if name not in {"$defs", "definitions", "$schema"}}
    return {
        "type": "object",
        "properties": {_TOOL_FIELD: inner},
        "required": [_TOOL_FIELD],
        "additionalProperties": False,
        **definitions,
    }


def tool_answer(output: JsonOutput, given: Any) -> Any:
    """Return the answer inside what the CLI's tool was given."""
    return given if _fits_tool(output.schema) or not isinstance(given, dict) else given.get(_TOOL_FIELD)


def _fits_tool(schema: dict[str, Any]) -> bool:
    """Whether a schema can be that of a tool: it is of an object, whose properties have names that are taken there."""
    return schema.get("type") == "object" and takes_names(schema)


def _rerooted(reference: str) -> str:
    """Adapt a reference to the root to the schema's new place."""
    return f"#/properties/{_TOOL_FIELD}{reference[1:]}" if _points_into_root(reference) else reference


def _points_into_root(reference: str) -> bool:
    return reference == "#" or (reference.startswith("#/") and not reference.startswith(("#/$defs/", "#/definitions/")))
