"""Relays that run: where one is, whether it answers, and HTTP to it."""

from contextlib import suppress

import httpx
from msgspec import Struct

from claude_relay.access import addresses
from claude_relay.access.keys import is_sendable, parts
from claude_relay.errors import SettingsError
from claude_relay.settings import Settings
from claude_relay.settings_loading import written_keys

_STATES = {"ok", "degraded", "draining"}
_PORTS = 2**16
_PROBE_TIMEOUT = 3.0
"""Seconds that a relay has to say that it is there."""


class Place(Struct, frozen=True):
    """Where a relay is.

    Attributes:
        url: Its URL, without ``/v1``.
        uds: Its Unix socket, if it listens on one.
        key: One of its keys, if it needs one.
    """

    url: str
    uds: str | None = None
    key: str | None = None


def server(url: str) -> str:
    """Return the URL of a relay without ``/v1``, from an option with it or without.

    Raises:
        SettingsError: It is no URL that a relay can have.
    """
    try:
        read = httpx.URL(url)
        is_there = read.scheme in {"http", "https"} and read.host and (read.port is None or 0 < read.port < _PORTS)
    except (httpx.InvalidURL, ValueError):
        is_there = False
    if not is_there or read.query or read.fragment or not url.isprintable() or " " in url:
        raise SettingsError(f"--url: expected the URL of a relay, such as http://localhost:8082; got {url!r}")
    return url.rstrip("/").removesuffix("/v1")


def require_key(key: str) -> None:
    """Check that an option is a key that a client can send.

    Raises:
        SettingsError: No header can hold it.
    """
    if not is_sendable(key):
        raise SettingsError("--key: expected a key of ASCII characters without spaces")


def own(settings: Settings) -> Place:
    """Return where a relay with these settings listens, for programs of this machine.

    Raises:
        SettingsError: Its file of keys cannot be read.
    """
    key = next((parts(written.text)[1] for written in written_keys(settings)), None)
    if settings.uds is not None:
        return Place("http://localhost", settings.uds, key)
    at = addresses.address(settings.host)
    host = "localhost" if at is None or at.is_unspecified or at.is_loopback else str(at)
    return Place(f"http://{f'[{host}]' if ':' in host else host}:{settings.port}", key=key)


def client(place: Place) -> httpx.AsyncClient:
    """Return a client of a relay. What it waits for may take as long as an agent works."""
    transport = None if place.uds is None else httpx.AsyncHTTPTransport(uds=place.uds)
    return httpx.AsyncClient(
        base_url=place.url,
        transport=transport,
        headers={} if place.key is None else {"authorization": f"Bearer {place.key}"},
        timeout=httpx.Timeout(_PROBE_TIMEOUT, read=None),
        # a proxy does not know this machine as localhost
        trust_env=not addresses.is_local(httpx.URL(place.url).host),
    )


async def answers(http: httpx.AsyncClient) -> bool:
    """Whether a relay is there."""
    with suppress(httpx.HTTPError, ValueError):
        told = (await http.get("/health", timeout=_PROBE_TIMEOUT)).json()
        return isinstance(told, dict) and told.get("status") in _STATES
    return False
