"""Names and addresses: which of them are this machine, and what a web page's origin is. Pure."""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from msgspec import Struct

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_AUTHORITY = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[^\s/@:\[\]?#\\,]+)(?::(?P<port>[0-9]{1,5}))?")
_ORIGIN = re.compile(rf"(?P<scheme>[a-z][a-z0-9+.-]*)://{_AUTHORITY.pattern}")
_USUAL = {"http": 80, "https": 443}


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
    """Return the network, or the network of one address, that a text names, or None if it names none."""
    try:
        return ip_network(text)
    except ValueError:
        return None


def address(text: str) -> Address | None:
    """Return the address that a text is, or None; an IPv4 address in IPv6's clothes counts as itself."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def is_within(text: str, networks: tuple[Network, ...]) -> bool:
    """Whether an address belongs to one of some networks."""
    found = address(text)
    return found is not None and any(found in net for net in networks)


def is_loopback(text: str) -> bool:
    """Whether an address is one that only programs of this machine have."""
    found = address(text)
    return found is not None and found.is_loopback


def is_local(host: str) -> bool:
    """Whether a host means this machine wherever it is said: ``localhost``, names under it, loopback addresses."""
    return host == "localhost" or host.endswith(".localhost") or is_loopback(host)


def _authority(found: re.Match[str] | None) -> Authority | None:
    if found is None:
        return None
    host = found["host"].strip("[]").removesuffix(".")
    return Authority(host, int(found["port"]) if found["port"] else None)
