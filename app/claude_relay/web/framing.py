"""Splits the bytes of a connection into requests, each with its own body. Pure.

Whatever two readers could take for different things is refused, since a proxy before the relay is such a reader.
"""

import re
from enum import Enum, auto

import httptools
from msgspec import Struct

from claude_relay.errors import InvalidRequestError, RelayError, UpgradeRefusedError

LONGEST_HEAD = 64 * 1024
"""Bytes that may come before they make up a request line with its headers, a piece of a body, or an end."""

Header = tuple[bytes, bytes]

_LENGTH = re.compile(rb"[0-9]{1,18}")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_ONCE = frozenset({b"host", b"content-length", b"transfer-encoding"})
"""Headers of which a second one would make it a matter of taste which of them counts."""
_NO_UPGRADE = "Only HTTP/1.1 is supported: no WebSockets, no CONNECT."


class Head(Struct, frozen=True):
    """The request line and headers.

    Attributes:
        method: Such as ``POST``.
        version: ``1.1`` or ``1.0``.
        path: As it was sent.
        query: What stands after the question mark.
        headers: Names in lower case.
        keeps_alive: Whether another request may follow on the connection.
        expects_continue: Whether the client waits for leave to send its body.
    """

    method: str
    version: str
    path: bytes
    query: bytes
    headers: list[Header]
    keeps_alive: bool
    expects_continue: bool


class Boundary(Enum):
    """What separates requests in the list of events."""

    END = auto()
    """The request is whole."""


Event = Head | bytearray | Boundary | RelayError
"""The beginning of a request, a piece of its body, its end; or why nothing more is read, which is the last event."""


class RequestReader:
    """Reads one connection.

    httptools takes what follows an offer of another protocol (``Upgrade``) for that protocol, before anybody has
    accepted the offer. So such a head is read a second time, without the offer.
    """

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._events: list[Event] = []
        self._unfinished = 0
        self._begun = False
        self._over = False
        self._offered = False
        self._is_head = True
        self._keeps_alive = True
        self._size = 0
        self._url = b""
        self._headers: list[Header] = []

    @property
    def is_within_request(self) -> bool:
        """Whether a request has begun to arrive and is not complete."""
        return self._begun and not self._over

    @property
    def path(self) -> str:
        """The path of the request that comes, as far as it was read; it may be none that a server takes."""
        return self._url.partition(b"?")[0].decode("latin-1")

    def feed(self, data: bytes) -> list[Event]:
        """Return what the next bytes of the connection complete."""
        events = self._events = []
        self._unfinished += len(data)
        rest = memoryview(data)
        while rest and not self._over:
            rest = self._read(rest)
        if self._unfinished > LONGEST_HEAD:
            self._refuse(f"The headers are larger than {LONGEST_HEAD} bytes.")
        return events

    def _read(self, data: memoryview) -> memoryview:
        """Read up to the next offer of another protocol, and return what comes after it."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline()
            return data[offer.args[0] :]
        except httptools.HttpParserError as error:
            self._refuse(f"The request is not valid HTTP/1.1: {error}.")
        return data[:0]

    def _decline(self) -> None:
        """Go on as if another protocol had not been offered."""
        if self._over:
            return
        self._offered = False
        method, version = self._parser.get_method(), self._parser.get_http_version()
        offers = [value.lower() for name, value in self._headers if name == b"upgrade"]
        if method == b"CONNECT" or (b"websocket" in offers and version == "1.1"):
            self._end(UpgradeRefusedError(_NO_UPGRADE))
            return
        lines = [b"%b %b HTTP/%b" % (method, self._url, version.encode())]
        lines += [b"%b: %b" % header for header in self._headers if header[0] != b"upgrade"]
        self._parser = httptools.HttpRequestParser(self)
        self._read(memoryview(b"\r\n".join((*lines, b"", b""))))

    # what httptools calls

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._begun = self._is_head = True
        self._url, self._headers, self._size = b"", [], 0

    def on_url(self, url: bytes) -> None:
        """Take a part of a request's target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers after a body are ignored."""
        if self._is_head:
            self._headers.append((name.lower(), value))
            self._size += len(name) + len(value) + 4

    def on_headers_complete(self) -> None:
        """End the head of a request."""
        self._unfinished = 0
        self._is_head = False
        if self._over:
            return
        if self._parser.should_upgrade():
            self._offered = True
            return
        self._keeps_alive = self._parser.should_keep_alive() and self._parser.get_http_version() == "1.1"
        try:
            self._events.append(self._head())
        except InvalidRequestError as error:
            self._end(error)

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._unfinished = 0
        if self._over:
            return
        # pieces may be of one byte each
        if self._events and isinstance(self._events[-1], bytearray):
            self._events[-1] += body
        else:
            self._events.append(bytearray(body))

    def on_message_complete(self) -> None:
        """End a request."""
        if self._offered or self._over:
            return
        self._unfinished = 0
        self._begun = False
        self._events.append(Boundary.END)
        # whoever says that this was the last request is taken at its word
        self._over = not self._keeps_alive

    def _head(self) -> Head:
        if self._size + len(self._url) > LONGEST_HEAD:
            raise _invalid(f"The headers are larger than {LONGEST_HEAD} bytes.")
        version = self._parser.get_http_version()
        once = _checked(self._headers, version)
        path, query = _target(self._url, once.get(b"host", b""))
        expects = any(name == b"expect" and value.lower() == b"100-continue" for name, value in self._headers)
        return Head(
            self._parser.get_method().decode("ascii"),
            version,
            path,
            query,
            self._headers,
            self._keeps_alive,
            expects and version == "1.1",
        )

    def _refuse(self, reason: str) -> None:
        self._end(_invalid(reason))

    def _end(self, error: RelayError) -> None:
        if not self._over:
            self._over = True
            self._events.append(error)


