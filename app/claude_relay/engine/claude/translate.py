"""CLI lines -> engine events. Pure: one ``Translator`` per run, fed line by line."""

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from claude_relay.engine.claude import wire
from claude_relay.engine.claude.failures import broken_off, cause, failure
from claude_relay.engine.claude.tools import ANSWER, clients_name
from claude_relay.engine.custom_tools import arguments_of
from claude_relay.engine.structured_output import schema_mismatch, tool_answer
from claude_relay.engine.surrogates import Pairs, as_escape, as_replacement
from claude_relay.engine.vocabulary import (
    ANY_OBJECT,
    Event,
    JsonOutput,
    RedactedThinking,
    RunEnd,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ThinkingEnd,
    ToolActivity,
    ToolCallDelta,
    ToolCallStart,
    ToolOutcome,
    Usage,
)

_log = logging.getLogger(__name__)

_EARLY_ENDS: dict[str, StopReason] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "context_window",
    "refusal": "refusal",
}
"""Ends that the CLI does not accept: left alone it would ask the model again, hidden from the client."""
_LIMITS = {"error_max_turns", "error_max_budget_usd"}
"""Ends of an agent's work that the operator has set; what it has said until then stands."""
_TELLING = ("command", "file_path", "path", "pattern", "url", "query", "description", "prompt", "skill")
"""Arguments of Claude Code's tools that say what a call is for, the most telling first."""
_LONGEST_SUMMARY = 120
LONGEST_OUTPUT = 65_536
"""Characters of what a tool of the agent's own returned that are passed on."""


