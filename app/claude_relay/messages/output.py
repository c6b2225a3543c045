"""Engine events -> the blocks of an answer, and the events that tell of them. Pure."""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from claude_relay.engine.custom_tools import arguments_of
from claude_relay.engine.vocabulary import (
    Event,
    RedactedThinking,
    RunEnd,
    TextDelta,
    ThinkingDelta,
    ThinkingEnd,
    ToolCallDelta,
    ToolCallStart,
)
from claude_relay.messages import answer, events
from claude_relay.messages.events import BlockDelta, BlockStart, BlockStop, StreamEvent


class ShownThinking(Struct, frozen=True):
    """What is shown of the model's thinking.

    Attributes:
        blocks: Whether its blocks are, with their signatures.
        text: Whether their text is too.
    """

    blocks: bool
    text: bool = True


class Output:
    """The blocks of one answer: one is open at a time, and ends where something else begins.

    Args:
        thinking: What is shown of the model's thinking.
    """

    def __init__(self, thinking: ShownThinking) -> None:
        self._thinking = thinking
        self._done: list[answer.Block] = []
        self._open: answer.Block | None = None
        self._pieces: list[str] = []

    @property
    def blocks(self) -> list[answer.Block]:
        """The blocks that are whole."""
        return self._done

    def feed(self, event: Event) -> Iterable[StreamEvent]:
        """Return what an event of the engine adds, most often one event."""
        if isinstance(event, TextDelta) and isinstance(self._open, answer.TextBlock):
            return (self._delta(event.text, events.TextDelta(event.text)),)
        return self._others(event)

    def _others(self, event: Event) -> Iterator[StreamEvent]:
        match event:
            case TextDelta(text) if text:
                yield from self._begin(answer.TextBlock(""))
                yield self._delta(text, events.TextDelta(text))
            case ToolCallStart(call_id, name):
                yield from self._begin(answer.ToolUseBlock(call_id, name, {}))
            case ToolCallDelta(piece):
                yield self._delta(piece, events.InputJsonDelta(piece))
            case ThinkingDelta() | ThinkingEnd() | RedactedThinking() if self._thinking.blocks:
                yield from self._thought(event)
            case RunEnd():
                yield from self._end()

    def _thought(self, event: ThinkingDelta | ThinkingEnd | RedactedThinking) -> Iterator[StreamEvent]:
        if isinstance(event, RedactedThinking):
            yield from self._begin(answer.RedactedThinkingBlock(event.data))
            yield from self._end()
            return
        if not isinstance(self._open, answer.ThinkingBlock):
            yield from self._begin(answer.ThinkingBlock("", ""))
        if isinstance(event, ThinkingDelta):
            if self._thinking.text:
                yield self._delta(event.text, events.ThinkingDelta(event.text))
            return
        if event.signature:
            yield BlockDelta(len(self._done), events.SignatureDelta(event.signature))
        yield from self._end(event.signature)

    def _delta(self, piece: str, delta: events.TextDelta | events.InputJsonDelta | events.ThinkingDelta) -> StreamEvent:
        self._pieces.append(piece)
        return BlockDelta(len(self._done), delta)

    def _begin(self, block: answer.Block) -> Iterator[StreamEvent]:
        yield from self._end()
        self._open = block
        yield BlockStart(len(self._done), block)

    def _end(self, signature: str = "") -> Iterator[StreamEvent]:
        if self._open is None:
            return
        index, block = len(self._done), self._open
        self._done.append(_whole(block, "".join(self._pieces), signature))
        self._open = None
        self._pieces.clear()
        yield BlockStop(index)


def _whole(block: answer.Block, text: str, signature: str) -> answer.Block:
    match block:
        case answer.TextBlock():
            return answer.TextBlock(text)
        case answer.ThinkingBlock():
            return answer.ThinkingBlock(text, signature)
        case answer.ToolUseBlock(call_id, name):
            arguments = arguments_of(text)
            # what a limit has cut off is no object
            return answer.ToolUseBlock(call_id, name, {} if isinstance(arguments, str) else arguments)
        case answer.RedactedThinkingBlock():
            return block
