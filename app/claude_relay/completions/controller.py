"""The route of ``/completions``."""

import os
import time
from functools import partial
from typing import Any

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, SkipValidation

from claude_relay.completions import inbound, limits, outbound
from claude_relay.completions.operation import CompletionsOperation
from claude_relay.completions.parameters import KNOWN
from claude_relay.completions.schemas import Completion, CompletionRequest
from claude_relay.engine.runner import ClaudeRunner
from claude_relay.settings import Settings
from claude_relay.web import answering, bodies
from claude_relay.web.controller import WireController, failures_of_question
from claude_relay.web.frames import ended_by_done

read = bodies.reader(CompletionRequest, KNOWN, limits.require_few)
"""Reads a request body."""


class CompletionsController(WireController):
    """Texts, and how they go on."""

    path = "/completions"
    tags = ("Completions",)
    dto = bodies.BodyDTO[CompletionRequest]

    @post(
        status_code=200,
        before_request=bodies.reading(read, inbound.to_question),
        operation_id="createCompletion",
        operation_class=CompletionsOperation,
        summary="Create a completion",
        response_description="The continuations: whole, or as they are written.",
        responses=failures_of_question(
            s502="Claude Code or its upstream failed.",
            s504="The answer took longer than the operator allows.",
        ),
    )
    async def create_completion(
        self,
        data: JSONBody[CompletionRequest],
        request: Request[Any, Any, Any],
        runner: NamedDependency[SkipValidation[ClaudeRunner]],
    ) -> Response[Completion]:
        """Continue a text. With `stream: true` the continuation comes as server-sent events."""
        question, settings = bodies.question_of(request), bodies.settings_of(request)
        options = _render_options(data, settings)
        rendering = answering.Rendering(
            options.model,
            partial(outbound.completion, options),
            lambda events: ended_by_done(outbound.chunks(options, events)),
            outbound.finish,
            options.each,
        )
        return await answering.answer(request, runner, question, rendering, stream=bool(data.stream))


def _render_options(data: CompletionRequest, settings: Settings) -> outbound.RenderOptions:
    return outbound.RenderOptions(
        id=f"cmpl-{os.urandom(16).hex()}",
        created=int(time.time()),
        model=data.model or settings.model,
        prompts=inbound.prompts(data),
        suffix=data.suffix or "",
        each=data.n or 1,
        echo=bool(data.echo),
        usage=bool(data.stream_options and data.stream_options.include_usage),
    )
