"""Playing a reply on an ASGI connection, at its pace."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from .replies import Failure, Message, Reply
from .wire import delta_count, error_json, message_frames, message_json

LINGER = 0.1
"""Seconds from the last delta to a drop: a client may discard what it has not read by then."""

Send = Callable[[Any], Awaitable[None]]
Headers = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request being answered: where to write, its ids, and what its body asks for."""

    send: Send
    request_id: str
    message_id: str
    model: str
    stream: bool
    sent: list[float]


async def play(exchange: Exchange, reply: Reply) -> bool:
    """Send the reply; False asks the caller to close the unfinished connection."""
    if isinstance(reply, Failure):
        return await send_failure(exchange.send, exchange.request_id, reply)
    await asyncio.sleep(reply.head_delay)
    return await (_stream if exchange.stream else _whole)(exchange, reply)


async def send_failure(send: Send, request_id: str, failure: Failure) -> bool:
    """Send an HTTP error in Anthropic's shape."""
    headers = (("request-id", request_id), *failure.headers)
    return await send_json(send, failure.status, error_json(failure, request_id), headers)


async def send_json(send: Send, status: int, content: Any, headers: Headers = (), *, whole: bool = True) -> bool:
    """Send a JSON body, or only its first half; tell whether it was all."""
    body = msgspec.json.encode(content)
    head = {"content-type": "application/json", "content-length": str(len(body))}
    await _send_head(send, status, (*head.items(), *headers))
    part = body if whole else body[: len(body) // 2]
    await send({"type": "http.response.body", "body": part, "more_body": not whole})
    return whole


async def _stream(exchange: Exchange, message: Message) -> bool:
    clock = asyncio.get_running_loop().time
    headers = {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache",
        "request-id": exchange.request_id,
    }
    await _send_head(exchange.send, 200, (*headers.items(), *message.headers))
    due = clock() + message.delay
    for frame in message_frames(message, exchange.message_id, exchange.model):
        if frame.is_delta:
            await asyncio.sleep(due - clock())
            due += message.interval
            exchange.sent.append(time.monotonic())
        await exchange.send({"type": "http.response.body", "body": frame.data, "more_body": True})
    if message.cut is not None and message.cut.how == "stall":
        await _forever()
    if message.cut is not None and message.cut.how == "drop":
        await asyncio.sleep(LINGER)
        return False
    await exchange.send({"type": "http.response.body"})
    return True


async def _whole(exchange: Exchange, message: Message) -> bool:
    how = message.cut.how if message.cut is not None else None
    if how == "stall":
        await _forever()
    await asyncio.sleep(message.delay + message.interval * max(0, delta_count(message) - 1))
    if isinstance(how, Failure):
        return await send_failure(exchange.send, exchange.request_id, how)
    content = message_json(message, exchange.message_id, exchange.model)
    headers = (("request-id", exchange.request_id), *message.headers)
    return await send_json(exchange.send, 200, content, headers, whole=how is None)


async def _send_head(send: Send, status: int, headers: Headers) -> None:
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": encoded})


async def _forever() -> None:
    await asyncio.get_running_loop().create_future()
