"""A small fake upstream on this machine for the self-test: it sends prepared answers and records requests."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

Block = dict[str, Any]
"""A content block of an answer; an empty one stalls."""

LIMIT: Block = {"type": "limit"}
"""Ends an answer at a token limit, after as long as a quick model takes."""

_THOUGHT = 0.2
"""Seconds."""

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
_NOTHING = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"
_USAGE = {"input_tokens": 1, "output_tokens": 1}


class Loopback:
    """The requests that the upstream received, and its next answers.

    Attributes:
        url: Where it listens.
        bodies: The requests for messages so far.
        answers: What to say next, one list of blocks for each request; without one it says ``ok``.
        left: Set when a client has gone while the upstream stalled.
    """

    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[dict[str, Any]] = []
        self.answers: list[list[Block]] = []
        self.left = asyncio.Event()
        self._ids = itertools.count()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(_content_length(head))
            if head.startswith(b"POST /v1/messages?"):
                await self._answer(msgspec.json.decode(body), reader, writer)
            else:
                writer.write(_NOTHING)
                await writer.drain()
        writer.close()

    async def _answer(self, body: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.bodies.append(body)
        blocks = self.answers.pop(0) if self.answers else [{"type": "text", "text": "ok"}]
        if LIMIT in blocks:
            await asyncio.sleep(_THOUGHT)
        writer.write(_HEAD + b"".join(map(_frame, _events(blocks, f"msg_{next(self._ids)}", body["model"]))))
        await writer.drain()
        if {} in blocks:
            try:
                await reader.read(1)
            finally:
                self.left.set()


@asynccontextmanager
async def loopback() -> AsyncIterator[Loopback]:
    """Listen on a free port of this machine."""
    upstream = Loopback()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, limit=1 << 24)
    upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield upstream
    finally:
        server.close()


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def _events(blocks: list[Block], message_id: str, model: str) -> list[dict[str, Any]]:
    message = {"id": message_id, "type": "message", "role": "assistant", "model": model, "content": [], "usage": _USAGE}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": message}]
    for index, block in enumerate(block for block in blocks if block != LIMIT):
        if not block:
            return events
        if block["type"] == "text":
            empty, piece = {**block, "text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            arguments = msgspec.json.encode(block["input"]).decode()
            empty, piece = {**block, "input": {}}, {"type": "input_json_delta", "partial_json": arguments}
        events += [
            {"type": "content_block_start", "index": index, "content_block": empty},
            {"type": "content_block_delta", "index": index, "delta": piece},
            {"type": "content_block_stop", "index": index},
        ]
    called = any(block["type"] == "tool_use" for block in blocks)
    stop = "max_tokens" if LIMIT in blocks else "tool_use" if called else "end_turn"
    delta = {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": _USAGE}
    return [*events, delta, {"type": "message_stop"}]


def _frame(event: dict[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: ".encode() + msgspec.json.encode(event) + b"\n\n"
