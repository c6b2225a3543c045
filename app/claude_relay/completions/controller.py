"""The route of ``/completions``."""

import os
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, SkipValidation

from claude_relay.completions import inbound, limits, outbound
from claude_relay.completions.operation import CompletionsOperation
from claude_relay.completions.parameters import KNOWN
from claude_relay.completions.schemas import Completion, CompletionRequest
from claude_relay.engine.fanout import Indexed
from claude_relay.engine.runner import ClaudeRunner
from claude_relay.settings import Settings
from claude_relay.web import answering, bodies
from claude_relay.web.controller import WireController, failures
from claude_relay.web.frames import DONE, frame

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
        responses=failures(
            s400="The request cannot be served as it stands; `param` names what to change.",
            s401="The caller has no key, or Claude Code is not logged in.",
            s403="A web page calls that nobody allowed to, or the login may not do this.",
            s404="The model does not exist.",
            s413="The request is too large.",
            s415="A web page sent a body that is not called JSON.",
            s429="The caller, the relay or the upstream is at a limit; see `retry-after`.",
            s502="Claude Code or its upstream failed.",
            s503="There is no Claude Code, its upstream is overloaded, or the relay is stopping.",
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
            partial(_frames, options),
            outbound.finish,
            options.each,
        )
        return await answering.answer(request, runner, question, rendering, stream=bool(data.stream))


async def _frames(options: outbound.RenderOptions, events: AsyncIterator[Indexed]) -> AsyncIterator[bytes]:
    async for chunk in outbound.chunks(options, events):
        yield frame(chunk)
    yield DONE


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
