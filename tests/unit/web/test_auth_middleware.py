"""A handler that is reached without the middleware serves nobody, and the middleware sees every path."""

import os
import socket
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest
from litestar import Litestar, Request, get
from litestar.testing import TestClient

from claude_relay.access import peers
from claude_relay.access.keys import Entry, parse_keys
from claude_relay.access.policy import Policy, RequestHead
from claude_relay.web import auth_middleware
from claude_relay.web.auth_middleware import current_caller, request_head, require_caller
from claude_relay.web.connections import EXTENSION, Connection
from claude_relay.web.plugin import WebPlugin
from tests.callers import ELSEWHERE, calling


@get("/asked")
async def asked(request: Request[Any, Any, Any]) -> str:
    return require_caller(request.scope).name


@get("/open")
async def opened(request: Request[Any, Any, Any]) -> str:
    caller = current_caller(request.scope)
    return caller.name if caller else "a stranger"


def app() -> Litestar:
    return Litestar([asked, opened], plugins=[WebPlugin()])


POLICY = Policy(open_paths=frozenset({"/open"}))
KEYED = Policy(keys=parse_keys([Entry("key 1", "alice=correct-horse")]), open_paths=frozenset({"/open", "/asked"}))
ALICE = {"x-api-key": "correct-horse"}


@pytest.fixture
def keyed() -> Iterator[TestClient[Litestar]]:
    with calling(auth_middleware.install(app(), KEYED), ELSEWHERE) as client:
        yield client


def test_without_a_door_a_handler_that_asks_who_calls_serves_nobody() -> None:
    with TestClient(app()) as client:
        assert client.get("/asked").status_code == 401
        assert client.get("/open").text == "a stranger"


def test_a_handler_learns_who_was_let_in(keyed: TestClient[Litestar]) -> None:
    assert keyed.get("/asked", headers=ALICE).text == "alice"
    assert keyed.get("/open", headers=ALICE).text == "alice"


def test_even_an_open_path_does_not_make_a_caller_of_a_stranger(keyed: TestClient[Litestar]) -> None:
    assert keyed.get("/open").text == "a stranger"
    assert keyed.get("/asked").status_code == 401


def test_a_stranger_reaches_nothing_else() -> None:
    with calling(auth_middleware.install(app(), POLICY), ELSEWHERE) as client:
        assert client.get("/open").text == "a stranger"
        assert [client.get(path).status_code for path in ("/asked", "/nothing", "/open/more")] == [401] * 3


def test_a_header_that_was_sent_twice_is_one_with_both_values() -> None:
    scope: Any = {
        "method": "GET",
        "path": "//v1/models/",
        "client": ("127.0.0.1", 1),
        "headers": [(b"Host", b"localhost"), (b"host", b"evil.example"), (b"x", b"\xff")],
    }

    head = request_head(scope)

    assert head.headers == {"host": "localhost, evil.example", "x": "\xff"}
    assert (head.method, head.path, head.peer) == ("GET", "/v1/models", "127.0.0.1")


def test_the_log_of_the_server_tells_who_called_the_proxy() -> None:
    seen: list[Any] = []

    @get("/who")
    async def who(request: Request[Any, Any, Any]) -> str:
        seen.append(request.scope["client"])
        return ""

    unbelieving = Policy(keys=KEYED.keys)
    for policy in (unbelieving, Policy(keys=KEYED.keys, proxies=(ip_network("192.0.2.0/24"),))):
        with calling(auth_middleware.install(Litestar([who], plugins=[WebPlugin()]), policy), ELSEWHERE) as client:
            client.get("/who", headers={**ALICE, "x-forwarded-for": "203.0.113.9"})

    assert seen == [(ELSEWHERE, 50000), ("203.0.113.9", 0)]


def shown(**ends: Any) -> RequestHead:
    scope: Any = {"method": "GET", "path": "/", "headers": [], **ends}
    return request_head(scope)


def test_an_address_is_the_same_text_however_it_comes() -> None:
    assert shown(client=("::ffff:127.0.0.1", 1)).peer == "127.0.0.1"
    assert shown(client=("2001:DB8:0::1", 1)).peer == "2001:db8::1"
    assert shown(client=("unix", 1000)).peer == "unix"


def test_the_user_of_a_program_of_this_machine_is_part_of_what_is_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        here = server.getsockname()

        assert shown(client=client.getsockname(), server=here).user == os.getuid()
        assert shown(client=("unix", 1000), server=("/run/relay.sock", None)).user == 1000
        assert shown(client=("192.0.2.7", 1), server=here).user is None


def test_the_user_is_asked_for_until_it_is_known_and_once_for_each_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    told = iter([None, 1000, 1001])
    monkeypatch.setattr(peers, "user_of", lambda *_: next(told))
    first, second = ({EXTENSION: Connection()} for _ in range(2))

    assert [shown(client=None, extensions=first).user for _ in range(3)] == [None, 1000, 1000]
    assert shown(client=None, extensions=second).user == 1001


def test_a_connection_of_a_proxy_is_one_for_life() -> None:
    forwarded, extensions = [(b"X-Forwarded-For", b"192.0.2.7")], {EXTENSION: Connection()}

    assert not shown(client=None, extensions=extensions).is_proxied
    assert shown(client=None, extensions=extensions, headers=forwarded).is_proxied
    assert shown(client=None, extensions=extensions).is_proxied
    assert not shown(client=None, extensions={EXTENSION: Connection()}).is_proxied
    assert not shown(client=None).is_proxied
