"""The routes of ``/responses``."""

import os
import time
from collections.abc import Mapping
from typing import Annotated, Any

from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter, SkipValidation

from claude_relay.engine.approvals import Approvals
from claude_relay.engine.runner import ClaudeRunner
from claude_relay.responses import answer, archive, functions, inbound, limits, outbound, schemas, state
from claude_relay.responses.operation import ResponsesOperation
from claude_relay.responses.parameters import KNOWN
from claude_relay.responses.recording import Recording
from claude_relay.responses.telling import Follower, Telling
from claude_relay.settings import Settings
from claude_relay.store.protocol import BEFORE_FIRST
from claude_relay.web import answering, bodies
from claude_relay.web.body_limits import LARGE
from claude_relay.web.context import context_of
from claude_relay.web.controller import (
    OF_CALLERS,
    Limit,
    Order,
    WireController,
    failures,
    failures_of_question,
    json_response,
)
from claude_relay.web.disconnects import nothing
from claude_relay.web.jobs import jobs_of
from claude_relay.web.live_responses import EVENTS, Form, LiveResponse

read = bodies.reader(schemas.ResponsesRequest, KNOWN, limits.require_few)
"""Reads a request body."""
_Id = FromPath[str]
_LATEST = 2**53
"""No event has a number above it."""
_FAILURES = failures(
    s400="It cannot be done with this response.",
    **OF_CALLERS,
    s404="The caller has no such response.",
    s503="The store cannot be used.",
)


def _takes_long(body: bodies.Body[schemas.ResponsesRequest]) -> bool:
    """Schemas that answers or calls are held to are looked over; and what came before may be long."""
    request = body.request
    is_held = request.text is not None and isinstance(request.text.format, schemas.JsonSchemaFormat)
    is_large = body.stored is not None and body.stored.size > LARGE
    return is_held or is_large or functions.is_held_to_schemas(request)