class Translator:
    """Translates the lines of one run, and keeps its state.

    Args:
        output: Set when the CLI's tool takes the answer: what the agent says on the way is then not the answer.
        tools: Names of the client's tools: their calls are part of the answer, the agent's own are not.
        alone: Whether the client's tools are all there are: then a call of one that does not exist is the client's too.

    Attributes:
        context_window: How many tokens the model takes, once that is known.
        upstream_requests: How often the upstream was asked, less those of subagents.
        in_message: Whether the model is writing a message.
    """

    def __init__(self, output: JsonOutput | None = None, tools: Collection[str] = (), *, alone: bool = False) -> None:
        self._output = output
        self._tools = tools
        self._alone = alone and bool(tools)
        self._ends_early = alone and output is None
        self._is_streamed = output is not None and output.schema == ANY_OBJECT
        self._in_answer = self._answer_streamed = False
        self._written: list[str] = []
        self._broken = False
        self._unknown = False
        self._in_call = self._in_thinking = False
        self._calling = False
        self._called = False
        self.context_window: int | None = None
        self.upstream_requests = 0
        self._finished = Usage()
        self._current = Usage()
        self._heard = self.in_message = False
        self._spoken_unfinished = self._has_words = False
        self._separator = ""
        self._last_text = ""
        self._text, self._thinking = Pairs(as_replacement), Pairs(as_replacement)
        self._arguments = Pairs(as_escape)
        self._stop: StopReason = "end"
        self._stop_sequence: str | None = None
        self._error_code: str | None = None
        self._resets_at: float | None = None
        self._working: set[str] = set()

    def feed(self, line: wire.Line) -> Iterable[Event]:
        """Return the events of a line, most often none or one.

        Raises:
            RelayError: The line says that the run has failed.
        """
        if isinstance(line, wire.StreamEvent):
            # what a subagent says is not part of the answer
            return self._stream(line.event) if line.parent_tool_use_id is None else ()
        return self._news(line)

    def _news(self, line: wire.Line) -> Iterator[Event]:
        match line:
            case wire.Assistant(message, error, None):
                self._error_code = error or self._error_code
                yield from self._activity(message)
            case wire.ToolResults(wire.UserMessage(list(blocks)), None):
                yield from self._outcomes(blocks)
            case wire.RateLimitEvent(wire.RateLimitInfo("rejected", resets_at)):
                self._resets_at = resets_at
            case wire.System("api_retry"):
                self.upstream_requests += 1
                _log.warning("upstream failed with status %s, Claude Code tries again", line.error_status)
            case wire.Result():
                yield from self._end(line)
            case wire.Other(kind):
                _log.debug("line of kind %r was passed over", kind)

    def _stream(self, event: wire.Streamed) -> Iterable[Event]:
        return self._delta(event.delta) if isinstance(event, wire.ContentBlockDelta) else self._structure(event)

    def _delta(self, delta: wire.Delta) -> Sequence[Event]:
        match delta:
            case wire.TextPiece(piece) if self._output is None and (text := self._text.feed(piece)):
                return (TextDelta(self._separated(text)),)
            case wire.ArgumentsPiece(piece) if self._in_call and (arguments := self._arguments.feed(piece)):
                if self._ends_early:
                    self._written.append(arguments)
                return (ToolCallDelta(arguments),)
            case wire.ArgumentsPiece(piece) if self._in_answer and (answer := self._arguments.feed(piece)):
                self._answer_streamed = True
                return (TextDelta(answer),)
            case wire.ThinkingPiece(piece) if text := self._thinking.feed(piece):
                return (ThinkingDelta(text),)
            case wire.SignaturePiece(signature) if signature and self._in_thinking:
                return tuple(self._end_thinking(signature))
        return ()

    def _flush(self) -> Iterator[Event]:
        """Yield what waited for the other half of a character that does not come."""
        if text := self._text.flush():
            yield TextDelta(self._separated(text))
        if arguments := self._arguments.flush():
            yield TextDelta(arguments) if self._in_answer else ToolCallDelta(arguments)
        if thinking := self._thinking.flush():
            yield ThinkingDelta(thinking)

    def _end_thinking(self, signature: str) -> Iterator[Event]:
        self._in_thinking = False
        yield from self._flush()
        yield ThinkingEnd(signature)

    def _structure(self, event: wire.Streamed) -> Iterator[Event]:
        yield from self._end_thinking("") if self._in_thinking else self._flush()
        if self._in_call and self._ends_early:
            self._broken = self._broken or isinstance(arguments_of("".join(self._written)), str)
            self._written.clear()
        match event:
            case wire.MessageStart() if self._called:
                # the CLI went on without the client, whose tools these are
                yield RunEnd("tool_calls", self.usage)
            case wire.MessageStart(message):
                self._begin_message(message.usage)
            case wire.ContentBlockStart(block):
                yield from self._begin_block(block)
            case wire.MessageDelta(wire.MessageEnd(str(reason), sequence), usage):
                self._stop = "stop_sequence" if reason == "stop_sequence" else "end"
                self._stop_sequence = sequence
                is_silent = self._ends_early and not (self._has_words or self._calling)
                self._end_message(usage)
                if reason in _EARLY_ENDS:
                    yield RunEnd(_EARLY_ENDS[reason], self.usage)
                elif self._unknown or self._broken:
                    # the CLI would answer such a call itself
                    yield RunEnd("tool_calls", self.usage)
                elif is_silent:
                    # the CLI would ask for words once more
                    yield RunEnd(self._stop, self.usage, stop_sequence=sequence)

    def _is_answer(self, tool: str) -> bool:
        return tool == ANSWER and self._output is not None

    @property
    def usage(self) -> Usage:
        """What is known so far of the run's token counts."""
        return self._finished + self._current

    def _begin_message(self, usage: wire.Tokens) -> None:
        if self._spoken_unfinished:
            raise broken_off()
        self._heard = self.in_message = True
        self.upstream_requests += 1
        self._current = _merge(Usage(), usage)
        self._separator = "\n\n" if self._last_text and not self._last_text.endswith("\n") else ""

    def _begin_block(self, block: wire.StartedBlock) -> Iterator[Event]:
        is_answer = self._is_answer(block.name)
        is_call = block.type == "tool_use" and not is_answer
        self._in_thinking = block.type == "thinking"
        if is_answer and self._answer_streamed:
            raise schema_mismatch("it was begun a second time")
        self._in_answer = is_answer and self._is_streamed
        self._in_call = is_call and (self._alone or block.name in self._tools)
        if self._in_call:
            self._unknown = self._unknown or block.name not in self._tools
            self._calling = self._spoken_unfinished = True
            yield ToolCallStart(block.id, clients_name(block.name))
        elif block.type == "redacted_thinking":
            yield RedactedThinking(block.data)

    def _end_message(self, usage: wire.Tokens) -> None:
        """Only a stop reason ends a message: for a broken one the CLI makes up a ``message_stop``."""
        self._spoken_unfinished = self.in_message = False
        self._called = self._calling
        self._finished += _merge(self._current, usage)
        self._current = Usage()

    def _separated(self, text: str) -> str:
        """Set the texts of an agent's successive messages apart, as a reader would expect."""
        text, self._separator = self._separator + text, ""
        self._spoken_unfinished, self._last_text = True, text
        self._has_words = self._has_words or not text.isspace()
        return text

    def _end(self, result: wire.Result) -> Iterator[Event]:
        if result.subtype in _LIMITS:
            _log.info("the agent met a limit of the operator's: %s", result.subtype)
            yield RunEnd("length", self.usage)
            return
        # the CLI would have asked again, as it does after an answer without words
        blocked = self._heard and result.terminal_reason == "blocking_limit"
        if not blocked and (result.is_error or result.api_error_status is not None):
            _log.warning("Claude Code failed: %s", cause(result, self._error_code))
            raise failure(result, self._error_code, self._resets_at)
        if self._spoken_unfinished:
            raise broken_off()
        if blocked:
            yield RunEnd(self._stop, self.usage, stop_sequence=self._stop_sequence)
            return
        self.context_window = (
            max((model.context_window or 0 for model in result.modelUsage.values()), default=0) or None
        )
        if self._output is not None and not (self._called or self._answer_streamed):
            yield TextDelta(_structured(result, self._output))
        elif self._output is None and result.result and not self._last_text and not self._called:
            # an answer that was not streamed
            yield TextDelta(result.result)
        details = result.usage.output_tokens_details or wire.TokenDetails()
        total = _merge(Usage(), result.usage)
        usage = total if total.prompt_tokens else self.usage
        stop: StopReason = "tool_calls" if self._called else self._stop
        yield RunEnd(stop, usage, details.thinking_tokens, stop_sequence=self._stop_sequence)

    def _activity(self, message: wire.AssistantMessage) -> Iterator[Event]:
        for block in message.content:
            if block.type == "tool_use" and block.name not in self._tools and not self._is_answer(block.name):
                self._working.add(block.id)
                yield ToolActivity(block.name, summary(block.input), block.input, block.id)

    def _outcomes(self, blocks: Iterable[wire.ResultBlock]) -> Iterator[Event]:
        for block in blocks:
            if block.type == "tool_result" and block.tool_use_id in self._working:
                self._working.discard(block.tool_use_id)
                yield ToolOutcome(block.tool_use_id, output_text(block.content), bool(block.is_error))


