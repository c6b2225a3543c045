"""Engine events -> OpenAI's answers. Pure."""

from collections.abc import AsyncIterator, Iterable

from msgspec import UNSET, Struct

from claude_relay.chat import schemas
from claude_relay.engine.vocabulary import Event, RunEnd, StopReason, TextDelta, ThinkingDelta, Usage

_FINISH: dict[StopReason, schemas.FinishReason] = {"end": "stop", "length": "length", "refusal": "content_filter"}


class Envelope(Struct, frozen=True):
    """What every chunk of an answer says alike.

    Attributes:
        id: The answer's id.
        created: When it was asked for, in seconds since the epoch.
        model: The model's name, as the client wrote it.
    """

    id: str
    created: int
    model: str

    def chunk(
        self, delta: schemas.ChoiceDelta, finish: schemas.FinishReason | None = None
    ) -> schemas.ChatCompletionChunk:
        """Return a chunk with one choice."""
        choice = schemas.ChunkChoice(delta=delta, finish_reason=finish)
        return schemas.ChatCompletionChunk(id=self.id, created=self.created, model=self.model, choices=[choice])

    def usage_chunk(self, usage: Usage) -> schemas.ChatCompletionChunk:
        """Return the chunk that only tells the usage."""
        return schemas.ChatCompletionChunk(
            id=self.id, created=self.created, model=self.model, choices=[], usage=completion_usage(usage)
        )


async def chunks(
    envelope: Envelope, events: AsyncIterator[Event], *, include_usage: bool
) -> AsyncIterator[schemas.ChatCompletionChunk]:
    """Yield the chunks of a streamed answer: the role first, exactly one finish reason, the usage if asked for."""
    yield envelope.chunk(schemas.ChoiceDelta(role="assistant", content=""))
    async for event in events:
        match event:
            case TextDelta(text):
                yield envelope.chunk(schemas.ChoiceDelta(content=text))
            case ThinkingDelta(text):
                yield envelope.chunk(schemas.ChoiceDelta(reasoning_content=text))
            case RunEnd(stop, usage):
                yield envelope.chunk(schemas.ChoiceDelta(), _FINISH[stop])
                if include_usage:
                    yield envelope.usage_chunk(usage)


async def completion(envelope: Envelope, events: AsyncIterator[Event]) -> schemas.ChatCompletion:
    """Fold all events into one answer."""
    return folded(envelope, [event async for event in events])


def folded(envelope: Envelope, events: Iterable[Event]) -> schemas.ChatCompletion:
    """Return the answer that a complete run stands for."""
    events = tuple(events)
    end = next(event for event in events if isinstance(event, RunEnd))
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    thinking = "".join(event.text for event in events if isinstance(event, ThinkingDelta))
    message = schemas.AnswerMessage(content=text, reasoning_content=thinking or UNSET)
    return schemas.ChatCompletion(
        id=envelope.id,
        created=envelope.created,
        model=envelope.model,
        choices=[schemas.Choice(message=message, finish_reason=_FINISH[end.stop])],
        usage=completion_usage(end.usage),
    )


def completion_usage(usage: Usage) -> schemas.CompletionUsage:
    """Return token counts as OpenAI counts them: what a cache held is part of the prompt."""
    return schemas.CompletionUsage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.output_tokens,
        total_tokens=usage.prompt_tokens + usage.output_tokens,
        prompt_tokens_details=schemas.PromptTokensDetails(usage.cache_read_tokens),
    )
