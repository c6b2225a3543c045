"""A real server on a real socket, and what is said to it byte by byte."""

import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import uvicorn
from litestar import Litestar

from claude_relay.web.protocol import BoundedProtocol
from tests.serving import Place, serving


def listening(app: Litestar, host: str = "127.0.0.1") -> AbstractContextManager[Place]:
    """Serve an application as ``claude-relay serve`` does, until the block ends."""
    return serving(uvicorn.Config(app, host=host, port=0, http=BoundedProtocol, proxy_headers=False, log_config=None))


@contextmanager
def connected(place: Place) -> Iterator[socket.socket]:
    """Connect, with a deadline for whatever is waited for."""
    with socket.create_connection(place, timeout=20) as connection:
        yield connection


def head(path: str = "/v1/chat/completions", method: str = "POST", **headers: str) -> bytes:
    """Return the head of a request."""
    lines = [f"{method} {path} HTTP/1.1", "host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "", "")).encode()


def answer(connection: socket.socket) -> bytes:
    """Return what comes until a whole response, with the length that it announces, is there."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += _some(connection)
    top, _, body = received.partition(b"\r\n\r\n")
    lengths = [line.partition(b":")[2] for line in top.lower().splitlines() if line.startswith(b"content-length:")]
    while len(body) < int(lengths[0]):
        body += _some(connection)
    return top + b"\r\n\r\n" + body


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    assert data, "the server hung up"
    return data
