import gc
import os
import socket
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from claude_relay.engine.claude.discovery import bundled
from tests.turns import Turns
from tests.upstream import FakeUpstream

TURNS = pytest.StashKey[Turns]()


def pytest_collection_finish() -> None:
    """Spare the garbage collector what lives as long as the run; each full collection would walk it."""
    gc.collect()
    gc.freeze()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Share a run of everything among two; each collects all tests, which costs more than it saves for less."""
    return 2 if config.args_source is pytest.Config.ArgsSource.TESTPATHS else 0


def pytest_configure(config: pytest.Config) -> None:
    here = Path(__file__)
    config.stash[TURNS] = turns = Turns(here, here.with_name("turns.py"))
    config.add_cleanup(turns.close)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse ids that two tests have: workers would run only one of them."""
    twice = [each for each, number in Counter(item.nodeid for item in items).items() if number > 1]
    if twice:
        raise pytest.UsageError(f"two tests have one id: {', '.join(twice)}")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Let tests with the mark ``alone`` run while no other worker's does; the wait is not part of a time limit."""
    turns = item.config.stash[TURNS]
    alone = _is_alone(item)
    turns.begin(alone=alone)
    try:
        return (yield)
    finally:
        turns.end(keep=alone and nextitem is not None and _is_alone(nextitem))


def _is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


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
def upstream(shared_upstream: FakeUpstream) -> FakeUpstream:
    shared_upstream.clear()
    return shared_upstream


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
