from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from claude_relay.asgi import create_app
from claude_relay.engine.echo import EchoRunner
from claude_relay.engine.runner import RunnerHealth
from claude_relay.engine.vocabulary import Event, RunRequest
from claude_relay.settings import Settings
from claude_relay.store import memory
from tests.callers import calling

Client = TestClient[Litestar]


class FailingRunner:
    """A runner that raises what it was given, when it is asked."""

    name = "failing"
    models: tuple[str, ...] = ()

    def __init__(self, failure: Exception) -> None:
        self._failure = failure

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def health(self) -> RunnerHealth:
        return RunnerHealth("degraded", reason="broken", remedy="mend it")

    def context_window(self, model: str) -> int:  # noqa: ARG002
        return 1

    async def run(self, request: RunRequest) -> AsyncGenerator[Event, None]:  # noqa: ARG002
        raise self._failure
        yield


def _opened() -> Client:
    app = create_app(Settings(), EchoRunner(), open_store=memory.open_store)
    return calling(app, raise_server_exceptions=False)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A client of the whole application over the echo runner; to build one takes longer than to ask it."""
    with _opened() as running:
        yield running


@pytest.fixture
def fresh() -> Iterator[Client]:
    """A client of such an application that nobody has asked before, for tests of what is counted."""
    with _opened() as running:
        yield running


@pytest.fixture
def failing() -> Callable[[Exception], AbstractContextManager[Client]]:
    """Makes a client of an application whose runner fails."""
    return lambda failure: calling(create_app(Settings(), FailingRunner(failure)), raise_server_exceptions=False)
