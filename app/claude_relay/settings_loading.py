"""Where settings come from: flags, the environment, ``.env`` and defaults. The only reader of the environment."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from dotenv import dotenv_values
from msgspec import Struct

from claude_relay.access import addresses
from claude_relay.access.keys import Entry, Key, parse_keys
from claude_relay.errors import SettingsError
from claude_relay.settings import (
    PREFIX,
    Option,
    PermissionMode,
    Settings,
    options,
    parse_alias,
    parse_personality,
)

ENV_FILE = f"{PREFIX}ENV_FILE"
_STORE_URL = re.compile("(valkeys?|rediss?|unix)://.")
_SAFE_PATH = "PYTHONSAFEPATH"
_SAFE_PATH_IS_OURS = f"{PREFIX}SAFE_PATH"
"""Is in the environment if the relay has put the other there, which is not for the agent's own programs then."""


class Loaded(Struct, frozen=True):
    """The settings, and what files had to do with them.

    Attributes:
        settings: The settings.
        keys: The keys that let callers in, those of the file included.
        file: The ``.env`` file that was read; None if there was none.
        taken: What it decided.
        refused: What it would have decided, had the operator named it.
    """

    settings: Settings
    keys: tuple[Key, ...]
    file: Path | None
    taken: tuple[Option, ...]
    refused: tuple[Option, ...]

    @property
    def refusal(self) -> str | None:
        """What was not taken from the file, why, and how to have it taken; None if everything was."""
        if not self.refused or self.file is None:
            return None
        variables = ", ".join(option.variable for option in self.refused)
        return (
            f"not taken from {shown(self.file)}: {variables}. A file that only lies there does not decide who gets in, "
            f"what is executed or with which permissions; if it is yours, name it: --env-file {self.file.name}"
        )


def load(
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    dotenv: Path = Path(".env"),
) -> Settings:
    """Return the settings alone; see ``resolve``.

    Raises:
        SettingsError: A value is not what its setting expects; the message names the flag or variable.
    """
    return resolve(flags, environ, dotenv).settings


def resolve(
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    dotenv: Path = Path(".env"),
) -> Loaded:
    """Gather the settings: flag over environment over ``.env`` over default.

    Args:
        flags: Values by field name, as given on the command line; None means not given.
        environ: The environment; the process's own when not given.
        dotenv: The ``.env`` file that is read if the operator names none; it need not exist, and may not set what is
            restricted.

    Raises:
        SettingsError: A value is not what its setting expects; the message names the flag or variable.
    """
    environ = environment() if environ is None else environ
    given = {name: value for name, value in (flags or {}).items() if value is not None and value != ()}
    named = given.get("env_file") or environ.get(ENV_FILE)
    file = _read(Path(str(named)), named=True) if named else _read(dotenv, named=False)
    chosen: dict[str, Any] = {}
    taken, refused = [], []
    for option, field in zip(options(), msgspec.structs.fields(Settings), strict=True):
        name, value = option.flag, given.get(option.name)
        if value is None:
            name, value = option.variable, environ.get(option.variable) or None
        # an empty variable holds against the file too
        if value is None and option.variable not in environ and (written := file.get(option.variable)):
            if option.restricted and not named:
                refused.append(option)
            else:
                taken.append(option)
                value = written
        if option.many and value is not None:
            # of secrets an empty one is a mistake, such as a variable of the shell that is not set
            value = [part for part in _listed(value, option.separator) if part or option.secret]
        if value is not None:
            chosen[option.name] = _converted(value, field.type, option.choices, name)
    settings = Settings(**chosen)
    known = keyring(settings)
    _check(settings, known, environ)
    path = Path(str(named)) if named else dotenv
    return Loaded(settings, known, path.absolute() if taken or refused else None, tuple(taken), tuple(refused))


def export(settings: Settings) -> dict[str, str]:
    """Return all settings as variables, so that whoever loads them again, such as a worker, needs no file."""
    values = {option.variable: _written(getattr(settings, option.name), option.separator) for option in options()}
    return values | {ENV_FILE: os.devnull}


def keyring(settings: Settings) -> tuple[Key, ...]:
    """Read the keys that let callers in, those of the file included; ``resolve`` returns them with the settings.

    Raises:
        SettingsError: One is no key, or that for figures alone; or the file cannot be read.
    """
    entries = written_keys(settings)
    return parse_keys([*entries, *_for_metrics(settings)])[: len(entries)]


def written_keys(settings: Settings) -> list[Entry]:
    """Return the keys that let callers in as they were written down, those of the file included.

    Raises:
        SettingsError: The file cannot be read, or has no key.
    """
    given = [
        Entry(f"{PREFIX}API_KEYS (--api-key): key {place}", text) for place, text in enumerate(settings.api_keys, 1)
    ]
    return [*given, *_of_file(settings.api_key_file)]


def metrics_key(settings: Settings) -> Key | None:
    """Read the key that opens ``/metrics`` alone.

    Raises:
        SettingsError: It is no key.
    """
    return next(iter(parse_keys(_for_metrics(settings))), None)


def _for_metrics(settings: Settings) -> list[Entry]:
    if settings.metrics_key is None:
        return []
    return [Entry(f"{PREFIX}METRICS_KEY (--metrics-key)", f"metrics={settings.metrics_key}")]


def state_directory(settings: Settings, environ: Mapping[str, str]) -> Path:
    """Return the directory of what outlives the relay."""
    if settings.state_dir is not None:
        return Path(settings.state_dir)
    home = environ.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 - which raises nothing
    return Path(environ.get("XDG_STATE_HOME") or Path(home, ".local", "state"), "claude-relay")


def is_exposed(path: str | Path) -> bool:
    """Whether other users of this machine may read a file."""
    return os.name == "posix" and bool(Path(path).stat().st_mode & 0o044)


