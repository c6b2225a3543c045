"""A server that is about to stop: who is waited for, who is sent away, and who is told."""

import asyncio
import json
import multiprocessing
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from multiprocessing import Pipe
from types import FrameType
from typing import Any

import pytest
from litestar import Litestar, Request, Response, get
from litestar.types import Message

from claude_relay.web import draining, live_responses
from claude_relay.web.draining import Draining
from claude_relay.web.frames import DONE
from claude_relay.web.jobs import Jobs
from claude_relay.web.plugin import WebPlugin

pytestmark = pytest.mark.anyio

TOLD = {"message": "The relay was stopped before the answer was complete.", "type": "server_error", "param": None}


class Server:
    """An application with answers that take as long as a test wants, and the signals it would get.

    Attributes:
        stopped: The signals that the server's own handlers got in the end.
        closed: How many streams were cleaned up behind.
    """

    def __init__(self, grace_period: float) -> None:
        self.jobs = Jobs()
        self.draining = Draining(grace_period, self.jobs)
        self.go_on = asyncio.Event()
        self.working = asyncio.Semaphore(0)
        self.stopped: list[int] = []
        self.closed = 0
        self.draining._handlers = dict.fromkeys(
            (signal.SIGTERM, signal.SIGINT), lambda number, _: self.stopped.append(number)
        )
        self.app = Litestar(
            [self._plain(), self._stream(), self._open()],
            middleware=[self.draining.middleware],
            plugins=[WebPlugin(), self.draining],
        )

    def ask(self, path: str, *, reads: bool = True) -> "Client":
        """Send a request."""
        return Client(self.app, path, reads=reads)

    async def end(self) -> None:
        """Wait until the server's own handlers have been called."""
        async with asyncio.timeout(5):
            while not self.stopped:  # noqa: ASYNC110 - there is no event for this
                await asyncio.sleep(0.001)

    def _plain(self) -> Any:
        @get("/plain")
        async def plain() -> str:
            self.working.release()
            await self.go_on.wait()
            return "done"

        return plain

    def _stream(self) -> Any:
        async def frames() -> AsyncIterator[bytes]:
            yield b"data: one\n\n"
            self.working.release()
            await self.go_on.wait()
            yield DONE

        async def close() -> None:
            self.closed += 1

        @get("/stream")
        async def stream() -> Response[Any]:
            return live_responses.LiveResponse(frames(), close)

        return stream

    def _open(self) -> Any:
        @get("/open", opt={draining.SERVE_WHILE_DRAINING: True})
        async def opened(request: Request[Any, Any, Any]) -> dict[str, bool]:
            return {"draining": draining.is_draining(request)}

        return opened


class Client:
    """One request, in a task of its own as a server has it."""

    def __init__(self, app: Litestar, path: str, *, reads: bool) -> None:
        self.sent: list[Any] = []
        self._received = False
        self._reads = reads
        self._begun, self._over = asyncio.Event(), asyncio.Event()
        self.task = asyncio.create_task(self._served(app, path))

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def error(self) -> dict[str, Any]:
        """The error in the last event, or in the whole body."""
        *_, last = self.body.removesuffix(b"\n\n").split(b"data: ")
        return dict(json.loads(last)["error"])

    async def _served(self, app: Litestar, path: str) -> None:
        scope: Any = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"localhost")],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
            "scheme": "http",
            "http_version": "1.1",
            "app": app,
            "state": {},
        }
        await app(scope, self._receive, self._send)

    async def begun(self) -> None:
        """Wait until the head of the answer was sent."""
        await self._begun.wait()

    async def _receive(self) -> Any:
        if not self._received:
            self._received = True
            return {"type": "http.request", "body": b"", "more_body": False}
        # as servers say it once an answer is complete
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if not self._reads and self.sent:
            await asyncio.Event().wait()
        self.sent.append(message)
        self._begun.set()
        if message["type"] == "http.response.body" and not message["more_body"]:
            self._over.set()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def signals() -> Iterator[list[int]]:
    """The signals that arrive at handlers as a server would have them."""
    heard: list[int] = []

    def hear(number: int, _: FrameType | None) -> None:
        heard.append(number)

    before = {number: signal.signal(number, hear) for number in (signal.SIGTERM, signal.SIGINT)}
    yield heard
    for number, handler in before.items():
        signal.signal(number, handler)


