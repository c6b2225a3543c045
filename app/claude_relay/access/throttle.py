"""Slows down guessing of keys: how soon a source of wrong keys may try again. Pure; the clock is passed in."""

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from msgspec import Struct

from claude_relay.errors import RateLimitError

FREE = 10
"""Wrong keys that an address may send before it has to wait."""
FORGOTTEN_AFTER = 300.0
"""Seconds after which one wrong key counts no more."""
LONGEST = 300.0
"""Seconds that an address has to wait at most."""
MOST_SOURCES = 4096
"""Addresses that are remembered."""
_MOST_DIGESTS = 16
_DIGEST_SIZE = 8


class _Failures(Struct):
    """The wrong keys of one source.

    Attributes:
        count: Wrong keys that count, at the time of the last one.
        last: When that was.
        until: When it may try another.
        digests: Of the latest wrong keys.
    """

    count: float = 0.0
    last: float = 0.0
    until: float = 0.0
    digests: tuple[bytes, ...] = ()


class KeyThrottle:
    """Counts wrong keys by source, and refuses further keys for a time that doubles.

    While a source has to wait its keys are not compared at all, so that it learns nothing; a good key from the same
    source waits too, one from elsewhere does not. A wrong key that is sent again, such as that of a program with an
    old one, teaches its sender nothing and does not count.

    Args:
        clock: Tells the time, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._salt = secrets.token_bytes(16)
        self._sources: OrderedDict[str, _Failures] = OrderedDict()

    def __len__(self) -> int:
        """Return how many sources are remembered."""
        return len(self._sources)

    def require_allowed(self, source: str, keys: Sequence[str]) -> None:
        """See whether keys of a source may be compared now.

        Raises:
            RateLimitError: It has to wait.
        """
        failures = self._sources.get(source)
        if failures is None or not self._unknown(failures, keys):
            return
        left = failures.until - self._clock()
        if left > 0:
            raise RateLimitError(
                "Too many wrong API keys came from your address. Try again after the time in the header 'retry-after'.",
                code="too_many_wrong_keys",
                retry_after=left,
            )

    def failed(self, source: str, keys: Sequence[str]) -> float:
        """Count wrong keys, and return for how many seconds the source has to wait now."""
        failures = self._sources.get(source) or _Failures()
        wrong = self._unknown(failures, keys)
        if not wrong:
            return 0.0
        now = self._clock()
        failures.count = max(0.0, failures.count - (now - failures.last) / FORGOTTEN_AFTER) + len(wrong)
        failures.last = now
        failures.digests = (*failures.digests, *wrong)[-_MOST_DIGESTS:]
        doublings = round(failures.count) - FREE
        wait = min(LONGEST, 2.0**doublings) if doublings >= 0 else 0.0
        failures.until = now + wait
        self._remember(source, failures)
        return wait

    def _remember(self, source: str, failures: _Failures) -> None:
        self._sources[source] = failures
        self._sources.move_to_end(source)
        if len(self._sources) > MOST_SOURCES:
            self._sources.popitem(last=False)

    def _unknown(self, failures: _Failures, keys: Sequence[str]) -> list[bytes]:
        """Return the digests of the keys that are not known to be wrong."""
        digests = dict.fromkeys(map(self._digest, keys))
        return [digest for digest in digests if digest not in failures.digests]

    def _digest(self, key: str) -> bytes:
        return hashlib.blake2b(key.encode(), digest_size=_DIGEST_SIZE, key=self._salt).digest()
