"""One child process: spawn it, write lines to it, read lines from it, and leave nothing of it behind."""

import asyncio
import contextlib
import ctypes
import itertools
import logging
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from claude_relay.engine.claude import orphans
from claude_relay.engine.claude.orphans import ProcessTag
from claude_relay.errors import UnavailableError

_log = logging.getLogger(__name__)

_CHUNK = 1 << 18
"""Bytes read at once. Lines may be many times longer."""
_LONGEST_LINE = 1 << 28
"""Bytes without a newline from which on it is no line that comes, and memory would be next."""
_STDERR_LINES = 20
_STEP_TIMEOUT = 0.4
"""Seconds a child gets for each step of its end: after its input closed, then after SIGTERM."""
_numbers = itertools.count(1)

T = TypeVar("T")

Sweep = Callable[[int], None]
"""Removes what a process has left, by its id."""


class ChildProcess:
    """A running child in its own process group, which reads and writes lines.

    Args:
        process: The child.
        tag: The tag that it and its descendants carry.
        alone: Whether it starts no processes of its own as long as it ends by itself.
        sweep: Removes, given its id, what it has left once it has ended.

    Attributes:
        dismissed: Whether the relay itself has begun to end it.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, tag: ProcessTag, *, alone: bool, sweep: Sweep | None = None
    ) -> None:
        self._process = process
        self._sweep = sweep
        self.dismissed = False
        self._tag = tag
        self._alone = alone
        self._unread: deque[bytes] = deque()
        self._partial: list[bytes] = []
        self._pending = 0
        self._errors: deque[str] = deque(maxlen=_STDERR_LINES)
        self._drain = asyncio.create_task(self._drain_stderr())

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its group."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._process.returncode

    async def last_words(self) -> str:
        """Return the last lines of its stderr, once its output has ended."""
        await asyncio.wait({self._drain}, timeout=_STEP_TIMEOUT)
        return "\n".join(self._errors)

    async def write(self, data: bytes) -> None:
        """Write and wait until the pipe has taken most of it.

        Raises:
            ConnectionError: The child no longer reads.
        """
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 - spawned with a pipe
        try:
            stdin.write(data)
            await stdin.drain()
        except RuntimeError as error:
            # uvloop's word for a pipe that is closed
            raise ConnectionError(str(error)) from error

    async def read_line(self) -> bytes | None:
        """Return the next line without its newline, however long, or None when the child's output has ended."""
        if not self._unread:
            await self.readable()
        return self._unread.popleft() if self._unread else None

    async def readable(self) -> None:
        """Wait until there is a line to be read, or the child's output has ended."""
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101 - spawned with a pipe
        while not self._unread:
            chunk = await stdout.read(_CHUNK)
            if not chunk:
                return
            first, *rest = chunk.split(b"\n")
            self._partial.append(first)
            self._pending += len(first)
            if self._pending > _LONGEST_LINE:
                _log.error("claude[%d] writes without end", self.pid)
                self.kill()
                return
            if rest:
                self._unread.append(b"".join(self._partial))
                self._unread.extend(rest[:-1])
                self._partial = [rest[-1]]
                self._pending = len(rest[-1])

    def kill(self) -> None:
        """End the child and its group at once. ``close`` it all the same."""
        self.dismissed = True
        self._signal(signal.SIGKILL)

    async def close(self) -> None:
        """End the child, its group and all its descendants, in bounded time.

        It is asked first: closed input lets the CLI end its own tools and servers. Then it is made to.
        """
        self.dismissed = True
        relatives = [] if self._alone else await self._aside(orphans.descendants, self.pid) or []
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 - spawned with a pipe
        stdin.close()
        if not await self._ended():
            self._signal(signal.SIGTERM)
            await self._ended()
        self.kill()
        if not await self._ended():
            _log.error("claude[%d] does not end", self.pid)
        if not self._alone or self.returncode != 0:
            ended = await self._aside(orphans.kill_tagged, self._tag, relatives) or 0
            _log.log(logging.INFO if ended else logging.DEBUG, "claude[%d] left %d processes", self.pid, ended)
        if self._sweep is not None:
            await self._aside(self._sweep, self.pid)
        await self._discard_output()
        await asyncio.wait({self._drain}, timeout=_STEP_TIMEOUT)
        self._drain.cancel()
        await asyncio.gather(self._drain, return_exceptions=True)

    async def _aside(self, work: Callable[..., T], *args: Any) -> T | None:
        """Look at the system in a thread; where it is short of descriptors or threads, the child ends all the same."""
        try:
            return await asyncio.to_thread(work, *args)
        except (OSError, RuntimeError) as error:
            _log.warning("claude[%d]: what it left could not be looked for: %s", self.pid, error)
        return None

    async def _discard_output(self) -> None:
        """Read the rest of the output, since its pipe stays open until then, unless another task already reads it."""
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101 - spawned with a pipe
        with contextlib.suppress(TimeoutError, RuntimeError):
            async with asyncio.timeout(_STEP_TIMEOUT):
                while await stdout.read(_CHUNK):
                    pass

    async def _ended(self) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STEP_TIMEOUT):
                await self._process.wait()
        return self._process.returncode is not None

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    async def _drain_stderr(self) -> None:
        stderr = self._process.stderr
        assert stderr is not None  # noqa: S101 - spawned with a pipe
        while chunk := await stderr.read(_CHUNK):
            # what it says may be a client's words
            _log.debug("claude[%d] wrote %d bytes to stderr", self.pid, len(chunk))
            self._errors.extend(line[:500] for line in chunk.decode(errors="replace").splitlines())


