"""The client's tools, wherever a request has them -> neutral tools, and back to the client's names. Pure.

The model knows no namespaces, so the names of their tools are joined for it and split again in what the client gets.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from claude_relay.engine.custom_tools import NO_ARGUMENTS, arguments_schema, grammar, text_tool
from claude_relay.engine.vocabulary import Tool, ToolChoice
from claude_relay.errors import InvalidRequestError, invalid, missing, quoted
from claude_relay.responses import items
from claude_relay.responses.schemas import ResponsesRequest
from claude_relay.web.validation_errors import converted

SEARCH = "tool_search"
"""The name by which the model knows the client's search for tools."""

_QUERY = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
_PLAIN = "functions"
"""The namespace whose tools clients call by their plain names."""
_LONGEST_NAME = 128
_DIGEST = 8
_ILLEGAL = re.compile(r"[^a-zA-Z0-9_-]")


class ClientTool(Struct, frozen=True):
    """A tool as the client knows it.

    Attributes:
        kind: How calls of it are told.
        name: Its name.
        namespace: The namespace that it is in.
    """

    kind: Literal["function", "custom", "tool_search"]
    name: str
    namespace: str | None = None


class Offer(Struct, frozen=True):
    """What a request lets the model call.

    Attributes:
        tools: The tools, as the model knows them.
        choice: What the model may do with them.
        clients: The same tools as the client knows them, by the names that the model knows.
        ignored: Names of what has no effect.
    """

    tools: tuple[Tool, ...]
    choice: ToolChoice
    clients: Mapping[str, ClientTool]
    ignored: tuple[str, ...] = ()


class _Found(Struct, frozen=True):
    """A tool in a request."""

    tool: Tool
    client: ClientTool


def offer(request: ResponsesRequest, place: Callable[[int], str] = "input[{}]".format) -> Offer:
    """Return the tools of a request: those of ``tools``, and those that items of the conversation bring.

    A tool that comes again, as one that is found twice does, takes the place of the earlier one.

    Args:
        request: The request, with its whole conversation.
        place: Returns where the client finds an item, by its index.

    Raises:
        InvalidRequestError: A tool is not what it should be, has the name of another one, or must be called and is not
            there.
    """
    ignored: list[str] = []
    tools: dict[str, _Found] = {}
    for found in _tools(request.tools or (), "tools", ignored):
        if found.tool.name in tools:
            raise invalid(f"names must be unique, and {quoted(found.client.name)} is there twice", "tools")
        tools[found.tool.name] = found
    for index, item in enumerate(request.input if isinstance(request.input, list) else ()):
        for found in _brought(item, place(index), ignored):
            tools[found.tool.name] = found
    return _chosen(request, tools, ignored)


def upstream_name(name: str, namespace: str | None = None) -> str:
    """Return the name by which the model knows a tool: the same in every turn of a conversation.

    Args:
        name: Its name.
        namespace: The namespace that it is in.
    """
    if namespace is None or namespace == _PLAIN:
        return name
    joined = _ILLEGAL.sub("_", f"{namespace}__{name}")
    if len(joined) <= _LONGEST_NAME:
        return joined
    digest = hashlib.sha256(f"{namespace}.{name}".encode("utf-8", "replace")).hexdigest()[:_DIGEST]
    return f"{joined[: _LONGEST_NAME - _DIGEST - 1]}_{digest}"


def is_held_to_schemas(request: ResponsesRequest) -> bool:
    """Whether a tool of the request may have to be called as its schema says."""
    given = [tool for tool in request.tools or () if isinstance(tool, Mapping)]
    return any(tool.get("strict") or tool.get("type") == "namespace" for tool in given)


def _brought(item: dict[str, Any], where: str, ignored: list[str]) -> Iterator[_Found]:
    match item.get("type"):
        case "additional_tools":
            yield from _tools(converted(item, items.AdditionalTools, where).tools, f"{where}.tools", ignored)
        case "tool_search_output":
            yield from _tools(converted(item, items.ToolSearchOutput, where).tools, f"{where}.tools", ignored)


def _tools(given: Iterable[dict[str, Any]], where: str, ignored: list[str]) -> Iterator[_Found]:
    for index, tool in enumerate(given):
        at = f"{where}[{index}]"
        match tool.get("type"):
            case "namespace":
                yield from _of_namespace(converted(tool, items.NamespaceTool, at), at, ignored)
            case "tool_search" if (search := converted(tool, items.ToolSearchTool, at)).execution == "client":
                yield _search(search)
            case _:
                yield from _tool(tool, None, at, ignored)


