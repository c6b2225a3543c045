from collections.abc import Iterator

import pytest

from tests.live.relay import Relay, clean_environment, relay
from tests.upstream import FakeUpstream


@pytest.fixture(scope="session")
def _chat(shared_upstream: FakeUpstream, claude_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    home = tmp_path_factory.mktemp("chat")
    environ = clean_environment(home, shared_upstream)
    with relay(home, environ, personality="chat", claude_path=claude_path) as running:
        yield running


@pytest.fixture(scope="session")
def _agent(
    shared_upstream: FakeUpstream, claude_path: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Relay]:
    home = tmp_path_factory.mktemp("agent")
    environ = clean_environment(home, shared_upstream)
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
