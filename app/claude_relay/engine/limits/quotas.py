"""What each caller may use: requests in a minute, US dollars in a day."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from msgspec import Struct

from claude_relay.errors import QuotaError, RateLimitError, UnavailableError
from claude_relay.settings import Settings

_MINUTE = 60.0
_DAY = 86_400.0
T = TypeVar("T")
_log = logging.getLogger(__name__)


class Quota(Struct, frozen=True):
    """What one caller may use; 0 means no limit.

    Attributes:
        requests_per_minute: Runs begun within any 60 seconds.
        usd_per_day: US dollars spent since midnight, UTC.
    """

    requests_per_minute: int = 0
    usd_per_day: float = 0.0


class Counters(Protocol):
    """Counts by name, perhaps for several servers together. A time is in seconds since the epoch.

    Each method takes effect whole or not at all, and raises ``UnavailableError`` if it cannot.
    """

    async def count(self, name: str, amount: float, expires_at: float) -> float:
        """Add to a counter that begins anew when it has expired, and return its sum."""

    async def admit(self, name: str, amount: int, *, most: int, seconds: float) -> float:
        """Count an amount if there is room for it within the last seconds; return the seconds until there is, or 0."""

    async def withdraw(self, name: str, amount: int) -> None:
        """Take back what was admitted last."""


def quotas(settings: Settings, counters: Counters) -> "Quotas":
    """Return a count of what each caller uses of what the operator allows."""
    return Quotas(Quota(settings.max_per_minute, settings.max_usd_per_day), counters)


class Quotas:
    """Counts what callers use, and refuses what goes beyond.

    Args:
        quota: What each caller may use.
        local: Counts for this server alone: until counters are shared, and when those cannot be used.
        clock: Tells the time, in seconds since the epoch.
    """

    def __init__(self, quota: Quota, local: Counters, clock: Callable[[], float] = time.time) -> None:
        self._quota = quota
        self._local = local
        self._shared: Counters | None = None
        self._clock = clock
        self._charging: set[asyncio.Task[float]] = set()

    def share(self, counters: Counters | None) -> None:
        """Count together with all who share these counters, from now on; None to count alone."""
        self._shared = counters

    async def charge_request(self, caller: str, charge: int = 1) -> None:
        """Count runs that are about to begin: all of them, or none.

        Args:
            caller: Whose they are.
            charge: How many.

        Raises:
            QuotaError: The caller has spent what a day allows.
            RateLimitError: The caller has begun what a minute allows.
        """
        if self._quota.usd_per_day:
            await self._require_money(caller)
        if self._quota.requests_per_minute and charge:
            await self._require_pace(caller, charge)

    async def refund(self, caller: str, charge: int = 1) -> None:
        """Take back that runs were counted: they were refused, or given up, before they began."""
        if self._quota.requests_per_minute and charge:
            await self._counted(lambda counters: counters.withdraw(_runs(caller), charge))

    def charge_cost(self, caller: str, usd: float) -> None:
        """Begin to count what something has cost."""
        if self._quota.usd_per_day:
            charging = asyncio.create_task(self._spend(caller, usd, self._clock()))
            self._charging.add(charging)
            charging.add_done_callback(self._charging.discard)

    async def settle(self) -> None:
        """Wait until everything is counted."""
        await asyncio.gather(*self._charging)

    async def _require_money(self, caller: str) -> None:
        # what is being charged here comes first
        await self.settle()
        most, now = self._quota.usd_per_day, self._clock()
        if await self._spend(caller, 0, now) >= most:
            raise QuotaError(
                f"You exceeded your current quota: {most:g} US dollars a day. It starts anew at midnight UTC.",
                retry_after=_midnight(now) - now,
                should_retry=False,
            )

    async def _spend(self, caller: str, usd: float, now: float) -> float:
        """Count what something has cost, and return what the caller has spent that day."""
        midnight = _midnight(now)
        # the day is in the name: clocks of several servers may differ, and one may be set back
        name = f"usd:{midnight:.0f}:{caller}"
        return await self._counted(lambda counters: counters.count(name, usd, midnight))

    async def _require_pace(self, caller: str, charge: int) -> None:
        most = self._quota.requests_per_minute
        wait = await self._counted(lambda counters: counters.admit(_runs(caller), charge, most=most, seconds=_MINUTE))
        if wait:
            # of more than a minute allows at all, not even a minute makes room
            raise RateLimitError(
                f"Rate limit reached: {most} requests per minute.", retry_after=wait, should_retry=charge <= most
            )

    async def _counted(self, count: Callable[[Counters], Awaitable[T]]) -> T:
        if self._shared is not None:
            try:
                return await count(self._shared)
            except UnavailableError as error:
                _log.warning("this server counts alone. %s", error.message)
        return await count(self._local)


def _runs(caller: str) -> str:
    return f"runs:{caller}"


def _midnight(now: float) -> float:
    """Return when the day of a moment ends."""
    return now // _DAY * _DAY + _DAY
