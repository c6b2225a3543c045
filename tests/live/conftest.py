from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from claude_relay.settings import Personality
from tests.live.relay import Relay, clean_environment, relay
from tests.upstream import FakeUpstream


@pytest.fixture(scope="session")
def relay_of(
    shared_upstream: FakeUpstream, claude_path: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Personality], Relay]]:
    """Returns the one relay of a personality that all tests share."""
    started: dict[Personality, Relay] = {}
    with ExitStack() as stack:

        def get(personality: Personality) -> Relay:
            if personality not in started:
                home = tmp_path_factory.mktemp(personality)
                environ = clean_environment(home, shared_upstream)
                running = relay(home, environ, personality=personality, claude_path=claude_path)
                started[personality] = stack.enter_context(running)
            started[personality].settle()
            return started[personality]

        yield get


@pytest.fixture
def chat(relay_of: Callable[[Personality], Relay], upstream: FakeUpstream) -> Relay:
    """A relay of the isolated personality."""
    running = relay_of("chat")
    upstream.clear()
    return running


@pytest.fixture
def agent(relay_of: Callable[[Personality], Relay], upstream: FakeUpstream) -> Relay:
    """A relay of the personality that is the user's own Claude Code."""
    running = relay_of("agent")
    upstream.clear()
    return running


@pytest.fixture(params=["chat", "agent"])
def either(request: pytest.FixtureRequest) -> Relay:
    """Each personality in turn."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Relay)
    return found
