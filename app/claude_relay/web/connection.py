"""Who is at the other end, and work for a client who may leave before it is done."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from litestar import Request

from claude_relay.errors import ClientDisconnectedError

T = TypeVar("T")


def caller_of(request: Request[Any, Any, Any]) -> str:
    """Return a name for who sends a request: the same for the same key, and never the key itself."""
    bearer = request.headers.get("authorization", "")
    key = bearer or request.headers.get("x-api-key", "") or request.headers.get("api-key", "")
    return hashlib.sha256(key.encode()).hexdigest()[:16] if key else ""


async def while_connected(request: Request[Any, Any, Any], work: Callable[[], Awaitable[T]]) -> T:
    """Do some work, and stop it the moment the client is gone.

    Args:
        request: The client's request; its body must have been read.
        work: Starts the work; it is cancelled when nobody waits for it any more.

    Raises:
        ClientDisconnectedError: The client left first.
    """
    working = asyncio.ensure_future(work())
    leaving = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnectedError("The client closed the connection.")
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _disconnected(request: Request[Any, Any, Any]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
