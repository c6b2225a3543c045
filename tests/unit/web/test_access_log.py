"""Each request leaves one line in the log, which tells what it was and nothing that was said."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from litestar import Litestar, Request, Response, get

from claude_relay.engine.vocabulary import RunEnd, RunStarted, Usage
from claude_relay.errors import RateLimitError
from claude_relay.web import access_log, live_responses
from claude_relay.web.context import context_of
from claude_relay.web.plugin import WebPlugin
from tests.callers import LOCAL, calling

Facts = dict[str, Any]


@get("/hello")
async def hello(request: Request[Any, Any, Any]) -> str:
    await asyncio.sleep(0.02)
    access_log.annotate(request.scope, model="sonnet", elapsed=context_of(request.scope).elapsed_ms)
    return "SECRET"


@get("/full")
async def full() -> str:
    raise RateLimitError("SECRET", code="queue_full")


@get("/stream")
async def stream(request: Request[Any, Any, Any]) -> Response[str]:
    async def frames() -> Any:
        yield b"data: SECRET\n\n"
        raise RateLimitError("SECRET")

    async def close() -> None:
        access_log.annotate(request.scope, closed=True)

    return live_responses.LiveResponse(frames(), close)  # type: ignore[return-value]


@get("/health")
async def health() -> str:
    return "well"


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[..., list[Facts]]:
    """Ask for a path, and return the fields of the lines it left."""
    caplog.set_level(logging.DEBUG, "claude_relay.web.access_log")

    def ask(path: str, level: int = logging.INFO) -> list[Facts]:
        app = Litestar([hello, full, stream, health], plugins=[WebPlugin()])
        with calling(access_log.install(app)) as client:
            client.get(path, params={"q": "SECRET"}, headers={"authorization": "Bearer SECRET"})
        ours = [record for record in caplog.records if record.name.startswith("claude_relay")]
        assert "SECRET" not in str([vars(record) for record in ours])
        found = [record for record in ours if record.name == "claude_relay.web.access_log"]
        return [vars(record)["fields"] for record in found if record.levelno >= level]

    return ask


def test_an_answer_is_told_of_once_with_what_was_noted(lines: Callable[..., list[Facts]]) -> None:
    (fields,) = lines("/hello")

    assert {name: fields[name] for name in ("method", "path", "status", "model")} == {
        "method": "GET",
        "path": "/hello",
        "status": 200,
        "model": "sonnet",
    }
    assert 20 <= fields["elapsed"] <= fields["total_ms"] < 10_000
    assert "error" not in fields
    assert fields["client"] == LOCAL


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [("/full", 429, "queue_full"), ("/nowhere", 404, "not_found"), ("/stream", 200, "rate_limit_exceeded")],
)
def test_a_failure_is_told_of_by_its_code(
    lines: Callable[..., list[Facts]], path: str, status: int, error: str
) -> None:
    (fields,) = lines(path)

    assert (fields["status"], fields["error"]) == (status, error)


def test_what_is_noted_when_a_stream_is_closed_is_still_told(lines: Callable[..., list[Facts]]) -> None:
    (fields,) = lines("/stream")

    assert fields["closed"]


def test_a_path_is_told_in_part_only(lines: Callable[..., list[Facts]]) -> None:
    (fields,) = lines("/" + "x" * 5000)

    assert len(fields["path"]) == 200


def test_health_is_for_debugging(lines: Callable[..., list[Facts]]) -> None:
    assert lines("/health") == []


def test_health_is_told_of_to_those_who_want_it(lines: Callable[..., list[Facts]]) -> None:
    (fields,) = lines("/health", logging.DEBUG)

    assert fields["status"] == 200


def test_a_request_that_has_no_line_takes_no_notes() -> None:
    scope: Any = {"state": {}}

    access_log.annotate(scope, model="sonnet")

    assert scope == {"state": {}}


@pytest.mark.anyio
async def test_a_client_that_left_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "claude_relay.web.access_log")
    app = Litestar([hello], plugins=[WebPlugin()])

    async def inside(_scope: object, _receive: object, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    app.asgi_handler = inside

    async def nothing(*_: object) -> Any:
        return None

    scope: Any = {"type": "http", "method": "GET", "path": "/hello", "headers": [], "state": {}}
    await access_log.install(app).asgi_handler(scope, nothing, nothing)

    (record,) = caplog.records
    assert vars(record)["fields"]["error"] == "client_disconnected"


FINISH = str.upper


def test_the_beginning_tells_how_each_answer_got_its_process_and_the_longest_wait() -> None:
    begun = [RunStarted("reused", 0.25, 0.5), RunStarted("started", 1.5, 0.125)]

    assert access_log.run_fields(begun, [], FINISH) == {
        "origin": "reused,started",
        "queue_ms": 1500,
        "checkout_ms": 500,
    }


def test_the_end_tells_the_sum_of_tokens_and_cost_and_why_each_answer_ended() -> None:
    ends = [
        RunEnd("end", Usage(10, 5, 1, 3), cost=0.5),
        RunEnd("length", Usage(10, 0, 0, 2), cost=0.25, upstream_requests=3),
    ]

    assert access_log.run_fields([], ends, FINISH) == {
        "prompt_tokens": 26,
        "cached_tokens": 5,
        "completion_tokens": 5,
        "cost_usd": 0.75,
        "upstream_requests": 3,
        "finish": "END,LENGTH",
    }


def test_a_cost_that_is_not_known_is_not_told() -> None:
    assert "cost_usd" not in access_log.run_fields([], [RunEnd("end", Usage())], FINISH)


def test_of_what_never_ended_nothing_is_told() -> None:
    assert access_log.run_fields([], [], FINISH) == {}
