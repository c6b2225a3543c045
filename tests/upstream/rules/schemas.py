"""What a JSON schema may say that an answer is held to."""

from collections.abc import Iterator

from .blocks import Json

_NUMERIC = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
_UNSUPPORTED = {
    "number": _NUMERIC,
    "integer": _NUMERIC,
    "string": frozenset({"minLength", "maxLength"}),
    "array": frozenset({"maxItems", "uniqueItems"}),
    "object": frozenset({"minProperties", "maxProperties"}),
}


def schema_refusal(schema: Json) -> str | None:
    """Return what the API says of this schema or of one within it.

    What are a schema's data (`const`, `default`, `enum`, `examples`) is not looked at.
    """
    within = (schema_refusal(inner) for inner in _subschemas(schema))
    return _own_refusal(schema) or next((reason for reason in within if reason is not None), None)


def _own_refusal(schema: Json) -> str | None:
    types = _types(schema)
    for kind in types:
        keywords = sorted(_UNSUPPORTED.get(kind, frozenset()) & schema.keys())
        if len(keywords) > 1:
            return f"For '{kind}' type, properties {', '.join(keywords)} are not supported"
        if keywords:
            return f"For '{kind}' type, property '{keywords[0]}' is not supported"
    if schema.get("minItems", 0) not in {0, 1}:
        return "For 'array' type, 'minItems' values other than 0 or 1 are not supported"
    is_object = "properties" in schema if "type" not in schema else "object" in types
    return _open_object(schema) if is_object else None


def _open_object(schema: Json) -> str | None:
    match schema.get("additionalProperties"):
        case False:
            return None
        case True:
            return (
                "For 'object' type, 'additionalProperties: true' is not supported. Please set 'additionalProperties' "
                "to false"
            )
        case _:
            return "For 'object' type, 'additionalProperties' must be explicitly set to false"


def _types(schema: Json) -> list[str]:
    """Return the types that a schema is about; one without a type may be about each."""
    declared = schema.get("type", list(_UNSUPPORTED))
    return [declared] if isinstance(declared, str) else list(declared)


def _subschemas(schema: Json) -> Iterator[Json]:
    for keyword in ("properties", "$defs", "definitions"):
        yield from (inner for inner in schema.get(keyword, {}).values() if isinstance(inner, dict))
    for keyword in ("items", "prefixItems", "anyOf", "allOf", "oneOf"):
        inner = schema.get(keyword, [])
        yield from (each for each in (inner if isinstance(inner, list) else [inner]) if isinstance(each, dict))