async def spawn(
    argv: Sequence[str], environ: Mapping[str, str], cwd: str, *, alone: bool = False, sweep: Sweep | None = None
) -> ChildProcess:
    """Start a child with pipes, as the leader of its own session: a Ctrl-C meant for the relay does not reach it.

    Args:
        argv: Its command line.
        environ: Its environment, to which a tag is added.
        cwd: Its directory.
        alone: Whether it starts no processes of its own as long as it ends by itself.
        sweep: Removes, given its id, what it has left once it has ended.

    Raises:
        UnavailableError: It cannot be started.
    """
    tag = orphans.tag(next(_numbers))
    options: dict[str, Any] = {"env": {**environ, orphans.VARIABLE: str(tag)}, "cwd": cwd, "start_new_session": True}
    starting = asyncio.create_task(
        asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            preexec_fn=_bind,
            **options,
        )
    )
    try:
        process = await asyncio.shield(starting)
    except asyncio.CancelledError:
        # a start that is given up half-way would leave its pipes open
        with contextlib.suppress(OSError):
            unwanted = ChildProcess(await starting, tag, alone=alone, sweep=sweep)
            unwanted.kill()
            await unwanted.close()
        raise
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise UnavailableError(f"Claude Code could not be started: {error}", code="claude_not_found") from error
    except OSError as error:
        # it is being replaced, or the machine is short of something: both pass
        raise UnavailableError(f"Claude Code could not be started: {error}") from error
    return ChildProcess(process, tag, alone=alone, sweep=sweep)


def _binding() -> Callable[[], None] | None:
    """Return what a child does between fork and exec, where the platform knows how.

    It may call nothing but what is loaded already: other threads' locks are as they were. uvloop forks in any case, so
    this costs nothing measurable there.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.PyDLL(None).prctl
    prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)
    interrupt = int(signal.SIGINT)

    def bind() -> None:
        # when the relay dies, the child is interrupted: on SIGINT the CLI ends its tools, whatever its version
        prctl(_PR_SET_PDEATHSIG, interrupt, 0, 0, 0)
        # descendants that lose their parent become the child's own, and are found when it ends
        prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    return bind


_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_bind = _binding()
