"""Two checkouts of the relay, measured in turns: what each one's server process takes to answer the same requests.

Each runs in its own environment (``PATH/.venv``), as ``claude-relay serve`` with ``stub_cli`` as its CLI. Only the
CPU time of the server process counts, user and system; the stub and the client are processes of their own.
"""

import argparse
import os
import shlex
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from msgspec import Struct

from tests.benchmarks import stub_cli
from tests.benchmarks.protocols import request
from tests.live.relay import clean_environment

OPTIONS = ("--personality", "chat", "--model", "sonnet", "--no-self-test", "--max-process-turns", "1000000")
_LAST_CHUNK = b"0\r\n\r\n"
_START_TIMEOUT = 30.0


class Server:
    """A running relay of one checkout, with one connection to it.

    Attributes:
        pid: Its process.
    """

    def __init__(self, pid: int, port: int) -> None:
        self.pid = pid
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._process = psutil.Process(pid)

    def ask(self, text: str, past: list[dict[str, Any]] | None = None) -> bytes:
        """Ask a question, and return the answer's stream as it came."""
        messages = [*(past or ()), {"role": "user", "content": text}]
        answer = self.stream(model="sonnet", messages=messages)
        assert b"data: [DONE]\n\n" in answer[-100:], answer[-1000:]
        return answer

    def stream(self, **asked: Any) -> bytes:
        """Ask for a stream as ``protocols.request`` has it, and return it as it came."""
        self._socket.sendall(request(stream=True, **asked))
        answer = bytearray()
        while not answer.endswith(_LAST_CHUNK):
            answer += self._socket.recv(1 << 20) or b"the connection is closed" + _LAST_CHUNK
        assert answer.startswith(b"HTTP/1.1 200"), bytes(answer[:1000])
        return bytes(answer)

    def seconds(self) -> float:
        """Return the CPU time that the server has taken so far."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


class Work(Struct, frozen=True):
    """What a server is given to do.

    Attributes:
        name: What it is.
        count: How many requests, or deltas, it is in all.
        slices: Does it in slices, between which the other server has its turn. What it does before it first yields is
            preparation, and not counted.
    """

    name: str
    count: int
    slices: Callable[[Server], Iterator[None]]


class Sides(Struct, frozen=True):
    """What to compare."""

    old: Path
    new: Path
    rounds: int


def sides(description: str | None) -> Sides:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--old", type=Path, required=True, help="a checkout, with its environment in .venv")
    parser.add_argument("--new", type=Path, default=Path(__file__).parents[2], help="another; this one if not given")
    parser.add_argument("--rounds", type=int, default=9)
    found = parser.parse_args()
    return Sides(found.old.resolve(), found.new.resolve(), found.rounds)


def compare(compared: Sides, *works: Work) -> None:
    """Have both sides do the same in turns, and print what it cost them."""
    print(f"old {_commit(compared.old)}, new {_commit(compared.new)}, {compared.rounds} rounds\n")
    print("| CPU microseconds | old | min-max | new | min-max | new / old | min-max of the rounds |")
    print("|---|---|---|---|---|---|---|")
    with served(compared.old) as old, served(compared.new) as new:
        for work in works:
            _round(work, (old, new))  # only warms up
            found = [_round(work, (old, new) if number % 2 else (new, old)) for number in range(compared.rounds)]
            _print(work.name, [costs[old] for costs in found], [costs[new] for costs in found])


def _round(work: Work, servers: tuple[Server, Server]) -> dict[Server, float]:
    """Return the CPU time of one request, or delta."""
    under_way = [work.slices(server) for server in servers]
    for slices in under_way:
        next(slices)
    before = [server.seconds() for server in servers]
    for _ in zip(*under_way, strict=True):
        pass
    return {server: (server.seconds() - start) / work.count for server, start in zip(servers, before, strict=True)}


@contextmanager
def served(checkout: Path) -> Iterator[Server]:
    """Serve a checkout until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        command = [str(checkout / ".venv/bin/claude-relay"), "serve", "--host", "127.0.0.1", "--port", str(port)]
        with (home / "output").open("wb") as output:
            process = subprocess.Popen(
                [*command, "--claude-path", _stub(home), *OPTIONS],
                env=clean_environment(home),
                cwd=home,
                stdout=output,
                stderr=output,
            )
            try:
                wait_for(port)
                server = Server(process.pid, port)
                yield server
                server.close()
            finally:
                process.terminate()
                process.wait()


def _stub(folder: Path) -> Path:
    path = folder / "claude"
    path.write_text(f'#!/bin/sh\nexec {shlex.join((sys.executable, "-SI", stub_cli.__file__))} "$@"\n')
    path.chmod(0o755)
    return path


def wait_for(port: int) -> None:
    """Wait until somebody listens on a port of this machine."""
    deadline = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise TimeoutError("the relay did not start")


def _commit(checkout: Path) -> str:
    asked = ("git", "-C", os.fspath(checkout), "describe", "--always", "--dirty")
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


def _print(name: str, old: list[float], new: list[float]) -> None:
    ratios = [after / before for before, after in zip(old, new, strict=True)]
    figures = " | ".join(f"{1e6 * statistics.median(side):.1f} | {_span(side, 1e6)}" for side in (old, new))
    ratio = statistics.median(new) / statistics.median(old)
    print(f"| {name} | {figures} | {ratio:.2f} | {_span(ratios)} |", flush=True)


def _span(values: list[float], scale: float = 1.0) -> str:
    return f"{scale * min(values):.{1 if scale > 1 else 2}f}-{scale * max(values):.{1 if scale > 1 else 2}f}"
