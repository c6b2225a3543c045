"""Work for a client who may leave before it is done."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from litestar import Request
from litestar.types import ASGIApp, Receive, Scope, Send

from claude_relay.errors import ClientDisconnectedError

T = TypeVar("T")


def middleware(app: ASGIApp) -> ASGIApp:
    """Report a client that leaves in the middle of its request as a disconnect, not as an error of the relay."""

    async def disconnect_aware(scope: Scope, receive: Receive, send: Send) -> None:
        awaited = True

        async def received() -> Any:
            nonlocal awaited
            message = await receive()
            if awaited and message["type"] == "http.disconnect":
                raise ClientDisconnectedError("The client closed the connection before its request was complete.")
            awaited = awaited and bool(message.get("more_body"))
            return message

        await app(scope, received, send)

    return disconnect_aware


async def nothing() -> None:
    """Wait for nothing."""


async def cancel_on_disconnect(
    request: Request[Any, Any, Any],
    work: Callable[[], Awaitable[T]],
    departed: Callable[[], Awaitable[None]] = nothing,
) -> T:
    """Do some work, and stop it when the client is gone.

    Args:
        request: The client's request; its body must have been read.
        work: Starts the work; it is cancelled when nobody waits for it any more.
        departed: Awaited when the client is gone; the work goes on until it returns.

    Raises:
        ClientDisconnectedError: The client left first.
    """

    async def unwanted() -> None:
        await _disconnected(request)
        await departed()

    return await cancel_after(unwanted(), work())


async def cancel_after(end: Awaitable[None], work: Awaitable[T]) -> T:
    """Do some work, and stop it when something else has come to its end.

    Raises:
        ClientDisconnectedError: That came first.
    """
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(end)
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        leaving.result()
        raise ClientDisconnectedError("The client closed the connection.")
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def done_within(request: Request[Any, Any, Any], task: asyncio.Task[Any], seconds: float | None) -> bool:
    """Wait for a task, and tell whether it is done.

    Args:
        request: The client's request; its body must have been read.
        task: The task; it goes on, whatever happens here.
        seconds: Seconds to wait at most.

    Raises:
        ClientDisconnectedError: The client left first.
    """
    leaving = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({task, leaving}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if leaving.done() and not task.done():
            raise ClientDisconnectedError("The client closed the connection.")
        return task.done()
    finally:
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)


async def _disconnected(request: Request[Any, Any, Any]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
