"""An id for each request, in its log lines and on its response, and how long it took until the response began."""

import os
import re
import time

from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from claude_relay import logs

_SANE = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_STARTED = "claude_relay_started"


def begin(scope: Scope) -> None:
    """Note when a request came, and give it an id: the client's own if it sent a sane one. Once for each request."""
    if _STARTED not in scope["state"]:
        scope["state"][_STARTED] = time.perf_counter()
        logs.request_id.set(_id(scope))


def middleware(app: ASGIApp) -> ASGIApp:
    """Begin before a handler runs."""

    async def with_id(scope: Scope, receive: Receive, send: Send) -> None:
        begin(scope)
        await app(scope, receive, send)

    return with_id


async def add_headers(message: Message, scope: Scope) -> None:
    """Name the id and the time in a response to a request that has begun."""
    if message["type"] != "http.response.start" or scope["type"] != ScopeType.HTTP or _STARTED not in scope["state"]:
        return
    headers = MutableScopeHeaders.from_message(message)
    headers["x-request-id"] = logs.request_id.get()
    headers["openai-processing-ms"] = str(round(1000 * (time.perf_counter() - scope["state"][_STARTED])))


def _id(scope: Scope) -> str:
    sent = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return sent.decode() if _SANE.fullmatch(sent) else f"req_{os.urandom(16).hex()}"
