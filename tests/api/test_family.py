"""A family of its own gets everything that chat has, in its own dialect, from the pieces in ``web``."""

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from claude_relay.asgi import create_app
from claude_relay.engine.echo import EchoRunner
from claude_relay.plugin import FAMILIES
from claude_relay.settings import Settings
from tests import family
from tests.api.sockets import listening
from tests.callers import ELSEWHERE, calling
from tests.family import SHOUTS

Client = TestClient[Litestar]
PATHS = ["/shouts", "/v1/shouts"]


def app(**chosen: Any) -> Litestar:
    return create_app(Settings(**chosen), EchoRunner(), (*FAMILIES, SHOUTS))


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with calling(app()) as opened:
        yield opened


def test_it_is_small() -> None:
    assert len(list(filter(None, Path(family.__file__).read_text().splitlines()))) < 80


@pytest.mark.parametrize("path", PATHS)
def test_it_answers(client: Client, path: str) -> None:
    response = client.post(path, json={"words": "hi there", "volume": 11, "x": 1})

    assert (response.status_code, response.json()) == (200, {"echo": "hi there"})
    assert response.headers["x-claude-relay-ignored"] == "volume, x"
    assert response.headers["x-request-id"]


def test_it_streams_events_with_names(client: Client) -> None:
    response = client.post("/shouts", json={"words": "hi there", "live": True})

    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.text == 'event: heard\ndata: {"echo":"hi "}\n\nevent: heard\ndata: {"echo":"there"}\n\n'


def test_a_stream_that_fails_ends_with_its_own_event(client: Client) -> None:
    response = client.post("/shouts", json={"words": "!echo error=502 after=1\na b", "live": True})

    *_, last = response.text.split("\n\n")[:-1]
    assert last.startswith('event: failed\ndata: {"failed":"The echo runner was told')


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("method", "below", "body", "status", "reason"),
    [
        ("POST", "", b'{"words": 1}', 400, "invalid_value"),
        ("POST", "", b"{", 400, "invalid_json"),
        ("POST", "", b"", 400, "invalid_json"),
        ("POST", "", b'{"words": "!echo error=429\\nhi"}', 429, "rate_limit_exceeded"),
        ("POST", "", b'{"words": "%b"}' % (b"x" * 2_000_000), 413, "request_too_large"),
        ("GET", "", b"", 405, "method_not_allowed"),
        ("POST", "/nothing", b"{}", 404, "not_found"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_its_errors_have_its_own_shape(
    path: str, method: str, below: str, body: bytes, status: int, reason: str
) -> None:
    headers = {"content-type": "application/json"} if body else {}
    with calling(app(max_body_size=1)) as client:
        response = client.request(method, path + below, content=body, headers=headers)

    assert (response.status_code, response.json()["reason"]) == (status, reason)
    assert set(response.json()) == {"failed", "reason"}


def test_the_errors_of_other_paths_keep_openais(client: Client) -> None:
    for path in ("/shoutsandmore", "/nowhere", "/v1/chat/completions"):
        assert set(client.put(path).json()) == {"error"}


@pytest.mark.parametrize("path", PATHS)
def test_strangers_are_refused_in_its_own_shape(path: str) -> None:
    with calling(app(), ELSEWHERE) as client:
        response = client.post(path, json={"words": "hi"})

    assert (response.status_code, response.json()["reason"]) == (401, "local_only")


async def _answer(place: tuple[str, int], request: bytes) -> Any:
    reader, writer = await asyncio.open_connection(*place)
    writer.write(request)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split(b" ")[1]), json.loads(body)


@pytest.mark.parametrize(
    "rest",
    [
        b"host: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"host: x\r\nhost: y\r\n\r\n",
        b"host: x\r\na: \x01\r\n\r\n",
    ],
    ids=["two lengths", "two hosts", "control character"],
)
@pytest.mark.parametrize("path", PATHS)
def test_broken_http_is_reported_in_its_own_shape(path: str, rest: bytes) -> None:
    with listening(app()) as place:
        status, body = asyncio.run(_answer(place, b"POST %b HTTP/1.1\r\n%b" % (path.encode(), rest)))

    assert (status, body["reason"]) == (400, "invalid_http")


def test_a_server_that_drains_says_so_in_its_own_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    relay = app()
    draining = next(plugin for plugin in relay.plugins.init if hasattr(plugin, "_draining"))._draining
    with calling(relay) as client:
        monkeypatch.setattr(draining, "_task", object())
        response = client.post("/v1/shouts", json={"words": "hi"})

    assert (response.status_code, response.json()["reason"]) == (503, "shutting_down")


def test_its_requests_are_logged_and_limited(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "claude_relay.web.access_log")
    with calling(create_app(Settings(runner="echo", max_per_minute=1), families=[SHOUTS])) as client:
        codes = [client.post("/v1/shouts", json={"words": "hi there"}).status_code for _ in range(2)]

    assert codes == [200, 429]
    records = [record for record in caplog.records if record.name == "claude_relay.web.access_log"]
    first, second = (vars(record)["fields"] for record in records)
    assert (first["completion_tokens"], first["finish"], first["caller"]) == (2, "end", "local")
    assert second["error"] == "rate_limit_exceeded"


def test_it_is_documented_once_with_its_own_errors_and_events(client: Client) -> None:
    document = client.get("/schema/openapi.json").json()

    assert "/v1/shouts" in document["paths"]
    assert "/shouts" not in document["paths"]
    responses = document["paths"]["/v1/shouts"]["post"]["responses"]
    assert "text/event-stream" in responses["200"]["content"]
    assert responses["400"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Failure"}
