from collections.abc import Iterator
from pathlib import Path

import pytest

from claude_relay.engine.claude.discovery import bundled
from tests.live.relay import Relay, clean_environment, relay
from tests.upstream import FakeUpstream


@pytest.fixture(scope="session")
def claude_path() -> str:
    """The CLI of the dev dependency, never the one on PATH."""
    path = bundled()
    assert path is not None, "the dev dependency claude-agent-sdk brings the CLI along"
    return path


@pytest.fixture(scope="session")
def _upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as running:
        yield running


@pytest.fixture
def upstream(_upstream: FakeUpstream) -> FakeUpstream:
    _upstream.clear()
    return _upstream


@pytest.fixture(scope="session")
def _chat(_upstream: FakeUpstream, claude_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    home = tmp_path_factory.mktemp("chat")
    environ = clean_environment(home, _upstream)
    with relay(home, environ, personality="chat", claude_path=claude_path) as running:
        yield running


@pytest.fixture(scope="session")
def _agent(_upstream: FakeUpstream, claude_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    home = tmp_path_factory.mktemp("agent")
    environ = clean_environment(home, _upstream)
    with relay(home, environ, personality="agent", claude_path=claude_path) as running:
        yield running


@pytest.fixture
def chat(_chat: Relay, upstream: FakeUpstream) -> Relay:
    """A relay of the isolated personality."""
    _chat.settle()
    upstream.clear()
    return _chat


@pytest.fixture
def agent(_agent: Relay, upstream: FakeUpstream) -> Relay:
    """A relay of the personality that is the user's own Claude Code."""
    _agent.settle()
    upstream.clear()
    return _agent


@pytest.fixture(params=["chat", "agent"])
def either(request: pytest.FixtureRequest) -> Relay:
    """Each personality in turn."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Relay)
    return found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A HOME of one test."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"
