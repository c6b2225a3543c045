"""Find the Claude Code CLI and its version."""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from claude_relay.errors import UnavailableError

REMEDY = (
    "Install Claude Code so that `claude` is on the PATH, or name it with --claude-path (CLAUDE_RELAY_CLAUDE_PATH), "
    "or install the extra that brings one along: claude-relay[bundled]."
)
_VERSION_TIMEOUT = 20.0
"""Seconds that ``claude --version`` may take; the first start after an installation can be slow."""


class Installation(Struct, frozen=True):
    """A CLI that answered.

    Attributes:
        path: Its executable.
        version: Its version, as numbers that compare.
    """

    path: str
    version: tuple[int, int, int]

    @property
    def version_text(self) -> str:
        """The version as people write it."""
        return ".".join(map(str, self.version))


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
    return Installation(str(path), read_version(str(path)))


def bundled() -> str | None:
    """Return the path of the CLI inside the ``claude-agent-sdk`` wheel, or None."""
    spec = importlib.util.find_spec("claude_agent_sdk")
    for folder in spec.submodule_search_locations or () if spec else ():
        for name in ("claude", "claude.exe"):
            if (candidate := Path(folder, "_bundled", name)).is_file():
                return str(candidate)
    return None


def read_version(path: str) -> tuple[int, int, int]:
    """Ask a CLI for its version.

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
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{path} does not run: {error}. {REMEDY}", code="claude_not_found") from None
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", ran.stdout)
    if ran.returncode != 0 or found is None:
        raise UnavailableError(f"{path} --version did not tell a version. {REMEDY}", code="claude_not_found")
    major, minor, patch = map(int, found.groups())
    return major, minor, patch