def _of_namespace(namespace: items.NamespaceTool, where: str, ignored: list[str]) -> Iterator[_Found]:
    """The model is told with the first of the tools what they have in common."""
    about = namespace.description
    for index, tool in enumerate(namespace.tools):
        for found in _tool(tool, namespace.name, f"{where}.tools[{index}]", ignored):
            if about and namespace.name != _PLAIN:
                shared = f"Of this tool and all others of {namespace.name!r}: {about}"
                described = "\n\n".join(filter(None, (found.tool.description, shared)))
                yield replace(found, tool=replace(found.tool, description=described))
                about = None
            else:
                yield found


def _tool(tool: dict[str, Any], namespace: str | None, where: str, ignored: list[str]) -> Iterator[_Found]:
    """Yield a tool that the client runs; others are not offered to the model."""
    match tool.get("type"):
        case "function":
            function = converted(tool, items.FunctionTool, where)
            name, schema = (
                upstream_name(function.name, namespace),
                arguments_schema(function.parameters or NO_ARGUMENTS),
            )
            made = Tool(name, function.description or "", schema, bool(function.strict))
            yield _Found(made, ClientTool("function", function.name, namespace))
        case "custom":
            custom = converted(tool, items.CustomTool, where)
            expected = _grammar(custom)
            if expected:
                ignored.append("tools.format")
            made = text_tool(upstream_name(custom.name, namespace), custom.description or "", expected)
            yield _Found(made, ClientTool("custom", custom.name, namespace))
        case str(kind):
            ignored.append(f"tools.{kind}")
        case None:
            raise missing(f"{where}.type")
        case _:
            raise invalid("must be a string", f"{where}.type")


def _search(search: items.ToolSearchTool) -> _Found:
    tool = Tool(SEARCH, search.description or "Search for further tools.", search.parameters or _QUERY)
    return _Found(tool, ClientTool("tool_search", SEARCH))


def _grammar(tool: items.CustomTool) -> str:
    """Return a description of a tool's grammar for the model; nothing enforces the grammar."""
    match tool.format:
        case {"type": "grammar", "definition": str(rules), "syntax": str(syntax)}:
            return grammar(syntax, rules)
    return ""


def _chosen(request: ResponsesRequest, tools: Mapping[str, _Found], ignored: list[str]) -> Offer:
    """Return what the model may do with the tools."""
    mode: Literal["auto", "none", "required"] = "auto"
    name: str | None = None
    match request.tool_choice:
        case "auto" | "none" | "required" as mode:
            pass
        case {"type": "allowed_tools"}:
            allowed = converted(request.tool_choice, items.AllowedTools, "tool_choice")
            mode, tools = allowed.mode, _allowed(allowed, tools)
        case {"type": "function" | "custom"}:
            chosen = converted(request.tool_choice, items.NamedChoice, "tool_choice")
            mode, name = "required", _known(chosen, tools)
        case {"type": "tool_search"} if SEARCH in tools:
            mode, name = "required", SEARCH
        case {"type": str()}:
            ignored.append("tool_choice")
        case dict():
            raise missing("tool_choice.type")
    if mode == "required" and not tools:
        if not request.tools:
            raise invalid("'tool_choice' is only allowed when 'tools' are specified", "tool_choice")
        # hosted ones only, which nobody here can call
        ignored.append("tool_choice")
        mode = "auto"
    return Offer(
        tuple(found.tool for found in tools.values()),
        ToolChoice(mode, name, mode == "none" or request.parallel_tool_calls is not False),
        {known: found.client for known, found in tools.items()},
        tuple(ignored),
    )


def _allowed(allowed: items.AllowedTools, tools: Mapping[str, _Found]) -> Mapping[str, _Found]:
    names: set[str] = set()
    for index, tool in enumerate(allowed.tools):
        if tool.get("type") in ("function", "custom"):
            chosen = converted(tool, items.NamedChoice, f"tool_choice.tools[{index}]")
            names.add(_known(chosen, tools))
        elif tool.get("type") == "tool_search":
            names.add(SEARCH)
    return {name: found for name, found in tools.items() if name in names}


def _known(chosen: items.NamedChoice, tools: Mapping[str, _Found]) -> str:
    name = upstream_name(chosen.name, chosen.namespace)
    if name in tools:
        return name
    # inside a namespace that the choice does not tell
    found = next((known for known, one in tools.items() if one.client.name == chosen.name), None)
    if found is None or chosen.namespace is not None:
        raise InvalidRequestError(
            f"Tool choice {quoted(chosen.name)} not found in 'tools' parameter.",
            param="tool_choice",
            code="invalid_value",
        )
    return found
