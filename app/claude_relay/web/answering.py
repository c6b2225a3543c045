"""The way from a decoded request to its answer, for every family: ask, stream or collect, close, log."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from litestar import Request, Response
from msgspec import Struct

from claude_relay.engine import fanout
from claude_relay.engine.fanout import Answers, Indexed
from claude_relay.engine.runner import ClaudeRunner
from claude_relay.engine.vocabulary import StopReason
from claude_relay.web import access_log
from claude_relay.web.context import RequestContext, context_of
from claude_relay.web.dialect import dialect_of
from claude_relay.web.disconnects import cancel_on_disconnect
from claude_relay.web.parameters import Question
from claude_relay.web.sse import EventStream

_LONGEST_NAME = 64
_MOST_NAMED = 30
"""Ignored parameters that a header names."""


class Rendering(Struct, frozen=True):
    """How a family shows the answers to one request.

    Attributes:
        model: The model's name, as the client wrote it.
        body: Returns the whole answer.
        frames: Yields the events of a stream.
        finish: Returns the family's word for why an answer ended.
        answers: How many answers there are.
    """

    model: str
    body: Callable[[AsyncIterator[Indexed]], Awaitable[Struct]]
    frames: Callable[[AsyncIterator[Indexed]], AsyncIterator[bytes]]
    finish: Callable[[StopReason], str]
    answers: int = 1


async def answer(
    request: Request[Any, Any, Any], runner: ClaudeRunner, question: Question, rendering: Rendering, *, stream: bool
) -> Response[Any]:
    """Ask, and return the response once the first answer has begun: until then a failure is an HTTP status.

    Args:
        request: The client's request.
        runner: The engine.
        question: What to ask.
        rendering: How answers are shown.
        stream: Whether the client wants them as they are written.

    Raises:
        RelayError: No answer begins, or it cannot be completed.
    """
    context = context_of(request.scope)
    context.fields.update(model=rendering.model[:_LONGEST_NAME], personality=question.run.personality, stream=stream)
    answers = await cancel_on_disconnect(request, lambda: fanout.opened(runner, question.run, rendering.answers))
    context.fields["first_token_ms"] = context.elapsed_ms
    headers = _headers(question, answers.dropped)
    if stream:
        return EventStream(
            rendering.frames(answers.events()),
            lambda: _close(context, answers, rendering),
            headers,
            dialect_of(request.scope),
        )
    try:
        body = await cancel_on_disconnect(request, lambda: rendering.body(answers.events()))
    finally:
        await _close(context, answers, rendering)
    return Response(body, headers=headers)


async def _close(context: RequestContext, answers: Answers, rendering: Rendering) -> None:
    context.fields.update(access_log.run_fields(answers.begun, answers.ends, rendering.finish))
    await answers.aclose()


def _headers(question: Question, dropped: tuple[str, ...]) -> Mapping[str, str]:
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