def _checked(headers: list[Header], version: str) -> dict[bytes, bytes]:
    """Return the headers that may come once only.

    Raises:
        InvalidRequestError: It is not certain how long the request is, or for whom.
    """
    if version not in {"1.1", "1.0"}:
        raise _invalid(f"HTTP/{version} is not supported; use HTTP/1.1.")
    once: dict[bytes, bytes] = {}
    for name, value in headers:
        if _CONTROL.search(value):
            raise _invalid(f"The header {name.decode('latin-1')!r} contains a control character.")
        if name in _ONCE:
            if name in once:
                raise _invalid(f"The header {name.decode()!r} was sent twice.")
            once[name] = value
    if version == "1.1" and b"host" not in once:
        raise _invalid("The header 'host' is missing.")
    length, coding = once.get(b"content-length"), once.get(b"transfer-encoding")
    if length is not None and (coding is not None or not _LENGTH.fullmatch(length)):
        raise _invalid("The header 'content-length' must be one number, without a 'transfer-encoding' beside it.")
    if coding is not None and (version == "1.0" or coding.lower() != b"chunked"):
        raise _invalid("The header 'transfer-encoding' must be 'chunked', in a request of HTTP/1.1.")
    return once


def _target(url: bytes, host: bytes) -> tuple[bytes, bytes]:
    """Return the path and the query of a request's target.

    Raises:
        InvalidRequestError: The target is none, or for another host than the request.
    """
    if not url.isascii():
        raise _invalid("The target of the request must be ASCII.")
    if url.startswith(b"/") or url == b"*":
        path, _, query = url.partition(b"#")[0].partition(b"?")
        return path, query
    try:
        parsed = httptools.parse_url(url)
    except httptools.HttpParserInvalidURLError:
        raise _invalid("The target of the request is neither a path nor a URL.") from None
    named = parsed.host if parsed.port is None else b"%b:%d" % (parsed.host, parsed.port)
    if host and named.lower() != host.lower():
        raise _invalid("The target of the request and the header 'host' name different hosts.")
    return parsed.path or b"/", parsed.query or b""


def _invalid(reason: str) -> InvalidRequestError:
    return InvalidRequestError(reason, code="invalid_http")
