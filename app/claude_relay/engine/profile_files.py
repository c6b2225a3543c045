"""Profiles as the operator named them -> profiles with all that their files say."""

import os
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from claude_relay.access.keys import Key
from claude_relay.engine import model_names
from claude_relay.engine.profiles import Entry, Profile, parse_line, parse_table, require_distinct, require_fitting
from claude_relay.errors import SettingsError
from claude_relay.settings import PREFIX, Personality, Settings
from claude_relay.settings_loading import require_permissible

_LINE = f"{PREFIX}PROFILE (--profile)"
_FILE = f"{PREFIX}PROFILES (--profiles)"


class _McpFile(Struct, frozen=True):
    mcpServers: dict[str, msgspec.Raw]  # noqa: N815 - the name is Claude Code's


def load(settings: Settings, keys: tuple[Key, ...], environ: Mapping[str, str]) -> tuple[Profile, ...]:
    """Return the profiles of ``--profile`` and ``--profiles``, their files read.

    Args:
        settings: The operator's choices.
        keys: The keys that let callers in.
        environ: The environment of the relay.

    Raises:
        SettingsError: One is no profile, or a file or directory is not what it should be; the message says which.
    """
    here = Path.cwd()
    lines = [(parse_line(text, _LINE), here) for text in settings.profile]
    written = [*lines, *(_tables(Path(settings.profiles)) if settings.profiles is not None else ())]
    require_distinct((entry for entry, _ in written), settings.model, settings.aliases)
    return tuple(_profile(entry, base, settings, keys, environ) for entry, base in written)


def _tables(path: Path) -> Iterator[tuple[Entry, Path]]:
    """Yield the profiles of a file; paths in it start at its directory."""
    where = f"{_FILE}: {str(path)!r}"
    text = _text_of(path, where)
    try:
        found = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"{where}: expected TOML; {error}") from None
    for name, table in found.items():
        yield parse_table(name, table, f"{where}: {name!r}"), path.absolute().parent


def _profile(
    entry: Entry, base: Path, settings: Settings, keys: tuple[Key, ...], environ: Mapping[str, str]
) -> Profile:
    found = model_names.resolve(entry.model, settings.aliases)
    personality = found.personality or settings.personality
    require_fitting(entry, personality)
    names = {key.name for key in keys}
    if unknown := [key for key in entry.key if key not in names]:
        raise SettingsError(f"{entry.where}: expected the name of a key (--api-key NAME=KEY); got {unknown[0]!r}")
    require_permissible(entry.permission, entry.where, settings, keys, environ)
    cwd = _directory(entry, base)
    if entry.worktree:
        _require_repository(entry, Path(cwd or settings.cwd or Path.cwd()), environ)
    return Profile(
        name=entry.name,
        target=entry.model if found.personality else _target(entry.model, personality),
        model=found.model,
        personality=personality,
        cwd=cwd,
        permission=entry.permission,
        tools=entry.tools,
        mcp=None if entry.mcp is None else _mcp_file(_path(entry.mcp, base), entry),
        system=None if entry.system is None else _instructions(_path(entry.system, base), entry),
        keys=entry.key,
        worktree=entry.worktree,
    )


def _target(model: str, personality: Personality) -> str:
    return f"{model}:{personality}"


def _directory(entry: Entry, base: Path) -> str | None:
    if entry.cwd is None:
        return None
    path = _path(entry.cwd, base)
    if not os.path.isdir(path):
        raise SettingsError(f"{entry.where}: cwd: expected a directory; got {str(path)!r}")
    return str(path)


def _mcp_file(path: Path, entry: Entry) -> str:
    where = f"{entry.where}: mcp"
    try:
        msgspec.json.decode(_text_of(path, where), type=_McpFile)
    except (msgspec.DecodeError, RecursionError) as error:
        raise SettingsError(f"{where}: expected a JSON file with mcpServers; {str(path)!r}: {error}") from None
    return str(path)


def _instructions(path: Path, entry: Entry) -> str:
    text = _text_of(path, f"{entry.where}: system").strip()
    if not text:
        raise SettingsError(f"{entry.where}: system: expected a file of instructions; {str(path)!r} is empty")
    return text


def _require_repository(entry: Entry, directory: Path, environ: Mapping[str, str]) -> None:
    if not any(os.path.exists(folder / ".git") for folder in (directory.absolute(), *directory.absolute().parents)):
        raise SettingsError(
            f"{entry.where}: worktree: expected a directory of a git repository; got {str(directory)!r}"
        )
    if shutil.which("git", path=environ.get("PATH")) is None:
        raise SettingsError(f"{entry.where}: worktree: expected git on the PATH")


def _path(text: str, base: Path) -> Path:
    return Path(os.path.abspath(base / os.path.expanduser(text)))  # noqa: PTH100, PTH111 - which raise nothing


def _text_of(path: Path, where: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SettingsError(f"{where}: {str(path)!r} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{where}: {str(path)!r} cannot be read: it is no text") from None
