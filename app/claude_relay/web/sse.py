"""Responses of server-sent events: errors inside a stream, signs of life, and an end that always cleans up."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
from litestar.response import Stream
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from claude_relay.web import access_log
from claude_relay.web.dialect import OPENAI, Dialect
from claude_relay.web.errors import to_relay_error

KEEP_ALIVE = 10.0
"""Seconds of silence after which a comment is sent, so that proxies and clients see life."""

_COMMENT: Message = {"type": "http.response.body", "body": b": keep-alive\n\n", "more_body": True}
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
        headers: dict[str, str] | None = None,
        dialect: Dialect = OPENAI,
        keep_alive: float = KEEP_ALIVE,
    ) -> None:
        super().__init__(
            _with_error(frames, dialect), media_type="text/event-stream", headers={**_HEADERS, **(headers or {})}
        )
        self._close = close
        self._keep_alive = keep_alive

    def to_asgi_response(self, *args: Any, **kwargs: Any) -> ASGIApp:  # type: ignore[override] # any ASGI app does
        """Return an ASGI application that streams, and then closes."""
        streaming = super().to_asgi_response(*args, **kwargs)

        async def stream_and_close(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                async with _kept_alive(send, self._keep_alive) as watched:
                    await streaming(scope, receive, watched)
            finally:
                with anyio.CancelScope(shield=True):
                    await self._close()

        return stream_and_close


@contextlib.asynccontextmanager
async def _kept_alive(send: Send, silence: float) -> AsyncIterator[Send]:
    """Send a comment whenever nothing else was sent for a while, from the first event to the last."""
    last = time.monotonic()
    ticking: asyncio.Task[None] | None = None

    async def tick() -> None:
        nonlocal last
        while True:
            await asyncio.sleep(max(0.0, last + silence - time.monotonic()))
            if time.monotonic() - last >= silence:
                last = time.monotonic()
                await send(_COMMENT)

    async def watched(message: Message) -> None:
        nonlocal last, ticking
        last = time.monotonic()
        if message["type"] == "http.response.start":
            ticking = asyncio.create_task(tick())
        elif not message.get("more_body") and ticking is not None:
            ticking.cancel()
        await send(message)

    try:
        yield watched
    finally:
        if ticking is not None:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)


async def _with_error(frames: AsyncIterator[bytes], dialect: Dialect) -> AsyncIterator[bytes]:
    try:
        async for data in frames:
            yield data
    except Exception as exception:  # noqa: BLE001 - the client is told, whatever it is
        error = to_relay_error(exception)
        access_log.annotate(error=error.code)
        yield dialect.error_frame(error)
