"""Engine events -> OpenAI's completions. Pure."""

from collections.abc import AsyncIterator

from msgspec import UNSET, Struct

from claude_relay.completions.code_blocks import BACKTICKS, Unwrapped
from claude_relay.completions.schemas import (
    Completion,
    CompletionChoice,
    FinishReason,
)
from claude_relay.engine.fanout import Indexed
from claude_relay.engine.vocabulary import Event, RunEnd, StopReason, TextDelta
from claude_relay.web.usage import CompletionUsage, completion_usage

_FINISH: dict[StopReason, FinishReason] = {
    "end": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "context_window": "length",
    "refusal": "content_filter",
}


class RenderOptions(Struct, frozen=True):
    """How an answer is rendered.

    Attributes:
        id: The answer's id.
        created: When it was asked for, in seconds since the epoch.
        model: The model's name, as the client wrote it.
        prompts: The texts to continue.
        suffix: What comes after them.
        each: How many continuations each has.
        echo: Whether the prompt stands before its continuations.
        usage: Whether a stream ends with its usage.
    """

    id: str
    created: int
    model: str
    prompts: tuple[str, ...]
    suffix: str = ""
    each: int = 1
    echo: bool = False
    usage: bool = False

    @property
    def answers(self) -> int:
        """How many continuations there are."""
        return len(self.prompts) * self.each


def finish(stop: StopReason) -> FinishReason:
    """Return OpenAI's ``finish_reason`` of a continuation."""
    return _FINISH.get(stop, "stop")


class _Progress:
    """The state of one continuation. A text that has code blocks itself may go on with one."""

    def __init__(self, options: RenderOptions, index: int) -> None:
        prompt = options.prompts[index // options.each]
        self._unwrapped = None if BACKTICKS in prompt + options.suffix else Unwrapped()
        self.before = prompt if options.echo else ""

    def text(self, event: Event) -> str:
        """Return what an event adds to the text."""
        match event:
            case TextDelta(text):
                return text if self._unwrapped is None else self._unwrapped.feed(text)
            case RunEnd() if self._unwrapped is not None:
                return self._unwrapped.flush()
        return ""


def _all_progress(options: RenderOptions) -> list[_Progress]:
    return [_Progress(options, index) for index in range(options.answers)]


async def chunks(options: RenderOptions, events: AsyncIterator[Indexed]) -> AsyncIterator[Completion]:
    """Yield the chunks of a stream: for each continuation its text and one finish reason; in the end the usage."""
    ends: list[RunEnd] = []
    all_progress = _all_progress(options)
    for index, progress in enumerate(all_progress):
        if progress.before:
            yield _chunk(options, CompletionChoice(text=progress.before, index=index))
    async for index, event in events:
        text = all_progress[index].text(event)
        if isinstance(event, RunEnd):
            ends.append(event)
            yield _chunk(options, CompletionChoice(text=text, index=index, finish_reason=finish(event.stop)))
        elif text:
            yield _chunk(options, CompletionChoice(text=text, index=index))
    if options.usage:
        yield _answer(options, [], completion_usage(ends))


async def completion(options: RenderOptions, events: AsyncIterator[Indexed]) -> Completion:
    """Fold all events into one answer."""
    ends: dict[int, RunEnd] = {}
    all_progress = _all_progress(options)
    texts = [[progress.before] for progress in all_progress]
    async for index, event in events:
        texts[index].append(all_progress[index].text(event))
        if isinstance(event, RunEnd):
            ends[index] = event
    choices = [
        CompletionChoice(text="".join(pieces), index=index, finish_reason=finish(ends[index].stop))
        for index, pieces in enumerate(texts)
    ]
    return _answer(options, choices, completion_usage(ends.values()))


def _chunk(options: RenderOptions, choice: CompletionChoice) -> Completion:
    return Completion(
        id=options.id,
        created=options.created,
        model=options.model,
        choices=[choice],
        usage=None if options.usage else UNSET,
    )


def _answer(options: RenderOptions, choices: list[CompletionChoice], usage: CompletionUsage) -> Completion:
    return Completion(id=options.id, created=options.created, model=options.model, choices=choices, usage=usage)
