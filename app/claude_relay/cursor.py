"""Requests for chat completions that come in the items of the responses API, as Cursor's agent mode sends them.

They are read as that family reads its requests, and answered as chat completions. Neither family knows the other.
"""

from typing import Any

import msgspec
from litestar import Request
from msgspec import Raw, Struct
from msgspec.structs import replace

from claude_relay.access.policy import Caller
from claude_relay.chat import schemas as chat
from claude_relay.responses import archive, inbound, limits, schemas
from claude_relay.responses.parameters import KNOWN
from claude_relay.settings import Settings
from claude_relay.web import bodies
from claude_relay.web.context import context_of
from claude_relay.web.parameters import Question

_ABSENT = Raw()
_NO_MESSAGES = (b"", b"null", b"[]")


class _Form(Struct):
    """The fields that tell in which form a request comes, as they stand in its body."""

    input: Raw = _ABSENT
    messages: Raw = _ABSENT


_form = msgspec.json.Decoder(_Form)
_items = bodies.reader(schemas.ResponsesRequest, KNOWN, limits.require_few)


def has_items(body: bytes) -> bool:
    """Whether a body has items in place of messages."""
    try:
        form = _form.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return bool(form.input) and bytes(form.messages).strip() in _NO_MESSAGES


def read(body: bytes) -> bodies.Body[schemas.ResponsesRequest]:
    """Read a request that comes in items; nothing of it is kept.

    Raises:
        InvalidRequestError: It is no such request.
    """
    found = _items(body)
    without_effect = {name for name in ("background", "include") if getattr(found.request, name)}
    tools = None if found.request.tools is None else [_unwrapped(tool) for tool in found.request.tools]
    request = replace(found.request, tools=tools, store=False, background=None, include=None)
    return replace(found, request=request, unknown=found.unknown - {"messages"} | without_effect)


def to_question(body: bodies.Body[schemas.ResponsesRequest], settings: Settings, caller: Caller) -> Question:
    """Return the neutral request, and which of the client's options it leaves out. A chat does not end to be gone on.

    Raises:
        RelayError: The request asks for what the relay cannot do.
    """
    question = inbound.to_question(body, settings, caller)
    return replace(question, run=replace(question.run, pauses=False), known=None)


def as_chat(request: schemas.ResponsesRequest) -> chat.ChatCompletionRequest:
    """Return a request for a chat completion that is answered as this request wants its answer."""
    structured = request.text is not None and not isinstance(request.text.format, schemas.TextFormat | None)
    usage = request.stream_options is not None and request.stream_options.include_usage
    return chat.ChatCompletionRequest(
        messages=[],
        model=request.model,
        stream=request.stream,
        stream_options=chat.StreamOptions(include_usage=usage),
        response_format=chat.JsonObjectFormat() if structured else None,
    )


# agents bring many tools, whose schemas are looked over
_read_items = bodies.reading_form(read, to_question, lambda _: True, archive.fetch)


async def _reads(request: Request[Any, Any, Any]) -> None:
    await _read_items(request)
    context = context_of(request.scope)
    context.request = as_chat(context.request)


def _unwrapped(tool: dict[str, Any]) -> dict[str, Any]:
    """Return a tool as the responses API has it: chat completions have its fields one level further down."""
    kind = tool.get("type")
    fields = tool.get(kind) if isinstance(kind, str) else None
    return {**fields, "type": kind} if isinstance(fields, dict) else tool


FORM = bodies.OtherForm(has_items, _reads)
"""Requests for chat completions whose conversation is ``input``."""
