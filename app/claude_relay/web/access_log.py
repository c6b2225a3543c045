"""One log line for each request: what it was, how it was served, what it cost. Never prompts or answers."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.types import HTTPScope, Message, Receive, Scope, Send

from claude_relay.engine.vocabulary import RunEnd, RunStarted, StopReason, Usage
from claude_relay.web import request_id
from claude_relay.web.context import RequestContext, begin, context_of, has_begun

_log = logging.getLogger(__name__)

_QUIET = ("/console", "/health", "/metrics", "/schema")
"""Paths that are asked for so often, or mean so little, that their lines are for debugging."""
_LONGEST = 200
"""Characters of a path that are logged; clients may send any."""


def annotate(scope: Scope, **fields: Any) -> None:
    """Add fields to the line of a request, if it has one."""
    if has_begun(scope):
        context_of(scope).fields.update(fields)


def run_fields(
    begun: Sequence[RunStarted], ends: Sequence[RunEnd], finish: Callable[[StopReason], str]
) -> dict[str, Any]:
    """Return how the runs of a request began and how they ended, as far as they did.

    Args:
        begun: How each began.
        ends: How each ended.
        finish: Returns the family's word for why an answer ended.
    """
    fields: dict[str, Any] = {}
    if begun:
        fields["origin"] = ",".join(one.origin for one in begun)
        fields["queue_ms"] = round(1000 * max(one.waited for one in begun))
        fields["checkout_ms"] = round(1000 * max(one.prepared for one in begun))
    if ends:
        usage = sum((end.usage for end in ends), Usage())
        fields["prompt_tokens"] = usage.prompt_tokens
        fields["cached_tokens"] = usage.cache_read_tokens
        fields["completion_tokens"] = usage.output_tokens
        if counts := [end.upstream_requests for end in ends if end.upstream_requests is not None]:
            fields["upstream_requests"] = sum(counts)
        costs = [end.cost for end in ends if end.cost is not None]
        if len(costs) == len(ends):
            fields["cost_usd"] = sum(costs)
        fields["finish"] = ",".join(finish(end.stop) for end in ends)
    return fields


Observe = Callable[[RequestContext, Mapping[str, Any]], None]
"""Is told of a request that is over: what is known of it, and the fields of its line."""


def install(
    app: Litestar,
    observe: Observe = lambda _context, _fields: None,
    observe_asked: Callable[[RequestContext], None] = lambda _: None,
) -> Litestar:
    """Log the requests of an application and tell clients their ids, also where the auth middleware refuses.

    Args:
        app: The application.
        observe: Is told of each.
        observe_asked: Is told when the engine is asked for one.
    """
    inside = app.asgi_handler

    async def logged(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await inside(scope, receive, send)
            return
        context = begin(scope)
        context.fields.update(method=scope["method"], path=scope["path"][:_LONGEST])
        context.note_asked = observe_asked
        context.log_end = lambda over: observe(over, _written(over, scope))
        is_complete = False

        async def seen(message: Message) -> None:
            nonlocal is_complete
            if message["type"] == "http.response.start":
                request_id.add_headers(context, message)
                await send(message)
                context.fields["status"] = message["status"]
                return
            await send(message)
            if message["type"] == "http.response.body":
                is_complete = not message.get("more_body")

        try:
            await inside(scope, receive, seen)
        finally:
            if not is_complete:
                # an answer that never ended, for no other reason, had a client that left
                context.fields.setdefault("error", "client_disconnected")
            context.log_end(context)

    app.asgi_handler = logged
    return app


def _written(context: RequestContext, scope: HTTPScope) -> Mapping[str, Any]:
    quiet = context.fields["path"].removeprefix("/v1").startswith(_QUIET)
    # the auth middleware may have found out meanwhile who calls through a proxy
    client = scope.get("client")
    fields = {**context.fields, **({"client": client[0]} if client else {}), "total_ms": context.elapsed_ms}
    what = "background" if context.is_background else "request"
    _log.log(logging.DEBUG if quiet else logging.INFO, what, extra={"fields": fields})
    return fields
