"""The fake upstream: a scripted Messages API on a loopback port."""

import asyncio
import json
import socket
import time
from collections import deque
from collections.abc import Callable, Coroutine
from itertools import count
from threading import Condition, Thread
from types import TracebackType
from typing import Any, Self

import uvicorn

from .record import Recorded
from .replies import Failure, Reply, Script, bad_request, text
from .rules import json_refusal, refusal
from .sending import Exchange, Send, play, send_failure, send_json

COUNTED_TOKENS = 420
"""What count_tokens always answers."""

NOT_FOUND = Failure(404, "not_found_error", "Not found")
NO_OBJECT = "the request body is not a JSON object"

Receive = Callable[[], Coroutine[Any, Any, Any]]


class FakeUpstream:
    """A context manager around the running server; safe to script from another thread.

    ``default`` answers requests for messages while the queue of replies is empty. A ``strict`` one answers 400 to
    what the real API refuses, as far as `rules` know it; such a request takes no reply from the queue.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self.default: Script = text()
        self.strict = strict
        self._refusals: list[str] = []
        self._queue: deque[Script] = deque()
        self._records: list[Recorded] = []
        self._changed = Condition()
        self._request_numbers = count(1)
        self._message_numbers = count(1)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._app,
                interface="asgi3",
                http="httptools",
                proxy_headers=False,
                lifespan="off",
                ws="none",
                log_config=None,
                timeout_keep_alive=600,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = Thread(target=self._run, name="fake-upstream", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        # The socket listens already: connections wait in its backlog until the thread is up.
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._abort_connections)
        self._thread.join(timeout=5)

    def replies(self, *replies: Script) -> None:
        """Queue replies, one per request for a message, in order."""
        self._queue.extend(replies)

    @property
    def requests(self) -> list[Recorded]:
        """All requests so far, in order of arrival."""
        with self._changed:
            return list(self._records)

    @property
    def messages_requests(self) -> list[Recorded]:
        """The requests for a message (POST /v1/messages) so far."""
        return [record for record in self.requests if record.is_messages]

    @property
    def refusals(self) -> list[str]:
        """What a strict upstream said to the requests that it refused so far."""
        with self._changed:
            return list(self._refusals)

    def wait_for(self, n: int, timeout: float = 5.0) -> list[Recorded]:
        """Wait until n requests for a message arrived and return them; timeout in seconds."""
        with self._changed:
            if self._changed.wait_for(lambda: len(self.messages_requests) >= n, timeout):
                return self.messages_requests
        raise TimeoutError(f"{len(self.messages_requests)} of {n} requests within {timeout} s")

    def clear(self) -> None:
        """Forget the recorded requests, the refusals and the queued replies; ids go on counting."""
        with self._changed:
            self._records.clear()
            self._refusals.clear()
            self._queue.clear()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    async def _app(self, scope: Any, receive: Receive, send: Send) -> None:
        self._loop = asyncio.get_running_loop()
        started = time.monotonic()
        content = await _read(receive)
        if content is None:
            return
        record = Recorded(
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode(),
            headers={name.decode(): value.decode("latin-1") for name, value in scope["headers"]},
            body=_json_object(content),
            started=started,
        )
        reason = _refusal(record, content) if self.strict and record.is_messages else None
        with self._changed:
            self._records.append(record)
            if reason is not None:
                self._refusals.append(reason)
            self._changed.notify_all()
        sender = asyncio.create_task(self._answer(record, reason, send))
        watcher = asyncio.create_task(receive())  # its next message can only be http.disconnect
        try:
            await asyncio.wait((sender, watcher), return_when=asyncio.FIRST_COMPLETED)
            if not sender.done():
                if not self._server.should_exit:
                    record.disconnected.set()
            elif not sender.result():
                self._close_connection(scope["client"])
                await watcher
        finally:
            sender.cancel()
            watcher.cancel()
            record.finished.set()

    async def _answer(self, record: Recorded, reason: str | None, send: Send) -> bool:
        request_id = f"req_fake_{next(self._request_numbers):04d}"
        match record.method, record.path:
            case "POST", "/v1/messages":
                body = record.body or {}
                exchange = Exchange(
                    send=send,
                    request_id=request_id,
                    message_id=f"msg_fake_{next(self._message_numbers):04d}",
                    model=body.get("model", "unknown"),
                    stream=body.get("stream") is True,
                    sent=record.sent,
                )
                reply = self._reply(record.body) if reason is None else bad_request(reason)
                return await play(exchange, reply)
            case "POST", "/v1/messages/count_tokens":
                return await send_json(send, 200, {"input_tokens": COUNTED_TOKENS})
            case "GET" | "HEAD", "/":
                return await send_json(send, 200, {})
            case _:
                return await send_failure(send, request_id, NOT_FOUND)

    def _reply(self, body: dict[str, Any] | None) -> Reply:
        if body is None:
            return bad_request(NO_OBJECT)
        try:
            script = self._queue.popleft()
        except IndexError:
            script = self.default
        return script(body) if callable(script) else script

    def _close_connection(self, client: tuple[str, int]) -> None:
        for connection in self._server.server_state.connections:
            if getattr(connection, "client", None) == client:
                connection.transport.close()

    def _abort_connections(self) -> None:
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()


async def _read(receive: Receive) -> bytes | None:
    """The whole request body, or None if the client left before sending it all."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message["body"])
        if not message["more_body"]:
            return b"".join(parts)


def _refusal(record: Recorded, content: bytes) -> str | None:
    return json_refusal(content) or (NO_OBJECT if record.body is None else refusal(record.body))


def _json_object(content: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(content)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
