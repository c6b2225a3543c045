"""The routes of ``/messages``."""

import os
from collections.abc import AsyncIterator
from typing import Any

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, SkipValidation
from msgspec import Struct

from claude_relay.engine.fanout import Indexed
from claude_relay.engine.runner import ClaudeRunner
from claude_relay.messages import answer, archive, functions, inbound, limits, outbound, schemas, state
from claude_relay.messages.events import MessageDelta, Ping, StreamEvent
from claude_relay.messages.failures import MessagesError, error_frame
from claude_relay.messages.operation import MessagesOperation
from claude_relay.messages.parameters import KNOWN
from claude_relay.web import answering, bodies
from claude_relay.web.body_limits import LARGE
from claude_relay.web.controller import OF_BODIES, OF_CALLERS, WireController, failures, failures_of_question
from claude_relay.web.frames import frame
from claude_relay.web.live_responses import EVENTS, Form
from claude_relay.web.token_counts import ESTIMATED

read = bodies.reader(schemas.MessagesRequest, KNOWN, limits.require_few)
"""Reads a request body."""


def _takes_long(body: bodies.Body[schemas.MessagesRequest]) -> bool:
    """Schemas that answers or calls are held to are looked over; and what came before may be long."""
    request = body.request
    is_held = request.output_format is not None or (request.output_config and request.output_config.format)
    is_large = body.stored is not None and body.stored.size > LARGE
    return bool(is_held) or is_large or functions.is_held_to_schemas(request)


class MessagesController(WireController):
    """Questions and answers, as blocks."""

    path = "/messages"
    tags = ("Messages",)
    dto = bodies.BodyDTO[schemas.MessagesRequest]

    @post(
        status_code=200,
        before_request=bodies.reading(read, inbound.to_question, _takes_long, archive.fetch),
        operation_id="createMessage",
        operation_class=MessagesOperation,
        summary="Create a message",
        response_description="The message: whole, or as it is written.",
        responses=failures_of_question(
            MessagesError,
            s404="The model, or the thread, does not exist.",
            s502="Claude Code or its upstream failed.",
            s503="There is no Claude Code, or the relay is stopping.",
            s504="The answer took longer than the operator allows.",
            s529="The upstream is overloaded.",
        ),
    )
    async def create_message(
        self,
        data: JSONBody[schemas.MessagesRequest],
        request: Request[Any, Any, Any],
        runner: NamedDependency[SkipValidation[ClaudeRunner]],
    ) -> Response[answer.Message]:
        """Ask Claude Code. With `stream: true` the message comes as server-sent events."""
        question, settings = bodies.question_of(request), bodies.settings_of(request)
        kept_in = archive.archive_of(request) if data.thread is not None else None
        options = outbound.RenderOptions(
            f"msg_{os.urandom(16).hex()}",
            data.model or settings.model,
            outbound.shown_thinking(data.thinking, reasoning=settings.reasoning),
            is_kept=kept_in is not None,
        )
        told = _Told(outbound.MessageInProgress(options), options.id, question.known, kept_in)
        rendering = answering.Rendering(
            options.model,
            told.whole,
            told.frames,
            outbound.finish,
            form=Form(EVENTS, lambda: _frame(Ping()), lambda error: (error_frame(error),)),
            option=inbound.option_name,
        )
        return await answering.answer(request, runner, question, rendering, stream=bool(data.stream))

    @post(
        "/count_tokens",
        status_code=200,
        before_request=bodies.reading(read, inbound.to_count, _takes_long, archive.fetch),
        operation_id="countMessageTokens",
        summary="Count the tokens of a message's request",
        response_description="About how many tokens its prompt has.",
        responses=failures(
            MessagesError,
            s400="The request could not be served as it stands; the message names what to change.",
            **OF_CALLERS,
            s404="The thread does not exist.",
            s409="Another request had the same `Idempotency-Key`.",
            **OF_BODIES,
        ),
    )
    async def count_tokens(
        self,
        data: JSONBody[schemas.MessagesRequest],  # noqa: ARG002 - what the body must be
        request: Request[Any, Any, Any],
    ) -> Response[answer.TokenCount]:
        """Estimate how many tokens a request's prompt has, without asking the upstream."""
        count: int = bodies.question_of(request).known
        return Response(answer.TokenCount(count), headers=ESTIMATED)


class _Told(Struct, frozen=True):
    """A message on its way to the client. A thread is kept before the client learns that its message is complete.

    Attributes:
        message: The message.
        id: Its id.
        of_request: What is kept of its request.
        kept_in: Where its thread is kept; None if it is none.
    """

    message: outbound.MessageInProgress
    id: str
    of_request: state.Kept
    kept_in: archive.Archive | None

    async def whole(self, events: AsyncIterator[Indexed]) -> answer.Message:
        """Return the whole message."""
        message = await self.message.whole(events)
        await self._keep()
        return message

    async def frames(self, events: AsyncIterator[Indexed]) -> AsyncIterator[bytes]:
        """Yield the events as bytes."""
        async for event in self.message.events(events):
            if isinstance(event, MessageDelta):
                await self._keep()
            yield _frame(event)

    async def _keep(self) -> None:
        if self.kept_in is not None:
            await self.kept_in.keep(self.id, self.of_request, self.message.kept)


def _frame(event: StreamEvent) -> bytes:
    return frame(event, event.type)
