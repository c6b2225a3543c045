"""Names and addresses: which of them are this machine, and what a web page's origin is. Pure."""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from msgspec import Struct

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_AUTHORITY = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[^\s/@:\[\]?#\\,]+)(?::(?P<port>[0-9]{1,5}))?")
_ORIGIN = re.compile(rf"(?P<scheme>[a-z][a-z0-9+.-]*)://{_AUTHORITY.pattern}")
_USUAL = {"http": 80, "https": 443}
_HOP = re.compile(r"\[(?P<bracketed>[0-9A-Fa-f:.%\w]+)\](?::[0-9]{1,5})?|(?P<dotted>[0-9.]+):[0-9]{1,5}", re.ASCII)
_USUALLY_LONGEST = 45
"""Characters; longer texts are not remembered."""
_MAPPED_BITS = 96
"""Bits of an IPv6 address that say that the others are an IPv4 address."""


class Authority(Struct, frozen=True):
    """A host and perhaps a port, as in the ``Host`` header.

    Attributes:
        host: In lower case, without brackets and without the dot at its end.
        port: None if it was not written.
    """

    host: str
    port: int | None = None


class Origin(Struct, frozen=True):
    """Where a web page comes from, as in the ``Origin`` header.

    Attributes:
        scheme: Such as ``https``, in lower case.
        at: The host, with the port that the scheme implies if none was written.
    """

    scheme: str
    at: Authority


UNIX = "unix"
"""The address of whoever connects by a Unix socket; there is no other."""

HIDDEN = Origin("null", Authority(""))
"""What a browser calls a page from a file or from a sandbox."""


def authority(text: str) -> Authority | None:
    """Return the host and port that a text names, or None if it names none."""
    return _authority(_AUTHORITY.fullmatch(text.strip().lower()))


def origin(text: str) -> Origin | None:
    """Return the origin that a text names, or None if it names none, or more than one."""
    if text.strip().lower() == HIDDEN.scheme:
        return HIDDEN
    found = _ORIGIN.fullmatch(text.strip().lower())
    at = _authority(found)
    return Origin(found["scheme"], with_port(at, found["scheme"])) if found and at else None


def with_port(at: Authority, scheme: str) -> Authority:
    """Return an authority with the port that a scheme implies, if it has none."""
    return at if at.port is not None else Authority(at.host, _USUAL.get(scheme))


def network(text: str) -> Network | None:
    """Return the network, or the network of one address, that a text names, or None if it names none.

    A network of IPv4 addresses that are written as IPv6 is the network of the IPv4 addresses.
    """
    try:
        found = ip_network(text)
    except ValueError:
        return None
    mapped = found.network_address.ipv4_mapped if isinstance(found, IPv6Network) else None
    if mapped is None or found.prefixlen < _MAPPED_BITS:
        return found
    return IPv4Network((mapped, found.prefixlen - _MAPPED_BITS))


def address(text: str) -> Address | None:
    """Return the address that a text stands for, or None.

    An IPv4 address that is written as IPv6 counts as itself; the zone of an IPv6 address does not count.
    """
    return _remembered(text) if len(text) <= _USUALLY_LONGEST else _address(text)


def _address(text: str) -> Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or IPv6Address(int(found))) if isinstance(found, IPv6Address) else found


_remembered = lru_cache(1024)(_address)


def hop(text: str) -> Address | None:
    """Return the address in one element of ``X-Forwarded-For``, with or without a port, or None if there is none."""
    found = _HOP.fullmatch(text.strip())
    return address((found["bracketed"] or found["dotted"]) if found else text.strip())


def client_network(text: str) -> str:
    """Return what counts as one client, as text: an IPv4 address, a /64 network of IPv6, this machine.

    A host is usually given a whole /64, and this machine has 16 million loopback addresses. What is no address is
    returned as it is.
    """
    found = address(text)
    if found is None:
        return text
    if found.is_loopback:
        return "loopback"
    return str(ip_network((found, 64), strict=False) if isinstance(found, IPv6Address) else found)


def is_within(text: str, networks: tuple[Network, ...]) -> bool:
    """Whether an address belongs to one of some networks."""
    found = address(text)
    return found is not None and any(found in net for net in networks)


def is_loopback(text: str) -> bool:
    """Whether an address is a loopback address."""
    found = address(text)
    return found is not None and found.is_loopback


def is_here(peer: str) -> bool:
    """Whether the other end of a connection is a program on this machine."""
    return peer == UNIX or is_loopback(peer)


def is_local(host: str) -> bool:
    """Whether a host means the local machine on every machine: ``localhost``, names under it, loopback addresses."""
    return host == "localhost" or host.endswith(".localhost") or is_loopback(host)


def _authority(found: re.Match[str] | None) -> Authority | None:
    if found is None:
        return None
    host = found["host"].strip("[]").removesuffix(".")
    return Authority(host, int(found["port"]) if found["port"] else None)
