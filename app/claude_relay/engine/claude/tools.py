"""The client's tools inside Claude Code: an MCP server over the control protocol, whose calls are never run. Pure.

The CLI asks a hook before each call; deferring it ends the run cleanly, with the call as the last thing said.
"""

from collections.abc import Collection
from typing import Any

import msgspec
from msgspec.structs import replace

from claude_relay.engine.vocabulary import Decision, Piece, RunRequest, Tool, ToolCall

SERVER = "relay"
"""Name of the server; ``--allowedTools mcp__relay`` lets the CLI call it."""

ANSWER = "StructuredOutput"
"""The CLI's own tool that takes a structured answer."""

_ALIAS = "StructuredOutput_"
"""The name upstream of a client's tool that has the name of the CLI's, where both are offered."""
_HOOK = "defer"
_NOT_PERMITTED = "The user did not permit this use of the tool."
_METHOD_NOT_FOUND = -32601


def registration() -> dict[str, Any]:
    """Return the fields of ``initialize`` that make the tools known."""
    return {
        "sdkMcpServers": [SERVER],
        "hooks": {"PreToolUse": [{"matcher": "*", "hookCallbackIds": [_HOOK]}]},
    }


def mcp_reply(message: dict[str, Any], tools: Collection[Tool]) -> dict[str, Any]:
    """Answer a JSON-RPC message of the CLI to the server."""
    answer: dict[str, Any] = {"jsonrpc": "2.0", "id": message.get("id", 0)}
    match message.get("method"):
        case "initialize":
            version = message.get("params", {}).get("protocolVersion", "2025-06-18")
            info = {"name": SERVER, "version": "1"}
            answer["result"] = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
        case "tools/list":
            answer["result"] = {"tools": [_listed(tool) for tool in tools]}
        case str(method) if method.startswith("notifications/") or method == "ping":
            answer["result"] = {}
        case method:
            answer["error"] = {"code": _METHOD_NOT_FOUND, "message": f"{method} is not for this server"}
    return {"mcp_response": answer}


def hook_reply(tool_name: str, tools: Collection[Tool]) -> dict[str, Any]:
    """Decide about a call: calls of the client's tools are deferred to the client, the agent's own are run."""
    if all(tool_name != tool.name for tool in tools):
        return {}
    return {"hookSpecificOutput": {"hookEventName": "PreToolUse", "permissionDecision": "defer"}}


def permission_reply(decision: Decision, given: msgspec.Raw) -> dict[str, Any]:
    """Return what the CLI is told of a tool that needs permission.

    Args:
        decision: Whether it may be used.
        given: What it is called with.
    """
    if decision.approve:
        return {"behavior": "allow", "updatedInput": given}
    return {"behavior": "deny", "message": f"{_NOT_PERMITTED} {decision.reason}".strip()}


def definition(tool: Tool) -> dict[str, Any]:
    """Return a tool as the upstream has it, unabridged."""
    listed = {"name": tool.name, "description": tool.description, "input_schema": tool.schema}
    return listed if tool.format is None else {**listed, "input_schema": tool.format, "strict": True}


def answer_definition(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the CLI's tool for answers as the upstream has it where the client's tools stand beside it."""
    description = "Give your final answer by calling this tool once; the answer is its input."
    return {"name": ANSWER, "description": description, "input_schema": schema}


def without_clash(request: RunRequest) -> RunRequest:
    """Return a request in which no tool of the client's has the name of the tool that takes the answer."""
    if not request.answers_by_tool or all(tool.name != ANSWER for tool in request.tools):
        return request
    choice = request.tool_choice
    return replace(
        request,
        tools=tuple(replace(tool, name=_aliased(tool.name)) for tool in request.tools),
        tool_choice=replace(choice, name=choice.name and _aliased(choice.name)),
        turns=tuple(replace(turn, content=tuple(map(_with_alias, turn.content))) for turn in request.turns),
    )


def clients_name(name: str) -> str:
    """Return the name by which the client knows a tool."""
    return ANSWER if name == _ALIAS else name


def _aliased(name: str) -> str:
    return _ALIAS if name == ANSWER else name


def _with_alias(piece: Piece) -> Piece:
    return replace(piece, name=_aliased(piece.name)) if isinstance(piece, ToolCall) else piece


def _listed(tool: Tool) -> dict[str, Any]:
    """The CLI cuts long descriptions short; in ``chat`` the upstream gets the ``definition`` instead."""
    return {
        "name": tool.name,
        "description": tool.description,
        "inputSchema": tool.schema,
        "_meta": {"anthropic/alwaysLoad": True},
    }