async def test_before_any_signal_nothing_is_different() -> None:
    server = Server(60)
    answer, opened = server.ask("/plain"), server.ask("/open")
    server.go_on.set()

    await asyncio.gather(answer.task, opened.task)

    assert (answer.status, answer.body) == (200, b"done")
    assert "connection" not in answer.headers
    assert json.loads(opened.body) == {"draining": False}


async def test_a_server_without_work_stops_at_once() -> None:
    server = Server(60)
    server.draining.begin(signal.SIGINT)

    await server.end()

    assert server.stopped == [signal.SIGINT]


async def test_what_is_running_may_finish_and_what_is_new_is_sent_away() -> None:
    server = Server(60)
    running = [server.ask("/plain"), server.ask("/stream")]
    for _ in running:
        await server.working.acquire()

    server.draining.begin()
    refused, opened = server.ask("/plain"), server.ask("/open")
    await asyncio.gather(refused.task, opened.task)

    assert (refused.status, refused.error["code"]) == (503, "shutting_down")
    assert refused.headers.items() >= {"retry-after": "1", "x-should-retry": "true", "connection": "close"}.items()
    assert (opened.status, json.loads(opened.body)) == (200, {"draining": True})
    assert server.stopped == []

    server.go_on.set()
    await server.end()

    assert [client.status for client in running] == [200, 200]
    assert running[0].headers["connection"] == "close"
    assert running[1].body == b"data: one\n\ndata: [DONE]\n\n"
    assert server.stopped == [signal.SIGTERM]


async def test_what_takes_longer_is_told_in_the_way_that_is_still_open() -> None:
    server = Server(0.01)
    plain, stream = server.ask("/plain"), server.ask("/stream")
    for _ in range(2):
        await server.working.acquire()

    server.draining.begin()
    await server.end()

    assert (plain.status, plain.error) == (503, {**TOLD, "code": "shutting_down"})
    assert (stream.status, stream.error) == (200, {**TOLD, "code": "shutting_down"})
    assert stream.body.startswith(b"data: one\n\n")
    assert stream.sent[-1].get("more_body") is False
    assert server.closed == 1
    assert plain.task.done()
    assert stream.task.done()


@pytest.mark.parametrize(
    ("first", "second", "hurries"),
    [
        (signal.SIGTERM, signal.SIGTERM, True),
        (signal.SIGINT, signal.SIGINT, True),
        (signal.SIGINT, signal.SIGTERM, False),
    ],
)
async def test_the_same_signal_again_ends_all_patience(
    first: signal.Signals, second: signal.Signals, hurries: bool
) -> None:
    server = Server(60)
    stream = server.ask("/stream")
    await server.working.acquire()
    server.draining.begin(first)
    await asyncio.sleep(0)

    server.draining.begin(second)
    if not hurries:
        await asyncio.sleep(0.05)
        server.go_on.set()
    await server.end()

    assert stream.body.endswith(DONE) is not hurries
    assert server.stopped == [first]


async def test_a_client_that_reads_nothing_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "_FLUSH_TIMEOUT", 0.02)
    server = Server(0.01)
    stream = server.ask("/stream", reads=False)
    await stream.begun()

    server.draining.begin()
    await server.end()

    assert len(stream.sent) == 1


async def test_an_answer_that_is_only_being_sent_is_not_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "_FLUSH_TIMEOUT", 0.02)
    server = Server(0.01)
    plain = server.ask("/plain", reads=False)
    server.go_on.set()
    await plain.begun()

    server.draining.begin()
    await server.end()

    assert not plain.task.done()
    assert not plain.task.cancelling()
    plain.task.cancel()


async def test_a_request_that_is_cancelled_by_somebody_else_stays_cancelled() -> None:
    server = Server(60)
    plain = server.ask("/plain")
    await server.working.acquire()

    plain.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await plain.task
    server.draining.begin()
    await server.end()

    assert plain.sent == []


