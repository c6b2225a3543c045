"""The relay in somebody's own Litestar application, beside what that application has itself."""

import logging
from typing import Any

import pytest
from litestar import Litestar, Request, Response, get
from litestar.openapi import OpenAPIConfig

import claude_relay
from claude_relay import RelayPlugin, Settings, create_app
from claude_relay.engine.echo import EchoRunner
from tests.callers import ELSEWHERE, calling

BODY = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}


@get("/health", sync_to_thread=False)
def health() -> str:
    return "mine"


@get("/own", sync_to_thread=False)
def own() -> str:
    return "mine"


@get("/broken", sync_to_thread=False)
def broken() -> str:
    raise ZeroDivisionError


def handle(_: Request[Any, Any, Any], error: Exception) -> Response[str]:
    return Response(f"handled {type(error).__name__}", status_code=418)


class Counting(EchoRunner):
    def __init__(self) -> None:
        self.calls: list[str] = []

    async def start(self) -> None:
        self.calls.append("start")

    async def stop(self) -> None:
        self.calls.append("stop")


def app(runner: EchoRunner | None = None, **chosen: Any) -> Litestar:
    return Litestar(
        [health, own, broken],
        plugins=[RelayPlugin(Settings(**chosen), runner or EchoRunner())],
        exception_handlers={Exception: handle},
        openapi_config=OpenAPIConfig("Mine", "1"),
        logging_config=None,
    )


def test_the_names_that_are_public_are_these() -> None:
    assert claude_relay.__all__ == ["RelayPlugin", "Settings", "__version__", "create_app"]
    assert {claude_relay.RelayPlugin, claude_relay.Settings, claude_relay.create_app} == {
        RelayPlugin,
        Settings,
        create_app,
    }
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        claude_relay.nothing  # noqa: B018 - it is looked for


def test_both_answer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with calling(app()) as client:
        answer = client.post("/v1/chat/completions", json=BODY)
        assert answer.json()["choices"][0]["message"]["content"] == "hi"
        assert answer.headers["x-request-id"]
        assert client.get("/v1/health").json()["status"] == "ok"
        assert client.get("/v1/models").status_code == 200
        assert client.get("/health").text == "mine"
        assert "x-request-id" not in client.get("/own").headers
    records = [record for record in caplog.records if record.name == "claude_relay.web.access_log"]
    assert [vars(record)["fields"]["path"] for record in records] == ["/v1/chat/completions", "/v1/models"]


def test_a_stream_streams() -> None:
    with calling(app()) as client:
        text = client.post("/v1/chat/completions", json={**BODY, "stream": True}).text

    assert text.endswith("data: [DONE]\n\n")


def test_each_has_its_own_errors() -> None:
    with calling(app(max_body_size=1)) as client:
        assert client.get("/broken").text == "handled ZeroDivisionError"
        assert client.get("/nowhere").text == "handled NotFoundException"
        wrong = client.post("/v1/chat/completions", json={"messages": 1})
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "messages")
        assert client.post("/v1/chat/completions", content=b"x" * 2_000_000).status_code == 413


def test_strangers_reach_what_is_not_the_relays() -> None:
    with calling(app(), ELSEWHERE) as client:
        assert client.get("/own").text == "mine"
        refused = client.post("/v1/chat/completions", json=BODY)
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "local_only")
        assert client.head("/v1/models").status_code == 401
        assert client.get("/v1/health").json() == {"status": "ok"}


def test_both_are_documented() -> None:
    with calling(app()) as client:
        document = client.get("/schema/openapi.json").json()

    assert document["info"]["title"] == "Mine"
    assert {"/own", "/v1/chat/completions", "/v1/models"} < set(document["paths"])


def test_the_engine_starts_and_stops_with_the_application() -> None:
    runner = Counting()
    with calling(app(runner)) as client:
        client.get("/own")
        assert runner.calls == ["start"]

    assert runner.calls == ["start", "stop"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/models"), ("OPTIONS", "/v1/models"), ("POST", "/v1/chat/completions")]
)
async def test_an_application_that_was_never_started_serves_nobody(method: str, path: str) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "http_version": "1.1",
        "scheme": "http",
        "root_path": "",
        "state": {},
    }
    await app()(scope, receive, send)

    assert sent[0]["status"] == 401


def test_further_paths_without_a_prefix_are_a_choice() -> None:
    mounted = Litestar(
        [own], plugins=[RelayPlugin(Settings(), EchoRunner(), prefixes=("/ai", "/v1", ""))], logging_config=None
    )
    with calling(mounted) as client:
        statuses = [client.get(f"{prefix}/health").status_code for prefix in ("/ai", "/v1", "")]

    assert statuses == [200, 200, 200]


@pytest.mark.parametrize("handlers", [{}, {Exception: handle}, {404: handle, 405: handle}])
def test_where_there_is_no_route_each_application_answers_for_its_own_paths(handlers: dict[Any, Any]) -> None:
    mounted = Litestar(
        [own],
        plugins=[RelayPlugin(Settings(), EchoRunner())],
        exception_handlers=handlers,
        logging_config=None,
    )
    with calling(mounted) as client:
        relays = [client.get("/v1/chat/completions/x"), client.delete("/v1/models"), client.get("/v1/chat/completions")]
        others = [client.get("/nowhere"), client.delete("/own")]

    assert [response.status_code for response in relays] == [404, 405, 405]
    assert [response.json()["error"]["type"] for response in relays] == ["invalid_request_error"] * 3
    if handlers:
        assert [response.text for response in others] == [
            "handled NotFoundException",
            "handled MethodNotAllowedException",
        ]
    else:
        assert [response.json()["status_code"] for response in others] == [404, 405]
