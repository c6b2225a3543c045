"""The id of each request on its response, and how long it took until the response began."""

from litestar.datastructures import MutableScopeHeaders
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from claude_relay.web.context import begin, context_of, has_begun


def middleware(app: ASGIApp) -> ASGIApp:
    """Begin the context of a request before a handler runs."""

    async def with_id(scope: Scope, receive: Receive, send: Send) -> None:
        begin(scope)
        await app(scope, receive, send)

    return with_id


async def add_headers(message: Message, scope: Scope) -> None:
    """Name the id and the time in a response to a request that has begun."""
    if message["type"] != "http.response.start" or not has_begun(scope):
        return
    context = context_of(scope)
    headers = MutableScopeHeaders.from_message(message)
    headers["x-request-id"] = context.id
    headers["openai-processing-ms"] = str(context.elapsed_ms)
