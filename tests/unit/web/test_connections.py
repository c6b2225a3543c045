"""How many connections there may be, in all and from one address."""

import resource
from ipaddress import ip_network

import pytest

from claude_relay.web.connections import Connections, Limits, limits_of

PROXIES = (ip_network("10.0.0.0/8"),)


def statuses(connections: Connections, *peers: str | None) -> list[int]:
    """Return what each connection is told: 200 for nothing."""
    found = [connections.add(peer) for peer in peers]
    return [200 if error is None else error.status for error in found]


def test_one_address_does_not_take_what_is_for_all() -> None:
    connections = Connections(Limits(total=5, per_address=2))

    assert statuses(connections, *["192.0.2.1"] * 3, "192.0.2.2") == [200, 200, 429, 200]


def test_there_is_a_limit_for_all_together() -> None:
    connections = Connections(Limits(total=2, per_address=2))

    assert statuses(connections, "192.0.2.1", "127.0.0.1", "192.0.2.2", None) == [200, 200, 503, 503]


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.1.2.3", "::ffff:10.1.2.3", None])
def test_this_machine_and_proxies_are_limited_together_with_all_only(peer: str | None) -> None:
    connections = Connections(Limits(total=4, per_address=1, exempt=PROXIES))

    assert statuses(connections, *[peer] * 5) == [200] * 4 + [503]


def test_a_network_of_a_client_is_one_address() -> None:
    connections = Connections(Limits(total=9, per_address=1))

    found = statuses(connections, "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "192.0.2.1", "::ffff:192.0.2.1")
    assert found == [200, 429, 200, 200, 429]


def test_a_connection_that_ends_makes_room_and_leaves_nothing_behind() -> None:
    connections = Connections(Limits(total=1, per_address=1))
    for number in range(1000):
        peer = f"192.0.2.{number % 250}"
        assert statuses(connections, peer, peer) == [200, 503]
        connections.remove(peer)
        connections.remove(peer)

    assert not connections._of


def test_without_limits_there_may_be_any_number() -> None:
    assert set(statuses(Connections(), *["192.0.2.1"] * 10_000)) == {200}


@pytest.mark.parametrize(
    ("descriptors", "given", "expected"),
    [
        (1024, (0, 0), (512, 256)),
        (20_000, (0, 0), (10_000, 5000)),
        (resource.RLIM_INFINITY, (0, 0), (10_000, 5000)),
        (1024, (600, 0), (600, 300)),
        (1024, (600, 7), (600, 7)),
        (1024, (1, 0), (1, 1)),
    ],
)
def test_limits_follow_what_the_system_allows_unless_they_are_given(
    monkeypatch: pytest.MonkeyPatch, descriptors: int, given: tuple[int, int], expected: tuple[int, int]
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (descriptors, descriptors))

    limits = limits_of(*given, PROXIES)

    assert (limits.total, limits.per_address, limits.exempt) == (*expected, PROXIES)
