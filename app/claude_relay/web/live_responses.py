"""Responses that begin before their answer is complete: signs of life, errors inside, and a clean-up in any case."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any

import anyio
import msgspec
from litestar import Request
from litestar.response import Stream
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from msgspec import Struct

from claude_relay.errors import ClientDisconnectedError, RelayError
from claude_relay.web import access_log
from claude_relay.web.context import context_of, has_begun
from claude_relay.web.dialect import OPENAI, Dialect
from claude_relay.web.disconnects import cancel_on_disconnect, nothing
from claude_relay.web.errors import to_relay_error

KEEP_ALIVE = 10.0
"""Seconds of silence after which a sign of life is sent, so that proxies and clients do not give up."""

EVENTS = "text/event-stream"
"""The media type of streams of events."""
_END: Message = {"type": "http.response.body", "body": b"", "more_body": False}
_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}
"""Keep proxies from holding events back."""


class Form(Struct, frozen=True):
    """What a response consists of.

    Attributes:
        media_type: Its media type.
        sign_of_life: Returns bytes that mean nothing, for proxies and clients that wait.
        error: Yields the parts that report an error.
    """

    media_type: str
    sign_of_life: Callable[[], bytes]
    error: Callable[[RelayError], Iterable[bytes]]


def event_stream(dialect: Dialect = OPENAI) -> Form:
    """Return the form of server-sent events."""
    return Form(EVENTS, lambda: b": keep-alive\n\n", lambda error: (dialect.error_frame(error),))


def json_document(dialect: Dialect = OPENAI) -> Form:
    """Return the form of one JSON document, before which white space may stand."""
    return Form("application/json", lambda: b" ", lambda error: (msgspec.json.encode(dialect.error_body(error)),))


EVENT_STREAM = event_stream()
"""The form of OpenAI's streams."""


class LiveResponse(Stream):
    """A response whose parts are each sent as they come.

    Args:
        parts: The parts. What it raises is reported in a last part, and the response ends there.
        close: Cleans up behind the parts. Awaited once, whatever happens, even when no part was ever taken.
        headers: Further response headers.
        form: What the response consists of.
        keep_alive: Seconds of silence before a sign of life.
        departed: Awaited when the client has left; the parts go on, to nobody, until it returns.
    """

    def __init__(
        self,
        parts: AsyncIterator[bytes],
        close: Callable[[], Awaitable[None]],
        headers: Mapping[str, str] | None = None,
        form: Form = EVENT_STREAM,
        keep_alive: float = KEEP_ALIVE,
        *,
        departed: Callable[[], Awaitable[None]] = nothing,
    ) -> None:
        super().__init__(parts, media_type=form.media_type, headers={**_HEADERS, **(headers or {})})
        self._parts = parts
        self._close = close
        self._keep_alive = keep_alive
        self._departed = departed
        self._form = form
        self._last = 0.0

    def to_asgi_response(self, *args: Any, **kwargs: Any) -> ASGIApp:  # type: ignore[override] # any ASGI app does
        """Return an ASGI application that streams, and then closes."""
        response = super().to_asgi_response(*args, **kwargs)

        async def stream_and_close(scope: Scope, receive: Receive, send: Send) -> None:
            if has_begun(scope):
                context_of(scope).report_error = lambda error: b"".join(self._form.error(error))
            try:
                await response.start_response(send)
                with contextlib.suppress(ClientDisconnectedError):
                    request = Request[Any, Any, Any](scope, receive)
                    await cancel_on_disconnect(request, lambda: self._stream(scope, send), self._departed)
            finally:
                with anyio.CancelScope(shield=True):
                    await self._close()

        return stream_and_close

    async def _stream(self, scope: Scope, send: Send) -> None:
        """Send the parts, and a sign of life whenever there was none for a while."""
        self._last = time.monotonic()
        ticking = asyncio.create_task(self._tick(send))
        try:
            async for data in self._parts:
                self._last = time.monotonic()
                await send({"type": "http.response.body", "body": data, "more_body": True})
        except Exception as exception:  # noqa: BLE001 - the client is told, whatever it is
            error = to_relay_error(exception)
            access_log.annotate(scope, error=error.code)
            for part in self._form.error(error):
                await send({"type": "http.response.body", "body": part, "more_body": True})
        finally:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)
        await send(_END)

    async def _tick(self, send: Send) -> None:
        while True:
            await asyncio.sleep(max(0.0, self._last + self._keep_alive - time.monotonic()))
            if time.monotonic() - self._last >= self._keep_alive:
                self._last = time.monotonic()
                await send({"type": "http.response.body", "body": self._form.sign_of_life(), "more_body": True})
