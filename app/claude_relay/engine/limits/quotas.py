"""What each caller may use: requests in a minute, US dollars in a day. Kept in memory, for this server alone."""

import time
from collections import defaultdict, deque
from collections.abc import Callable

from msgspec import Struct

from claude_relay.errors import QuotaError, RateLimitError
from claude_relay.settings import Settings

_MINUTE = 60.0
_DAY = 86_400.0


class Quota(Struct, frozen=True):
    """What one caller may use; 0 means no limit.

    Attributes:
        requests_per_minute: Runs begun within any 60 seconds.
        usd_per_day: US dollars spent since midnight, UTC.
    """

    requests_per_minute: int = 0
    usd_per_day: float = 0.0


def quotas(settings: Settings) -> "Quotas":
    """Return a count of what each caller uses of what the operator allows."""
    return Quotas(Quota(settings.max_per_minute, settings.max_usd_per_day))


class Quotas:
    """Counts what callers use, and refuses what goes beyond.

    Args:
        quota: What each caller may use.
        clock: Tells the time, in seconds since the epoch.
    """

    def __init__(self, quota: Quota, clock: Callable[[], float] = time.time) -> None:
        self._quota = quota
        self._clock = clock
        self._begun: defaultdict[str, deque[float]] = defaultdict(deque)
        self._spent: defaultdict[str, float] = defaultdict(float)
        self._day = 0.0

    def charge_request(self, caller: str, charge: int = 1) -> None:
        """Count runs that are about to begin: all of them, or none.

        Args:
            caller: Whose they are.
            charge: How many.

        Raises:
            QuotaError: The caller has spent what a day allows.
            RateLimitError: The caller has begun what a minute allows.
        """
        now = self._clock()
        self._require_money(caller, now)
        if self._quota.requests_per_minute:
            self._require_pace(caller, now, charge)

    def refund(self, caller: str, charge: int = 1) -> None:
        """Take back that runs were counted: they were refused, or given up, before they began."""
        begun = self._begun.get(caller, deque())
        for _ in range(min(charge, len(begun))):
            begun.pop()

    def charge_cost(self, caller: str, usd: float) -> None:
        """Count what something has cost."""
        self._begin_day(self._clock())
        if self._quota.usd_per_day:
            self._spent[caller] += usd

    def _require_money(self, caller: str, now: float) -> None:
        self._begin_day(now)
        most = self._quota.usd_per_day
        if most and self._spent.get(caller, 0.0) >= most:
            raise QuotaError(
                f"You exceeded your current quota: {most:g} US dollars a day. It starts anew at midnight UTC.",
                retry_after=self._day + _DAY - now,
                should_retry=False,
            )

    def _begin_day(self, now: float) -> None:
        if now >= self._day + _DAY or now < self._day:
            self._day = now // _DAY * _DAY
            self._spent.clear()

    def _require_pace(self, caller: str, now: float, charge: int) -> None:
        self._forget_all_but(now)
        begun, most = self._begun[caller], self._quota.requests_per_minute
        if (excess := len(begun) + charge - most) > 0:
            # of more than a minute allows at all, not even a minute makes room
            until = begun[min(excess, len(begun)) - 1] if begun else now
            raise RateLimitError(
                f"Rate limit reached: {most} requests per minute.",
                retry_after=until + _MINUTE - now,
                should_retry=charge <= most,
            )
        begun.extend([now] * charge)

    def _forget_all_but(self, now: float) -> None:
        """Forget what is older than a minute, and what is yet to come because the clock was set back."""
        for caller, begun in tuple(self._begun.items()):
            while begun and not now - _MINUTE < begun[0] <= now:
                begun.popleft()
            if not begun:
                del self._begun[caller]
