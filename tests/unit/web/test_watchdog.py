"""A loop that is kept busy is noticed, and told where, never with what."""

import asyncio
import hashlib
import logging
import time

import pytest
from litestar import Litestar

from claude_relay.web import watchdog as watchdog_module
from claude_relay.web.watchdog import Watchdog

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def compute(secret: str, seconds: float) -> None:
    """Keep the loop busy for some seconds of computing."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        hashlib.sha256(secret.encode()).hexdigest()


async def watched(seconds: float, wait: float = 0.0) -> Watchdog:
    """Let an application's loop compute for some seconds, after it has waited."""
    watchdog = Watchdog()
    app = Litestar(plugins=[watchdog], logging_config=None)
    async with app.lifespan():
        await asyncio.sleep(0.15)
        compute("SECRET", seconds)
        time.sleep(wait)  # noqa: ASYNC251 - as if the machine had no time
        await asyncio.sleep(0.25)
    return watchdog


async def test_a_loop_that_is_kept_busy_is_counted_and_told_where(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "claude_relay")

    health = (await watched(0.5)).health

    assert health.stalls == 1
    assert health.longest_ms >= 250
    (line,) = [record.getMessage() for record in caplog.records if record.name == watchdog_module.__name__]
    assert "test_watchdog.py" in line
    assert "compute" in line
    assert "SECRET" not in line


async def test_a_loop_that_is_not_kept_busy_is_not_counted() -> None:
    assert (await watched(0.0)).health.stalls == 0


async def test_a_process_that_stood_still_was_not_busy() -> None:
    assert (await watched(0.0, wait=0.5)).health.stalls == 0


async def test_however_often_it_happens_the_log_tells_it_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    watchdog = Watchdog()
    async with Litestar(plugins=[watchdog], logging_config=None).lifespan():
        for _ in range(3):
            compute("", 0.3)
            await asyncio.sleep(0.5)

    assert watchdog.health.stalls == 3
    assert len([record for record in caplog.records if record.name == watchdog_module.__name__]) == 1


async def test_after_the_end_nobody_watches() -> None:
    watchdog = await watched(0.0)

    compute("", 0.3)
    await asyncio.sleep(0.15)

    assert watchdog.health.stalls == 0
