"""What every endpoint family shares."""

import logging
from collections.abc import Iterator
from logging.handlers import QueueHandler
from queue import SimpleQueue
from typing import Any

import pytest
from litestar import Litestar, get
from litestar.testing import TestClient

from claude_relay import __version__, logs
from claude_relay.asgi import create_app
from claude_relay.engine.echo import EchoRunner
from claude_relay.settings import Settings
from claude_relay.web.controller import WireController, failures
from claude_relay.web.dialect import ErrorResponse
from claude_relay.web.family import Family
from tests.callers import calling

_log = logging.getLogger("claude_relay.test")


class Greeting(WireController):
    path = "/hello"

    @get(responses=failures(s404="Nobody is here."), operation_id="greet")
    async def greet(self) -> dict[str, str]:
        """Greet."""
        _log.warning("greeting")
        return {"say": "hello"}


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient[Litestar]]:
    with calling(create_app(Settings(), EchoRunner(), [Family(Greeting)])) as opened:
        yield opened


@pytest.mark.parametrize("path", ["/hello", "/v1/hello"])
def test_a_route_works_with_and_without_the_prefix(client: TestClient[Litestar], path: str) -> None:
    assert client.get(path).json() == {"say": "hello"}


def test_a_route_is_documented_once_with_the_shape_of_its_errors(client: TestClient[Litestar]) -> None:
    document: dict[str, Any] = client.get("/schema/openapi.json").json()

    assert list(document["paths"]) == ["/v1/hello"]
    response = document["paths"]["/v1/hello"]["get"]["responses"]["404"]
    assert response["description"] == "Nobody is here."
    assert response["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/ErrorResponse"}
    assert document["info"]["version"] == __version__


def test_failures_are_documented_by_their_status() -> None:
    documented = failures(s400="a", s503="b")

    assert {status: spec.description for status, spec in documented.items()} == {400: "a", 503: "b"}
    assert {spec.data_container for spec in documented.values()} == {ErrorResponse}


@pytest.mark.parametrize("path", ["/hello", "/nowhere", "/schema/openapi.json"])
def test_every_answer_has_an_id_of_its_own(client: TestClient[Litestar], path: str) -> None:
    ids = [client.get(path).headers["x-request-id"] for _ in range(2)]

    assert ids[0] != ids[1]
    assert all(id_.startswith("req_") for id_ in ids)


def test_log_lines_of_a_request_carry_the_id_of_its_answer(client: TestClient[Litestar]) -> None:
    records: SimpleQueue[Any] = SimpleQueue()
    handler = QueueHandler(records)
    handler.addFilter(logs.RequestIdFilter())
    _log.addHandler(handler)
    try:
        answer = client.get("/hello")
    finally:
        _log.removeHandler(handler)

    assert records.get_nowait().request_id == answer.headers["x-request-id"]
    assert records.empty()


def test_a_page_of_another_origin_may_call_and_read_the_id(client: TestClient[Litestar]) -> None:
    answer = client.get("/hello", headers={"origin": "https://app.example"})

    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-expose-headers"] == "*"


def test_the_documentation_page_needs_no_other_server(client: TestClient[Litestar]) -> None:
    page = client.get("/schema/swagger").text

    assert "https://" not in page.replace("https://spec.openapis.org", "")
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "swagger-ui-standalone-preset.js"):
        assert f"/schema/assets/{asset}" in page
        assert client.get(f"/schema/assets/{asset}").status_code == 200
