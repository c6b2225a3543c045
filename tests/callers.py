"""Clients of an application in process, from wherever a test wants them to call."""

from typing import Any

from litestar import Litestar
from litestar.testing import TestClient
from litestar.types import Receive, Scope, Send

LOCAL = "127.0.0.1"
ELSEWHERE = "192.0.2.7"


def calling(
    app: Litestar, peer: str | None = LOCAL, base_url: str = "http://127.0.0.1:8082", **options: Any
) -> TestClient[Litestar]:
    """Return a client whose connections come from an address; Litestar's own come from none.

    Args:
        app: The application; its auth middleware sees the address.
        peer: The address; None for a connection that has none.
        base_url: What the client calls the server.
        options: Further ones of Litestar's client.
    """

    def call_from_peer() -> None:
        answering = app.asgi_handler

        async def from_peer(scope: Scope, receive: Receive, send: Send) -> None:
            scope["client"] = None if peer is None else (peer, 50000)
            await answering(scope, receive, send)

        app.asgi_handler = from_peer

    # around what plugins put around the application when it starts
    app.on_startup.append(call_from_peer)
    return TestClient(app, base_url=base_url, **options)
