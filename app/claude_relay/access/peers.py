"""Asks the system which user's program is at the other end of a local connection."""

import asyncio
import os
import socket
import struct

from claude_relay.access import addresses

_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_ANY_STATE = 0xFFFFFFFF
_NO_COOKIE = 0xFFFFFFFFFFFFFFFF
_HEADER = struct.Struct("=IHHII")
_ENDS = struct.Struct("!HH16s16s")
_FOUND_AT = 80
"""Where ``idiag_uid`` and ``idiag_inode`` stand in an answer: 16 bytes of header, 64 of ``struct inet_diag_msg``."""
_FOUND = struct.Struct("=II")
_UNKNOWN = -1
"""In place of a user, on a system that does not tell."""
_CREDENTIALS = struct.Struct("iII")
_TIMEOUT = 0.1
"""Seconds; the kernel answers while it is asked."""

Place = tuple[str, int]


def unix_client(transport: asyncio.BaseTransport) -> Place | None:
    """Return what stands for the client of a Unix socket, with its user in place of the port; None for other sockets.

    It stands in an ASGI scope as ``client``, so that whatever is made of addresses works for it too.
    """
    found = transport.get_extra_info("socket")
    if found is None:
        return None
    # an event loop's own kind of socket may know its family wrongly, and not the options
    with socket.socket(fileno=os.dup(found.fileno())) as own:
        if own.family != socket.AF_UNIX:
            return None
        if not hasattr(socket, "SO_PEERCRED"):
            return addresses.UNIX, _UNKNOWN
        credentials = own.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(credentials)
    return addresses.UNIX, user


def user_of(client: Place | None, server: tuple[str, int | None] | None) -> int | None:
    """Return the number of the user whose program is at the other end, if it is of this machine and the system tells.

    Args:
        client: Where the connection comes from, as in an ASGI scope.
        server: Where it leads.
    """
    if client is None or server is None:
        return None
    if client[0] == addresses.UNIX:
        return client[1] if client[1] != _UNKNOWN else None
    if not addresses.is_loopback(client[0]) or server[1] is None:
        return None
    try:
        return _owner(client, (server[0], server[1]))
    except (OSError, struct.error):
        return None


def _owner(client: Place, server: Place) -> int | None:
    """Ask Linux whose a TCP socket is (``man 7 sock_diag``); other systems have no such question."""
    if not hasattr(socket, "AF_NETLINK"):
        return None
    at, to = addresses.address(client[0]), addresses.address(server[0])
    if at is None or to is None or at.version != to.version:
        return None
    family = socket.AF_INET if at.version == 4 else socket.AF_INET6  # noqa: PLR2004 - the version of IP
    ends = _ENDS.pack(client[1], server[1], at.packed.ljust(16, b"\0"), to.packed.ljust(16, b"\0"))
    asked = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, _ANY_STATE) + ends
    asked += struct.pack("=IQ", 0, _NO_COOKIE)
    head = _HEADER.pack(_HEADER.size + len(asked), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
        kernel.settimeout(_TIMEOUT)
        kernel.sendto(head + asked, (0, 0))
        answer = kernel.recv(4096)
    if _HEADER.unpack_from(answer)[1] != _SOCK_DIAG_BY_FAMILY:
        return None
    user, inode = _FOUND.unpack_from(answer, _FOUND_AT)
    # a socket that its program has closed already belongs to nobody
    return user if inode else None