def output_text(content: str | Iterable[wire.ResultPart] | None) -> str:
    """Return what a tool returned as text: images and the like by their kind, and no more than is passed on."""
    if content is None:
        return ""
    text = content if isinstance(content, str) else "\n".join(part.text or f"[{part.type}]" for part in content)
    cut = len(text) - LONGEST_OUTPUT
    return text if cut <= 0 else f"{text[:LONGEST_OUTPUT]}\n[{cut} more characters]"


def summary(arguments: dict[str, Any]) -> str:
    """Say in one line what a tool is used for: the first thing that tells."""
    found = next((arguments[name] for name in _TELLING if isinstance(arguments.get(name), str)), "")
    line = " ".join(found[: 10 * _LONGEST_SUMMARY].split())
    return line if len(line) <= _LONGEST_SUMMARY else line[: _LONGEST_SUMMARY - 1] + "…"


def _structured(result: wire.Result, output: JsonOutput) -> str:
    if result.structured_output is msgspec.UNSET:
        raise schema_mismatch("it gave no JSON at all")
    return msgspec.json.encode(tool_answer(output, result.structured_output)).decode()


def _merge(known: Usage, tokens: wire.Tokens) -> Usage:
    """Take over the counts that are given; the upstream's are totals of the call so far, not increments."""
    return Usage(
        _either(tokens.input_tokens, known.input_tokens),
        _either(tokens.cache_read_input_tokens, known.cache_read_tokens),
        _either(tokens.cache_creation_input_tokens, known.cache_creation_tokens),
        _either(tokens.output_tokens, known.output_tokens),
    )


def _either(given: int | None, known: int) -> int:
    return known if given is None else given
