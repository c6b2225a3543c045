"""The id of each request on its response, and how long it took until the response began."""

from litestar.datastructures import MutableScopeHeaders
from litestar.types import HTTPResponseStartEvent

from claude_relay.web.context import RequestContext


def add_headers(context: RequestContext, start: HTTPResponseStartEvent) -> None:
    """Name the id, as OpenAI and as Anthropic call it, and the time in the head of a response."""
    headers = MutableScopeHeaders.from_message(start)
    headers["x-request-id"] = headers["request-id"] = context.id
    headers["openai-processing-ms"] = str(context.elapsed_ms)
