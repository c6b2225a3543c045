"""Who may call: without a key, only programs of this machine; with a key, anyone who has it, from anywhere. Pure.

``claude_relay.web.auth_middleware`` asks, before anything else is done with a request.
"""

import hashlib
from collections.abc import Mapping
from http import HTTPMethod
from typing import TypeGuard

from msgspec import Struct

from claude_relay.access import addresses
from claude_relay.access.addresses import Authority, Network, Origin
from claude_relay.access.keys import Key, owner
from claude_relay.errors import OriginNotAllowedError, UnauthenticatedError, UnsupportedMediaTypeError
from claude_relay.settings import Settings

_SEND_KEY = (
    "You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer "
    "YOUR_KEY), as SDKs do with their 'api_key'."
)
_HOW_TO = (
    "To let others in, start the relay with --api-key NAME=KEY, or set CLAUDE_RELAY_API_KEYS, and send the key as "
    "'Authorization: Bearer KEY'."
)
_ALLOW = "Start the relay with --allow-origin {}, or with a key (--api-key)."

_MACHINE = frozenset({"host.docker.internal", "gateway.docker.internal", "host.containers.internal"})
"""Names by which containers call the machine they run on."""

_PROXIED = frozenset(
    {
        "cf-connecting-ip",
        "forwarded",
        "true-client-ip",
        "via",
        "x-client-ip",
        "x-forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-real-ip",
    }
)
"""Headers that a program does not send by itself, and a proxy does."""

_READING = frozenset({HTTPMethod.GET, HTTPMethod.HEAD})

_UNASKED = frozenset({"", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})
"""Content types that any web page may send anywhere, without the browser asking whether it is welcome."""


class Caller(Struct, frozen=True):
    """An authenticated caller.

    Attributes:
        identity: The same for the same caller, and never a key; callers of different identities share nothing.
        name: What a log may call them: the name of their key, or ``local``.
        account: Whose use counts as one, for limits; unlike the identity of a program that needs no key, nothing that
            it sends makes it another.
    """

    identity: str
    name: str
    account: str


class Policy(Struct, frozen=True):
    """The operator's choices of who may call.

    Attributes:
        keys: The keys; if there are none, only programs of this machine are let in.
        origins: Web pages that may call without a key, beside those of this machine.
        any_origin: Whether every web page may.
        hosts: Names of this machine, beside those that every machine has.
        proxies: Proxies that are believed when they tell who calls.
        unix_proxy: Whether a proxy that connects by a Unix socket is believed.
        open_paths: Paths that answer everybody.
        pages: Paths that do, themselves and below, if there is a key: what a browser loads there can ask for it.
        metrics_key: The key that opens the paths of figures, and nothing else.
        metrics_paths: The paths of figures.
    """

    keys: tuple[Key, ...] = ()
    origins: frozenset[Origin] = frozenset()
    any_origin: bool = False
    hosts: frozenset[str] = frozenset()
    proxies: tuple[Network, ...] = ()
    unix_proxy: bool = False
    open_paths: frozenset[str] = frozenset()
    pages: tuple[str, ...] = ("/schema",)
    metrics_key: Key | None = None
    metrics_paths: frozenset[str] = frozenset()

    @property
    def takes_keys(self) -> bool:
        """Whether there is any key that somebody could guess."""
        return bool(self.keys) or self.metrics_key is not None


class RequestHead(Struct, frozen=True):
    """What is known of a request before its body is read.

    Attributes:
        method: The HTTP method.
        path: The path, without slashes at its end.
        peer: The address at the other end of the connection, ``unix`` for a Unix socket; None if there is none.
        headers: By their names in lower case; the values of one that was sent twice, with commas between them.
        is_proxied: Whether anything ever came through a proxy on its connection, this request included.
        user: The number of the user whose program is at the other end, if it is on this machine and the system tells.
    """

    method: str
    path: str
    peer: str | None
    headers: Mapping[str, str]
    is_proxied: bool = False
    user: int | None = None


