"""The client's tools -> neutral tools, and what the model may do with them. Pure."""

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from claude_relay.engine.custom_tools import arguments_schema
from claude_relay.engine.vocabulary import Tool, ToolChoice
from claude_relay.errors import invalid, quoted
from claude_relay.messages import blocks, schemas
from claude_relay.web.validation_errors import converted


class Offer(Struct, frozen=True):
    """What a request lets the model call.

    Attributes:
        tools: The tools.
        choice: What the model may do with them.
        ignored: Names of what has no effect.
    """

    tools: tuple[Tool, ...]
    choice: ToolChoice
    ignored: tuple[str, ...] = ()


def offer(request: schemas.MessagesRequest) -> Offer:
    """Return the tools of a request.

    Raises:
        InvalidRequestError: A tool is not what it should be, has the name of another one, or must be called and is not
            there.
    """
    ignored: list[str] = []
    tools = tuple(_tools(request.tools or (), ignored))
    chosen = request.tool_choice
    parallel = isinstance(chosen, schemas.NoChoice) or not (chosen and chosen.disable_parallel_tool_use)
    choice = ToolChoice(parallel=parallel)
    match chosen:
        case None | schemas.AutoChoice():
            pass
        case schemas.NoChoice():
            choice = ToolChoice("none")
        case _ if not request.tools:
            raise invalid("it may only be specified while providing `tools`", "tool_choice")
        case schemas.AnyChoice() if tools:
            choice = ToolChoice("required", parallel=parallel)
        case schemas.ToolChoice(name) if any(tool.name == name for tool in tools):
            choice = ToolChoice("required", name, parallel)
        case schemas.ToolChoice(name) if all(tool.get("name") != name for tool in request.tools):
            raise invalid(f"Tool {quoted(name)} not found in provided tools", "tool_choice.name")
        case _:
            # one that nobody here can call
            ignored.append("tool_choice")
    return Offer(tools, choice, tuple(ignored))


def is_held_to_schemas(request: schemas.MessagesRequest) -> bool:
    """Whether a tool of the request may have to be called as its schema says."""
    return any(tool.get("strict") for tool in request.tools or ())


def _tools(given: Iterable[dict[str, Any]], ignored: list[str]) -> Iterator[Tool]:
    """Yield the tools that the client runs and describes; the model does not know others, though they have a name."""
    names: set[str] = set()
    for index, each in enumerate(given):
        where = f"tools[{index}]"
        match each.get("type"):
            case None | "custom":
                tool = converted(each, blocks.ClientTool, where)
            case str(kind):
                ignored.append(f"tools.{kind}")
                continue
            case _:
                raise invalid("must be a string", f"{where}.type")
        if tool.name in names:
            raise invalid(f"tool names must be unique, and {quoted(tool.name)} is there twice", f"{where}.name")
        names.add(tool.name)
        yield Tool(tool.name, tool.description or "", arguments_schema(tool.input_schema), bool(tool.strict))
