"""Engine events -> a message, whole or as a stream. Pure."""

from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping

from msgspec import UNSET, Struct

from claude_relay.engine import vocabulary
from claude_relay.engine.fanout import Indexed
from claude_relay.engine.vocabulary import PromptCounted, RunEnd
from claude_relay.messages import answer, schemas
from claude_relay.messages.events import MessageDelta, MessageStart, MessageStop, Stopped, StreamEvent
from claude_relay.messages.output import Output, ShownThinking

_STOPS: Mapping[vocabulary.StopReason, answer.StopReason] = {
    "end": "end_turn",
    "stop_sequence": "stop_sequence",
    "tool_calls": "tool_use",
    "refusal": "refusal",
    "length": "max_tokens",
    "context_window": "model_context_window_exceeded",
    # it waits while this is answered, so nobody meets this
    "approval": "pause_turn",
}
_OMITTED = "omitted"
_EVERYTHING = ShownThinking(blocks=True)


class RenderOptions(Struct, frozen=True):
    """How an answer is rendered.

    Attributes:
        id: The message's id.
        model: The model's name, as the client wrote it.
        thinking: What is shown of the model's thinking.
        is_kept: Whether the message is kept, with all that the model thought.
    """

    id: str
    model: str
    thinking: ShownThinking
    is_kept: bool = False


class MessageInProgress:
    """One message, from its first event to its last.

    Args:
        options: How it is rendered.
    """

    def __init__(self, options: RenderOptions) -> None:
        self._options = options
        self._output = Output(options.thinking)
        self._kept = Output(_EVERYTHING) if options.is_kept else None

    async def events(self, events: AsyncIterator[Indexed]) -> AsyncIterator[StreamEvent]:
        """Yield the events of a stream; from ``MessageDelta`` on the message is whole."""
        has_begun = False
        async for _, event in events:
            if not has_begun:
                has_begun = True
                counted = event.usage if isinstance(event, PromptCounted) else vocabulary.Usage()
                yield MessageStart(self._message(usage(counted)))
            for told in self._feed(event):
                yield told
            if isinstance(event, RunEnd):
                for told in self._last(event):
                    yield told

    async def whole(self, events: AsyncIterator[Indexed]) -> answer.Message:
        """Return the whole message."""
        message = self._message(usage(vocabulary.Usage()))
        async for _, event in events:
            deque(self._feed(event), 0)
            if isinstance(event, RunEnd):
                reason, sequence = _STOPS[event.stop], _sequence(event)
                message = self._message(usage(event.usage, event.thinking_tokens), reason, sequence)
        return message

    @property
    def kept(self) -> list[answer.Block]:
        """The blocks that are to be kept; none if the message is not."""
        return [] if self._kept is None else self._kept.blocks

    def _feed(self, event: vocabulary.Event) -> Iterable[StreamEvent]:
        if self._kept is not None:
            deque(self._kept.feed(event), 0)
        return self._output.feed(event)

    def _message(
        self, counts: answer.Usage, reason: answer.StopReason | None = None, sequence: str | None = None
    ) -> answer.Message:
        return answer.Message(
            id=self._options.id,
            model=self._options.model,
            content=list(self._output.blocks),
            stop_reason=reason,
            stop_sequence=sequence,
            usage=counts,
        )

    def _last(self, end: RunEnd) -> Iterator[StreamEvent]:
        yield MessageDelta(Stopped(_STOPS[end.stop], _sequence(end)), usage(end.usage, end.thinking_tokens))
        yield MessageStop()


def shown_thinking(asked: schemas.Thinking | None, *, reasoning: bool) -> ShownThinking:
    """Return what is shown of the model's thinking: nothing to who has not asked for it, and may expect a text first.

    Args:
        asked: What the client asked for.
        reasoning: Whether the operator lets thinking be shown.
    """
    wanted = asked is not None and asked.type != "disabled"
    return ShownThinking(wanted and reasoning, text=asked is None or asked.display != _OMITTED)


def finish(stop: vocabulary.StopReason) -> str:
    """Return the family's word for why an answer ended."""
    return _STOPS[stop]


def usage(counts: vocabulary.Usage, thinking_tokens: int | None = None) -> answer.Usage:
    """Return token counts as Anthropic counts them.

    Args:
        counts: The counts.
        thinking_tokens: How many of the output tokens were thinking, if that is known.
    """
    return answer.Usage(
        input_tokens=counts.input_tokens,
        cache_creation_input_tokens=counts.cache_creation_tokens,
        cache_read_input_tokens=counts.cache_read_tokens,
        output_tokens=counts.output_tokens,
        output_tokens_details=UNSET if thinking_tokens is None else answer.UsageDetails(thinking_tokens),
    )


def _sequence(end: RunEnd) -> str | None:
    return end.stop_sequence if end.stop == "stop_sequence" else None
