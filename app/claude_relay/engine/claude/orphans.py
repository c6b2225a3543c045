"""Finds processes that a CLI has left running, and ends them.

An agent's tools may start what outlives their shell, their session and the CLI, and a relay that is killed ends
nothing. So the environment of every child carries a tag that its own children inherit: which server it descends from,
and which child of that server.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil
from msgspec import Struct

from claude_relay.settings import PREFIX

VARIABLE = PREFIX + "OWNER"
"""Environment variable that holds the tag."""

_STEP_TIMEOUT = 0.4
"""Seconds that processes get after each signal."""
_POLL_INTERVAL = 0.01
"""Seconds between two looks."""
_SIGNALS = (signal.SIGTERM, signal.SIGKILL, signal.SIGKILL)
"""The second SIGKILL is for what was forked while the first was sent."""

Find = Callable[[], list[psutil.Process]]


class ProcessTag(Struct, frozen=True):
    """Which server and which of its children a process descends from.

    Attributes:
        namespace: Where the server's process id means anything; a container has its own.
        server: The server's process id.
        started: When the server started: process ids are used again.
        child: The child of the server, by a number of its own.
    """

    namespace: str
    server: int
    started: str
    child: int

    def __str__(self) -> str:
        """Return it as text, for an environment."""
        return f"{self.namespace}/{self.server}/{self.started}/{self.child}"


def tag(child: int) -> ProcessTag:
    """Return the tag of a child of this process."""
    return ProcessTag(namespace(), os.getpid(), start_of(os.getpid()) or "", child)


def parse_tag(text: str) -> ProcessTag | None:
    """Return the tag that a text stands for, or None."""
    try:
        namespace, server, started, child = text.split("/")
        return ProcessTag(namespace, int(server), started, int(child))
    except ValueError:
        return None


def is_orphan(found: ProcessTag, namespace: str, start: Callable[[int], str | None]) -> bool:
    """Whether a process's server is gone. Servers in other namespaces of process ids count as alive.

    Args:
        found: The tag of the process.
        namespace: Where we are.
        start: Tells when a process started, None if there is none.
    """
    return found.namespace == namespace and start(found.server) != found.started


def descendants(pid: int) -> list[psutil.Process]:
    """Return all descendants of a process that can still be told as such."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def kill_tagged(of: ProcessTag, relatives: Iterable[psutil.Process] = ()) -> int:
    """End what carries a tag, and others that are known, and tell how many there were. Takes about a second at most.

    Args:
        of: The tag.
        relatives: Processes to be ended whether or not they carry it.
    """
    known = list(relatives)
    return _end(lambda: [*filter(_lives, known), *_tagged(lambda found: found == of)])


def end_orphans() -> int:
    """End what servers that are gone have left running, and tell how many processes there were."""
    here = namespace()
    return _end(lambda: _tagged(lambda found: is_orphan(found, here, start_of)))


def start_of(pid: int) -> str | None:
    """Return the start of a process, independent of the clock, or None if no such process runs."""
    try:
        if sys.platform == "linux":
            state, *fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
            return None if state in "ZX" else fields[18]
        process = psutil.Process(pid)
        return str(process.create_time()) if _lives(process) else None
    except (OSError, psutil.Error):
        return None


def _end(find: Find) -> int:
    """Send SIGTERM, then SIGKILL, to the processes that were found and to their new descendants."""
    ended: set[psutil.Process] = set()
    for number in _SIGNALS:
        if not (found := find()):
            break
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)
        _wait_for(found)
        ended.update(found)
    return len(ended)


def _wait_for(processes: list[psutil.Process]) -> None:
    """Wait for their end by looking: to wait for a child would take its exit code from whoever started it."""
    deadline = time.monotonic() + _STEP_TIMEOUT
    while any(map(_lives, processes)) and time.monotonic() < deadline:
        time.sleep(_POLL_INTERVAL)


def _tagged(wanted: Callable[[ProcessTag], bool]) -> list[psutil.Process]:
    """Look at every process of this user but this one; the tag comes first, as hardly any has one."""
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            its = parse_tag(process.environ().get(VARIABLE, ""))
            if its and wanted(its) and pid != os.getpid() and _is_ours(process) and _lives(process):
                found.append(process)
    return found


def _is_ours(process: psutil.Process) -> bool:
    return process.uids().real == os.getuid()


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def namespace() -> str:
    """Return the namespace of this process's ids, empty if the platform has none."""
    try:
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - there is no such file, only a name
    except OSError:
        return ""
