"""The route of ``/responses/compact``."""

import os
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, SkipValidation

from claude_relay.access.policy import Caller
from claude_relay.engine.fanout import Indexed
from claude_relay.engine.runner import ClaudeRunner
from claude_relay.responses import answer, archive, compaction, inbound, limits, outbound, schemas, state
from claude_relay.settings import Settings
from claude_relay.web import answering, bodies
from claude_relay.web.controller import WireController, failures_of_question
from claude_relay.web.parameters import Question

read = bodies.reader(
    schemas.CompactRequest, frozenset(compaction.FIELDS), lambda asked: limits.require_few(compaction.as_request(asked))
)
"""Reads a request body."""


def _to_question(body: bodies.Body[schemas.CompactRequest], settings: Settings, caller: Caller) -> Question:
    return compaction.to_question(body, settings, caller, os.urandom(16).hex())


async def _fetch(request: Request[Any, Any, Any], asked: schemas.CompactRequest) -> state.Stored | None:
    return await archive.fetch(request, compaction.as_request(asked))


class CompactController(WireController):
    """Conversations that are made shorter."""

    path = "/responses/compact"
    tags = ("Responses",)
    dto = bodies.BodyDTO[schemas.CompactRequest]

    @post(
        status_code=200,
        # conversations that are to be made shorter are long
        before_request=bodies.reading(read, _to_question, lambda _: True, _fetch),
        operation_id="compactResponse",
        summary="Compact a conversation",
        response_description="The conversation, shorter: items for the `input` of the next request.",
        responses=failures_of_question(
            s404="The model, or what the request refers to, does not exist.",
            s503="The relay, Claude Code or its upstream failed, or cannot serve now.",
        ),
    )
    async def compact_response(
        self,
        data: JSONBody[schemas.CompactRequest],
        request: Request[Any, Any, Any],
        runner: NamedDependency[SkipValidation[ClaudeRunner]],
    ) -> Response[answer.CompactedResponse]:
        """Have the plain model sum a conversation up. What the user said stays; the rest becomes one item."""
        question, settings = bodies.question_of(request), bodies.settings_of(request)
        created = int(time.time())
        rendering = answering.Rendering(
            data.model or settings.model,
            partial(compaction.compacted, kept=question.known, created=created),
            _no_frames,
            outbound.finish,
            option=inbound.option_name,
        )
        return await answering.answer(request, runner, question, rendering, stream=False)


async def _no_frames(events: AsyncIterator[Indexed]) -> AsyncIterator[bytes]:
    """Yield empty pieces; nobody takes them, since the answer is never streamed."""
    async for _ in events:
        yield b""
