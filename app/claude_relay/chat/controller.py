"""The route of ``/chat/completions``."""

import re
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any
from uuid import uuid4

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from claude_relay.chat import answers, functions, inbound, limits, log_fields, outbound
from claude_relay.chat.operation import ChatOperation
from claude_relay.chat.reading import Body, read
from claude_relay.chat.schemas import ChatCompletion, ChatCompletionRequest, JsonObjectFormat, JsonSchemaFormat
from claude_relay.engine.runner import ClaudeRunner
from claude_relay.settings import Settings
from claude_relay.web import access_log, sse
from claude_relay.web.auth_middleware import require_caller
from claude_relay.web.controller import WireController, failures
from claude_relay.web.disconnects import cancel_on_disconnect
from claude_relay.web.dto import WireDTO
from claude_relay.web.frames import DONE, frame
from claude_relay.web.offload import Offload

_LONGEST_NAME = 64
_BODY = "claude_relay_chat_body"
OFFLOAD = "claude_relay_chat_offload"
"""Where the application keeps what reads large bodies."""
_MOST_NAMED = 30
"""Ignored parameters that a header names."""


class ChatDTO(WireDTO[ChatCompletionRequest]):
    """Hands over what was read before."""

    def decode_bytes(self, value: bytes) -> Any:  # noqa: ARG002 - the signature is Litestar's
        """Return the request that the body is."""
        body: Body = self.asgi_connection.scope["state"][_BODY]
        return body.request


async def _read(request: Request[Any, Any, Any]) -> None:
    """Read the body, in a thread if that may take long: Litestar itself would block the event loop."""
    if body := await request.body():
        is_large = len(body) > limits.LARGE
        offload: Offload = request.app.state[OFFLOAD]
        request.scope["state"][_BODY] = await offload.run(partial(read, body)) if is_large else read(body)


class ChatController(WireController):
    """Questions and answers."""

    path = "/chat/completions"
    tags = ("Chat",)
    dto = ChatDTO

    @post(
        status_code=200,
        before_request=_read,
        operation_id="createChatCompletion",
        operation_class=ChatOperation,
        summary="Create a chat completion",
        response_description="The answer: whole, or as it is written.",
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
    async def create_chat_completion(
        self,
        data: JSONBody[ChatCompletionRequest],
        request: Request[Any, Any, Any],
        runner: NamedDependency[ClaudeRunner],
        settings: NamedDependency[Settings],
    ) -> Response[ChatCompletion]:
        """Ask Claude Code. With `stream: true` the answer comes as server-sent events."""
        body: Body = request.scope["state"][_BODY]
        caller = require_caller(request)
        convert = partial(
            inbound.to_run_request, data, _defaults(settings), body.unknown, caller.identity, caller.account
        )
        offload: Offload = request.app.state[OFFLOAD]
        takes_long = body.is_large or isinstance(data.response_format, JsonSchemaFormat)
        question = await offload.run(convert) if takes_long else convert()
        options = _render_options(data, settings)
        access_log.annotate(
            model=options.model[:_LONGEST_NAME], personality=question.run.personality, stream=bool(data.stream)
        )
        asked = await cancel_on_disconnect(request, lambda: answers.opened(runner, question.run, options.answers))
        access_log.annotate(first_token_ms=access_log.elapsed_ms())
        headers = _headers(question, asked.dropped)
        if data.stream:
            return sse.EventStream(_frames(options, asked), lambda: _closed(options, asked), headers)  # type: ignore[return-value]
        try:
            answer = await cancel_on_disconnect(request, lambda: outbound.completion(options, asked.events()))
        finally:
            await _closed(options, asked)
        return Response(answer, headers=headers)


async def _frames(options: outbound.RenderOptions, asked: answers.Answers) -> AsyncIterator[bytes]:
    async for chunk in outbound.chunks(options, asked.events()):
        yield frame(chunk)
    yield DONE


async def _closed(options: outbound.RenderOptions, asked: answers.Answers) -> None:
    access_log.annotate(**log_fields.log_fields(options, asked.begun, asked.ends))
    await asked.aclose()


def _defaults(settings: Settings) -> inbound.Defaults:
    return inbound.Defaults(settings.model, settings.personality, settings.aliases, settings.strict)


def _render_options(data: ChatCompletionRequest, settings: Settings) -> outbound.RenderOptions:
    return outbound.RenderOptions(
        id=f"chatcmpl-{uuid4().hex}",
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


def _headers(question: inbound.Question, dropped: tuple[str, ...]) -> dict[str, str]:
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
