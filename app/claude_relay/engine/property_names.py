"""Parameters of tools whose names the upstream refuses: other names for it, and the client's own in answers. Pure."""

import re
from collections.abc import Mapping
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


def upstream_names(tool: Tool) -> Mapping[str, str]:
    """Return the names of a tool's parameters that the upstream does not take, each with one that it takes."""
    if takes_names(tool.schema):
        return {}
    names: dict[str, str] = {}
    properties = tool.schema["properties"]
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


def with_upstream_names(request: RunRequest) -> RunRequest:
    """Return a request whose tools, and past calls of them, have names that the upstream takes."""
    names = {tool.name: found for tool in request.tools if (found := upstream_names(tool))}
    if not names:
        return request

    def renamed(piece: Piece) -> Piece:
        if not isinstance(piece, ToolCall) or piece.name not in names or isinstance(piece.arguments, str):
            return piece
        return replace(piece, arguments=_with_names(piece.arguments, names[piece.name]))

    return replace(
        request,
        tools=tuple(_tool(tool, names[tool.name]) if tool.name in names else tool for tool in request.tools),
        turns=tuple(replace(turn, content=tuple(map(renamed, turn.content))) for turn in request.turns),
    )


def with_clients_names(arguments: dict[str, Any], tool: Tool) -> dict[str, Any]:
    """Return the arguments of a call as the client knows them.

    Args:
        arguments: The arguments.
        tool: The tool as the client offers it.
    """
    return _with_names(arguments, {made: name for name, made in upstream_names(tool).items()})


def _tool(tool: Tool, names: Mapping[str, str]) -> Tool:
    return replace(tool, schema=_schema(tool.schema, names), format=tool.format and _schema(tool.format, names))


def _schema(schema: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    try:
        made = with_references(schema, partial(_reference, names=names))
    except RecursionError:
        # nested too deeply to be looked at
        made = {**schema}
    made["properties"] = _with_names(made["properties"], names)
    if isinstance(required := schema.get("required"), list):
        made["required"] = [names.get(name, name) for name in required]
    return made


def _reference(reference: str, names: Mapping[str, str]) -> str:
    if not reference.startswith(_POINTER):
        return reference
    step, *rest = reference.removeprefix(_POINTER).split("/")
    name = unquote(step).replace("~1", "/").replace("~0", "~")
    return "/".join((f"{_POINTER}{names.get(name, step)}", *rest))


def _with_names(values: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in values.items()}