class ResponsesController(WireController):
    """Questions and answers, as items."""

    path = "/responses"
    tags = ("Responses",)
    dto = bodies.BodyDTO[schemas.ResponsesRequest]

    @post(
        status_code=200,
        before_request=bodies.reading(read, inbound.to_question, _takes_long, archive.fetch),
        operation_id="createResponse",
        operation_class=ResponsesOperation,
        summary="Create a response",
        response_description="The response: whole, or as it is written.",
        responses=failures_of_question(
            s404="The model, or what the request refers to, does not exist.",
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
        kept_in = archive.archive_of(request) if data.store is not False else None
        options = _render_options(data, settings, question.known, is_stored=kept_in is not None)
        response = outbound.ResponseInProgress(data, options)
        recording = (
            None
            if kept_in is None
            else Recording(kept_in, response.begun, question.known.inputs, lambda: response.kept)
        )
        telling = Telling(response, recording, settings.resume_timeout)
        rendering = answering.Rendering(
            options.model,
            telling.whole,
            telling.frames,
            outbound.finish,
            first=telling.first,
            form=Form(EVENTS, telling.keep_alive, telling.failed),
            option=inbound.option_name,
            failed=telling.keep_failure,
            departed=telling.departed,
            closed=telling.closed,
        )
        if data.background and kept_in is not None and recording is not None:
            work = await answering.unattended(context_of(request.scope), runner, question, rendering)
            try:
                await telling.queue()
            except BaseException:
                await work.close()
                raise
            jobs_of(request).start(recording.while_wanted(work.finish()))
            headers = answering.headers_of(question)
            if data.stream:
                return _following(kept_in, response.begun.id, BEFORE_FIRST, headers)
            return Response(response.begun, headers=headers)
        return await answering.answer(request, runner, question, rendering, stream=bool(data.stream))

    @get(
        "/{response_id:str}",
        operation_id="getResponse",
        summary="Get a response",
        response_description="The response.",
        responses=_FAILURES,
    )
    async def get_response(
        self,
        request: Request[Any, Any, Any],
        response_id: _Id,
        *,
        stream: FromQuery[bool] = False,
        starting_after: Annotated[int, QueryParameter(ge=BEFORE_FIRST, le=_LATEST)] = BEFORE_FIRST,
    ) -> Response[answer.Response]:
        """Return a response that was kept, whole or as far as it is written. With `stream=true` its events come again.

        From `starting_after` on, that is, which is the `sequence_number` of an event; and then those that are new.
        """
        found = _archive(request, response_id)
        if not stream:
            return json_response(await found.get(response_id))
        await found.require_events(response_id, starting_after)
        return _following(found, response_id, starting_after)

    @delete(
        "/{response_id:str}",
        status_code=200,
        operation_id="deleteResponse",
        summary="Delete a response",
        response_description="It is gone.",
        responses=_FAILURES,
    )
    async def delete_response(
        self,
        request: Request[Any, Any, Any],
        response_id: _Id,
        approvals: NamedDependency[SkipValidation[Approvals]],
    ) -> answer.DeletedResponse:
        """Remove a response and its items. Responses that go on from it cannot be gone on from any more.

        Work that waits for permission ends.
        """
        found = _archive(request, response_id)
        asked = await found.requested_approvals(response_id)
        await found.delete(response_id)
        await approvals.abandon(found.owner, asked)
        return answer.DeletedResponse(response_id)

    @get(
        "/{response_id:str}/input_items",
        operation_id="listInputItems",
        summary="List the items of a response's request",
        response_description="Some of the items.",
        responses=_FAILURES,
    )
    async def list_input_items(
        self,
        request: Request[Any, Any, Any],
        response_id: _Id,
        *,
        after: FromQuery[str | None] = None,
        limit: Limit = 20,
        order: Order = "desc",
    ) -> answer.ItemList:
        """Return the items that the request itself had, without those of the responses that it went on from."""
        page = await _archive(request, response_id).inputs(response_id, after, limit, order)
        return outbound.item_list(page)

    @post(
        "/{response_id:str}/cancel",
        status_code=200,
        operation_id="cancelResponse",
        summary="Cancel a response",
        response_description="The response.",
        responses=_FAILURES,
    )
    async def cancel_response(
        self,
        request: Request[Any, Any, Any],
        response_id: _Id,
        approvals: NamedDependency[SkipValidation[Approvals]],
    ) -> Response[answer.Response]:
        """Stop the work on a response in the background. One that is complete stays as it is.

        But work that waits for permission ends.
        """
        found = _archive(request, response_id)
        cancelled = await found.cancel(response_id)
        await approvals.abandon(found.owner, await found.requested_approvals(response_id))
        return json_response(cancelled)


def _following(
    kept_in: archive.Archive, response_id: str, after: int, headers: Mapping[str, str] | None = None
) -> Response[Any]:
    """Return the events of a response that is written elsewhere, as they come."""
    follower = Follower(kept_in, response_id, after)
    form = Form(EVENTS, follower.keep_alive, follower.failed)
    return LiveResponse(follower.frames(), nothing, headers, form)


def _archive(request: Request[Any, Any, Any], response_id: str) -> archive.Archive:
    """Return the archive of who asks for a response.

    Raises:
        NotFoundError: Nothing is kept.
    """
    found = archive.archive_of(request)
    if found is None:
        raise state.unknown_response(response_id)
    return found


def _render_options(
    data: schemas.ResponsesRequest, settings: Settings, known: inbound.Known, *, is_stored: bool
) -> outbound.RenderOptions:
    return outbound.RenderOptions(
        token=os.urandom(16).hex(),
        created=int(time.time()),
        model=data.model or settings.model,
        now=lambda: int(time.time()),
        tools=known.tools,
        echo=known.echo,
        reasoning=settings.reasoning,
        # what is not kept here the client has to keep
        signed=not is_stored or schemas.SIGNED_THINKING in (data.include or ()),
        is_stored=is_stored,
    )
