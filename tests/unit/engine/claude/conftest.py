"""Stand-ins for the CLI, under both event loops that the relay may run on."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from claude_relay.engine.claude import process
from tests.unit.engine.claude.fakes import FakeCli


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
async def cli(tmp_path: Path) -> AsyncIterator[FakeCli]:
    fake = FakeCli(tmp_path)
    yield fake
    await fake.close()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give children that will not end by themselves less time to do so."""
    monkeypatch.setattr(process, "_STEP_TIMEOUT", 0.1)
