import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from claude_relay.engine.claude.command import CLIENT_COMPOSED_SINCE
from claude_relay.engine.claude.discovery import read_version
from tests.live.relay import Relay, clean_environment, relay
from tests.upstream import FakeUpstream

KINDS: dict[str, dict[str, str]] = {
    "chat": {"personality": "chat"},
    "agent": {"personality": "agent"},
    "verbatim": {"personality": "chat", "history": "verbatim"},
}


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR and record.name.startswith("claude_relay")


@pytest.fixture(autouse=True)
def no_errors(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What a relay does itself is no error of its log; tests that provoke one are marked."""
    yield
    if request.node.get_closest_marker("provokes_errors") is None:
        records = [record for phase in ("setup", "call") for record in caplog.get_records(phase)]
        errors = [record.getMessage() for record in records if _is_error(record)]
        assert errors == []


@pytest.fixture
def upstream(upstream: FakeUpstream, request: pytest.FixtureRequest) -> FakeUpstream:
    """A strict upstream, unless the test has the mark `lenient_upstream` or `--upstream` says otherwise."""
    asked = request.config.getoption("--upstream")
    is_marked = request.node.get_closest_marker("lenient_upstream") is not None
    upstream.strict = not is_marked if asked is None else asked == "strict"
    return upstream


@pytest.fixture(scope="package")
def relay_of(
    shared_upstream: FakeUpstream, claude_path: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Relay]]:
    """Returns the one relay of its kind that all tests share."""
    started: dict[str, Relay] = {}
    with ExitStack() as stack:

        def get(kind: str) -> Relay:
            if kind not in started:
                home = tmp_path_factory.mktemp(kind)
                environ = clean_environment(home, shared_upstream)
                running = relay(home, environ, claude_path=claude_path, **KINDS[kind])
                started[kind] = stack.enter_context(running)
            started[kind].settle()
            return started[kind]

        yield get


@pytest.fixture(scope="session")
def current(claude_path: str) -> bool:
    """Whether the CLI is one that takes plain text as such and proves that it is empty; 2.1.197 does neither."""
    return read_version(claude_path) >= CLIENT_COMPOSED_SINCE


@pytest.fixture
def chat(relay_of: Callable[[str], Relay], upstream: FakeUpstream) -> Relay:
    """A relay of the isolated personality."""
    running = relay_of("chat")
    upstream.clear()
    return running


@pytest.fixture
def agent(relay_of: Callable[[str], Relay], upstream: FakeUpstream) -> Relay:
    """A relay of the personality that is the user's own Claude Code."""
    running = relay_of("agent")
    upstream.clear()
    return running


@pytest.fixture
def verbatim(relay_of: Callable[[str], Relay], upstream: FakeUpstream) -> Relay:
    """A relay that hands conversations over word for word."""
    running = relay_of("verbatim")
    upstream.clear()
    return running


@pytest.fixture(params=["chat", "agent", "verbatim"])
def each(request: pytest.FixtureRequest) -> Relay:
    """Each way to hand a conversation over."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Relay)
    return found


@pytest.fixture(params=["chat", "agent"])
def either(request: pytest.FixtureRequest) -> Relay:
    """Each personality in turn."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Relay)
    return found
