"""Find the Claude Code CLI and its version, and notice when it is replaced or gone."""

import asyncio
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from claude_relay.errors import UnavailableError
from claude_relay.settings import PREFIX

REMEDY = (
    "Install Claude Code so that `claude` is on the PATH, or name it with --claude-path (CLAUDE_RELAY_CLAUDE_PATH), "
    "or install the relay with its extra `bundled`, which brings one along."
)
_VERSION_TIMEOUT = 20.0
"""Seconds that ``claude --version`` may take; the first start after an installation can be slow."""

Identity = tuple[int, ...]
"""What tells a file from the next one under the same name."""


class Installation(Struct, frozen=True):
    """A CLI that was found and told its version.

    Attributes:
        path: Its executable.
        version: Its version, as numbers that compare.
        identity: What its file was then.
    """

    path: str
    version: tuple[int, int, int]
    identity: Identity | None = None

    @property
    def version_text(self) -> str:
        """The version as people write it."""
        return ".".join(map(str, self.version))


class Finder:
    """Knows the CLI in use. An upgrade under way, or a CLI that is gone, is noticed when it is asked for.

    Args:
        claude_path: The operator's choice, or None.
        environ: The environment whose PATH counts.

    Attributes:
        installation: The CLI that was found last.
    """

    def __init__(self, claude_path: str | None, environ: Mapping[str, str]) -> None:
        self.installation: Installation | None = None
        self._claude_path = claude_path
        self._environ = environ
        self._missing: str | None = "not started yet"
        self._search: asyncio.Task[Installation] | None = None

    @property
    def missing(self) -> str | None:
        """Why no process can be started now, as far as is known, or None."""
        if self._missing is None and self.installation and identity_of(self.installation.path) is None:
            return f"{self.installation.path} is gone. {REMEDY}"
        return self._missing

    async def find(self) -> Installation:
        """Return the CLI that is there now. Those who ask while it is looked for wait for the same answer.

        Raises:
            UnavailableError: There is none, or it does not tell its version.
        """
        known = self.installation
        if known is not None and known.identity is not None and identity_of(known.path) == known.identity:
            self._missing = None
            return known
        if self._search is None or self._search.done():
            self._search = asyncio.create_task(self._look())
        return await asyncio.shield(self._search)

    async def _look(self) -> Installation:
        try:
            self.installation = await asyncio.to_thread(discover, self._claude_path, self._environ)
        except UnavailableError as error:
            self._missing = error.message
            raise
        self._missing = None
        return self.installation


def discover(claude_path: str | None, environ: Mapping[str, str]) -> Installation:
    """Find the CLI: the operator's path, then ``claude`` on PATH, then the one in the ``claude-agent-sdk`` wheel.

    Args:
        claude_path: The operator's choice, or None.
        environ: The environment whose PATH counts.

    Raises:
        UnavailableError: There is none, or it does not tell its version.
    """
    path = claude_path or shutil.which("claude", path=environ.get("PATH")) or bundled()
    if path is None:
        raise UnavailableError(f"No Claude Code CLI was found. {REMEDY}", code="claude_not_found")
    identity = identity_of(path)
    return Installation(str(path), read_version(str(path), environ), identity)


def identity_of(path: str) -> Identity | None:
    """Return what distinguishes a file from a later one of the same name, or None if there is no file."""
    try:
        found = os.stat(path)  # noqa: PTH116 - asked for each process that is started
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def bundled() -> str | None:
    """Return the path of the CLI inside the ``claude-agent-sdk`` wheel, or None."""
    spec = importlib.util.find_spec("claude_agent_sdk")
    for folder in spec.submodule_search_locations or () if spec else ():
        for name in ("claude", "claude.exe"):
            if (candidate := Path(folder, "_bundled", name)).is_file():
                return str(candidate)
    return None


def read_version(path: str, environ: Mapping[str, str] | None = None) -> tuple[int, int, int]:
    """Ask a CLI for its version.

    Args:
        path: The CLI.
        environ: The environment it gets, less the relay's own settings, among which are keys; ours when not given.

    Raises:
        UnavailableError: It does not run, or says something else.
    """
    try:
        ran = subprocess.run(  # noqa: S603 - the operator's own executable
            [path, "--version"],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_VERSION_TIMEOUT,
            stdin=subprocess.DEVNULL,
            env=environ and {name: value for name, value in environ.items() if not name.startswith(PREFIX)},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{path} does not run: {error}. {REMEDY}", code="claude_not_found") from None
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", ran.stdout)
    if ran.returncode != 0 or found is None:
        raise UnavailableError(f"{path} --version did not print a version. {REMEDY}", code="claude_not_found")
    major, minor, patch = map(int, found.groups())
    return major, minor, patch