async def test_signals_are_put_off_while_the_application_runs(signals: list[int]) -> None:
    server = Server(60)
    server.draining._listen()
    stream = server.ask("/stream")
    await server.working.acquire()

    signal.raise_signal(signal.SIGTERM)
    await asyncio.sleep(0.01)
    assert signals == []

    server.go_on.set()
    await stream.task
    async with asyncio.timeout(5):
        while not signals:  # noqa: ASYNC110 - there is no event for this
            await asyncio.sleep(0.001)
    server.draining._stop_listening()
    signal.raise_signal(signal.SIGINT)

    assert signals == [signal.SIGTERM, signal.SIGINT]
    assert stream.body.endswith(DONE)


async def test_signals_are_left_alone_by_a_server_in_a_thread(signals: list[int]) -> None:
    server = Server(60)
    server.draining._handlers = {}
    thread = threading.Thread(target=server.draining._listen)
    thread.start()
    thread.join()

    signal.raise_signal(signal.SIGTERM)

    assert signals == [signal.SIGTERM]
    assert server.draining._handlers == {}


async def test_a_server_whose_supervisor_is_gone_stops(monkeypatch: pytest.MonkeyPatch, signals: list[int]) -> None:
    reader, writer = Pipe(duplex=False)
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: Supervisor(reader))
    server = Server(60)
    server.draining._listen()

    writer.close()
    async with asyncio.timeout(5):
        while not signals:  # noqa: ASYNC110 - there is no event for this
            await asyncio.sleep(0.001)
    server.draining._stop_listening()

    assert signals == [signal.SIGTERM]
    reader.close()


class Supervisor:
    """A process that is known by a pipe which ends with it."""

    def __init__(self, reader: Any) -> None:
        self.sentinel: int = reader.fileno()


@pytest.mark.parametrize("ignored", [False, True])
async def test_a_terminal_that_is_closed_is_the_end_too_where_it_is_not_ignored(
    signals: list[int], ignored: bool
) -> None:
    heard: list[int] = []
    way = signal.SIG_IGN if ignored else lambda number, _: heard.append(number)
    before = signal.signal(signal.SIGHUP, way)
    try:
        server = Draining(1, Jobs())
        server._listen()
        assert (signal.getsignal(signal.SIGHUP) == way) is ignored
        signal.raise_signal(signal.SIGHUP)
        await asyncio.sleep(0.05)
        server._stop_listening()

        # the server's own handler of SIGTERM, which ends it
        assert signals == ([] if ignored else [signal.SIGHUP])
        assert heard == []
        assert signal.getsignal(signal.SIGHUP) == way
    finally:
        signal.signal(signal.SIGHUP, before)


async def test_work_without_a_request_gets_the_grace_period_too() -> None:
    server, ended = Server(60), []

    async def work() -> None:
        await server.go_on.wait()
        ended.append(True)

    server.jobs.start(work())
    await asyncio.sleep(0)
    server.draining.begin()
    await asyncio.sleep(0.02)
    assert server.stopped == []
    server.go_on.set()
    await server.end()

    assert ended == [True]


async def test_work_without_a_request_that_takes_longer_is_cancelled_and_may_say_so() -> None:
    server, ended = Server(0.02), []

    async def work() -> None:
        try:
            await server.go_on.wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.02)
            ended.append(True)
            raise

    server.jobs.start(work())
    await asyncio.sleep(0)
    server.draining.begin()
    await server.end()

    assert ended == [True]
    assert not len(server.jobs)


async def test_the_server_waits_for_requests_and_other_work_alike() -> None:
    server, go_on = Server(60), asyncio.Event()

    async def work() -> None:
        await go_on.wait()

    client = server.ask("/plain")
    await server.working.acquire()
    server.jobs.start(work())
    server.draining.begin()
    server.go_on.set()
    await client.task
    await asyncio.sleep(0.02)
    assert server.stopped == []
    go_on.set()
    await server.end()


async def test_work_that_fails_is_reported_and_does_not_count_any_more() -> None:
    jobs, told = Jobs(), []

    async def work() -> None:
        raise ConnectionError("unexpected")

    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    jobs.start(work())
    await asyncio.sleep(0.02)

    assert [str(exception) for exception in told] == ["unexpected"]
    assert not len(jobs)
