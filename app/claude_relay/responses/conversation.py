"""Items -> a system prompt and turns. Pure."""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from claude_relay.engine.custom_tools import arguments_of
from claude_relay.engine.turns import SILENCE, MissingResultError, Turns, UnknownCallError, instruction
from claude_relay.engine.vocabulary import AgentToolUse, Decision, Image, Piece, Text, ToolCall, ToolResult, Turn
from claude_relay.errors import InvalidRequestError, invalid, missing
from claude_relay.responses import items, state
from claude_relay.responses.content import content, output
from claude_relay.responses.functions import SEARCH, upstream_name
from claude_relay.responses.schemas import Effort
from claude_relay.responses.signed_thinking import unpacked
from claude_relay.responses.summaries import unsealed
from claude_relay.web.validation_errors import converted

_CALLS = ("function_call", "custom_tool_call", "function_call_output", "custom_tool_call_output")
_SUMMED_UP = "What was said and done in this conversation before, summed up:"
_DECIDED = "mcp_approval_response"
_REQUESTED = "mcp_approval_request"
_SILENT = ("additional_tools", "web_search_call", _REQUESTED, _DECIDED)
"""Items that say nothing to the model: tools and decisions, which are read elsewhere, and searches, of which only what
was said after them tells what was found."""
_OWN = "claude_code"
"""Whose calls of tools are the agent's own: what it thought meanwhile is not told to it again."""


class Conversation(Struct, frozen=True):
    """What the items of a request come to.

    Attributes:
        system: The instructions that stand before everything else.
        turns: The turns; none if there is nothing but instructions.
        effort: How much the model may think from now on, if an item says so.
        ignored: Names of what has no effect.
    """

    system: tuple[str, ...]
    turns: tuple[Turn, ...]
    effort: Effort | None = None
    ignored: tuple[str, ...] = ()


def conversation(
    given: state.Given,
    place: Callable[[int], str] = "input[{}]".format,
    *,
    for_agent: bool = False,
) -> Conversation:
    """Return the conversation that a request has.

    Args:
        given: Its input.
        place: Returns where the client finds an item, by its index.
        for_agent: Whether an agent is asked, which is told what it did: it has the tools.

    Raises:
        InvalidRequestError: An item cannot be understood, or a call and its output do not fit.
        NotFoundError: An item refers to one that was stored.
    """
    if given is None or isinstance(given, str):
        text = given or ""
        return Conversation((), (Turn("user", (Text(text),)),) if text.strip() else ())
    reader = _Reader(for_agent=for_agent)
    for index, item in enumerate(given):
        reader.add(item, place(index))
    return reader.read()


def decisions(given: state.Given, place: Callable[[int], str] = "input[{}]".format) -> tuple[Decision, ...]:
    """Return what a request decides of tools that wait for permission: what its last items say.

    Args:
        given: Its input.
        place: Returns where the client finds an item, by its index.

    Raises:
        InvalidRequestError: An item cannot be understood.
    """
    found: list[Decision] = []
    listed = given if isinstance(given, list) else []
    for index in reversed(range(len(listed))):
        if listed[index].get("type") != _DECIDED:
            break
        response = converted(listed[index], items.McpApprovalResponse, place(index))
        found.append(Decision(response.approval_request_id, response.approve, response.reason or ""))
    return tuple(reversed(found))


def requested_approvals(given: state.Given) -> tuple[str, ...]:
    """Return the ids of what a conversation has asked permission for."""
    listed = given if isinstance(given, list) else []
    return tuple(item["id"] for item in listed if item.get("type") == _REQUESTED and isinstance(item.get("id"), str))


def has_unheard_decisions(given: state.Given) -> bool:
    """Whether the user says something more after a decision: then a new answer is asked for, and nothing is decided."""
    listed = given if isinstance(given, list) else []
    last = list(
        itertools.takewhile(lambda item: item.get("type") == _DECIDED or item.get("role") == "user", listed[::-1])
    )
    kinds = [item.get("type") for item in last]
    return _DECIDED in kinds and kinds[0] != _DECIDED


