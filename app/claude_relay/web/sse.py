"""Responses of server-sent events: errors inside a stream, signs of life, and an end that always cleans up."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import anyio
from litestar import Request
from litestar.response import Stream
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from claude_relay.errors import ClientDisconnectedError
from claude_relay.web import access_log
from claude_relay.web.dialect import OPENAI, Dialect
from claude_relay.web.disconnects import cancel_on_disconnect
from claude_relay.web.errors import to_relay_error

KEEP_ALIVE = 10.0
"""Seconds of silence after which a comment is sent, so that proxies and clients see life."""

_COMMENT: Message = {"type": "http.response.body", "body": b": keep-alive\n\n", "more_body": True}
_END: Message = {"type": "http.response.body", "body": b"", "more_body": False}
_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}
"""Keep proxies from holding events back."""


class EventStream(Stream):
    """A response of events, each sent as it comes.

    Args:
        frames: Framed events. What it raises is told in a last event, and the stream ends there.
        close: Cleans up behind the frames. Awaited once, whatever happens, even when no frame was ever taken.
        headers: Further response headers.
        dialect: How errors are reported.
        keep_alive: Seconds of silence that are bridged by a comment.
    """

    def __init__(
        self,
        frames: AsyncIterator[bytes],
        close: Callable[[], Awaitable[None]],
        headers: Mapping[str, str] | None = None,
        dialect: Dialect = OPENAI,
        keep_alive: float = KEEP_ALIVE,
    ) -> None:
        super().__init__(frames, media_type="text/event-stream", headers={**_HEADERS, **(headers or {})})
        self._frames = frames
        self._close = close
        self._keep_alive = keep_alive
        self._dialect = dialect
        self._last = 0.0

    def to_asgi_response(self, *args: Any, **kwargs: Any) -> ASGIApp:  # type: ignore[override] # any ASGI app does
        """Return an ASGI application that streams, and then closes."""
        response = super().to_asgi_response(*args, **kwargs)

        async def stream_and_close(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await response.start_response(send)
                with contextlib.suppress(ClientDisconnectedError):
                    await cancel_on_disconnect(Request(scope, receive), lambda: self._stream(scope, send))
            finally:
                with anyio.CancelScope(shield=True):
                    await self._close()

        return stream_and_close

    async def _stream(self, scope: Scope, send: Send) -> None:
        """Send the frames, and a comment between them whenever there was none for a while."""
        self._last = time.monotonic()
        ticking = asyncio.create_task(self._tick(send))
        try:
            async for data in self._frames:
                self._last = time.monotonic()
                await send({"type": "http.response.body", "body": data, "more_body": True})
        except Exception as exception:  # noqa: BLE001 - the client is told, whatever it is
            error = to_relay_error(exception)
            access_log.annotate(scope, error=error.code)
            await send({"type": "http.response.body", "body": self._dialect.error_frame(error), "more_body": True})
        finally:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)
        await send(_END)

    async def _tick(self, send: Send) -> None:
        while True:
            await asyncio.sleep(max(0.0, self._last + self._keep_alive - time.monotonic()))
            if time.monotonic() - self._last >= self._keep_alive:
                self._last = time.monotonic()
                await send(_COMMENT)
