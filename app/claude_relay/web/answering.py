"""The way from a decoded request to its answer, for every family: ask, stream or collect, close, log."""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any

import msgspec
from litestar import Request, Response
from msgspec import Struct

from claude_relay.engine import fanout
from claude_relay.engine.fanout import Answers, Indexed
from claude_relay.engine.runner import ClaudeRunner
from claude_relay.engine.vocabulary import StopReason
from claude_relay.errors import RelayError
from claude_relay.web import access_log, bodies
from claude_relay.web.context import Asked, RequestContext, context_of, in_background
from claude_relay.web.dialect import dialect_of
from claude_relay.web.disconnects import done_within, nothing
from claude_relay.web.errors import to_relay_error
from claude_relay.web.live_responses import Form, LiveResponse, event_stream, json_document
from claude_relay.web.parameters import Question

_log = logging.getLogger(__name__)
_LONGEST_NAME = 64
_MOST_NAMED = 30
"""Ignored parameters that a header names."""


async def _nothing(_: RelayError) -> None:
    pass


class Rendering(Struct, frozen=True):
    """How a family shows the answers to one request.

    Attributes:
        model: The model's name, as the client wrote it.
        body: Returns the whole answer.
        frames: Yields the events of a stream.
        finish: Returns the family's word for why an answer ended.
        answers: How many answers each question has.
        first: Yields the events that a stream begins with, before anything is known of the answer.
        form: What a stream consists of besides; as the family's dialect has it when not given.
        option: Returns the family's name of an option that the upstream has refused.
        failed: Awaited before a stream that has begun reports an error.
        departed: Awaited when the client of a stream has left; the work goes on until it returns.
        closed: Awaited when all work is over, however it ended.
    """

    model: str
    body: Callable[[AsyncIterator[Indexed]], Awaitable[Struct]]
    frames: Callable[[AsyncIterator[Indexed]], AsyncIterator[bytes]]
    finish: Callable[[StopReason], str]
    answers: int = 1
    first: Callable[[], Iterable[bytes]] = tuple
    form: Form | None = None
    option: Callable[[str], str] = str
    failed: Callable[[RelayError], Awaitable[None]] = _nothing
    departed: Callable[[], Awaitable[None]] = nothing
    closed: Callable[[], Awaitable[None]] = nothing


async def answer(
    request: Request[Any, Any, Any], runner: ClaudeRunner, question: Question, rendering: Rendering, *, stream: bool
) -> Response[Any]:
    """Ask, and return the response once its status is known, or the client has waited for a first byte long enough.

    A stream's status is known when the first answer has begun, another one's when all are complete.

    Args:
        request: The client's request.
        runner: The engine.
        question: What to ask.
        rendering: How answers are shown.
        stream: Whether the client wants them as they are written.

    Raises:
        RelayError: No answer begins, or it cannot be completed, and the client can still be told by a status.
    """
    context = context_of(request.scope)
    context.fields.update(model=rendering.model[:_LONGEST_NAME], personality=question.run.personality, stream=stream)
    pending = _pending(context, runner, question, rendering)
    seconds = bodies.settings_of(request).first_byte or None
    dialect = dialect_of(request.scope)
    body = None if stream else asyncio.create_task(pending.body())
    status = body or pending.opening
    try:
        is_known = await done_within(request, status, seconds)
        result = status.result() if is_known else None
    except BaseException:
        await pending.close(status)
        raise
    headers = headers_of(question, tuple(map(rendering.option, pending.dropped)))
    if body is None:
        form, departed = rendering.form or event_stream(dialect), rendering.departed
        return LiveResponse(pending.frames(), pending.close, headers, form, departed=departed)
    if not is_known:
        return LiveResponse(_encoded(body), partial(pending.close, body), headers, json_document(dialect))
    await pending.close()
    return Response(result, headers=headers)


class Unattended:
    """A question that the limits have let in, and whose answer nobody waits for.

    Args:
        context: What is known of it.
        pending: Its answer.
    """

    def __init__(self, context: RequestContext, pending: "_Pending") -> None:
        self._context = context
        self._pending = pending

    async def finish(self) -> None:
        """See a stream through to its end: its frames go nowhere. The log tells how that ended."""
        fields = self._context.fields
        try:
            async for _ in self._pending.frames():
                pass
        except RelayError as error:
            fields["error"] = error.code
        except asyncio.CancelledError:
            fields["error"] = "cancelled"
            raise
        finally:
            await self._pending.close()
            self._context.log_end(self._context)

    async def close(self) -> None:
        """Stop the work before anybody has heard of it."""
        await self._pending.close()


