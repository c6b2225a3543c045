"""An event loop whose time passes only when there is nothing else to do: hours are tested in no time, and exactly."""

import asyncio
from typing import Any


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its clock stands still while something can be done, and then goes on to what is due next."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        selector: Any = self._selector  # type: ignore[attr-defined] # asyncio's own, untyped
        self._look = selector.select
        selector.select = self._wait

    def time(self) -> float:
        """Return the seconds that have passed."""
        return self._now

    def pending(self) -> list[asyncio.TimerHandle]:
        """Return the timers that are still set."""
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined] # asyncio's own, untyped
        return [timer for timer in scheduled if not timer.cancelled()]

    def _wait(self, timeout: float | None) -> Any:
        assert timeout is not None, "nothing will ever happen any more"
        # a clock's resolution is what asyncio rounds up to
        self._now += timeout
        return self._look(0)


BACKEND = ("asyncio", {"loop_factory": VirtualLoop})
"""What a test's fixture ``anyio_backend`` returns to run on it."""


def now() -> float:
    """Return the seconds that have passed."""
    return asyncio.get_running_loop().time()


def timers() -> int:
    """Return how many timers are set."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return len(loop.pending())