def has_calls(given: state.Given) -> bool:
    """Whether a conversation has calls of the client's tools, or their outputs."""
    return isinstance(given, list) and any(item.get("type") in _CALLS for item in given)


class _Reader:
    """Reads the items of a conversation in order.

    The upstream takes nothing between calls and their results, so what the user says there comes after the results.
    """

    def __init__(self, *, for_agent: bool) -> None:
        self._for_agent = for_agent
        self._turns = Turns()
        self._system: list[str] = []
        self._later: list[Piece] = []
        self._ignored: list[str] = []
        self._effort: Effort | None = None
        self._has_begun = self._ends_with_user = self._is_agents_work = False

    def add(self, item: dict[str, Any], where: str) -> None:
        """Read the next item."""
        match item.get("type"):
            case "message":
                self._message(item, where)
            case str(kind) if kind in _CALLS:
                self._call_or_output(kind, item, where)
            case "tool_search_call":
                self._search_call(converted(item, items.ToolSearchCall, where))
            case "tool_search_output":
                self._search_output(converted(item, items.ToolSearchOutput, where), where)
            case "configuration_update":
                found = converted(item, items.ConfigurationUpdate, where).reasoning
                self._effort = (found and found.effort) or self._effort
            case "compaction":
                self._compaction(converted(item, items.Compaction, where))
            case None | "item_reference" as kind:
                self._untyped(item, kind, where)
            case str(kind):
                self._other(kind, item, where)
            case _:
                raise invalid("must be a string", f"{where}.type")

    def read(self) -> Conversation:
        """Return what was read.

        Raises:
            InvalidRequestError: A call has no output.
        """
        try:
            if not self._turns.is_waiting:
                self._say_later()
            if self._ends_with_user:
                self._turns.add_silence()
            turns = self._turns.joined() or ((SILENCE,) if self._has_begun else ())
        except MissingResultError as error:
            raise InvalidRequestError(
                f"No tool output found for function call {error}.", param="input", code="invalid_value"
            ) from None
        return Conversation(tuple(self._system), turns, self._effort, tuple(self._ignored))

    def _untyped(self, item: dict[str, Any], kind: str | None, where: str) -> None:
        """Read an item that has no type, as messages and references need none, or only refers to another one."""
        if kind is None and ("role" in item or "content" in item):
            self._message(item, where)
        elif kind is None and "id" not in item:
            raise missing(f"{where}.type")
        else:
            raise state.unknown_item(converted(item, items.ItemReference, where).id, where)

    def _other(self, kind: str, item: dict[str, Any], where: str) -> None:
        """Read an item that the user does not see, or that means nothing here."""
        if item.get("server_label") == _OWN:
            self._is_agents_work = True
            self._turns.drop_thinking()
            if kind == "mcp_call":
                self._agent_tool_use(converted(item, items.McpCall, where))
        elif kind == "reasoning":
            self._reasoning(item.get("encrypted_content"))
        elif kind not in _SILENT:
            self._ignored.append(f"input.{kind}")

    def _call_or_output(self, kind: str, item: dict[str, Any], where: str) -> None:
        match kind:
            case "function_call":
                call = converted(item, items.FunctionCall, where)
                arguments = arguments_of(call.arguments) if isinstance(call.arguments, str) else call.arguments
                self._call(ToolCall(call.call_id, upstream_name(call.name, call.namespace), arguments))
            case "custom_tool_call":
                custom = converted(item, items.CustomToolCall, where)
                self._call(ToolCall(custom.call_id, upstream_name(custom.name, custom.namespace), custom.input))
            case _:
                self._output(converted(item, items.CallOutput, where), where)

    def _message(self, item: dict[str, Any], where: str) -> None:
        message = converted(item, items.Message, where)
        found = content(message.content, f"{where}.content")
        self._ignored += found.ignored
        if message.role in {"system", "developer"}:
            texts = [piece.text for piece in found.pieces if isinstance(piece, Text)]
            if self._has_begun:
                self._user(map(instruction, texts))
            else:
                self._system += texts
            return
        self._has_begun = True
        self._ends_with_user = message.role == "user"
        if message.role == "user":
            self._user(found.pieces)
        else:
            self._assistant(found.pieces)

    def _user(self, pieces: Iterable[Piece]) -> None:
        self._is_agents_work = False
        if self._turns.is_waiting:
            self._later += pieces
        else:
            self._turns.add("user", pieces)

    def _assistant(self, pieces: Iterable[Piece]) -> None:
        self._turns.add("assistant", pieces)

    def _reasoning(self, given: Any) -> None:
        """Read what the model thought; without all of it and its signature there is nothing that it could be told."""
        if (block := unpacked(given)) is not None:
            self._turns.add("assistant", () if self._is_agents_work else (block,))
        elif given is not None:
            self._ignored.append("input.reasoning.encrypted_content")

    def _call(self, call: ToolCall) -> None:
        self._has_begun, self._ends_with_user = True, False
        self._turns.add("assistant", (call,))

    def _output(self, result: items.CallOutput, where: str) -> None:
        found = output(result.output, f"{where}.output")
        self._ignored += found.ignored
        self._result(result.call_id, found.pieces, where)

    def _result(self, call_id: str, pieces: Iterable[Piece], where: str) -> None:
        """Results have texts and images only; a file stands after them."""
        try:
            call = self._turns.take_call(call_id)
        except UnknownCallError as error:
            raise InvalidRequestError(
                f"No tool call found for function call output with call_id {error}, or it has an output already.",
                param=f"{where}.call_id",
                code="invalid_value",
            ) from None
        self._is_agents_work = False
        pieces = tuple(pieces)
        shown = tuple(piece for piece in pieces if isinstance(piece, Text | Image))
        self._turns.add("user", (ToolResult(call, shown),))
        self._later += [piece for piece in pieces if not isinstance(piece, Text | Image)]
        if not self._turns.is_waiting:
            self._say_later()

    def _agent_tool_use(self, call: items.McpCall) -> None:
        """A call that the agent has not had the outcome of was cut off, and is nothing that it did."""
        output = call.output if call.error is None else _error_text(call.error)
        arguments = arguments_of(call.arguments)
        if output is None or isinstance(arguments, str) or not self._for_agent:
            return
        self._has_begun, self._ends_with_user = True, False
        used = AgentToolUse(call.id, call.name, arguments, output, call.error is not None)
        self._turns.add("assistant", (used,))

    def _search_call(self, call: items.ToolSearchCall) -> None:
        if call.call_id is None:
            self._ignored.append("input.tool_search_call")
            return
        arguments = call.arguments or {}
        self._call(ToolCall(call.call_id, SEARCH, arguments_of(arguments) if isinstance(arguments, str) else arguments))

    def _search_output(self, result: items.ToolSearchOutput, where: str) -> None:
        if result.call_id is None:
            return
        self._result(result.call_id, (Text(_found(result.tools)),), where)

    def _compaction(self, item: items.Compaction) -> None:
        summary = unsealed(item.encrypted_content or "")
        if summary is None:
            self._ignored.append("input.compaction")
            return
        self._has_begun = True
        self._user((Text(f"{_SUMMED_UP}\n<summary>\n{summary}\n</summary>"),))

    def _say_later(self) -> None:
        later, self._later = self._later, []
        self._turns.add("user", later)


def _error_text(error: str | dict[str, Any]) -> str:
    """Return what a tool returned when it failed."""
    match error:
        case str():
            return error
        case {"content": list(parts)}:
            return "\n".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))
    return str(error.get("message", ""))


def _found(tools: Iterable[dict[str, Any]]) -> str:
    """Tell the model which tools it can call now; what they are stands in its list of tools."""
    names = [
        upstream_name(str(tool.get("name", "")), namespace)
        for group in tools
        for namespace, tool in (
            [(str(group.get("name", "")), each) for each in group.get("tools", ())]
            if group.get("type") == "namespace"
            else [(None, group)]
        )
    ]
    return f"These tools can be called now: {', '.join(names)}." if names else "No tool was found."
