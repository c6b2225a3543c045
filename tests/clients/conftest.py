import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from claude_relay.asgi import create_app
from claude_relay.engine.claude import refusals
from claude_relay.engine.claude.refusals import Refusals
from tests.clients import node_side
from tests.clients.overhear import App, Overhearing
from tests.live.relay import Relay, clean_environment, relay
from tests.upstream import FakeUpstream

# what clients would fetch from elsewhere while they are imported or used
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["LANGSMITH_TRACING"] = "false"


def pytest_configure(config: pytest.Config) -> None:
    """Let clients warn and keep connections open, but not of answers that are not what they should be."""
    filters = ("default", "ignore::ResourceWarning", "ignore::DeprecationWarning", "error:Pydantic serializer warnings")
    for each in filters:
        config.addinivalue_line("filterwarnings", each)
    # what is collected after the last test
    warnings.simplefilter("ignore", ResourceWarning)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave more time than elsewhere: the first test that needs Node installs its clients, of 1 GB."""
    for item in items:
        item.add_marker(pytest.mark.timeout(400))


@pytest.fixture(scope="session")
def overhearing() -> Overhearing:
    return Overhearing()


@pytest.fixture(scope="session")
def shared_relay(
    shared_upstream: FakeUpstream,
    claude_path: str,
    overhearing: Overhearing,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Relay]:
    def overheard(*arguments: object, **named: object) -> App:
        return overhearing.around(create_app(*arguments, **named))  # type: ignore[arg-type] # passed on as they came

    home = tmp_path_factory.mktemp("chat")
    environ = clean_environment(home, shared_upstream)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.live.relay.create_app", overheard)
        # what the upstream of one test refuses, that of another takes, whatever models do in the world
        patch.setattr(Refusals, "learn", lambda *_: None)
        patch.setattr(refusals, "refused_kinds", lambda _: frozenset())
        with relay(home, environ, personality="chat", claude_path=claude_path) as running:
            yield running


@pytest.fixture
def chat(shared_relay: Relay, upstream: FakeUpstream, overhearing: Overhearing) -> Relay:
    """A relay of the isolated personality, to which nobody has spoken yet in this test."""
    shared_relay.settle()
    upstream.clear()
    overhearing.heard.clear()
    return shared_relay


@pytest.fixture
def heard(chat: Relay, overhearing: Overhearing) -> Overhearing:
    """What the test's client and the relay say to each other."""
    del chat
    return overhearing


@pytest.fixture
def base_url(chat: Relay) -> str:
    """What a user gives to a client."""
    return f"{chat.url}/v1"


@pytest.fixture(scope="session")
def scripts(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts for Node, ready to run."""
    cache = pytestconfig.cache
    return node_side.installed(tmp_path_factory.mktemp("node") if cache is None else cache.mkdir("clients-for-node"))
