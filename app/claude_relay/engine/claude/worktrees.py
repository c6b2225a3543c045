"""Git worktrees for agents: made when a process starts, and removed when it has ended and left nothing in it.

A relay that is killed removes nothing, so a record beside each worktree says whose it is: the next relay treats those
of relays that are gone in the same way.
"""

import contextlib
import logging
import secrets
import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from claude_relay.engine.claude import orphans
from claude_relay.errors import UnavailableError
from claude_relay.settings import PREFIX

_log = logging.getLogger(__name__)

_TIMEOUT = 120.0
"""Seconds for one command of git: it may have much to write."""
_OF_ONE_REPOSITORY = frozenset(
    {"GIT_COMMON_DIR", "GIT_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_WORK_TREE"}
)
"""Variables that would have git work on another repository, such as that of a hook which starts the relay."""
_RECORD = ".json"


class Worktree(Struct, frozen=True):
    """A worktree of the relay's.

    Attributes:
        path: Its root.
        directory: The directory in it that stands for the one it was made for.
        repository: The root of the worktree that it was made from.
        branch: The branch that was made for it.
        base: The commit that it began with.
        owner: The tag of the relay.
    """

    path: str
    directory: str
    repository: str
    branch: str
    base: str
    owner: str


class Worktrees:
    """Makes worktrees and removes them.

    Args:
        folder: Where they are.
        environ: The environment of git, which its hooks see too; the relay's own settings, among which are keys, and
            what leads to another repository are left out.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        # git would take another one as relative to its repository
        self._folder = folder.absolute()
        self._environ = {
            name: value
            for name, value in environ.items()
            if name not in _OF_ONE_REPOSITORY and not name.startswith(PREFIX)
        }

    def make(self, name: str, directory: str) -> Worktree:
        """Return a new worktree of a directory's repository, on a branch of its own that begins with what is there.

        Args:
            name: What it is for, as a part of its name.
            directory: The directory, which may be one below the root of the repository.

        Raises:
            UnavailableError: Git makes none.
        """
        try:
            root, prefix, base = self._git(directory, "rev-parse", "--show-toplevel", "--show-prefix", "HEAD").split(
                "\n"
            )
            name = f"{name}-{secrets.token_hex(4)}"
            path = self._folder / name
            tree = Worktree(str(path), str(path / prefix), root, f"claude-relay/{name}", base, str(orphans.tag(0)))
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._record(tree.path).write_bytes(msgspec.json.encode(tree))
            self._git(root, "worktree", "add", "--quiet", "-b", tree.branch, tree.path, base)
            Path(tree.directory).mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise UnavailableError(
                f"No git worktree could be made of {directory}: {_reason(error)}", code="no_worktree"
            ) from None
        return tree

    def remove(self, tree: Worktree) -> None:
        """Remove a worktree and its branch, unless there is work in it; that is kept, and the log says where.

        A second call changes nothing.
        """
        record = self._record(tree.path)
        if not record.exists():
            return
        try:
            if Path(tree.path).exists() and (work := self._work_in(tree)):
                _log.warning("the worktree %s (branch %s) has %s, and is kept", tree.path, tree.branch, work)
            else:
                self._discard(tree)
        except (OSError, subprocess.SubprocessError) as error:
            _log.warning("the worktree %s could not be removed, and is kept: %s", tree.path, _reason(error))
        with contextlib.suppress(OSError):
            record.unlink()

    def remove_left(self) -> None:
        """Remove what relays that are gone have left, unless there is work in it."""
        for record in self._folder.glob(f"*{_RECORD}"):
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                tree = msgspec.json.decode(record.read_bytes(), type=Worktree)
                owner = orphans.parse_tag(tree.owner)
                if owner is not None and orphans.is_orphan(owner, orphans.namespace(), orphans.start_of):
                    self.remove(tree)

    def _work_in(self, tree: Worktree) -> str | None:
        """Return what was done in a worktree, if anything was."""
        if self._git(tree.path, "status", "--porcelain", "--untracked-files=normal", "--ignore-submodules=none"):
            return "changes"
        return "commits" if self._git(tree.path, "rev-parse", "HEAD") != tree.base else None

    def _discard(self, tree: Worktree) -> None:
        if Path(tree.path).exists():
            self._git(tree.repository, "worktree", "remove", "--force", tree.path)
        else:
            self._git(tree.repository, "worktree", "prune")
        with contextlib.suppress(subprocess.SubprocessError):
            # only as long as it says nothing new
            self._git(tree.repository, "update-ref", "-d", f"refs/heads/{tree.branch}", tree.base)

    def _git(self, directory: str, *arguments: str) -> str:
        """Return what a command of git writes."""
        return subprocess.run(  # noqa: S603 - the arguments are the operator's and the relay's own
            ("git", "-C", directory, *arguments),  # noqa: S607 - the one on the user's PATH
            env=self._environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            text=True,
            errors="surrogateescape",
            timeout=_TIMEOUT,
        ).stdout.removesuffix("\n")

    def _record(self, path: str) -> Path:
        return Path(f"{path}{_RECORD}")


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return str(error.stderr).strip() or f"git ended with {error.returncode}"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
