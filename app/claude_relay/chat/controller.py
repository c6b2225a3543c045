"""The route of ``/chat/completions``."""

import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from claude_relay.chat import inbound, outbound
from claude_relay.chat.operation import ChatOperation
from claude_relay.chat.schemas import ChatCompletion, ChatCompletionRequest
from claude_relay.engine.runner import ClaudeRunner, Run, open_run
from claude_relay.settings import Settings
from claude_relay.web import sse
from claude_relay.web.connection import while_connected
from claude_relay.web.controller import WireController, failures


class ChatController(WireController):
    """Questions and answers."""

    path = "/chat/completions"
    tags = ("Chat",)

    @post(
        status_code=200,
        operation_id="createChatCompletion",
        operation_class=ChatOperation,
        summary="Create a chat completion",
        response_description="The answer: whole, or as it is written.",
        responses=failures(
            s400="The request cannot be served as it stands; `param` names what to change.",
            s401="Claude Code is not logged in.",
            s404="The model does not exist.",
            s413="The request is too large.",
            s429="The upstream asks to slow down; see `retry-after`.",
            s502="Claude Code or its upstream failed.",
            s503="There is no Claude Code, or its upstream is overloaded.",
        ),
    )
    async def create_chat_completion(
        self,
        data: JSONBody[ChatCompletionRequest],
        request: Request[Any, Any, Any],
        runner: NamedDependency[ClaudeRunner],
        settings: NamedDependency[Settings],
    ) -> Response[ChatCompletion]:
        """Ask Claude Code. With `stream: true` the answer comes as server-sent events."""
        question = inbound.to_run_request(data, settings.model, settings.personality)
        envelope = outbound.Envelope(f"chatcmpl-{uuid4().hex}", int(time.time()), data.model or settings.model)
        headers = {"x-claude-relay-ignored": ", ".join(ignored)} if (ignored := inbound.ignored(data)) else {}
        run = await while_connected(request, lambda: open_run(runner, question))
        if data.stream:
            wants_usage = bool(data.stream_options and data.stream_options.include_usage)
            return sse.EventStream(_frames(envelope, run, wants_usage=wants_usage), run.aclose, headers)  # type: ignore[return-value]
        try:
            answer = await while_connected(request, lambda: outbound.completion(envelope, run.events))
        finally:
            await run.aclose()
        return Response(answer, headers=headers)


async def _frames(envelope: outbound.Envelope, run: Run, *, wants_usage: bool) -> AsyncIterator[bytes]:
    async for chunk in outbound.chunks(envelope, run.events, include_usage=wants_usage):
        yield sse.frame(chunk)
    yield sse.DONE
