"""The application is put together from settings or from what a test brings."""

import asyncio
import gc
import os
import time
from typing import Any

import pytest
from litestar.openapi.config import OpenAPIConfig

from claude_relay.asgi import create_app, served
from claude_relay.engine.approvals import Approvals
from claude_relay.engine.claude.runner import ClaudeCodeRunner
from claude_relay.engine.echo import EchoRunner
from claude_relay.engine.limits.limited import LimitedRunner
from claude_relay.engine.limits.quotas import quotas
from claude_relay.engine.pausing import PausingRunner
from claude_relay.plugin import create_runner
from claude_relay.settings import Settings
from claude_relay.store.counters import MemoryCounters
from tests.callers import calling


class Counted(EchoRunner):
    """An echo that counts how often it was started and stopped."""

    def __init__(self) -> None:
        self.starts = self.stops = 0

    async def start(self) -> None:
        self.starts += 1

    async def stop(self) -> None:
        self.stops += 1


@pytest.mark.parametrize(("name", "kind"), [("echo", EchoRunner), ("claude", ClaudeCodeRunner)])
def test_the_operator_chooses_the_engine_and_it_is_governed(name: Any, kind: type) -> None:
    runner = create_runner(settings := Settings(runner=name), quotas(settings, MemoryCounters()), Approvals(1))

    assert isinstance(runner, PausingRunner)
    assert isinstance(runner._runner, LimitedRunner)
    assert isinstance(runner._runner._runner, kind)


def test_the_engine_starts_and_stops_with_the_server() -> None:
    runner = Counted()

    with calling(create_app(Settings(), runner)) as client:
        assert (runner.starts, runner.stops) == (1, 0)
        assert client.get("/health").json()["runner"] == "echo"

    assert (runner.starts, runner.stops) == (1, 1)


def test_settings_are_loaded_when_none_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_RELAY_RUNNER", "echo")

    with calling(create_app()) as client:
        assert client.get("/v1/models").json()["data"][0]["id"] == "echo"


def test_a_server_makes_its_openapi_document_beside_its_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_RELAY_RUNNER", "echo")
    beside_loop: list[bool] = []
    make = OpenAPIConfig.to_openapi_schema

    def noted(config: OpenAPIConfig) -> Any:
        beside_loop.append(asyncio._get_running_loop() is None)
        return make(config)

    monkeypatch.setattr(OpenAPIConfig, "to_openapi_schema", noted)
    with calling(served()):
        gc.unfreeze()
        until = time.monotonic() + 5
        while not beside_loop and time.monotonic() < until:
            time.sleep(0.01)

    assert beside_loop == [True]


def test_a_file_of_keys_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"alice=correct-horse")
    os.close(writer)
    monkeypatch.setenv("CLAUDE_RELAY_API_KEY_FILE", f"/dev/fd/{reader}")

    with calling(create_app(runner=EchoRunner())) as client:
        assert client.get("/v1/models").status_code == 401
        assert client.get("/v1/models", headers={"x-api-key": "correct-horse"}).status_code == 200
    os.close(reader)


def test_a_body_beyond_the_limit_is_too_large_and_one_below_is_not() -> None:
    body = b'{"messages":[{"role":"user","content":"hi"}]}'
    limit = 1024 * 1024

    with calling(create_app(Settings(max_body_size=1), EchoRunner())) as client:
        assert client.post("/v1/chat/completions", content=body.ljust(limit)).status_code == 200
        refused = client.post("/v1/chat/completions", content=body.ljust(limit + 1))

    assert refused.status_code == 413
    assert refused.json()["error"]["code"] == "request_too_large"