def policy_of(chosen: Settings, keys: tuple[Key, ...], hostname: str, open_paths: frozenset[str]) -> Policy:
    """Return the policy that the operator chose.

    Args:
        chosen: The operator's choices.
        keys: The keys that they name.
        hostname: What this machine is called.
        open_paths: Paths that answer everybody.
    """
    origins = frozenset(filter(None, map(addresses.origin, chosen.allow_origin)))
    name = hostname.lower().removesuffix(".")
    short = name.partition(".")[0]
    return Policy(
        keys=keys,
        origins=origins,
        any_origin="*" in chosen.allow_origin,
        hosts=frozenset({name, short, f"{short}.local"} - {"", ".local"})
        | {page.at.host for page in origins}
        | _MACHINE,
        proxies=tuple(filter(None, map(addresses.network, chosen.trusted_proxy))),
        unix_proxy=addresses.UNIX in chosen.trusted_proxy,
        open_paths=open_paths,
    )


def authenticate(head: RequestHead, policy: Policy) -> Caller:
    """Return who calls.

    Raises:
        UnauthenticatedError: Nobody knows them.
        OriginNotAllowedError: It is a web page that nobody allowed to call.
        UnsupportedMediaTypeError: A web page sends a body without saying that it is JSON.
    """
    caller = _metrics_reader(head, policy)
    if caller is None:
        caller = _key_holder(head, policy) if policy.keys else _local_program(head, policy)
    if "origin" in head.headers and _has_body(head) and _media_type(head) in _UNASKED:
        raise UnsupportedMediaTypeError("A web page must send its body with 'Content-Type: application/json'.")
    return caller


def is_open(head: RequestHead, policy: Policy) -> bool:
    """Whether a request needs no caller: preflights, open paths, and pages if there is a key."""
    if head.method == HTTPMethod.OPTIONS:
        return bool(head.headers.get("origin"))
    if head.method not in _READING:
        return False
    page = any(head.path == path or head.path.startswith(f"{path}/") for path in policy.pages)
    return head.path in policy.open_paths or (bool(policy.keys) and page)


def came_through_a_proxy(headers: Mapping[str, str]) -> bool:
    """Whether a request has headers that proxies add."""
    return not _PROXIED.isdisjoint(headers.keys())


def client_of(head: RequestHead, policy: Policy) -> str | None:
    """Return the address that a request comes from, or None if nobody who is trusted tells.

    Each proxy adds its client's address at the end. So the client is the first from the end that is no trusted proxy,
    and what stands before it may be made up; if all are trusted proxies it is the first one. A loopback address
    means the machine of the proxy that tells it, which is this machine only if the whole way was.
    """
    if not _is_proxied(head):
        return head.peer
    if not _is_trusted(head.peer, policy):
        return None
    client = head.peer
    for element in reversed(head.headers.get("x-forwarded-for", "").split(",")):
        found = addresses.hop(element)
        if found is None:
            return None
        if found.is_loopback and not addresses.is_here(client):
            return client
        client = str(found)
        if not addresses.is_within(client, policy.proxies):
            return client
    return client


def source_of(head: RequestHead, policy: Policy) -> str:
    """Return where wrong keys are counted: the client's address, and on this machine its user.

    Clients behind a proxy that nobody trusts count as one, and so do the addresses that one host usually has.
    """
    network = addresses.client_network(client_of(head, policy) or head.peer or "")
    return network if head.user is None or _is_proxied(head) else f"user {head.user}"


def credentials(head: RequestHead) -> list[str]:
    """Return all keys that a request sends."""
    scheme, _, token = head.headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    return [key for key in (bearer, head.headers.get("x-api-key", ""), head.headers.get("api-key", "")) if key]


def _is_proxied(head: RequestHead) -> bool:
    return head.is_proxied or came_through_a_proxy(head.headers)


def _is_trusted(peer: str | None, policy: Policy) -> TypeGuard[str]:
    if peer == addresses.UNIX:
        return policy.unix_proxy
    return peer is not None and addresses.is_within(peer, policy.proxies)


def _metrics_reader(head: RequestHead, policy: Policy) -> Caller | None:
    if policy.metrics_key is None or head.path not in policy.metrics_paths or head.method not in _READING:
        return None
    name = _owner(head, (policy.metrics_key,))
    return None if name is None else Caller(name, name, name)


