"""The route of ``/chat/completions``."""

import os
import time
from functools import partial
from typing import Any

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, SkipValidation

from claude_relay.chat import functions, inbound, limits, outbound
from claude_relay.chat.operation import ChatOperation
from claude_relay.chat.parameters import KNOWN
from claude_relay.chat.schemas import (
    ChatCompletion,
    ChatCompletionRequest,
    FunctionTool,
    JsonObjectFormat,
    JsonSchemaFormat,
)
from claude_relay.engine.runner import ClaudeRunner
from claude_relay.settings import Settings
from claude_relay.web import answering, bodies
from claude_relay.web.controller import WireController, failures_of_question
from claude_relay.web.frames import ended_by_done

read = bodies.reader(ChatCompletionRequest, KNOWN, limits.require_few)
"""Reads a request body."""


def _takes_long(body: bodies.Body[ChatCompletionRequest]) -> bool:
    """Schemas that answers or calls are held to are looked over."""
    request = body.request
    is_held = any(isinstance(tool, FunctionTool) and tool.function.strict for tool in request.tools or ())
    return is_held or isinstance(request.response_format, JsonSchemaFormat)


class ChatController(WireController):
    """Questions and answers."""

    path = "/chat/completions"
    tags = ("Chat",)
    dto = bodies.BodyDTO[ChatCompletionRequest]

    @post(
        status_code=200,
        before_request=bodies.reading(read, inbound.to_question, _takes_long),
        operation_id="createChatCompletion",
        operation_class=ChatOperation,
        summary="Create a chat completion",
        response_description="The answer: whole, or as it is written.",
        responses=failures_of_question(
            s502="Claude Code or its upstream failed.",
            s504="The answer took longer than the operator allows.",
        ),
    )
    async def create_chat_completion(
        self,
        data: JSONBody[ChatCompletionRequest],
        request: Request[Any, Any, Any],
        runner: NamedDependency[SkipValidation[ClaudeRunner]],
    ) -> Response[ChatCompletion]:
        """Ask Claude Code. With `stream: true` the answer comes as server-sent events."""
        question, settings = bodies.question_of(request), bodies.settings_of(request)
        options = _render_options(data, settings)
        rendering = answering.Rendering(
            options.model,
            partial(outbound.completion, options),
            lambda events: ended_by_done(outbound.chunks(options, events)),
            options.finish,
            options.answers,
        )
        return await answering.answer(request, runner, question, rendering, stream=bool(data.stream))


def _render_options(data: ChatCompletionRequest, settings: Settings) -> outbound.RenderOptions:
    return outbound.RenderOptions(
        id=f"chatcmpl-{os.urandom(16).hex()}",
        created=int(time.time()),
        model=data.model or settings.model,
        answers=data.n or 1,
        usage=bool(data.stream_options and data.stream_options.include_usage),
        reasoning=settings.reasoning,
        activity=settings.show_activity,
        structured=isinstance(data.response_format, JsonObjectFormat | JsonSchemaFormat),
        legacy=functions.legacy(data),
        custom_tools=functions.custom_tools(data),
    )
