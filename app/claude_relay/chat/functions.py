"""The client's functions and custom tools -> neutral tools, and what the model may do with them. Pure."""

from collections.abc import Collection, Iterator
from typing import Literal

from msgspec import Struct

from claude_relay.chat import schemas
from claude_relay.engine.custom_tools import NO_ARGUMENTS, arguments_schema, grammar, text_tool
from claude_relay.engine.vocabulary import Tool, ToolChoice
from claude_relay.errors import invalid, missing, quoted


class _Chosen(Struct, frozen=True):
    """A name in a request, and where it stands."""

    name: str
    param: str


def offered_tools(request: schemas.ChatCompletionRequest) -> tuple[Tool, ...]:
    """Return the tools that a request offers, as ``tools`` or as ``functions``.

    Raises:
        InvalidRequestError: Two tools have one name, one has none, or one is allowed that is not there.
    """
    field = "tools" if request.tools else "functions"
    tools = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(request.tools or ())]
    tools = tools or [_function(definition) for definition in request.functions or ()]
    names: set[str] = set()
    for index, tool in enumerate(tools):
        if tool.name in names:
            raise invalid(
                f"names must be unique, and {quoted(tool.name)} is the name of an earlier one", f"{field}[{index}]"
            )
        names.add(tool.name)
    allowed = {_known(chosen, names) for chosen in _allowed(request)}
    return tuple(tool for tool in tools if not allowed or tool.name in allowed)


def choice(request: schemas.ChatCompletionRequest) -> ToolChoice:
    """Return what the model may do with the tools."""
    mode, chosen = _mode(request), _named(request)
    parallel = mode == "none" or (request.parallel_tool_calls is not False and not legacy(request))
    return ToolChoice(mode, chosen.name if chosen else None, parallel)


def require_offered(request: schemas.ChatCompletionRequest, tools: tuple[Tool, ...]) -> None:
    """Check that a tool that must be called is offered.

    Raises:
        InvalidRequestError: A tool must be called that is not offered.
    """
    if not tools and _mode(request) == "required":
        param, tools_param = ("function_call", "functions") if request.tool_choice is None else ("tool_choice", "tools")
        raise invalid(f"'{param}' is only allowed when '{tools_param}' are specified", param)
    if tools and (chosen := _named(request)):
        _known(chosen, {tool.name for tool in tools})


def were_called(request: schemas.ChatCompletionRequest) -> bool:
    """Whether the conversation has calls of the client's tools, or their results."""
    return any(map(_has_call, request.messages))


def _has_call(message: schemas.Message) -> bool:
    if isinstance(message, schemas.AssistantMessage):
        return bool(message.tool_calls) or message.function_call is not None
    return isinstance(message, schemas.ToolMessage | schemas.FunctionMessage)


def legacy(request: schemas.ChatCompletionRequest) -> bool:
    """Whether the client uses the older form, which has one call in each answer."""
    return bool(request.functions) and not request.tools


def custom_tools(request: schemas.ChatCompletionRequest) -> frozenset[str]:
    """Return the tools whose calls the client gets as custom ones.

    Cursor, which sends them without ``custom`` around their fields, knows functions only: their arguments are the text.
    """
    return frozenset(tool.custom.name for tool, _ in _custom_definitions(request) if tool.custom is not None)


def unenforced(request: schemas.ChatCompletionRequest) -> Iterator[str]:
    """Yield the names of tool fields that the model is told of but that are not enforced."""
    if any(_grammar(definition) for _, definition in _custom_definitions(request)):
        yield "tools.custom.format"


def _custom_definitions(
    request: schemas.ChatCompletionRequest,
) -> Iterator[tuple[schemas.CustomTool, schemas.CustomDefinition]]:
    for index, tool in enumerate(request.tools or ()):
        if isinstance(tool, schemas.CustomTool):
            yield tool, _definition(tool, f"tools[{index}]")


def _definition(tool: schemas.CustomTool, where: str) -> schemas.CustomDefinition:
    if tool.custom is not None:
        return tool.custom
    if tool.name is None:
        raise missing(f"{where}.custom")
    return schemas.CustomDefinition(tool.name, tool.description, tool.format)


def _tool(tool: schemas.FunctionTool | schemas.CustomTool, where: str) -> Tool:
    return _function(tool.function) if isinstance(tool, schemas.FunctionTool) else _custom(_definition(tool, where))


def _function(definition: schemas.FunctionDefinition) -> Tool:
    schema = arguments_schema(definition.parameters or NO_ARGUMENTS)
    return Tool(definition.name, definition.description or "", schema, bool(definition.strict))


def _custom(definition: schemas.CustomDefinition) -> Tool:
    return text_tool(definition.name, definition.description or "", _grammar(definition))


def _grammar(definition: schemas.CustomDefinition) -> str:
    """Return a description of a tool's grammar for the model; nothing enforces the grammar."""
    match definition.format:
        case {"type": "grammar", "grammar": {"definition": str(rules), "syntax": str(syntax)}}:
            return grammar(syntax, rules)
        case {"type": "grammar", "definition": str(rules), "syntax": str(syntax)}:
            return grammar(syntax, rules)
    return ""


def _allowed(request: schemas.ChatCompletionRequest) -> list[_Chosen]:
    if not isinstance(request.tool_choice, schemas.AllowedToolsChoice):
        return []
    tools = request.tool_choice.allowed_tools.tools
    return [_chosen(tool, f"tool_choice.allowed_tools.tools[{index}]") for index, tool in enumerate(tools)]


def _mode(request: schemas.ChatCompletionRequest) -> Literal["auto", "none", "required"]:
    match request.function_call if request.tool_choice is None else request.tool_choice:
        case None:
            return "auto"
        case schemas.AllowedToolsChoice(allowed):
            return allowed.mode
        case "auto" | "none" | "required" as mode:
            return mode
    return "required"


def _named(request: schemas.ChatCompletionRequest) -> _Chosen | None:
    match request.tool_choice if request.tool_choice is not None else request.function_call:
        case schemas.NamedToolChoice() | schemas.NamedCustomToolChoice() as named:
            return _chosen(named, "tool_choice")
        case schemas.FunctionName(name):
            return _Chosen(name, "function_call.name")
    return None


def _chosen(tool: schemas.NamedToolChoice | schemas.NamedCustomToolChoice, where: str) -> _Chosen:
    if isinstance(tool, schemas.NamedToolChoice):
        return _Chosen(tool.function.name, f"{where}.function.name")
    return _Chosen(tool.custom.name, f"{where}.custom.name")


def _known(chosen: _Chosen, names: Collection[str]) -> str:
    if chosen.name not in names:
        raise invalid(f"no function named {quoted(chosen.name)} was specified", chosen.param)
    return chosen.name
