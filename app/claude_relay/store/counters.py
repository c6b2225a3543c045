"""Counters in memory, for one server alone: of tests, and where none are shared."""

import time
from collections import deque
from collections.abc import Callable


class MemoryCounters:
    """Counts by name, as a ``Store`` does.

    Args:
        clock: Tells the time, in seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._sums: dict[str, tuple[float, float]] = {}
        self._admitted: dict[str, tuple[deque[float], float]] = {}

    def __len__(self) -> int:
        """Return how many names are known."""
        return len(self._sums) + len(self._admitted)

    async def count(self, name: str, amount: float, expires_at: float) -> float:
        """Add to a counter, and return its sum."""
        self.forget()
        total, until = self._sums.get(name, (0.0, expires_at))
        if amount:
            self._sums[name] = total + amount, until
        return total + amount

    async def admit(self, name: str, amount: int, *, most: int, seconds: float) -> float:
        """Count an amount if there is room for it within the last seconds; return the seconds until there is, or 0."""
        self.forget()
        now = self._clock()
        times, _ = self._admitted.get(name, (deque(), seconds))
        if (excess := len(times) + amount - most) > 0:
            until = times[min(excess, len(times)) - 1] if times else now
            return until + seconds - now
        times.extend([now] * amount)
        self._admitted[name] = times, seconds
        return 0.0

    async def withdraw(self, name: str, amount: int) -> None:
        """Take back what was admitted last."""
        times, _ = self._admitted.get(name, (deque(), 0.0))
        for _ in range(min(amount, len(times))):
            times.pop()

    def forget(self) -> None:
        """Forget what has expired, and what was admitted in a future that is none since the clock was set back."""
        now = self._clock()
        self._sums = {name: each for name, each in self._sums.items() if each[1] > now}
        for name, (times, seconds) in tuple(self._admitted.items()):
            while times and not now - seconds < times[0] <= now:
                times.popleft()
            if not times:
                del self._admitted[name]