def environment() -> dict[str, str]:
    """Return a copy of the environment the relay was started in."""
    return {
        name: value for name, value in os.environ.items() if name != _SAFE_PATH or _SAFE_PATH_IS_OURS not in os.environ
    }


def distrust_directory() -> None:
    """Have workers execute no module that lies in the current directory, where a new Python looks for its own first."""
    if _SAFE_PATH not in os.environ:
        publish({_SAFE_PATH: "1", _SAFE_PATH_IS_OURS: "1"})


def publish(variables: Mapping[str, str]) -> None:
    """Put variables into the process's environment, where its workers find them."""
    os.environ.update(variables)


def _read(path: Path, *, named: bool) -> dict[str, str]:
    """Return the variables of a ``.env`` file; one that nobody named may be missing, and is told nothing of others."""
    if not named and not os.path.isfile(path):
        return {}
    try:
        with path.open(encoding="utf-8-sig") as stream:
            found = dotenv_values(stream=stream, interpolate=named)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{ENV_FILE} (--env-file): {str(path)!r} cannot be read: {_reason(error)}") from None
    return {name: value for name, value in found.items() if value is not None}


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "it is no text"


def shown(path: Path) -> str:
    """Return a path as it is, unless a terminal would do something with it."""
    text = str(path)
    return text if text.isprintable() else repr(text)


def _converted(value: object, type_: Any, choices: tuple[str, ...], name: str) -> Any:
    try:
        return msgspec.convert(value, type_, strict=False)
    except msgspec.ValidationError as error:
        expected = f"Expected one of {', '.join(choices)}" if choices else str(error)
        raise SettingsError(f"{name}: {expected[:1].lower()}{expected[1:]}; got {value!r}") from None


def _listed(given: object, separator: str) -> list[str]:
    values = given if isinstance(given, list | tuple) else [given]
    return [part.strip() for value in values for part in str(value).split(separator)]


def _written(value: object, separator: str) -> str:
    if value is None:
        return ""
    return separator.join(value) if isinstance(value, tuple) else str(value)


def _of_file(path: str | None) -> list[Entry]:
    if path is None:
        return []
    name = f"{PREFIX}API_KEY_FILE (--api-key-file)"
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}: {path!r} cannot be read: {_reason(error)}") from None
    numbered = [(number, line.strip()) for number, line in enumerate(lines, 1)]
    found = [Entry(f"{name}: line {number}", line) for number, line in numbered if line and line[0] != "#"]
    if not found:
        raise SettingsError(f"{name}: expected one key on each line; {path!r} has none")
    return found


def _check(settings: Settings, known: tuple[Key, ...], environ: Mapping[str, str]) -> None:
    path = settings.claude_path
    for alias in settings.alias:
        parse_alias(alias)
    for text in settings.personality_for:
        if parse_personality(text)[0] not in {key.name for key in known}:
            raise SettingsError(
                f"{PREFIX}PERSONALITY_FOR (--personality-for): expected the name of a key (--api-key NAME=KEY); "
                f"got {text!r}"
            )
    for text in settings.allow_origin:
        if text != "*" and addresses.origin(text) is None:
            raise SettingsError(
                f"{PREFIX}ALLOW_ORIGIN (--allow-origin): expected an origin such as https://app.example:8443, without "
                f"a path, or *; got {text!r}"
            )
    for text in settings.trusted_proxy:
        if text != addresses.UNIX and addresses.network(text) is None:
            raise SettingsError(
                f"{PREFIX}TRUSTED_PROXY (--trusted-proxy): expected an address such as 10.0.0.5, a network such as "
                f"10.0.0.0/8, or {addresses.UNIX} for a proxy that connects to --uds; got {text!r}"
            )
    _require_url(settings.store_url)
    mode_name = f"{PREFIX}PERMISSION_MODE (--permission-mode)"
    require_permissible(settings.permission_mode, mode_name, settings, known, environ)
    if settings.cwd is not None and not os.path.isdir(settings.cwd):
        raise SettingsError(f"{PREFIX}CWD (--cwd): expected a directory; got {settings.cwd!r}")
    if path is not None and not (os.path.isfile(path) and os.access(path, os.X_OK)):
        raise SettingsError(f"{PREFIX}CLAUDE_PATH (--claude-path): expected an executable file; got {path!r}")


def _require_url(url: str | None) -> None:
    """Check where the store is; what is wrong is not repeated, since it may have a password."""
    if url is not None and not _STORE_URL.match(url):
        raise SettingsError(
            f"{PREFIX}STORE_URL (--store-url): expected a URL that begins with valkey://, valkeys://, redis://, "
            "rediss:// or unix://"
        )


def require_permissible(
    mode: PermissionMode | None, name: str, settings: Settings, known: tuple[Key, ...], environ: Mapping[str, str]
) -> None:
    """Allow bypassPermissions only with a key, a Unix socket or a loopback host, and for root only in a sandbox.

    Args:
        mode: The permission mode, if one was chosen.
        name: What says so, for the error.
        settings: The operator's choices.
        known: The keys that let callers in.
        environ: The environment of the relay.

    Raises:
        SettingsError: The mode is not allowed here.
    """
    if mode != "bypassPermissions":
        return
    if not known and settings.uds is None and not addresses.is_local(settings.host):
        raise SettingsError(
            f"{name}: bypassPermissions lets every caller do anything; it needs an API key (--api-key), or "
            f"--host 127.0.0.1; the host is {settings.host!r} and there is no key"
        )
    if _is_root() and environ.get("IS_SANDBOX") != "1":
        raise SettingsError(
            f"{name}: Claude Code refuses bypassPermissions as root, unless the environment says IS_SANDBOX=1; start "
            "the relay as another user"
        )


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0
