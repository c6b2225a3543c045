"""Watches the event loop, and logs where the code is when something blocks it.

A thread looks on, since a loop that is busy can tell nothing. It says where in the code the loop is, never with what.
"""

import asyncio
import itertools
import logging
import sys
import threading
import time
import traceback
from pathlib import Path
from types import FrameType

from litestar.config.app import AppConfig
from litestar.plugins import InitPlugin
from msgspec import Struct

_log = logging.getLogger(__name__)

LAG = 0.1
"""Seconds from which on the loop is late."""
_BEAT = 0.1
"""Seconds between two signs of life of the loop."""
_QUIET = 10.0
"""Seconds between two lines in the log, however often the loop is late."""
_DEPTH = 12
"""Places that are named, the innermost ones."""


class LoopHealth(Struct, frozen=True):
    """How late the loop was, since the start.

    Attributes:
        stalls: How often it was late by more than a tenth of a second.
        longest_ms: The longest of these times, in milliseconds.
        stalled_ms: All these times together.
    """

    stalls: int = 0
    longest_ms: int = 0
    stalled_ms: int = 0


class Watchdog(InitPlugin):
    """Measures the delay of the loop while an application runs."""

    def __init__(self) -> None:
        self._stalls = 0
        self._longest = self._stalled = 0.0
        self._told = -_QUIET
        self._due = self._cpu = 0.0
        self._where = ""
        self._over = threading.Event()
        self._beating: asyncio.TimerHandle | None = None

    @property
    def health(self) -> LoopHealth:
        """How late the loop was."""
        return LoopHealth(self._stalls, round(1000 * self._longest), round(1000 * self._stalled))

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Watch from the start of the application to its end."""
        app_config.on_startup.append(self._start)
        app_config.on_shutdown.append(self._stop)
        return app_config

    async def _start(self) -> None:
        self._over.clear()
        self._due = time.monotonic()
        self._beat(asyncio.get_running_loop())
        threading.Thread(target=self._look_on, args=(threading.get_ident(),), name="watchdog", daemon=True).start()

    async def _stop(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
        self._over.set()

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        now, cpu = time.monotonic(), time.process_time()
        lag = now - self._due
        # where the process did not compute meanwhile, it was the machine that had no time for it
        if lag > LAG and cpu - self._cpu > lag / 4:
            self._count(lag)
        self._due, self._cpu, self._where = now + _BEAT, cpu, ""
        self._beating = loop.call_later(_BEAT, self._beat, loop)

    def _look_on(self, thread: int) -> None:
        while not self._over.wait(_BEAT):
            if time.monotonic() > self._due + LAG / 2:
                self._where = _place(sys._current_frames().get(thread))  # noqa: SLF001 - there is no other way

    def _count(self, lag: float) -> None:
        self._stalls += 1
        self._longest = max(self._longest, lag)
        self._stalled += lag
        now = time.monotonic()
        if now - self._told >= _QUIET:
            self._told = now
            _log.warning(
                "nothing was served for %d ms, in %s", round(1000 * lag), self._where or "one step of the code"
            )


def _place(frame: FrameType | None) -> str:
    """Name the places in the code that lead to a frame: never values, which may be a client's."""
    found = itertools.islice(traceback.walk_stack(frame), _DEPTH)
    places = [f"{Path(at.f_code.co_filename).name}:{line} {at.f_code.co_name}" for at, line in found]
    return " < ".join(places) or "an unknown place"
