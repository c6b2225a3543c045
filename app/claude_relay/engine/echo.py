"""An offline runner: it repeats what it is sent, the same way every time, and fails on demand.

It lets people test their OpenAI client without an account. A first line ``!echo key=value ...`` of the last user
message is its script; everything after that line is echoed. The keys:

========== ===================================================================
delay      seconds before the first delta
interval   seconds between two deltas
repeat     how many times the text is repeated
stop       why the answer ends: end, length, context_window or refusal
error      HTTP status to fail with: 400, 401, 403, 404, 413, 429, 502 or 503
after      number of deltas before that failure (0: before anything is sent)
========== ===================================================================
"""

import asyncio
import itertools
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from claude_relay import errors
from claude_relay.engine.output_checks import OutputChecks
from claude_relay.engine.runner import RunnerHealth
from claude_relay.engine.vocabulary import (
    Event,
    PromptCounted,
    RunEnd,
    RunRequest,
    RunStarted,
    StopReason,
    Text,
    TextDelta,
    Turn,
    Usage,
)

_FAILURES: dict[int, type[errors.RelayError]] = {
    failure.status: failure
    for failure in (
        errors.InvalidRequestError,
        errors.AuthenticationError,
        errors.PermissionDeniedError,
        errors.NotFoundError,
        errors.RequestTooLargeError,
        errors.RateLimitError,
        errors.UpstreamError,
        errors.UnavailableError,
    )
}
_PIECE = re.compile(r"\S+\s*|\s+")
_PORTION = 1024 * 1024
"""Characters in which words are counted at once."""
_COMMAND = "!echo"


class Script(Struct, frozen=True, forbid_unknown_fields=True):
    """How one answer behaves; the module's text says what each field means."""

    delay: float = 0.0
    interval: float = 0.0
    repeat: Annotated[int, Meta(ge=0, le=10_000)] = 1
    stop: StopReason = "end"
    error: int | None = None
    after: int = 0


class EchoRunner:
    """A ``ClaudeRunner`` that needs neither Claude nor a network."""

    name = "echo"
    models: tuple[str, ...] = ("echo",)

    async def start(self) -> None:
        """Nothing to get ready."""

    async def stop(self) -> None:
        """Nothing to stop."""

    def context_window(self, model: str) -> int:  # noqa: ARG002 - the same for all
        """Return a number, as clients expect one."""
        return 200_000

    def health(self) -> RunnerHealth:
        """Say that this is no real model."""
        return RunnerHealth("ok", {"note": "offline echo runner: answers repeat the question, no model is asked"})

    async def run(self, request: RunRequest) -> AsyncGenerator[Event, None]:
        """Answer with the last user message, one word a delta.

        Raises:
            InvalidRequestError: The message's ``!echo`` line cannot be understood.
            RelayError: The failure that the line asks for.
        """
        yield RunStarted(self.name)
        prompt = Usage(input_tokens=await count_tokens(request))
        checks = OutputChecks(request, request.tools, lambda: prompt)
        async with aclosing(self._echo(request, prompt)) as events:
            async for echoed in events:
                for event in checks.feed(echoed):
                    if isinstance(event, RunEnd):
                        await checks.check(event)
                        yield event
                        return
                    yield event

    async def _echo(self, request: RunRequest, prompt: Usage) -> AsyncGenerator[Event, None]:
        script, text = parse(last_text(request))
        words = itertools.chain.from_iterable(_PIECE.finditer(text) for _ in range(script.repeat))
        most = request.sampling.max_tokens
        await asyncio.sleep(script.delay)
        yield PromptCounted(prompt)
        sent = 0
        for word in itertools.islice(words, most):
            _fail_if_due(script, sent)
            yield TextDelta(word[0])
            sent += 1
            await asyncio.sleep(script.interval)
        is_whole = next(words, None) is None
        _fail_if_due(script, max(script.after, sent))
        yield RunEnd(script.stop if is_whole else "length", prompt + Usage(output_tokens=sent))


def last_text(request: RunRequest) -> str:
    """Return the text of the last turn."""
    return "\n".join(texts_of(request.turns[-1]))


def texts_of(turn: Turn) -> list[str]:
    """Return the texts of a turn; the echo runner sees nothing else."""
    return [piece.text for piece in turn.content if isinstance(piece, Text)]


async def count_tokens(request: RunRequest) -> int:
    """Count the words of the whole prompt: the echo runner's tokens."""
    count = 0
    for text in (request.instructions or "", *(text for turn in request.turns for text in texts_of(turn))):
        for start in range(0, len(text), _PORTION):
            count += len(text[start : start + _PORTION].split())
            if len(text) > _PORTION:
                # others have their turns meanwhile
                await asyncio.sleep(0)
    return count


def parse(text: str) -> tuple[Script, str]:
    """Split a message into its script and the text to echo.

    Raises:
        InvalidRequestError: The script has an unknown key or a bad value.
    """
    first, _, rest = text.partition("\n")
    words = first.split()
    if words[:1] != [_COMMAND]:
        return Script(), text
    fields = dict(word.partition("=")[::2] for word in words[1:])
    try:
        script = msgspec.convert(fields, Script, strict=False)
    except msgspec.ValidationError as error:
        raise errors.InvalidRequestError(f"Invalid {_COMMAND} line: {error}.", param=errors.CONVERSATION) from None
    if script.error is not None and script.error not in _FAILURES:
        raise errors.InvalidRequestError(
            f"Invalid {_COMMAND} line: 'error' must be one of {', '.join(map(str, sorted(_FAILURES)))}; got "
            f"{script.error}.",
            param=errors.CONVERSATION,
        )
    return script, rest


def _fail_if_due(script: Script, sent: int) -> None:
    if script.error is not None and sent >= script.after:
        raise _FAILURES[script.error](f"The echo runner was told to fail with status {script.error}")
