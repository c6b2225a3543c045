"""Requests of one connection, over a real socket: each is executed once, in order, and gets its own answer."""

import asyncio
import contextlib
import functools
import http.client
import io
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claude_relay.asgi import create_app
from claude_relay.engine.echo import EchoRunner
from claude_relay.settings import Settings
from claude_relay.web import protocol
from claude_relay.web.connections import Connections, Limits
from claude_relay.web.protocol import BoundedProtocol
from tests.api.sockets import answer, connected, listening
from tests.framing import BODIES, OFFERS, as_h11_reads, connections, message
from tests.serving import Place, serving

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Tagging:
    """An application whose answer to a request is the request.

    ``/slow`` waits until it may answer, ``/stream`` begins and then waits, ``/large`` answers before it has read.

    Attributes:
        executed: The requests that came whole, in their order.
    """

    def __init__(self) -> None:
        self.executed: list[tuple[str, str, bytes]] = []
        self.left = threading.Event()
        self.began = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._go = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        self._loop = asyncio.get_running_loop()
        if scope["path"] == "/large":
            await self._answer(send, 413, b"too large")
            return
        body, more = b"", True
        while more:
            event = await receive()
            if event["type"] == "http.disconnect":
                return
            body += event["body"]
            more = event["more_body"]
        request = (scope["method"], scope["path"], body)
        self.executed.append(request)
        tag = repr(request).encode()
        if scope["path"] == "/stream":
            await send(
                {
                    "type": "http.response.start",
                    "status": 200,
                    "headers": [(b"x-version", scope["http_version"].encode())],
                }
            )
            await send({"type": "http.response.body", "body": b"first ", "more_body": True})
            await self._wait(receive)
            await send({"type": "http.response.body", "body": tag, "more_body": False})
            return
        if scope["path"] == "/slow":
            await self._wait(receive)
        await self._answer(send, 200, tag)

    def go(self) -> None:
        """Let what waits go on."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._go.set)

    async def _wait(self, receive: Any) -> None:
        self.began.set()
        waits = {asyncio.ensure_future(self._go.wait()), asyncio.ensure_future(self._leaving(receive))}
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def _leaving(self, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        if not self._go.is_set():
            self.left.set()

    @staticmethod
    async def _answer(send: Any, status: int, body: bytes) -> None:
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


@pytest.fixture
def app() -> Tagging:
    return Tagging()


@pytest.fixture
def place(app: Tagging) -> Iterator[Place]:
    with serving(uvicorn.Config(app, port=0, host="127.0.0.1", http=BoundedProtocol, log_config=None)) as found:
        yield found


def said(connection: socket.socket) -> bytes:
    """Return all that comes until the server hangs up."""
    received = b""
    try:
        while data := connection.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    return received


def answers(data: bytes) -> list[tuple[int, bytes]]:
    """Return the answers of a connection: status and body."""
    # whoever is told to go on and does not gets no answer
    while data.endswith(CONTINUE):
        data = data.removesuffix(CONTINUE)
    source, found = _Source(data), []
    while source.file.tell() < len(data):
        response = http.client.HTTPResponse(source)  # type: ignore[arg-type] # all that it needs of a socket
        response.begin()
        found.append((response.status, response.read()))
    return found


class _Source:
    def __init__(self, data: bytes) -> None:
        self.file = io.BufferedReader(io.BytesIO(data))
        self.file.close = lambda: None  # type: ignore[method-assign]

    def makefile(self, _: str) -> Any:
        return self.file


def exchanged(place: Place, data: bytes) -> list[tuple[int, bytes]]:
    """Say all at once and that this was all, and return the answers."""
    with connected(place) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return answers(said(connection))


def tagged(*requests: tuple[str, str, bytes]) -> list[tuple[int, bytes]]:
    return [(200, repr(request).encode()) for request in requests]


LAST = b"connection: close\r\n"


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS.keys())
def test_an_offer_of_another_protocol_is_declined_and_the_request_served_as_it_is(
    app: Tagging, place: Place, offer: bytes, body: tuple[bytes, bytes, bytes]
) -> None:
    framing, sent, meant = body
    first = ("POST", "/first", meant)

    found = exchanged(place, message(target=b"/first", headers=offer + framing, body=sent))

    assert found == tagged(first)
    assert app.executed == [first]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=connections(methods=(b"POST", b"GET")), cut=st.integers(0, 200))
def test_whatever_is_sent_each_request_is_executed_once_in_order_and_gets_its_own_answer(
    app: Tagging, place: Place, data: bytes, cut: int
) -> None:
    app.executed.clear()
    with connected(place) as connection:
        connection.sendall(data[:cut])
        with contextlib.suppress(OSError):  # the server may have hung up already
            connection.sendall(data[cut:])
            connection.shutdown(socket.SHUT_WR)
        found = answers(said(connection))

    expected, _ = as_h11_reads(data)
    executed = [(method, path.encode(), body) for method, path, body in app.executed]
    assert executed == expected[: len(executed)]
    served = [body for status, body in found if status == 200]
    assert served == [repr(request).encode() for request in app.executed][: len(served)]
    # what is not served is refused, once, and last
    assert [status for status, _ in found[len(served) :]] in ([], [400], [426])
    assert len(executed) == len(expected) or found[-1][0] in {400, 426}


def test_requests_that_come_upon_each_other_wait_for_their_turn(app: Tagging, place: Place) -> None:
    with connected(place) as connection:
        connection.sendall(message(target=b"/slow") + b"".join(message(target=b"/%d" % n) for n in range(50)))
        assert app.began.wait(10)
        assert len(app.executed) == 1
        app.go()
        connection.shutdown(socket.SHUT_WR)
        found = answers(said(connection))

    assert [body for _, body in found] == [repr(("POST", f"/{n}", b"")).encode() for n in ("slow", *range(50))]


def test_what_is_no_http_behind_a_request_does_not_take_its_answers_place(app: Tagging, place: Place) -> None:
    with connected(place) as connection:
        connection.sendall(message(target=b"/slow") + b"no HTTP\r\n\r\n")
        assert app.began.wait(10)
        app.go()
        first, second = answers(said(connection))

    assert first == tagged(("POST", "/slow", b""))[0]
    assert second[0] == 400


def test_nothing_after_the_last_request_is_executed(app: Tagging, place: Place) -> None:
    assert len(exchanged(place, message(target=b"/last", headers=LAST) + message(target=b"/more"))) == 1
    assert [path for _, path, _ in app.executed] == ["/last"]


def test_who_waits_for_leave_and_gets_an_answer_instead_is_not_listened_to_any_more(app: Tagging, place: Place) -> None:
    head = message(target=b"/large", headers=b"content-length: 100\r\nexpect: 100-continue\r\n")
    with connected(place) as connection:
        connection.sendall(head)
        (only,) = answers(said(connection))

    assert only == (413, b"too large")
    assert app.executed == []


def test_leave_to_send_is_given_once_the_body_is_wanted(place: Place) -> None:
    with connected(place) as connection:
        connection.sendall(message(headers=LAST + b"content-length: 2\r\nexpect: 100-continue\r\n"))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hi")

        assert answers(said(connection)) == tagged(("POST", "/", b"hi"))


@pytest.mark.parametrize("closes", [b"", b"connection: keep-alive\r\n"])
def test_clients_of_http_1_0_get_no_pieces_and_the_end_is_the_end_of_the_connection(
    app: Tagging, place: Place, closes: bytes
) -> None:
    with connected(place) as connection:
        connection.sendall(b"GET /stream HTTP/1.0\r\n" + closes + b"\r\n")
        assert app.began.wait(10)
        app.go()
        head, _, body = said(connection).partition(b"\r\n\r\n")

    assert body == b"first " + repr(("GET", "/stream", b"")).encode()
    assert b"chunked" not in head
    assert b"connection: close" in head
    assert b"x-version: 1.0" in head


# --- clients who say nothing more ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/slow", "/stream"])
def test_who_only_says_nothing_more_gets_the_answer(app: Tagging, place: Place, path: str) -> None:
    with connected(place) as connection:
        connection.sendall(message(target=path.encode()))
        connection.shutdown(socket.SHUT_WR)
        assert app.began.wait(10)
        assert not app.left.wait(0.5)
        app.go()
        ((status, body),) = answers(said(connection))

    assert status == 200
    assert body.endswith(repr(("POST", path, b"")).encode())


@pytest.mark.parametrize("path", ["/slow", "/stream"])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_who_is_gone_is_noticed_within_a_second(app: Tagging, place: Place, path: str, version: str) -> None:
    with connected(place) as connection:
        connection.sendall(f"GET {path} HTTP/{version}\r\nhost: localhost\r\n\r\n".encode())
        assert app.began.wait(10)

    assert app.left.wait(1)


def test_who_is_gone_from_a_unix_socket_is_noticed_and_who_is_not_gets_the_answer(app: Tagging, tmp_path: Path) -> None:
    path = str(tmp_path / "relay.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        with serving(uvicorn.Config(app, fd=listener.fileno(), http=BoundedProtocol, log_config=None)):
            with socket.socket(socket.AF_UNIX) as leaving:
                leaving.connect(path)
                leaving.sendall(message(target=b"/slow"))
                assert app.began.wait(10)
            assert app.left.wait(1)

            with socket.socket(socket.AF_UNIX) as staying:
                staying.connect(path)
                staying.sendall(message(target=b"/next"))
                staying.shutdown(socket.SHUT_WR)
                assert answers(said(staying)) == tagged(("POST", "/next", b""))


def test_a_body_of_very_many_pieces_is_one_body(app: Tagging, place: Place) -> None:
    with connected(place) as connection:
        connection.sendall(
            message(headers=LAST + b"transfer-encoding: chunked\r\n", body=b"1\r\na\r\n" * 300_000 + b"0\r\n\r\n")
        )
        ((status, _),) = answers(said(connection))

    assert (status, app.executed) == (200, [("POST", "/", b"a" * 300_000)])


def test_who_is_gone_is_noticed_though_it_has_asked_for_more(app: Tagging, place: Place) -> None:
    with connected(place) as connection:
        connection.sendall(message(target=b"/slow") + message(target=b"/next"))
        assert app.began.wait(10)

    assert app.left.wait(1)
    assert len(app.executed) == 1


@pytest.mark.parametrize("sent", [b"", message()[:-3], message(headers=b"content-length: 5\r\n", body=b"he")])
def test_who_says_nothing_more_before_its_request_is_whole_has_left(app: Tagging, place: Place, sent: bytes) -> None:
    with connected(place) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)

        assert said(connection) == b""
    assert app.executed == []


def test_a_connection_without_a_request_is_closed_when_its_client_says_nothing_more(place: Place) -> None:
    with connected(place) as connection:
        connection.sendall(message())
        assert answer(connection).startswith(b"HTTP/1.1 200")
        connection.shutdown(socket.SHUT_WR)

        assert connection.recv(1) == b""


def test_an_application_that_fails_does_not_leave_the_connection_to_another_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def failing(scope: Any, _: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/long":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"too long", "more_body": False})
        raise RuntimeError("broken")

    config = uvicorn.Config(failing, port=0, host="127.0.0.1", http=BoundedProtocol, log_config=None, lifespan="off")
    with serving(config) as place:
        with connected(place) as connection:
            connection.sendall(message() + message())
            ((status, body),) = answers(said(connection))
        with connected(place) as connection:
            connection.sendall(message(target=b"/long") + message())
            cut_off = said(connection)

    assert (status, json.loads(body)["error"]["code"]) == (500, "internal_error")
    assert cut_off.partition(b"\r\n\r\n")[2] == b""
    assert [record.levelname for record in caplog.records if "not answered" in record.message] == ["ERROR"] * 2


def test_what_is_asked_for_later_is_held_back_when_it_is_much(
    app: Tagging, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "LONGEST_HEAD", 1000)
    asked = [message(target=b"/%d" % n, headers=b"x: %b\r\n" % (b"y" * 200)) for n in range(3000)]
    with connected(place) as connection:
        connection.sendall(message(target=b"/slow"))
        assert app.began.wait(10)
        sending = threading.Thread(target=connection.sendall, args=(b"".join(asked),))
        sending.start()
        app.go()
        received = b""
        while received.count(b"HTTP/1.1 200") < 3001:
            received += connection.recv(65536)
        sending.join()

    assert [path for _, path, _ in app.executed] == ["/slow", *(f"/{n}" for n in range(3000))]


# --- how many there may be -------------------------------------------------------------------------------------------


def test_a_connection_too_many_is_told_so_and_closed_and_one_that_ends_makes_room(app: Tagging) -> None:
    counted = Connections(Limits(total=2, per_address=2))
    protocol_class = cast("type[asyncio.Protocol]", functools.partial(BoundedProtocol, connections=counted))
    config = uvicorn.Config(app, port=0, host="127.0.0.1", http=protocol_class, log_config=None)
    with serving(config) as place, connected(place):
        with connected(place) as second, connected(place) as third:
            ((status, body),) = answers(said(third))
            second.sendall(message(headers=LAST))
            assert len(answers(said(second))) == 1

        assert (status, json.loads(body)["error"]["code"]) == (503, "too_many_connections")
        with connected(place) as another:
            another.sendall(message(headers=LAST))
            assert answers(said(another)) == tagged(("POST", "/", b""))


# --- who is local ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x-forwarded-for", "via", "forwarded", "x-real-ip"])
def test_a_connection_on_which_anything_came_through_a_proxy_is_a_proxys_for_life(name: str) -> None:
    local = message(b"GET", b"/v1/models")
    with listening(create_app(Settings(), EchoRunner())) as place:
        before = exchanged(place, local)
        first, *others = exchanged(place, message(b"GET", b"/v1/models", f"{name}: 127.0.0.1\r\n".encode()) + local * 2)
        after = exchanged(place, local)

    assert [status for status, _ in before + after] == [200, 200]
    assert first[0] == 401
    assert [status for status, _ in others] == [401, 401]


def test_what_comes_behind_a_trusted_proxys_requests_needs_its_word_as_well() -> None:
    settings = Settings(trusted_proxy=("127.0.0.1",))
    told, untold = (message(b"GET", b"/v1/models", headers) for headers in (b"x-forwarded-for: 127.0.0.1\r\n", b""))
    with listening(create_app(settings, EchoRunner())) as place:
        found = exchanged(place, told + untold + told)

    assert found[1][0] == 401
