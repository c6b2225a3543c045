"""Plans how a conversation is sent to a session: settings and lines. Pure; ``session`` carries the plans out."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from msgspec import Struct

from claude_relay.engine.claude import outgoing
from claude_relay.engine.custom_tools import with_input
from claude_relay.engine.vocabulary import (
    AgentToolUse,
    Base64,
    Document,
    Image,
    Link,
    Piece,
    RedactedThinking,
    Role,
    RunRequest,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)

_GO_ON = Turn("user", (Text("Continue exactly where your last message ended; do not repeat any of it."),))
_TAKES_PREFILL = re.compile(r"claude-(?:3-|(?:opus|sonnet|haiku)-4(?:-[0-5])?(?:[-@]\d{8})?(?!-?\d))")

Batch = tuple[outgoing.Line, ...]
"""Lines that may be written at once."""

Block = dict[str, Any]
"""A content block as the Anthropic Messages API has it."""


class Plan(Struct, frozen=True):
    """How a conversation is handed over.

    Attributes:
        past: Batches before the question; each must be answered with a ``result`` before the next is written.
        question: The lines that ask.
        body: What the upstream's request is to carry besides.
    """

    past: tuple[Batch, ...]
    question: Batch
    body: dict[str, Any]


class Strategy(Protocol):
    """Makes the plan for a request."""

    def __call__(self, request: RunRequest, *, client_composed: bool) -> Plan:
        """Return the plan.

        Args:
            request: The request.
            client_composed: Whether the CLI takes lines that are marked as plain text.
        """
        ...


def native(request: RunRequest, *, client_composed: bool) -> Plan:
    """Hand a conversation over as real turns, so that the CLI composes the request. The last one is the user's.

    The CLI queues a user's turn but takes an assistant's turn at once, so each batch but the last is waited for.
    """
    steps = tuple(_steps(request.turns))
    last = len(steps) - 1
    batches: list[list[outgoing.Line]] = [[]]
    for index, (role, content) in enumerate(steps):
        if role == "assistant":
            batches.append([outgoing.assistant(content, request.model)])
        else:
            content = content if client_composed else _guarded(content)  # noqa: PLW2901
            line = outgoing.user(content, asks=index == last, client_composed=client_composed)
            batches[-1].append(line)
    *past, question = (tuple(batch) for batch in batches if batch)
    return Plan(tuple(past), question, {})


def verbatim(request: RunRequest, *, client_composed: bool) -> Plan:
    """Hand the conversation over as the upstream's ``messages``, exactly; the line that asks is only a trigger.

    The beginning of an answer stays at the end where the upstream takes it there.
    """
    turns = prefilled(request.turns) if takes_prefill(request) else ended_by_user(request.turns)
    messages = [{"role": turn.role, "content": blocks(turn)} for turn in turns]
    messages[-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}  # type: ignore[index] # blocks are dicts
    trigger = outgoing.user([{"type": "text", "text": "."}], asks=True, client_composed=client_composed)
    return Plan((), (outgoing.boundary(), trigger), {"messages": messages})


def ended_by_user(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """Return turns that end with the user: what the assistant said last is to be continued."""
    return (*turns, _GO_ON) if turns[-1].role == "assistant" else turns


def prefilled(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """Return turns of which the last may be the beginning of an answer, where the upstream takes no white space."""
    *before, last = turns
    match last:
        case Turn("assistant", (*content, Text(text))):
            return (*before, Turn("assistant", (*content, Text(text.rstrip()))))
    return turns


def takes_prefill(request: RunRequest) -> bool:
    """Whether the upstream continues the beginning of an answer.

    Only models up to Claude 4.5 do, of which the name has to tell; and none while it thinks, is held to a format or
    must call a tool.
    """
    is_free = request.output is None and request.tool_choice.mode != "required"
    return is_free and request.effort == "none" and _TAKES_PREFILL.search(request.model) is not None


def blocks(turn: Turn) -> list[Block]:
    """Return a turn's content as the upstream has it: results of tools stand before everything else."""
    results = [piece for piece in turn.content if isinstance(piece, ToolResult)]
    others = [piece for piece in turn.content if not isinstance(piece, ToolResult)]
    return [_block(piece) for piece in (*results, *others)]


def _steps(turns: Iterable[Turn]) -> Iterator[tuple[Role, list[Block]]]:
    """Yield the messages of turns: what an agent did is a call, and its result in a message of the user's."""
    results: list[Block] = []
    for turn in turns:
        if turn.role == "user":
            yield "user", [*results, *blocks(turn)]
            results = []
            continue
        content: list[Block] = []
        for piece in turn.content:
            if results and not isinstance(piece, AgentToolUse):
                yield "assistant", content
                yield "user", results
                content, results = [], []
            content.append(_block(piece))
            if isinstance(piece, AgentToolUse):
                results.append(_result(piece.id, [{"type": "text", "text": piece.output}], is_error=piece.is_error))
        yield "assistant", content


def _result(call_id: str, content: list[Block], *, is_error: bool = False) -> Block:
    """An empty text is refused upstream, an empty result is not."""
    shown = [block for block in content if block.get("text") != ""]
    made: Block = {"type": "tool_result", "tool_use_id": call_id, "content": shown}
    return {**made, "is_error": True} if is_error else made


def _block(piece: Piece) -> Block:
    match piece:
        case Text(text):
            return {"type": "text", "text": text}
        case Image(source):
            return {"type": "image", "source": _source(source)}
        case Document(source, name):
            return {"type": "document", "source": _source(source), **({"title": name} if name else {})}
        case ToolCall(call_id, name, arguments):
            given = with_input(arguments) if isinstance(arguments, str) else arguments
            return {"type": "tool_use", "id": call_id, "name": name, "input": given}
        case ToolResult(call_id, content, is_error):
            result = {"type": "tool_result", "tool_use_id": call_id, "content": [_block(part) for part in content]}
            return {**result, "is_error": True} if is_error else result
        case AgentToolUse(call_id, name, arguments):
            return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}
        case Thinking(text, signature):
            return {"type": "thinking", "thinking": text, "signature": signature}
        case RedactedThinking(data):
            return {"type": "redacted_thinking", "data": data}


def _source(source: Base64 | Link | Text) -> Block:
    match source:
        case Base64(media_type, data):
            return {"type": "base64", "media_type": media_type, "data": data}
        case Link(url):
            return {"type": "url", "url": url}
        case Text(text):
            return {"type": "text", "media_type": "text/plain", "data": text}


def _guarded(content: list[Block]) -> list[Block]:
    """Keep an older CLI from running the last text as a command of its own."""
    *before, last = content
    if last["type"] == "text" and last["text"].startswith("/"):
        last = {**last, "text": " " + last["text"]}
    return [*before, last]
