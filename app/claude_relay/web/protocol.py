"""HTTP as uvicorn reads it, but headers and patience have an end, and what is no HTTP gets the one error shape."""

import asyncio
from http import HTTPStatus

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from claude_relay.errors import InvalidRequestError, RelayError, RequestTimeoutError
from claude_relay.web.errors import render
from claude_relay.web.peers import unix_client

LONGEST_HEAD = 64 * 1024
"""Bytes that may come before they make up a request line with its headers, a piece of a body, or an end."""
LONGEST_WAIT = 60.0
"""Seconds that a request's head may take to come, and after it each piece of its body."""
LONGEST_STALL = 300.0
"""Seconds for which a client may take nothing of what waits for it."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection.

    The parser itself would keep a header that never ends, whoever sends it, until the machine has no memory left, and
    a connection on which nothing more of a request comes for ever. And a client that stays but reads nothing any more
    would keep its answer's place, and the process behind it.
    """

    _unfinished = 0
    _untaken = 0
    _stall: asyncio.TimerHandle | None = None
    _wait: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request."""
        super().connection_made(transport)
        self.client = unix_client(transport) or self.client
        self._wait_for_more()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever answers that nobody is there any more."""
        self._stop_watching()
        self._stop_waiting()
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
        if self._wait is None:
            self._wait_for_more()
        super().data_received(data)
        if self._unfinished > LONGEST_HEAD and not self.transport.is_closing():
            self.send_400_response(f"The headers are larger than {LONGEST_HEAD} bytes.")

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._unfinished = 0
        self._wait_for_more()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._unfinished = 0
        self._wait_for_more()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the end of a request."""
        self._unfinished = 0
        self._stop_waiting()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, and hang up."""
        self._hang_up(InvalidRequestError(msg, code="invalid_http"))

    def _hang_up(self, error: RelayError) -> None:
        """Tell why, unless an answer is under way already."""
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(_refusal(error))
        self.transport.close()

    def _wait_for_more(self) -> None:
        self._stop_waiting()
        self._wait = self.loop.call_later(LONGEST_WAIT, self._give_up)

    def _give_up(self) -> None:
        """Hang up, but for a whole request that is being answered: what comes after it may wait."""
        self._wait = None
        if self.cycle is None and not self._unfinished:
            # a browser opens connections that it may need, and is not told anything on them
            self.transport.close()
        elif self.cycle is None or self.cycle.more_body or self.cycle.response_complete:
            self._hang_up(RequestTimeoutError(f"Nothing more of the request came for {LONGEST_WAIT:g} seconds."))

    def _stop_waiting(self) -> None:
        if self._wait is not None:
            self._wait.cancel()
            self._wait = None

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


def _refusal(error: RelayError) -> bytes:
    body = msgspec.json.encode(render(error))
    head = (
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "connection: close",
    )
    return "\r\n".join((*head, "", "")).encode() + body
