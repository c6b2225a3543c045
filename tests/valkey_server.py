"""A server of Valkey or Redis of the tests' own."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.serving import Place

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"


@contextmanager
def valkey_server(directory: Path) -> Iterator[Place]:
    """Run a server that keeps nothing on disk until the block ends, and tell where it listens."""
    program = shutil.which("valkey-server", path=_PATH) or shutil.which("redis-server", path=_PATH)
    assert program is not None, "Debian's package valkey-server or redis-server brings the server along"
    with socket.create_server(("127.0.0.1", 0)) as free:
        place: Place = free.getsockname()
    command = [program, "--bind", place[0], "--port", str(place[1]), "--save", "", "--appendonly", "no"]
    with subprocess.Popen([*command, "--dir", str(directory)], stdout=subprocess.DEVNULL) as run:
        try:
            deadline = time.monotonic() + 20
            while not empty(place):
                assert run.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield place
        finally:
            run.terminate()


def empty(place: Place) -> bool:
    """Remove all that a server has, and return whether it is there."""
    try:
        with socket.create_connection(place, 5) as connection:
            connection.sendall(b"FLUSHALL\r\n")
            return connection.recv(100) == b"+OK\r\n"
    except ConnectionRefusedError:
        return False
