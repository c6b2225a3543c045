"""HTTP as uvicorn reads it, but headers and patience have an end, and what is no HTTP gets the one error shape."""

import asyncio

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from claude_relay.errors import InvalidRequestError
from claude_relay.web.errors import render

LONGEST_HEAD = 64 * 1024
"""Bytes that may come before they make up a request line with its headers, a piece of a body, or an end."""
LONGEST_STALL = 300.0
"""Seconds for which a client may take nothing of what waits for it."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection.

    The parser itself would keep a header that never ends, whoever sends it, until the machine has no memory left. And
    a client that stays but reads nothing any more would keep its answer's place, and the process behind it, for ever.
    """

    _unfinished = 0
    _untaken = 0
    _stall: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever answers that nobody is there any more."""
        self._stop_watching()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Hold the answer back until the client has read what it got."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """Let the answer go on."""
        self._stop_watching()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        self._unfinished += len(data)
        super().data_received(data)
        if self._unfinished > LONGEST_HEAD and not self.transport.is_closing():
            self.send_400_response(f"The headers are larger than {LONGEST_HEAD} bytes.")

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._unfinished = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._unfinished = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the end of a request."""
        self._unfinished = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, unless an answer is under way already, and hang up."""
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(_refusal(msg))
        self.transport.close()

    def _watch(self) -> None:
        self._untaken = self.transport.get_write_buffer_size()
        self._stall = self.loop.call_later(LONGEST_STALL, self._look)

    def _look(self) -> None:
        if self.transport.get_write_buffer_size() < self._untaken:
            self._watch()
        else:
            self.transport.abort()

    def _stop_watching(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None


def _refusal(message: str) -> bytes:
    body = msgspec.json.encode(render(InvalidRequestError(message, code="invalid_http")))
    head = (
        "HTTP/1.1 400 Bad Request",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "connection: close",
    )
    return "\r\n".join((*head, "", "")).encode() + body
