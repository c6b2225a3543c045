"""Where the server listens: addresses and Unix sockets, taken before anything else begins."""

import contextlib
import errno
import fcntl
import os
import signal
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv6Address
from pathlib import Path
from types import FrameType

from msgspec import Struct

from claude_relay.access import addresses
from claude_relay.errors import ListenError
from claude_relay.settings import Settings

_BACKLOG = 2048
"""Connections that may wait until they are accepted."""
_ABSENT = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
"""What a machine without IPv6 says of an IPv6 address."""
_DEADLY = (signal.SIGTERM, signal.SIGHUP)
"""Signals that end the process, and its socket's file with it; uvicorn raises them again once it has stopped."""


class Listening(Struct, frozen=True):
    """The sockets that the server listens on.

    Attributes:
        sockets: One for each address.
        place: What to call it.
        base_url: What to call the server by; a Unix socket needs its path too.
    """

    sockets: tuple[socket.socket, ...]
    place: str
    base_url: str


@contextmanager
def listening(chosen: Settings) -> Iterator[Listening]:
    """Listen where the operator wants it, until the block ends.

    Raises:
        ListenError: That is not possible.
    """
    with ExitStack() as stack:
        if chosen.uds is not None:
            opened = stack.enter_context(_unix_socket(Path(chosen.uds).absolute()))
            yield Listening((opened,), f"the Unix socket {chosen.uds}", "http://localhost")
        else:
            found = tuple(map(stack.enter_context, _tcp_sockets(chosen.host, chosen.port)))
            host = _url_host(chosen.host, found[0])
            yield Listening(found, f"{chosen.host} port {chosen.port}", f"http://{host}:{chosen.port}")


def _tcp_sockets(host: str, port: int) -> list[socket.socket]:
    """Listen on every address that a host has; ``::`` is every address of both families."""
    opened: list[socket.socket] = []
    try:
        found = dict.fromkeys(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE))
        for family, kind, protocol, _, place in found:
            try:
                opened.append(_tcp_socket(family, kind, protocol, place))
            except OSError as error:
                # a name such as localhost may have an address that this machine has not
                if error.errno not in _ABSENT or len(found) == 1:
                    raise
        if not opened:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))  # noqa: TRY301 - as for a single one
    except OSError as error:
        for one in opened:
            one.close()
        raise ListenError(
            f"Cannot listen on {host} port {port}: {error.strerror}. Choose another with --host or --port."
        ) from None
    return opened


def _tcp_socket(family: int, kind: int, protocol: int, place: object) -> socket.socket:
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            at = addresses.address(str(place[0]))  # type: ignore[index] # as getaddrinfo tells it
            alone = isinstance(at, IPv6Address) and not at.is_unspecified
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(alone))
        opened.bind(place)  # type: ignore[arg-type]
        opened.listen(_BACKLOG)
    except OSError:
        opened.close()
        raise
    return opened


def _url_host(host: str, bound: socket.socket) -> str:
    """Return how a URL on this machine names a host that is listened on."""
    try:
        socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)
    except OSError:
        return host
    text = str(bound.getsockname()[0])
    found = addresses.address(text)
    if found is None or found.is_unspecified or text == "127.0.0.1":
        return "localhost"
    return f"[{text.replace('%', '%25')}]" if ":" in text else text


@contextmanager
def _unix_socket(path: Path) -> Iterator[socket.socket]:
    """Listen on a Unix socket that only this user can open; its file goes with it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as opened:
        try:
            with _alone_in(path.parent):
                _make_room(path)
                _bind_privately(opened, path)
                ours = path.lstat()
        except OSError as error:
            # without an errno it is the path's length
            raise _unusable(path, error.strerror or str(error)) from None
        with _removed(path, ours):
            yield opened


@contextmanager
def _removed(path: Path, ours: os.stat_result) -> Iterator[None]:
    """Remove a file at the end, also if that is a signal: uvicorn has its process die of the one that stopped it."""

    def remove() -> None:
        # another server may have taken the place of one that was stopped and went on again
        with contextlib.suppress(OSError):
            if os.path.samestat(path.lstat(), ours):
                path.unlink()

    def remove_and_go_on(number: int, _: FrameType | None) -> None:
        remove()
        signal.signal(number, before[signal.Signals(number)])
        signal.raise_signal(number)

    before = {number: signal.getsignal(number) for number in _DEADLY}
    # who starts a program may want it to ignore a signal, as nohup does
    deadly = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in deadly:
        signal.signal(number, remove_and_go_on)
    try:
        yield
    finally:
        for number in deadly:
            signal.signal(number, before[number])
        remove()


def _bind_privately(opened: socket.socket, path: Path) -> None:
    before = os.umask(0o177)
    try:
        opened.bind(str(path))
    finally:
        os.umask(before)
    opened.listen(_BACKLOG)


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Keep other relays that start at this moment from looking at the same place."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _make_room(path: Path) -> None:
    """Remove what a server that was killed has left, and nothing else.

    Raises:
        ListenError: Something else is there.
    """
    try:
        there = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(there.st_mode):
        raise _unusable(path, "something is there that is no socket")
    if there.st_uid != os.geteuid():
        raise _unusable(path, "the socket that is there belongs to another user")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError as error:
            # a server that accepts nothing just now is a server
            if error.errno != errno.EAGAIN:
                raise
    raise _unusable(path, "another server listens there")


def _unusable(path: Path, reason: str) -> ListenError:
    return ListenError(f"Cannot listen on {path}: {reason}. Choose another with --uds.")
