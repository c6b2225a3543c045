import gc
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from claude_relay.engine.claude.discovery import bundled
from tests.upstream import FakeUpstream


def pytest_collection_finish() -> None:
    """Spare the garbage collector what lives as long as the run; each full collection would walk it."""
    gc.collect()
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--upstream",
        choices=("strict", "lenient"),
        help="whether the fake upstream of tests/live refuses what the real API refuses, whatever a test is marked",
    )


@pytest.fixture(scope="session", autouse=True)
def state_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what relays of tests store out of the user's own directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def claude_path() -> str:
    """The CLI of the dev dependency, never the one on PATH; another only if it is named on purpose."""
    path = os.environ.get("CLAUDE_RELAY_TEST_CLI") or bundled()
    assert path is not None, "the dev dependency claude-agent-sdk brings the CLI along"
    return path


@pytest.fixture(scope="session")
def shared_upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as running:
        yield running


@pytest.fixture
def upstream(shared_upstream: FakeUpstream) -> Iterator[FakeUpstream]:
    """The upstream as if no other test had used it: what this one scripts ends with it."""
    shared_upstream.clear()
    before = shared_upstream.default, shared_upstream.strict
    yield shared_upstream
    shared_upstream.default, shared_upstream.strict = before


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A HOME of one test."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