def _owner(head: RequestHead, keys: tuple[Key, ...]) -> str | None:
    return owner(keys, [key.encode("latin-1") for key in credentials(head)])


def _key_holder(head: RequestHead, policy: Policy) -> Caller:
    sent = credentials(head)
    name = _owner(head, policy.keys)
    if name is None:
        what = "Incorrect API key provided." if sent else "You didn't provide an API key."
        raise UnauthenticatedError(f"{what} {_SEND_KEY}")
    return Caller(name, name, name)


def _local_program(head: RequestHead, policy: Policy) -> Caller:
    _require_this_machine(head, policy)
    _require_own_name(head, policy)
    _require_own_page(head, policy)
    account = _account(head)
    return Caller(f"{account}/{_fingerprint(head)}", "local", account)


def _require_this_machine(head: RequestHead, policy: Policy) -> None:
    client = client_of(head, policy)
    if client is None:
        raise UnauthenticatedError(
            "This request came through a proxy, so the relay cannot tell whether it comes from this machine. Without "
            f"an API key only programs of this machine are served. {_HOW_TO} Or name the proxy with --trusted-proxy.",
            code="local_only",
        )
    if not addresses.is_here(client):
        raise UnauthenticatedError(
            f"Without an API key only programs of this machine are served, at the address localhost. {_HOW_TO}",
            code="local_only",
        )


def _require_own_name(head: RequestHead, policy: Policy) -> None:
    """Refuse foreign names of this machine: they are the sign of DNS rebinding."""
    sent = head.headers.get("host", "")
    if not sent or policy.any_origin:
        return
    named = addresses.authority(sent)
    if named is None or not _is_this_machine(named.host, policy):
        raise OriginNotAllowedError(
            f"Invalid value for the header 'host': {sent[:100]!r} is not a name of this machine, and without an API "
            "key only requests for such a name are served. " + _ALLOW.format("http://NAME"),
            code="host_not_allowed",
        )


def _require_own_page(head: RequestHead, policy: Policy) -> None:
    sent = head.headers.get("origin")
    if policy.any_origin:
        return
    if sent is None:
        foreign, page = head.headers.get("sec-fetch-site") == "cross-site" and not _is_link(head), "ORIGIN"
    else:
        foreign, page = not _is_welcome(addresses.origin(sent), head, policy), sent[:100]
    if foreign:
        raise OriginNotAllowedError(f"Web pages of other sites may not call without an API key. {_ALLOW.format(page)}")


def _is_welcome(page: Origin | None, head: RequestHead, policy: Policy) -> bool:
    return page is not None and (
        page in policy.origins or addresses.is_local(page.at.host) or page.at == _own_authority(head, page.scheme)
    )


def _own_authority(head: RequestHead, scheme: str) -> Authority | None:
    named = addresses.authority(head.headers.get("host", ""))
    return None if named is None else addresses.with_port(named, scheme)


def _is_link(head: RequestHead) -> bool:
    """Whether a person follows a link: its page sees nothing of what comes, and GET changes nothing."""
    wanted = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    return head.method == HTTPMethod.GET and all(head.headers.get(name) == value for name, value in wanted.items())


def _is_this_machine(host: str, policy: Policy) -> bool:
    return addresses.is_local(host) or host in policy.hosts or host in {"0.0.0.0", "::"}  # noqa: S104 - a name, no bind


def _account(head: RequestHead) -> str:
    """Programs of one user of this machine count as one: what they send, and how many they are, is theirs to choose."""
    known = head.user is not None and not _is_proxied(head)
    return f"local:{head.user}" if known else "local"


def _fingerprint(head: RequestHead) -> str:
    """Programs of this machine send any key or none; those that send different ones share nothing."""
    names = ("authorization", "x-api-key", "api-key")
    key = next(filter(None, (head.headers.get(name) for name in names)), "")
    return hashlib.sha256(key.encode()).hexdigest()[:16] if key else ""


def _has_body(head: RequestHead) -> bool:
    return "transfer-encoding" in head.headers or head.headers.get("content-length", "0") != "0"


def _media_type(head: RequestHead) -> str:
    return head.headers.get("content-type", "").partition(";")[0].strip().lower()
