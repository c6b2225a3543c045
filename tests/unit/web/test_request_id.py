"""Each answer has an id, the client's own if it is a sane one, and tells how long it took."""

import asyncio
import logging
import re
from collections.abc import Iterator

import pytest
from litestar import Litestar, get
from litestar.testing import TestClient

from claude_relay import logs
from claude_relay.web import access_log
from claude_relay.web.plugin import WebPlugin

_log = logging.getLogger("claude_relay.test")


@get("/hello")
async def hello() -> str:
    return logs.request_id.get()


@get("/slow")
async def slow() -> str:
    await asyncio.sleep(0.05)
    return "at last"


@get("/broken")
async def broken() -> str:
    raise ZeroDivisionError


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient[Litestar]]:
    with TestClient(
        access_log.install(Litestar([hello, slow, broken], plugins=[WebPlugin()])), raise_server_exceptions=False
    ) as opened:
        yield opened


def id_of(client: TestClient[Litestar], sent: str | None = None, path: str = "/hello") -> str:
    headers = {} if sent is None else {"x-request-id": sent}
    return str(client.get(path, headers=headers).headers["x-request-id"])


@pytest.mark.parametrize(
    "sent", ["a", "req_123", "6f1c0c6e-1f0d-4a3e-9f63-1f2f5c1b8d8e", "trace:1.2-3_x", "x" * 128, "-"]
)
def test_a_sane_id_of_the_client_is_kept(client: TestClient[Litestar], sent: str) -> None:
    assert id_of(client, sent) == sent


@pytest.mark.parametrize("sent", ["", " ", "two words", "x" * 129, "a/b", 'a"b', "<script>", "a\tb", "%0d%0a", "a,b"])
def test_any_other_id_is_replaced(client: TestClient[Litestar], sent: str) -> None:
    assert re.fullmatch(r"req_[0-9a-f]{32}", id_of(client, sent))


def test_an_id_that_is_no_text_is_replaced(client: TestClient[Litestar]) -> None:
    answer = client.get("/hello", headers=[(b"x-request-id", b"\xff\xfe")])

    assert answer.headers["x-request-id"].startswith("req_")


def test_ids_of_clients_that_sent_none_are_all_different(client: TestClient[Litestar]) -> None:
    assert len({id_of(client) for _ in range(20)}) == 20


@pytest.mark.parametrize("path", ["/hello", "/nowhere", "/broken"])
def test_the_id_is_kept_even_on_errors(client: TestClient[Litestar], path: str) -> None:
    assert id_of(client, "mine-1", path) == "mine-1"


def test_the_handler_sees_the_id_that_the_client_is_told(client: TestClient[Litestar]) -> None:
    answer = client.get("/hello", headers={"x-request-id": "mine-2"})

    assert answer.text == answer.headers["x-request-id"] == "mine-2"


def test_one_clients_id_is_not_the_next_ones(client: TestClient[Litestar]) -> None:
    id_of(client, "mine-3")

    assert id_of(client) != "mine-3"


@pytest.mark.parametrize("path", ["/hello", "/broken"])
def test_an_answer_tells_how_long_it_took(client: TestClient[Litestar], path: str) -> None:
    assert 0 <= int(client.get(path).headers["openai-processing-ms"]) < 5000


def test_the_time_is_that_of_the_handler_in_milliseconds(client: TestClient[Litestar]) -> None:
    assert 45 <= int(client.get("/slow").headers["openai-processing-ms"]) < 5000
