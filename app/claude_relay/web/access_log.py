"""One log line for each request: what it was, how it was served, what it cost. Never prompts or answers."""

import logging
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.types import HTTPScope, Message, Receive, Scope, Send

from claude_relay.engine.vocabulary import RunEnd, RunStarted, StopReason, Usage
from claude_relay.web import request_id

_log = logging.getLogger(__name__)

_QUIET = ("/health", "/schema")
"""Paths that are asked for so often, or mean so little, that their lines are for debugging."""
_LONGEST = 200
"""Characters of a path that are logged; clients may send any."""


class Entry:
    """What is known of a request so far."""

    def __init__(self, scope: HTTPScope) -> None:
        self._began = time.perf_counter()
        self._complete = False
        self.path = scope["path"][:_LONGEST]
        self._scope = scope
        self.fields: dict[str, Any] = {"method": scope["method"], "path": self.path}

    @property
    def elapsed_ms(self) -> int:
        """Milliseconds since the request came."""
        return round(1000 * (time.perf_counter() - self._began))

    def see(self, message: Message) -> None:
        """Note what is sent."""
        if message["type"] == "http.response.start":
            self.fields["status"] = message["status"]
        elif message["type"] == "http.response.body":
            self._complete = not message.get("more_body")

    def close(self) -> None:
        """Write the line. An answer that never ended, for no other reason, had a client that left."""
        if not self._complete:
            self.fields.setdefault("error", "client_disconnected")
        quiet = self.path.removeprefix("/v1").startswith(_QUIET)
        # the auth middleware may have found out meanwhile who calls through a proxy
        client = self._scope.get("client")
        fields = {**self.fields, **({"client": client[0]} if client else {}), "total_ms": self.elapsed_ms}
        _log.log(logging.DEBUG if quiet else logging.INFO, "request", extra={"fields": fields})


_entry: ContextVar[Entry] = ContextVar("entry")


def annotate(**fields: Any) -> None:
    """Add fields to the line of the request that is being served, if one is."""
    if (entry := _entry.get(None)) is not None:
        entry.fields.update(fields)


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
    if ends:
        usage = sum((end.usage for end in ends), Usage())
        fields["prompt_tokens"] = usage.prompt_tokens
        fields["cached_tokens"] = usage.cache_read_tokens
        fields["completion_tokens"] = usage.output_tokens
        costs = [end.cost for end in ends if end.cost is not None]
        if len(costs) == len(ends):
            fields["cost_usd"] = sum(costs)
        fields["finish"] = ",".join(finish(end.stop) for end in ends)
    return fields


def elapsed_ms() -> int:
    """Return how long the request is being served, in milliseconds; 0 if none is."""
    entry = _entry.get(None)
    return entry.elapsed_ms if entry else 0


def install(app: Litestar) -> Litestar:
    """Log the requests of an application, those included that the auth middleware refuses."""
    inside = app.asgi_handler

    async def kept(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await inside(scope, receive, send)
            return
        request_id.begin(scope)
        entry = Entry(scope)
        _entry.set(entry)

        async def seen(message: Message) -> None:
            await send(message)
            entry.see(message)

        try:
            await inside(scope, receive, seen)
        finally:
            entry.close()

    app.asgi_handler = kept
    return app
