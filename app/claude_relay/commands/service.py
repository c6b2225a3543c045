"""``claude-relay service``: the relay as a service of the user, kept by systemd or launchd."""

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from claude_relay import settings_loading
from claude_relay.commands.service_files import NAME, Command, Launchd, Manager, Program, Systemd, variables_file
from claude_relay.errors import RelayError
from claude_relay.settings import Settings

_SECRET = 0o600
_READABLE = 0o644


def manager(environ: Mapping[str, str], platform: str = sys.platform) -> Manager:
    """Return the service manager of this machine.

    Args:
        environ: The environment.
        platform: The operating system, as Python calls it.

    Raises:
        RelayError: There is none that is known.
    """
    if platform == "linux":
        return Systemd(str(_config(environ)))
    if platform == "darwin":
        return Launchd(str(Path.home()), os.getuid())
    raise RelayError("a service needs systemd or launchd; here, have 'claude-relay serve' started by what you use")


def install(settings: Settings, environ: Mapping[str, str], chosen: Manager) -> list[str]:
    """Write the files of the service, start it, and return what its user should know.

    Args:
        settings: The settings that it runs with.
        environ: The environment, of which it gets the search path of programs.
        chosen: The service manager.

    Raises:
        RelayError: A file cannot be written, or the service manager fails.
    """
    directory = _config(environ) / NAME
    variables, own = directory / "service.env", directory / "own.env"
    arguments = (sys.executable, "-P", "-m", "claude_relay", "serve")
    program = Program(arguments, str(Path.cwd()), str(variables), str(own), settings.drain_timeout)
    if unprintable := [text for text in (*arguments, program.directory, program.variables) if not text.isprintable()]:
        raise RelayError(f"{unprintable[0]!r} cannot be told to a service manager")
    told = _variables(settings, environ)
    if unreadable := [name for name, value in told.items() if not _is_utf8(value)]:
        raise RelayError(f"{unreadable[0]} has bytes that are not UTF-8, which a service manager does not read")
    try:
        _write(variables, variables_file(told), _SECRET)
        _write(Path(chosen.definition), chosen.text(program), _READABLE)
    except OSError as error:
        raise RelayError(f"{error.filename!r} cannot be written: {error.strerror}") from None
    if isinstance(chosen, Launchd):
        # it takes no definition of a service that it has
        for command in chosen.stop():
            _succeeds(command)
    for command in chosen.start():
        _run(command)
    notes = [
        f"{chosen.definition} defines the service, which runs now and whenever you log in.",
        f"{variables} has its settings. Only you can read it.",
        f"{own} may have more variables, such as ANTHROPIC_API_KEY=...; make it with mode 600.",
    ]
    if isinstance(chosen, Systemd):
        notes.append("'loginctl enable-linger' has it run from boot on, and after you log out.")
    return notes


def uninstall(environ: Mapping[str, str], chosen: Manager) -> list[str]:
    """Stop the service, remove its files, and return which ones they were.

    Args:
        environ: The environment.
        chosen: The service manager.

    Raises:
        RelayError: A file cannot be removed, or the service manager fails.
    """
    for command in chosen.stop():
        _succeeds(command)
    removed = [path for path in (Path(chosen.definition), _config(environ) / NAME / "service.env") if path.exists()]
    try:
        for path in removed:
            path.unlink()
        with suppress(OSError):
            # what the operator has written stays
            (_config(environ) / NAME).rmdir()
    except OSError as error:
        raise RelayError(f"{error.filename!r} cannot be removed: {error.strerror}") from None
    for command in chosen.forget():
        _run(command)
    return [str(path) for path in removed]


def show(command: Command) -> int:
    """Run a command in the terminal, and return its exit code.

    Raises:
        RelayError: It is not there.
    """
    # Ctrl+C ends what is shown, and is no error
    with suppress(KeyboardInterrupt):
        try:
            return subprocess.run(command, check=False).returncode  # noqa: S603 - made of constants
        except OSError as error:
            raise RelayError(f"{command[0]} cannot be run: {error.strerror}") from None
    return 0


def _variables(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that are no defaults, and where programs are found: a service has a shorter search path."""
    defaults = settings_loading.export(Settings())
    exported = settings_loading.export(settings)
    always = {settings_loading.ENV_FILE}
    chosen = {name: value for name, value in exported.items() if value != defaults[name] or name in always}
    return {"PATH": environ.get("PATH", os.defpath), **chosen}


def _config(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def _is_utf8(text: str) -> bool:
    return text.encode("utf-8", "replace").decode() == text


def _write(path: Path, text: str, mode: int) -> None:
    """Write a file in one step; nobody reads it before it has its mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(text)
    draft.replace(path)


def _succeeds(command: Command) -> bool:
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603 - as above
    except OSError as error:
        raise RelayError(f"{command[0]} cannot be run: {error.strerror}") from None


def _run(command: Command) -> None:
    try:
        found = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - as above
    except OSError as error:
        raise RelayError(f"{command[0]} cannot be run: {error.strerror}") from None
    if found.returncode != 0:
        raise RelayError(f"'{' '.join(command)}' failed with {found.returncode}: {found.stderr.strip()}")
