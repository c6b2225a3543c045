"""Server-sent events: framing, errors inside a stream, and an end that always cleans up."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import msgspec
from litestar.response import Stream
from litestar.types import ASGIApp, Receive, Scope, Send

from claude_relay.web.errors import render, understand

DONE = b"data: [DONE]\n\n"
"""What OpenAI's streams end with."""

_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}
"""Keep proxies from holding events back."""

_encoder = msgspec.json.Encoder()


def frame(data: msgspec.Struct) -> bytes:
    """Return one event: JSON on one line, and a blank line."""
    return b"data: " + _encoder.encode(data) + b"\n\n"


class EventStream(Stream):
    """A response of events, each sent as it comes.

    Args:
        frames: Framed events. What it raises is told in a last event, and the stream ends there.
        close: Cleans up behind the frames. Awaited once, whatever happens, even when no frame was ever taken.
        headers: Further response headers.
    """

    def __init__(
        self,
        frames: AsyncIterator[bytes],
        close: Callable[[], Awaitable[None]],
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(_with_error(frames), media_type="text/event-stream", headers={**_HEADERS, **(headers or {})})
        self._close = close

    def to_asgi_response(self, *args: Any, **kwargs: Any) -> ASGIApp:  # type: ignore[override] # any ASGI app does
        """Return an ASGI application that streams, and then closes."""
        streaming = super().to_asgi_response(*args, **kwargs)

        async def stream_and_close(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await streaming(scope, receive, send)
            finally:
                with anyio.CancelScope(shield=True):
                    await self._close()

        return stream_and_close


async def _with_error(frames: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for data in frames:
            yield data
    except Exception as exception:  # noqa: BLE001 - the client is told, whatever it is
        yield frame(render(understand(exception)))
