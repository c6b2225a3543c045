import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.relay import clean_environment
from tests.upstream import FakeUpstream

# frameworks read keys and addresses from their environment, and write below their home, as soon as they are imported
HOME = tempfile.TemporaryDirectory(prefix="frameworks-")
KEPT = {name: os.environ[name] for name in ("CLAUDE_RELAY_TEST_CLI", "TMPDIR") if name in os.environ}
ENVIRONMENT = clean_environment(Path(HOME.name)) | {
    "AUTOGEN_DISABLE_RUNTIME_TRACING": "true",
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TESTING": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "OTEL_SDK_DISABLED": "true",
}
os.environ.clear()
os.environ.update(ENVIRONMENT | KEPT)


@pytest.fixture(scope="session")
def strangers() -> list[str]:
    """Whom this process has spoken to, or looked up, that is not this machine."""
    found: list[str] = []

    def listen(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.getaddrinfo" or (event == "socket.connect" and isinstance(arguments[1], tuple)):
            host = arguments[0] if event == "socket.getaddrinfo" else arguments[1][0]
            if host not in {"127.0.0.1", "::1", "localhost", None}:
                found.append(str(host))

    sys.addaudithook(listen)
    return found


@pytest.fixture(autouse=True)
def only_this_machine(strangers: list[str]) -> Iterator[None]:
    """No framework speaks to anybody else, whatever its telemetry likes to tell."""
    yield
    assert strangers == []


@pytest.fixture
def upstream(upstream: FakeUpstream) -> FakeUpstream:
    """An upstream that refuses what the real one does."""
    upstream.strict = True
    return upstream
