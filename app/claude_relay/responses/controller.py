"""The route of ``/responses``."""

import os
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, SkipValidation

from claude_relay.engine.fanout import Indexed
from claude_relay.engine.runner import ClaudeRunner
from claude_relay.errors import RelayError
from claude_relay.responses import answer, functions, inbound, limits, outbound, schemas
from claude_relay.responses.events import StreamEvent
from claude_relay.responses.operation import ResponsesOperation
from claude_relay.responses.parameters import KNOWN
from claude_relay.settings import Settings
from claude_relay.web import answering, bodies
from claude_relay.web.controller import WireController, failures
from claude_relay.web.frames import frame
from claude_relay.web.live_responses import EVENTS, Form

read = bodies.reader(schemas.ResponsesRequest, KNOWN, limits.require_few)
"""Reads a request body."""


def _takes_long(request: schemas.ResponsesRequest) -> bool:
    """Schemas that answers or calls are held to are looked over."""
    is_held = request.text is not None and isinstance(request.text.format, schemas.JsonSchemaFormat)
    return is_held or functions.is_held_to_schemas(request)


class ResponsesController(WireController):
    """Questions and answers, as items."""

    path = "/responses"
    tags = ("Responses",)
    dto = bodies.BodyDTO[schemas.ResponsesRequest]

    @post(
        status_code=200,
        before_request=bodies.reading(read, inbound.to_question, _takes_long),
        operation_id="createResponse",
        operation_class=ResponsesOperation,
        summary="Create a response",
        response_description="The response: whole, or as it is written.",
        responses=failures(
            s400="The request cannot be served as it stands; `param` names what to change.",
            s401="The caller has no key, or Claude Code is not logged in.",
            s403="A web page calls that nobody allowed to, or the login may not do this.",
            s404="The model, or what the request refers to, does not exist.",
            s413="The request is too large.",
            s415="A web page sent a body that is not called JSON.",
            s429="The caller, the relay or the upstream is at a limit; see `retry-after`.",
            s503="The relay, Claude Code or its upstream failed, or cannot serve now.",
        ),
    )
    async def create_response(
        self,
        data: JSONBody[schemas.ResponsesRequest],
        request: Request[Any, Any, Any],
        runner: NamedDependency[SkipValidation[ClaudeRunner]],
    ) -> Response[answer.Response]:
        """Ask Claude Code. With `stream: true` the response comes as server-sent events."""
        question, settings = bodies.question_of(request), bodies.settings_of(request)
        options = _render_options(data, settings, question.known)
        response = outbound.ResponseInProgress(data, options)
        rendering = answering.Rendering(
            options.model,
            response.whole,
            lambda events: _frames(response, events),
            outbound.finish,
            first=lambda: map(_frame, response.first()),
            form=Form(EVENTS, lambda: _frame(response.keep_alive()), lambda error: _failed(response, error)),
            option=inbound.option_name,
        )
        return await answering.answer(request, runner, question, rendering, stream=bool(data.stream))


async def _frames(response: outbound.ResponseInProgress, events: AsyncIterator[Indexed]) -> AsyncIterator[bytes]:
    """Yield the events as bytes; the last one has the whole response, which from then on can be gone on from."""
    async for event in response.events(events):
        yield _frame(event)


def _failed(response: outbound.ResponseInProgress, error: RelayError) -> Iterator[bytes]:
    return map(_frame, response.failed(error))


def _frame(event: StreamEvent) -> bytes:
    return frame(event, event.type)


def _render_options(data: schemas.ResponsesRequest, settings: Settings, known: inbound.Known) -> outbound.RenderOptions:
    return outbound.RenderOptions(
        token=os.urandom(16).hex(),
        created=int(time.time()),
        model=data.model or settings.model,
        now=lambda: int(time.time()),
        tools=known.tools,
        echo=known.echo,
        reasoning=settings.reasoning,
    )
