"""Whose program calls is what the system says, never what the program says."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from claude_relay.access import peers
from claude_relay.access.peers import unix_client, user_of

ME = os.getuid()
Ends = tuple[tuple[str, int], tuple[str, int]]


@contextmanager
def connection(host: str, family: int = socket.AF_INET, to: str | None = None) -> Iterator[Ends]:
    """Connect a socket of this process, and tell both ends as the server sees them."""
    both = family == socket.AF_INET6 and host == "::"
    with socket.create_server((host, 0), family=family, dualstack_ipv6=both) as server:
        place = (to or host, server.getsockname()[1])
        with socket.create_connection(place), server.accept()[0] as accepted:
            yield accepted.getpeername()[:2], accepted.getsockname()[:2]


@pytest.mark.parametrize(
    ("host", "family", "to"),
    [
        ("127.0.0.1", socket.AF_INET, None),
        ("127.0.0.1", socket.AF_INET, "127.0.0.1"),
        ("::1", socket.AF_INET6, None),
        ("::", socket.AF_INET6, "127.0.0.1"),
        ("::", socket.AF_INET6, "::1"),
    ],
)
def test_the_user_of_a_local_connection_is_known(host: str, family: int, to: str | None) -> None:
    with connection(host, family, to) as (client, server):
        assert user_of(client, server) == ME


def test_users_are_told_apart() -> None:
    # only root can be somebody else
    user = 54321 if ME == 0 else ME
    code = (
        f"import os,socket,sys; ''.encode('idna'); os.setuid({user}); s=socket.socket(); "
        "s.connect(('127.0.0.1', int(sys.argv[1]))); s.recv(1)"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        port = server.getsockname()[1]
        with subprocess.Popen([sys.executable, "-c", code, str(port)]) as other, server.accept()[0] as accepted:
            assert user_of(accepted.getpeername(), accepted.getsockname()) == user
            accepted.close()
            other.wait(20)


def test_a_connection_stays_its_creators_whoever_holds_it_later() -> None:
    # only root can become somebody else
    user = 54321 if ME == 0 else ME
    code = f"import os,sys; os.setuid({user}); print(os.getuid(), flush=True); sys.stdin.read()"
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        with server.accept()[0] as accepted:
            ends = accepted.getpeername(), accepted.getsockname()
            with subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[client.fileno()],
            ) as holder:
                assert holder.stdout is not None
                assert int(holder.stdout.readline()) == user
                client.close()
                assert user_of(*ends) == ME
                holder.communicate()


def test_what_is_not_of_this_machine_or_gone_has_no_user() -> None:
    with connection("127.0.0.1") as (client, server):
        gone = client
        assert user_of(("192.0.2.7", 50000), server) is None
        assert user_of(("testclient", 50000), server) is None
        assert user_of(client, ("localhost", None)) is None
        assert user_of(client, ("::1", server[1])) is None
        assert user_of((client[0], 1), server) is None
        assert user_of(client, None) is None
    assert user_of(None, server) is None
    assert user_of(gone, server) is None


def test_a_system_that_does_not_tell_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    with connection("127.0.0.1") as (client, server):
        monkeypatch.setattr(peers, "_owner", lambda *_: (_ for _ in ()).throw(PermissionError()))
        assert user_of(client, server) is None
        monkeypatch.undo()
        monkeypatch.delattr(socket, "AF_NETLINK")
        assert user_of(client, server) is None


async def seen(server: asyncio.Server, connect: Callable[[], Any], found: "asyncio.Queue[Any]") -> object:
    """Connect to a server, and return what it saw."""
    async with server, asyncio.timeout(20):
        _, ours = await connect()
        what, theirs = await found.get()
        for writer in (ours, theirs):
            writer.close()
            await writer.wait_closed()
        return what


@pytest.mark.anyio
async def test_the_client_of_a_unix_socket_is_its_user(tmp_path: Path) -> None:
    found: asyncio.Queue[Any] = asyncio.Queue()
    path = tmp_path / "socket"
    server = await asyncio.start_unix_server(lambda _, to: found.put_nowait((unix_client(to.transport), to)), path)

    assert await seen(server, lambda: asyncio.open_unix_connection(path), found) == ("unix", ME)
    assert user_of(("unix", ME), (str(path), None)) == ME
    assert user_of(("unix", -1), (str(path), None)) is None


@pytest.mark.anyio
async def test_other_connections_are_no_unix_clients() -> None:
    found: asyncio.Queue[Any] = asyncio.Queue()
    server = await asyncio.start_server(lambda _, to: found.put_nowait((unix_client(to.transport), to)), "127.0.0.1", 0)

    assert await seen(server, lambda: asyncio.open_connection(*server.sockets[0].getsockname()), found) is None
