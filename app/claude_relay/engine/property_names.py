"""Parameters of tools whose names the upstream refuses: other names for it, and the client's own in answers. Pure."""

import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any
from urllib.parse import unquote

from msgspec.structs import replace

from claude_relay.engine.json_schema import with_references
from claude_relay.engine.vocabulary import Piece, RunRequest, Tool, ToolCall

_TAKEN = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
_REFUSED = re.compile(r"[^a-zA-Z0-9_.-]")
_LONGEST = 64
_POINTER = "#/properties/"


def takes_names(schema: dict[str, Any]) -> bool:
    """Whether the upstream takes the names of a schema's own properties; deeper ones may be called anything."""
    properties = schema.get("properties")
    return not isinstance(properties, dict) or all(map(_TAKEN.fullmatch, properties))


def with_upstream_names(tool: Tool) -> Tool:
    """Return a tool whose arguments have names that the upstream takes. Large schemas take long."""
    if takes_names(tool.schema):
        return tool
    names = _upstream_names(tool.schema["properties"])
    return replace(
        tool,
        schema=_schema(tool.schema, names),
        format=tool.format and _schema(tool.format, names),
        client_names={made: name for name, made in names.items()},
    )


def with_upstream_arguments(request: RunRequest) -> RunRequest:
    """Return a request whose past calls have the names that its tools have."""
    names = {tool.name: {name: made for made, name in tool.client_names.items()} for tool in request.tools}
    if not any(names.values()):
        return request

    def renamed(piece: Piece) -> Piece:
        if not isinstance(piece, ToolCall) or not names.get(piece.name) or isinstance(piece.arguments, str):
            return piece
        return replace(piece, arguments=with_names(piece.arguments, names[piece.name]))

    return replace(
        request, turns=tuple(replace(turn, content=tuple(map(renamed, turn.content))) for turn in request.turns)
    )


def with_names(values: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return values of which some have other names.

    Args:
        values: The values by their names.
        names: The other names, by the names.
    """
    return {names.get(name, name): value for name, value in values.items()}


def _upstream_names(properties: Iterable[str]) -> dict[str, str]:
    """Return the names that the upstream does not take, each with one that it takes."""
    names: dict[str, str] = {}
    used = set(properties)
    for name in properties:
        if not _TAKEN.fullmatch(name):
            made = _REFUSED.sub("_", name)[:_LONGEST] or "_"
            number = 1
            while made in used:
                number += 1
                made = f"{made[: _LONGEST - 5]}_{number}"
            used.add(made)
            names[name] = made
    return names


def _schema(schema: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    try:
        made = with_references(schema, partial(_reference, names=names))
    except RecursionError:
        # nested too deeply to be looked at
        made = {**schema}
    made["properties"] = with_names(made["properties"], names)
    if isinstance(required := schema.get("required"), list):
        made["required"] = [names.get(name, name) for name in required]
    return made


def _reference(reference: str, names: Mapping[str, str]) -> str:
    if not reference.startswith(_POINTER):
        return reference
    step, *rest = reference.removeprefix(_POINTER).split("/")
    name = unquote(step).replace("~1", "/").replace("~0", "~")
    return "/".join((f"{_POINTER}{names.get(name, step)}", *rest))
