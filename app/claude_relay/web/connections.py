"""Connections: their shared state, and how many there may be."""

import resource
from collections import Counter

from msgspec import Struct

from claude_relay.access import addresses
from claude_relay.errors import RelayError, TooManyConnectionsError, UnavailableError

EXTENSION = "claude_relay.connection"
"""Where ASGI's ``scope["extensions"]`` holds the connection of a request."""

_SHARE = 2
"""One of so many file descriptors may be a connection: processes need theirs, and one of so many connections may be
of one address: others need theirs."""
_MOST = 10_000
_AGAIN = 1.0


class Connection(Struct):
    """What the requests of one connection share.

    Attributes:
        proxied: Whether anything on it ever came through a proxy, so that anything on it may be anybody's.
        user: The number of the user whose program is at the other end, once the system has told. It is that of the
            socket, which is its creator's for as long as it exists, whichever programs it is handed on to; only root
            can give it to another.
    """

    proxied: bool = False
    user: int | None = None


class Limits(Struct, frozen=True):
    """How many connections there may be.

    Attributes:
        total: In all.
        per_address: From one address, or one IPv6 network of 64 bits.
        exempt: Proxies, from whose addresses there may be as many as in all; loopback addresses are exempt anyway.
    """

    total: int
    per_address: int
    exempt: tuple[addresses.Network, ...] = ()


class Connections:
    """Counts the connections of one server.

    Args:
        limits: How many there may be; no limit when not given.

    Attributes:
        limits: The same.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits
        self._total = 0
        self._of: Counter[str] = Counter()

    def add(self, peer: str | None) -> RelayError | None:
        """Count a connection, and return why it may not stay, or None if it may.

        Args:
            peer: The address at its other end; None if it has none, as with a Unix socket.
        """
        bucket = self._bucket(peer)
        self._total += 1
        if bucket is not None:
            self._of[bucket] += 1
        if self.limits is None:
            return None
        if self._total > self.limits.total:
            return UnavailableError(
                "The relay has too many connections.", code="too_many_connections", retry_after=_AGAIN
            )
        if bucket is not None and self._of[bucket] > self.limits.per_address:
            return TooManyConnectionsError("Your address has too many connections open.", retry_after=_AGAIN)
        return None

    def remove(self, peer: str | None) -> None:
        """Forget a connection that has ended."""
        bucket = self._bucket(peer)
        self._total -= 1
        if bucket is not None:
            self._of[bucket] -= 1
            if not self._of[bucket]:
                del self._of[bucket]

    def _bucket(self, peer: str | None) -> str | None:
        """Return the address or network that a connection counts for, or None if only the total counts."""
        if self.limits is None or peer is None:
            return None
        if (
            addresses.address(peer) is None
            or addresses.is_loopback(peer)
            or addresses.is_within(peer, self.limits.exempt)
        ):
            return None
        return addresses.client_network(peer)


def limits_of(total: int, per_address: int, exempt: tuple[addresses.Network, ...]) -> Limits:
    """Return the limits that an operator's figures mean.

    Args:
        total: 0 for half of the file descriptors that a process may have, and at most 10,000.
        per_address: 0 for half of the total.
        exempt: Proxies that are believed.
    """
    total = total or min(_MOST, _descriptors() // _SHARE)
    return Limits(total, per_address or max(1, total // _SHARE), exempt)


def _descriptors() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST * _SHARE if soft == resource.RLIM_INFINITY else soft
