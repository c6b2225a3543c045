"""The routes of ``/responses``."""

import os
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from litestar import MediaType, Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter, SkipValidation
from msgspec import Struct
from msgspec.structs import replace

from claude_relay.engine.fanout import Indexed
from claude_relay.engine.runner import ClaudeRunner
from claude_relay.errors import RelayError
from claude_relay.responses import answer, archive, functions, inbound, limits, outbound, schemas, state
from claude_relay.responses.events import ResponseEvent, StreamEvent
from claude_relay.responses.operation import ResponsesOperation
from claude_relay.responses.parameters import KNOWN
from claude_relay.settings import Settings
from claude_relay.store.protocol import Item
from claude_relay.web import answering, bodies
from claude_relay.web.controller import WireController, failures
from claude_relay.web.frames import frame
from claude_relay.web.live_responses import EVENTS, Form

read = bodies.reader(schemas.ResponsesRequest, KNOWN, limits.require_few)
"""Reads a request body."""
_Id = FromPath[str]
_FAILURES = failures(
    s400="It cannot be done with this response.",
    s401="The caller has no key.",
    s403="A web page calls that nobody allowed to.",
    s404="The caller has no such response.",
    s503="The store cannot be used.",
)


def _takes_long(body: bodies.Body[schemas.ResponsesRequest]) -> bool:
    """Schemas that answers or calls are held to are looked over; and what came before may be long."""
    request = body.request
    is_held = request.text is not None and isinstance(request.text.format, schemas.JsonSchemaFormat)
    is_large = body.stored is not None and body.stored.size > bodies.LARGE
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
        kept_in = archive.archive_of(request) if data.store is not False else None
        options = _render_options(data, settings, question.known, is_stored=kept_in is not None)
        response = outbound.ResponseInProgress(data, options)
        told = _Told(response, kept_in, question.known.inputs)
        rendering = answering.Rendering(
            options.model,
            told.whole,
            told.frames,
            outbound.finish,
            first=lambda: map(_frame, response.first()),
            form=Form(EVENTS, lambda: _frame(response.keep_alive()), lambda error: map(_frame, response.failed(error))),
            option=inbound.option_name,
            failed=told.keep_failure,
        )
        return await answering.answer(request, runner, question, rendering, stream=bool(data.stream))

    @get(
        "/{response_id:str}",
        operation_id="getResponse",
        summary="Get a response",
        response_description="The response.",
        responses=_FAILURES,
    )
    async def get_response(
        self, request: Request[Any, Any, Any], response_id: _Id, *, stream: FromQuery[bool] = False
    ) -> Response[answer.Response]:
        """Return a response that was kept."""
        found = await _archive(request, response_id).get(response_id)
        if stream:
            raise state.not_resumable()
        return _json(found)

    @delete(
        "/{response_id:str}",
        status_code=200,
        operation_id="deleteResponse",
        summary="Delete a response",
        response_description="It is gone.",
        responses=_FAILURES,
    )
    async def delete_response(self, request: Request[Any, Any, Any], response_id: _Id) -> answer.DeletedResponse:
        """Remove a response and its items. Responses that go on from it cannot be gone on from any more."""
        await _archive(request, response_id).delete(response_id)
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
        limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
        order: FromQuery[Literal["asc", "desc"]] = "desc",
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
    async def cancel_response(self, request: Request[Any, Any, Any], response_id: _Id) -> Response[answer.Response]:
        """Only a response in the background could be cancelled, and there is none."""
        await _archive(request, response_id).get(response_id)
        raise state.not_in_background()


class _Told(Struct, frozen=True):
    """A response on its way to the client. It is kept before the client learns that it is complete.

    Attributes:
        response: The response.
        kept_in: Where it is kept; None if it is not.
        inputs: The items of its request.
    """

    response: outbound.ResponseInProgress
    kept_in: archive.Archive | None
    inputs: tuple[Item, ...]

    async def whole(self, events: AsyncIterator[Indexed]) -> answer.Response:
        """Return the whole response."""
        return await self._kept(await self.response.whole(events))

    async def frames(self, events: AsyncIterator[Indexed]) -> AsyncIterator[bytes]:
        """Yield the events as bytes; the last one has the whole response, which from then on can be gone on from."""
        async for event in self.response.events(events):
            if isinstance(event, ResponseEvent):
                event = replace(event, response=await self._kept(event.response))  # noqa: PLW2901
            yield _frame(event)

    async def keep_failure(self, error: RelayError) -> None:
        """Keep a response that has failed."""
        await self._kept(self.response.failure(error))

    async def _kept(self, response: answer.Response) -> answer.Response:
        if self.kept_in is None:
            return response
        return await self.kept_in.keep(response, self.inputs, self.response.kept)


def _archive(request: Request[Any, Any, Any], response_id: str) -> archive.Archive:
    """Return the archive of who asks for a response.

    Raises:
        NotFoundError: Nothing is kept.
    """
    found = archive.archive_of(request)
    if found is None:
        raise state.unknown_response(response_id)
    return found


def _json(body: bytes) -> Response[Any]:
    return Response(body, media_type=MediaType.JSON)


def _frame(event: StreamEvent) -> bytes:
    return frame(event, event.type)


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
