"""One request and its answer, as ASGI's ``receive`` and ``send``, in the words of HTTP/1.1 and HTTP/1.0."""

import asyncio
import logging
import re
from http import HTTPStatus
from typing import Any, Protocol

import msgspec
from litestar.types import ASGIApp, Message, Scope

from claude_relay.errors import RelayError
from claude_relay.web import errors
from claude_relay.web.dialect import Dialect
from claude_relay.web.framing import Head, Header

_HIGH_WATER = 64 * 1024
"""Bytes of a body that wait for the application before no more is read."""
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_STATUS_LINES[529] = b"HTTP/1.1 529 Overloaded\r\n"
_BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
_MOST_ZEROS = 8
"""Digits that go before the size of a piece, of which some clients take 16."""

_log = logging.getLogger(__name__)


class Line(Protocol):
    """The connection, as an exchange uses it."""

    def write(self, data: bytes) -> None:
        """Send bytes of the answer."""

    def write_soon(self, data: bytes) -> None:
        """Send bytes of the answer, together with those that follow at once."""

    async def writable(self) -> None:
        """Wait until the client has taken enough of what was sent."""

    def pause(self) -> None:
        """Read nothing more for now."""

    def resume(self) -> None:
        """Read on."""

    def answered(self) -> None:
        """Take note that the answer is complete."""

    def close(self) -> None:
        """Hang up when everything is sent."""


class Exchange:
    """One request and its answer.

    Args:
        head: The request.
        scope: The same for the application.
        line: The connection.
        headers: What every answer has.
        dialect: How errors are reported.

    Attributes:
        keeps_alive: Whether the connection may serve another request afterwards.
        is_whole: Whether the request has come to its end.
        has_begun: Whether anything of the answer has been sent.
        is_complete: Whether all of it has.
        may_be_probed: Whether something may be sent that is no part of an answer.
    """

    def __init__(self, head: Head, scope: Scope, line: Line, headers: list[Header], dialect: Dialect) -> None:
        self.keeps_alive = head.keeps_alive
        self.may_be_probed = head.version == "1.1"
        self.is_whole = self.has_begun = self.is_complete = False
        self._head = head
        self._scope = scope
        self._line = line
        self._headers = headers
        self._dialect = dialect
        self._expects_continue = head.expects_continue
        self._news = asyncio.Event()
        self._body = bytearray()
        self._left = False
        self._chunked = False
        self._remaining: int | None = None
        self._zeros = 0

    async def run(self, app: ASGIApp) -> None:
        """Have an application answer."""
        try:
            await app(self._scope, self._receive, self._send)
        except asyncio.CancelledError:
            self._line.close()
            raise
        except Exception:  # noqa: BLE001 - whatever it is, the client is told
            _log.exception("a request was not answered to its end")
        if not self.is_complete and not self._left:
            if not self.has_begun:
                self._line.write(refusal(RelayError(errors.INTERNAL, code="internal_error"), self._dialect))
            self._line.close()

    # what comes

    def take(self, piece: bytearray) -> None:
        """Take a piece of the request's body; pieces after the answer are dropped."""
        self._expects_continue = False
        if self.is_complete or self._left:
            return
        self._body += piece
        if len(self._body) > _HIGH_WATER:
            self._line.pause()
        self._news.set()

    def end(self) -> None:
        """Take the end of the request."""
        self.is_whole = True
        self._news.set()

    def leave(self) -> None:
        """Take note that the client is gone."""
        self._left = True
        self._news.set()

    async def _receive(self) -> Any:
        if self._expects_continue and not self.has_begun and not self._left:
            self._line.write(_CONTINUE)
            self._expects_continue = False
        if not self._left and not self.is_complete:
            self._line.resume()
            await self._news.wait()
            self._news.clear()
        if self._left or self.is_complete:
            return {"type": "http.disconnect"}
        body, self._body = bytes(self._body), bytearray()
        return {"type": "http.request", "body": body, "more_body": not self.is_whole}

    # what goes

    def probe(self) -> None:
        """Send what changes nothing, so that a client who is gone is noticed.

        Before an answer that is an informational response. Within one it is a zero before the size of its next piece.
        """
        if not self.has_begun:
            self._line.write(_CONTINUE)
        elif self._chunked and self._zeros < _MOST_ZEROS:
            self._zeros += 1
            self._line.write(b"0")

    async def _send(self, message: Message) -> None:
        await self._line.writable()
        if self._left:
            return
        if message["type"] == "http.response.start" and not self.has_begun:
            self._begin(message["status"], list(message["headers"]))
        elif message["type"] == "http.response.body" and self.has_begun and not self.is_complete:
            self._go_on(message["body"], more=message["more_body"])
        else:
            raise RuntimeError(f"{message['type']} is out of place")

    def _begin(self, status: int, headers: list[Header]) -> None:
        lines = [_STATUS_LINES[status]]
        length: int | None = None
        for name, value in (*self._headers, *headers):
            if not _NAME.fullmatch(name) or _CONTROL.search(value):
                raise RuntimeError("a header of an answer is not valid")
            if name == b"content-length":
                length = int(value)
            elif name == b"connection":
                self.keeps_alive = self.keeps_alive and b"close" not in value.lower()
                continue
            lines.append(b"%b: %b\r\n" % (name, value))
        if self._head.method == "HEAD" or status in _BODILESS:
            self._remaining = 0
        elif length is not None:
            self._remaining = length
        elif self._head.version == "1.1":
            self._chunked = True
            lines.append(b"transfer-encoding: chunked\r\n")
        # a client that waits for leave and does not get it may send its body or not: nobody could tell what comes next
        self.keeps_alive = self.keeps_alive and not self._expects_continue
        if not self.keeps_alive:
            lines.append(b"connection: close\r\n")
        self.has_begun = True
        self._line.write_soon(b"".join((*lines, b"\r\n")))

    def _go_on(self, body: bytes, *, more: bool) -> None:
        if self._chunked:
            self._zeros = 0
            piece = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            self._line.write(piece if more else piece + b"0\r\n\r\n")
        elif self._head.method != "HEAD":
            self._count(len(body), more=more)
            self._line.write(body)
        if not more:
            self.is_complete = True
            self._news.set()
            self._line.answered()

    def _count(self, size: int, *, more: bool) -> None:
        """Keep to the length that was announced: what is too much would be the beginning of the next answer."""
        if self._remaining is None:
            return
        self._remaining -= size
        if self._remaining < 0 or (self._remaining and not more):
            raise RuntimeError("an answer is not as long as it said")


def refusal(error: RelayError, dialect: Dialect) -> bytes:
    """Return an answer that reports an error and is the last on its connection."""
    error = dialect.presented(error)
    body = msgspec.json.encode(dialect.error_body(error))
    upgrades = error.status == HTTPStatus.UPGRADE_REQUIRED
    head = (
        "content-type: application/json",
        f"content-length: {len(body)}",
        *(f"{name}: {value}" for name, value in errors.headers(error).items()),
        *(("upgrade: HTTP/1.1", "connection: upgrade, close") if upgrades else ("connection: close",)),
    )
    return _STATUS_LINES[error.status] + "\r\n".join((*head, "", "")).encode() + body
