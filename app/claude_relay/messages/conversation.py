"""Messages -> a system prompt and turns. Pure."""

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from claude_relay.engine.custom_tools import arguments_of
from claude_relay.engine.turns import SILENCE, MissingResultError, Turns, UnknownCallError, instruction
from claude_relay.engine.vocabulary import Effort, Image, Piece, RedactedThinking, Text, Thinking, ToolCall, ToolResult
from claude_relay.engine.vocabulary import Turn as EngineTurn
from claude_relay.errors import InvalidRequestError, invalid
from claude_relay.messages import blocks
from claude_relay.messages.content import block, result, texts
from claude_relay.web.validation_errors import converted

_BILLING = "x-anthropic-billing-header:"
"""What a block of the system prompt begins with that only Claude Code sends, for the upstream and not for the model."""
_NO_RESULT = (
    "`tool_use` ids were found without `tool_result` blocks immediately after: {calls}. Each `tool_use` block must "
    "have a corresponding `tool_result` block in the next message."
)
_NO_CALL = (
    "unexpected `tool_use_id` found in `tool_result` blocks: {call}. Each `tool_result` block must have a "
    "corresponding `tool_use` block in the previous message."
)


class Conversation(Struct, frozen=True):
    """What the messages of a request come to.

    Attributes:
        system: The instructions that stand before everything else.
        turns: The turns.
        effort: How much the model may think from now on, if a message says so.
        ignored: Names of what has no effect.
    """

    system: tuple[str, ...]
    turns: tuple[EngineTurn, ...]
    effort: Effort | None = None
    ignored: tuple[str, ...] = ()


def conversation(messages: Iterable[dict[str, Any]], earlier: int = 0) -> Conversation:
    """Return the conversation that a request has.

    Args:
        messages: Its messages.
        earlier: How many of them came before the request's own.

    Raises:
        InvalidRequestError: A message cannot be understood, or a call and its result do not fit.
    """
    reader = _Reader()
    for index, message in enumerate(messages):
        where = f"messages[{index - earlier}]" if index >= earlier else "thread.previous_message_id"
        reader.add(converted(message, blocks.Message, where), where)
    return reader.read()


def system_prompt(system: blocks.Blocks) -> tuple[str, ...]:
    """Return the texts of a system prompt, less what Claude Code tells only the upstream.

    Raises:
        InvalidRequestError: A block is not what it should be.
    """
    return tuple(text for text in texts(system, "system") if not text.startswith(_BILLING))


def is_of_claude_code(system: blocks.Blocks) -> bool:
    """Whether a system prompt is one of Claude Code's."""
    return any(text.startswith(_BILLING) for text in texts(system, "system"))


def has_calls(messages: Iterable[dict[str, Any]]) -> bool:
    """Whether a conversation has calls of the client's tools, or their results."""
    contents = (content for message in messages if isinstance(content := message.get("content"), list))
    return any(
        isinstance(each, dict) and each.get("type") in ("tool_use", "tool_result")
        for content in contents
        for each in content
    )


class _Reader:
    """Reads messages in order.

    The upstream takes results before everything else that a user's turn has, so what the user says may stand between a
    call and its result, and the results may come in several messages.
    """

    def __init__(self) -> None:
        self._turns = Turns()
        self._system: list[str] = []
        self._later: list[Piece] = []
        self._ignored: list[str] = []
        self._effort: Effort | None = None
        self._last: str | None = None
        self._where = "messages"

    def add(self, message: blocks.Message, where: str) -> None:
        """Read the next message."""
        self._where = where
        if message.output_config is not None:
            self._effort = message.output_config.effort or self._effort
        if message.role == "system":
            self._instruct(texts(message.content, f"{where}.content"))
            return
        if message.role == "assistant" and self._last == "user":
            self._require_results()
        self._last = message.role
        pieces = list(self._pieces(message, f"{where}.content"))
        self._turns.add(message.role, pieces)
        if message.role == "user" and not self._turns.is_waiting:
            later, self._later = self._later, []
            self._turns.add("user", later)

    def read(self) -> Conversation:
        """Return what was read.

        Raises:
            InvalidRequestError: There is nothing, or a call has no result.
        """
        if self._last is None and not self._system:
            raise invalid("at least one message is required", "messages")
        self._require_results()
        if self._last != "assistant":
            self._turns.add_silence()
        return Conversation(tuple(self._system), self._turns.joined() or (SILENCE,), self._effort, tuple(self._ignored))

    def _instruct(self, found: Iterable[str]) -> None:
        if self._last is None:
            self._system += found
        else:
            self._last = "user"
            self._turns.add("user", map(instruction, found))

    def _require_results(self) -> None:
        try:
            self._turns.go_on()
        except MissingResultError as error:
            raise InvalidRequestError(
                f"{self._where}: {_NO_RESULT.format(calls=error)}", param=self._where, code="invalid_value"
            ) from None

    def _pieces(self, message: blocks.Message, where: str) -> Iterator[Piece]:
        if isinstance(message.content, str):
            if message.content.strip():
                yield Text(message.content)
            return
        for index, each in enumerate(message.content or ()):
            yield from self._piece(each, message.role, f"{where}[{index}]")

    def _piece(self, given: dict[str, Any], role: str, where: str) -> Iterator[Piece]:
        match given.get("type"):
            case "tool_use" if role == "assistant":
                call = converted(given, blocks.ToolUseBlock, where)
                arguments = arguments_of(call.input) if isinstance(call.input, str) else call.input or {}
                yield ToolCall(call.id, call.name, arguments)
            case "tool_result" if role == "user":
                yield self._result(converted(given, blocks.ToolResultBlock, where), where)
            case "thinking" if role == "assistant":
                thinking = converted(given, blocks.ThinkingBlock, where)
                if thinking.signature:
                    yield Thinking(thinking.thinking, thinking.signature)
                else:
                    # the upstream would refuse it
                    self._ignored.append("messages.content.thinking")
            case "redacted_thinking" if role == "assistant":
                yield RedactedThinking(converted(given, blocks.RedactedThinkingBlock, where).data)
            case "tool_use" | "tool_result" | "thinking" | "redacted_thinking" as kind:
                raise invalid(f"'{kind}' blocks cannot stand in messages of the {role}", f"{where}.type")
            case _:
                found = block(given, where)
                self._ignored += found.ignored
                yield from found.pieces

    def _result(self, given: blocks.ToolResultBlock, where: str) -> ToolResult:
        """Results have texts and images only; a file stands after them."""
        try:
            call = self._turns.take_call(given.tool_use_id)
        except UnknownCallError as error:
            raise InvalidRequestError(
                f"{where}: {_NO_CALL.format(call=error)}", param=f"{where}.tool_use_id", code="invalid_value"
            ) from None
        found = result(given.content, f"{where}.content")
        self._ignored += found.ignored
        shown = tuple(piece for piece in found.pieces if isinstance(piece, Text | Image))
        self._later += [piece for piece in found.pieces if not isinstance(piece, Text | Image)]
        return ToolResult(call, shown, bool(given.is_error))
