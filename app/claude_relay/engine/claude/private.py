"""A directory of the relay's own: where ``chat`` works, and where all CLI processes keep their temporary files.

So what they leave goes with it. A relay that is killed removes nothing, so the directory says whose it is, and which
processes it had: the next relay removes what provably belongs to one that is gone, and nothing else.
"""

import contextlib
import json
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from claude_relay.engine.claude import orphans
from claude_relay.errors import UnavailableError

_log = logging.getLogger(__name__)

TMPDIR = "CLAUDE_CODE_TMPDIR"
"""The CLI's own variable for where its temporary files go; what its tools see is another one."""
_PREFIX = "claude-relay-"
_OWNER = "owner"
_CHILDREN = "children"


class PrivateDirectory:
    """Made when it is first needed, and again when it is gone or no longer private.

    Args:
        environ: The environment of the CLI, which tells where temporary files and the CLI's sessions are.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._parent = environ.get(TMPDIR) or None
        self._sessions = _sessions(environ)
        self._path: Path | None = None

    def folder(self, name: str) -> str:
        """Return a directory in it that nobody else can write to.

        Raises:
            UnavailableError: None can be made.
        """
        try:
            path = self._made() / name
            path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise UnavailableError(_no_place(error), code="no_temporary_directory") from None
        return str(path)

    def record_child(self, pid: int) -> None:
        """Write down that a process is the relay's."""
        with contextlib.suppress(OSError, UnavailableError):
            Path(self.folder(_CHILDREN), str(pid)).write_text(orphans.start_of(pid) or "", encoding="ascii")

    def sweep(self, pid: int) -> None:
        """Remove what a process that has ended has left."""
        if self._path is not None:
            _sweep(self._path / _CHILDREN / str(pid), self._sessions)

    def remove(self) -> None:
        """Remove it, with all that is in it."""
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
            self._path = None

    def _made(self) -> Path:
        if self._path is not None:
            if (wrong := _wrong(self._path)) is None:
                return self._path
            _log.warning("%s %s, so another directory is made", self._path, wrong)
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._parent))
        (path / _OWNER).write_text(str(orphans.tag(0)), encoding="ascii")
        self._path = path
        return path


def remove_left(environ: Mapping[str, str]) -> int:
    """Remove the directories of relays that are gone, and return how many there were.

    Args:
        environ: The environment of the CLI, as for ``PrivateDirectory``.
    """
    removed = 0
    for path in _directories(environ.get(TMPDIR) or None):
        with contextlib.suppress(OSError, ValueError):
            owner = orphans.parse_tag((path / _OWNER).read_text(encoding="ascii"))
            if owner is None or not orphans.is_orphan(owner, orphans.namespace(), orphans.start_of):
                continue
            for record in (path / _CHILDREN).glob("*"):
                _sweep(record, _sessions(environ))
            shutil.rmtree(path)
            removed += 1
    return removed


def require_place(environ: Mapping[str, str]) -> None:
    """Make sure that a private directory can be made.

    Raises:
        UnavailableError: It cannot.
    """
    place = PrivateDirectory(environ)
    try:
        place.folder(_CHILDREN)
    finally:
        place.remove()


def _directories(parent: str | None) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        for path in Path(parent or tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            if _wrong(path) is None:
                yield path


def _wrong(path: Path) -> str | None:
    """Return why a directory is not private, or None if it is. A link is never private."""
    try:
        found = path.lstat()
    except OSError:
        return "is gone"
    if not stat.S_ISDIR(found.st_mode):
        return "is no directory any more"
    if os.name != "posix":
        return None
    if found.st_uid != os.geteuid():
        return "belongs to somebody else"
    return "can be used by others" if found.st_mode & 0o077 else None


def _sweep(record: Path, sessions: Path) -> None:
    """Remove a process's files of a session, if they are that process's and it is gone."""
    with contextlib.suppress(OSError, ValueError):
        started = record.read_text(encoding="ascii")
        if not started or orphans.start_of(int(record.name)) == started:
            return
        for path in (sessions / f"{record.name}.json", *sessions.glob(f"{record.name}.*.key")):
            if _is_of(path, started):
                path.unlink()
        record.unlink()


def _is_of(path: Path, started: str) -> bool:
    """Whether a session's file is that of a process that started then, in this place: process ids are used again."""
    try:
        found: Any = json.loads(path.read_bytes())
        return found["procStart"] == started and str(found["pidDomain"]).endswith(f":{orphans.namespace()}")
    except (OSError, ValueError, TypeError, KeyError):
        return False


def _sessions(environ: Mapping[str, str]) -> Path:
    chosen = environ.get("CLAUDE_CONFIG_DIR")
    return Path(chosen or Path(environ.get("HOME", "."), ".claude")) / "sessions"


def _no_place(error: OSError) -> str:
    return (
        f"No temporary directory can be written: {error.strerror or error}. Name one that can with TMPDIR, or in a "
        "container mount a tmpfs on /tmp."
    )