async def unattended(
    context: RequestContext, runner: ClaudeRunner, question: Question, rendering: Rendering
) -> Unattended:
    """Ask, and return when the limits have let the question in, perhaps to the queue.

    Args:
        context: What is known of the request that began it.
        runner: The engine.
        question: What to ask.
        rendering: How answers are shown.

    Raises:
        RelayError: It was refused.
    """
    own = in_background(context)
    own.fields.update(model=rendering.model[:_LONGEST_NAME], personality=question.run.personality)
    pending = _pending(own, runner, question, rendering)
    try:
        await pending.accepted()
    except BaseException:
        await pending.close()
        raise
    return Unattended(own, pending)


def _pending(context: RequestContext, runner: ClaudeRunner, question: Question, rendering: Rendering) -> "_Pending":
    runs = [context.traced(run) for run in (question.run, *question.more) for _ in range(rendering.answers)]
    context.asked = Asked(question.run.model, len(runs), time.perf_counter())
    context.note_asked(context)
    accepted = asyncio.Event()
    opening = asyncio.create_task(fanout.opened(runner, runs, accepted.set))
    return _Pending(context, context.asked, opening, accepted, rendering)


class _Pending:
    """Answers on their way to one client.

    Args:
        context: What is known of the request.
        asked: What is asked, and will be known of it.
        opening: Begins the answers.
        accepted: Is set when the limits have let one of them in.
        rendering: How they are shown.
    """

    def __init__(
        self,
        context: RequestContext,
        asked: Asked,
        opening: asyncio.Task[Answers],
        accepted: asyncio.Event,
        rendering: Rendering,
    ) -> None:
        self.opening = opening
        self._accepted = accepted
        self._asked = asked
        self._context = context
        self._rendering = rendering

    @property
    def dropped(self) -> tuple[str, ...]:
        """What the upstream refused of the question's options, as far as answers have begun."""
        return self.opening.result().dropped if self._is_open() else ()

    async def accepted(self) -> None:
        """Wait until the limits have let the question in.

        Raises:
            RelayError: It was refused.
        """
        accepting = asyncio.create_task(self._accepted.wait())
        try:
            await asyncio.wait({accepting, self.opening}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            accepting.cancel()
        if not self._accepted.is_set():
            self.opening.result()

    async def body(self) -> Struct:
        """Return the whole answer."""
        return await self._rendering.body((await self._opened()).events())

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield the events of a stream."""
        for frame in self._rendering.first():
            yield frame
        try:
            async for frame in self._rendering.frames((await self._opened()).events()):
                yield frame
        except Exception as exception:
            error = to_relay_error(exception)
            await self._rendering.failed(error)
            raise error from exception

    async def close(self, *work: asyncio.Task[Any]) -> None:
        """Stop what still goes on, and log how the answers ended."""
        tasks = (*work, self.opening)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._is_open():
            answers = self.opening.result()
            self._asked.begun, self._asked.ends = answers.begun, answers.ends
            self._context.fields.update(access_log.run_fields(answers.begun, answers.ends, self._rendering.finish))
            await answers.aclose()
        await self._rendering.closed()

    def _is_open(self) -> bool:
        is_over = self.opening.done() and not self.opening.cancelled()
        return is_over and self.opening.exception() is None

    async def _opened(self) -> Answers:
        answers = await self.opening
        self._asked.seconds_to_first_event = time.perf_counter() - self._context.began
        self._context.fields["first_token_ms"] = round(1000 * self._asked.seconds_to_first_event)
        return answers


async def _encoded(body: asyncio.Task[Struct]) -> AsyncIterator[bytes]:
    yield msgspec.json.encode(await body)


def headers_of(question: Question, dropped: tuple[str, ...] = ()) -> Mapping[str, str]:
    """Return the headers that say how a question is answered.

    Args:
        question: The question.
        dropped: What the upstream refused of its options, as the family calls that.
    """
    headers: dict[str, str] = {"x-claude-relay-personality": question.run.personality}
    if ignored := (*question.ignored, *dropped):
        headers["x-claude-relay-ignored"] = _listed(list(map(_header_safe, ignored)))
    return headers


def _listed(names: list[str]) -> str:
    """Name the first, and say how many there are besides."""
    few = ", ".join(names[:_MOST_NAMED])
    return f"{few}, and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else few


def _header_safe(name: str) -> str:
    """A client names its fields as it likes, but a header holds little of that."""
    return re.sub(r"[^\x21-\x7e]", "?", name[:_LONGEST_NAME])
