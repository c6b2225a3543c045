"""An id for each request: in its log lines, and in the ``x-request-id`` header of its response."""

from uuid import uuid4

from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from claude_relay import logs


def middleware(app: ASGIApp) -> ASGIApp:
    """Give the request an id before its handler runs."""

    async def with_id(scope: Scope, receive: Receive, send: Send) -> None:
        logs.request_id.set(_new())
        await app(scope, receive, send)

    return with_id


async def add_header(message: Message, scope: Scope) -> None:
    """Name the id in a response; one that never reached a handler, such as a 404, gets its id here."""
    if message["type"] == "http.response.start" and scope["type"] == ScopeType.HTTP:
        known = logs.request_id.get()
        MutableScopeHeaders.from_message(message)["x-request-id"] = known if known != "-" else _new()


def _new() -> str:
    return f"req_{uuid4().hex}"
