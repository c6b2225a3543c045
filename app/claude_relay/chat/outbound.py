"""Engine events -> OpenAI's answers. Pure."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

from msgspec import UNSET, Struct

from claude_relay.chat import schemas
from claude_relay.chat.calls import StreamedCalls, whole
from claude_relay.engine.fanout import Indexed
from claude_relay.engine.fold import fold as fold_events
from claude_relay.engine.structured_output import JsonStart
from claude_relay.engine.vocabulary import (
    ApprovalRequested,
    Event,
    RunEnd,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolActivity,
)
from claude_relay.web.usage import completion_usage

_FINISH: dict[StopReason, schemas.FinishReason] = {
    "end": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "context_window": "length",
    "refusal": "content_filter",
    "tool_calls": "tool_calls",
    # no answer of a chat ends there
    "approval": "stop",
}
_DECLINED = "The model declined to answer."


class RenderOptions(Struct, frozen=True):
    """How an answer is rendered.

    Attributes:
        id: The answer's id.
        created: When it was asked for, in seconds since the epoch.
        model: The model's name, as the client wrote it.
        answers: How many answers there will be.
        usage: Whether a stream ends with its usage.
        reasoning: Whether the model's thinking is shown.
        activity: Whether an agent's use of tools is shown, as reasoning.
        structured: Whether the answer is JSON, so that a refusal must not stand where JSON is expected.
        legacy: Whether calls are told in the older form, ``function_call``.
        custom_tools: Tools whose calls are told as custom ones.
    """

    id: str
    created: int
    model: str
    answers: int = 1
    usage: bool = False
    reasoning: bool = True
    activity: bool = False
    structured: bool = False
    legacy: bool = False
    custom_tools: frozenset[str] = frozenset()

    def reasoning_text(self, event: Event) -> str:
        """Return what an event adds to the visible reasoning, most often nothing."""
        match event:
            case ThinkingDelta(text) if self.reasoning:
                return text
            case ApprovalRequested(approval_id, _, tool) if self.activity:
                return f"{tool} waits for permission: {approval_id}\n"
            case ToolActivity(tool, summary) if self.activity:
                return f"{tool}: {summary}\n" if summary else f"{tool}\n"
        return ""

    def finish(self, stop: StopReason) -> schemas.FinishReason:
        """Return OpenAI's ``finish_reason`` of an answer."""
        return "function_call" if self.legacy and stop == "tool_calls" else _FINISH[stop]


class _Progress:
    """The state of one streamed answer."""

    def __init__(self, options: RenderOptions) -> None:
        self._options = options
        self._spoke = False
        self._start = JsonStart() if options.structured else None
        self._calls = StreamedCalls(options.custom_tools, legacy=options.legacy)

    def deltas(self, event: Event) -> Iterable[schemas.ChoiceDelta]:
        """Return what an event adds, most often one delta."""
        return self._text(event.text) if isinstance(event, TextDelta) else self._others(event)

    def _others(self, event: Event) -> Iterator[schemas.ChoiceDelta]:
        yield from self._calls.deltas(event)
        match event:
            case RunEnd("refusal") if self._start is not None or not self._spoke:
                yield schemas.ChoiceDelta(refusal=self._kept() or _DECLINED)
            case RunEnd() if kept := self._kept():
                yield schemas.ChoiceDelta(content=kept)
            case _ if reasoning_text := self._options.reasoning_text(event):
                yield schemas.ChoiceDelta(reasoning_content=reasoning_text)

    def _text(self, text: str) -> Sequence[schemas.ChoiceDelta]:
        """Text where JSON is expected may be a refusal, so it is kept until the end."""
        if self._start is not None:
            text = self._start.feed(text)
            if not text:
                return ()
        self._spoke = True
        return (schemas.ChoiceDelta(content=text),)

    def _kept(self) -> str:
        return self._start.flush() if self._start is not None else ""


async def chunks(options: RenderOptions, events: AsyncIterator[Indexed]) -> AsyncIterator[schemas.ChatCompletionChunk]:
    """Yield the chunks of a stream: for each answer the role first, in the end one finish reason; then the usage."""
    ends: list[RunEnd] = []
    progress = [_Progress(options) for _ in range(options.answers)]
    for index in range(options.answers):
        yield _chunk(options, index, schemas.ChoiceDelta(role="assistant", content=""))
    async for index, event in events:
        for delta in progress[index].deltas(event):
            yield _chunk(options, index, delta)
        if isinstance(event, RunEnd):
            ends.append(event)
            yield _chunk(options, index, schemas.ChoiceDelta(), options.finish(event.stop))
    if options.usage:
        yield schemas.ChatCompletionChunk(
            id=options.id, created=options.created, model=options.model, choices=[], usage=completion_usage(ends)
        )


async def completion(options: RenderOptions, events: AsyncIterator[Indexed]) -> schemas.ChatCompletion:
    """Fold all events into one answer."""
    return fold(options, [event async for event in events])


def fold(options: RenderOptions, events: Iterable[Indexed]) -> schemas.ChatCompletion:
    """Return the answer of complete runs."""
    by_answer: list[list[Event]] = [[] for _ in range(options.answers)]
    for index, event in events:
        by_answer[index].append(event)
    ends = [event for answer in by_answer for event in answer if isinstance(event, RunEnd)]
    return schemas.ChatCompletion(
        id=options.id,
        created=options.created,
        model=options.model,
        choices=[_choice(options, index, answer) for index, answer in enumerate(by_answer)],
        usage=completion_usage(ends),
    )


def _choice(options: RenderOptions, index: int, events: list[Event]) -> schemas.Choice:
    answer = fold_events(events)
    text, stop = answer.text, answer.stop
    called = whole(answer.calls, options.custom_tools)
    declined = stop == "refusal" and (options.structured or not text)
    message = schemas.AnswerMessage(
        content=None if declined or (called and not text) else text,
        refusal=(text or _DECLINED) if declined else None,
        reasoning_content="".join(map(options.reasoning_text, events)) or UNSET,
        tool_calls=called if called and not options.legacy else UNSET,
        function_call=(called and options.legacy and called[0].function) or UNSET,
    )
    return schemas.Choice(index=index, message=message, finish_reason=options.finish(stop))


def _chunk(
    options: RenderOptions, index: int, delta: schemas.ChoiceDelta, finish: schemas.FinishReason | None = None
) -> schemas.ChatCompletionChunk:
    choice = schemas.ChunkChoice(index=index, delta=delta, finish_reason=finish)
    return schemas.ChatCompletionChunk(
        id=options.id,
        created=options.created,
        model=options.model,
        choices=[choice],
        usage=None if options.usage else UNSET,
    )
