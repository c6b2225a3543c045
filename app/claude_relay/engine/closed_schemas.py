"""A client's schema as the upstream's own format takes it: every object closed, and no limits on values. Pure.

The upstream holds the model to the form of an answer only; what else a schema demands, the model is told in words, and
the answer is held against the client's own schema in the end.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any

from claude_relay.engine.plain_schemas import Schema, pointed

_UNSAID = {
    *("patternProperties", "propertyNames", "unevaluatedProperties", "minProperties", "maxProperties"),
    *("dependencies", "dependentRequired", "dependentSchemas", "if", "then", "else", "not", "contains", "prefixItems"),
    *("additionalItems", "unevaluatedItems", "minContains", "maxContains", "$dynamicRef", "$recursiveRef"),
}
"""Keywords that the upstream's format has no words for; an answer that was made without them may well not fit."""
_TOLD = (
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "pattern", "minItems", "maxItems", "uniqueItems", "format"),
)
"""Keywords that the model is told of."""
_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
"""Formats that the upstream knows."""
_DEFINITION = re.compile(r"#/(?:\$defs|definitions)/[^/]+")


def closed(schema: Schema) -> Schema | None:
    """Return the copy of a schema for the upstream's own format.

    None where it would leave out too much: maps with free names, tuples, conditions, schemas that hold themselves.
    """
    copies = _Copies()
    try:
        made = copies.definitions(schema) | copies.of(schema)
        TopologicalSorter(copies.uses).prepare()
    except (_UnsaidError, CycleError):
        return None
    used = set().union(*copies.uses.values())
    return made if all(isinstance(pointed(schema, reference), dict) for reference in used) else None


class _UnsaidError(Exception):
    """The upstream's format has no words for it."""


class _Copies:
    """Copies of a schema and of what stands in it.

    Attributes:
        uses: Which definitions each definition refers to.
    """

    def __init__(self) -> None:
        self.uses: defaultdict[str, set[str]] = defaultdict(set)
        self._within = ""

    def definitions(self, root: Schema) -> Schema:
        """Return the copies of a schema's definitions."""
        copied: Schema = {}
        for keyword in ("$defs", "definitions"):
            if isinstance(defined := root.get(keyword), dict):
                copied[keyword] = {
                    name: self._definition(f"#/{keyword}/{name}", item) for name, item in defined.items()
                }
        return copied

    def _definition(self, reference: str, schema: Any) -> Schema:
        self._within = reference
        try:
            return self.of(schema)
        finally:
            self._within = ""

    def of(self, schema: Any) -> Schema:
        """Return the copy of a schema.

        Raises:
            _UnsaidError: There is none.
        """
        if not isinstance(schema, dict) or _UNSAID & schema.keys():
            raise _UnsaidError
        copy = {
            **{keyword: schema[keyword] for keyword in ("title", "default", "type") if keyword in schema},
            **self._referring(schema),
            **self._optional(schema),
            **_valued(schema),
            **self._object(schema),
            **self._array(schema),
        }
        if not {"type", "$ref", "anyOf", "const", "enum"} & copy.keys():
            raise _UnsaidError
        if schema.get("format") in _FORMATS:
            copy["format"] = schema["format"]
        return copy | _described(schema, copy)

    def _referring(self, schema: Schema) -> Schema:
        if "$ref" not in schema:
            return {}
        reference = schema["$ref"]
        if not isinstance(reference, str) or not _DEFINITION.fullmatch(reference):
            raise _UnsaidError
        self.uses[self._within].add(reference)
        return {"$ref": reference}

    def _optional(self, schema: Schema) -> Schema:
        """Some generators write a reference beside a description as ``allOf`` with one entry."""
        found = [schema[keyword] for keyword in ("anyOf", "oneOf", "allOf") if schema.get(keyword)]
        if len(found) > 1 or ("allOf" in schema and len(found[0]) != 1):
            raise _UnsaidError
        options = found[0] if found else ()
        return {"anyOf": [self.of(option) for option in options]} if options else {}

    def _object(self, schema: Schema) -> Schema:
        if "object" not in _types(schema) and "properties" not in schema:
            return {}
        properties, rest = schema.get("properties") or {}, schema.get("additionalProperties", True)
        required = schema.get("required") or []
        is_map = isinstance(rest, dict) or (rest is not False and not properties)
        if is_map or set(required) - properties.keys():
            raise _UnsaidError
        return {
            "type": schema.get("type", "object"),
            "properties": {name: self.of(item) for name, item in properties.items()},
            "required": required,
            "additionalProperties": False,
        }

    def _array(self, schema: Schema) -> Schema:
        if "array" not in _types(schema):
            return {}
        least = {"minItems": schema["minItems"]} if schema.get("minItems") in {0, 1} else {}
        return {"items": self.of(schema.get("items")), **least}


def _types(schema: Schema) -> list[Any]:
    types = schema.get("type")
    return types if isinstance(types, list) else [types]


def _valued(schema: Schema) -> Schema:
    if "const" in schema:
        found: Schema = {"const": schema["const"]}
    elif "enum" in schema:
        found = {"enum": schema["enum"]}
    else:
        return {}
    if any(isinstance(value, dict | list) for value in found.get("enum", [found.get("const")])):
        raise _UnsaidError
    return found


def _described(schema: Schema, copy: Schema) -> Schema:
    texts = [*_texts(schema), *_words(schema, copy)]
    return {"description": "\n\n".join(texts)} if texts else {}


def _texts(schema: Schema) -> Iterator[str]:
    if isinstance(description := schema.get("description"), str) and description:
        yield description


def _words(schema: Schema, copy: Schema) -> Iterator[str]:
    if told := [f"{keyword}: {schema[keyword]}" for keyword in _TOLD if keyword in schema and keyword not in copy]:
        yield "{" + ", ".join(told) + "}"
