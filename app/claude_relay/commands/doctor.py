"""``claude-relay doctor``: whether everything is there that the relay needs, and what to do where it is not."""

import asyncio
import json
import logging
import os
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path

from rich.console import Console

from claude_relay import settings_loading
from claude_relay.access import addresses
from claude_relay.commands import relays
from claude_relay.commands.checklist import Check, show
from claude_relay.commands.live_checks import examined_live
from claude_relay.engine.claude import command
from claude_relay.engine.claude.discovery import REMEDY, Installation, discover
from claude_relay.engine.claude.private import require_place
from claude_relay.engine.claude.selftest import run_self_test
from claude_relay.engine.limits.resources import find
from claude_relay.engine.limits.sizing import size
from claude_relay.engine.profile_files import load
from claude_relay.engine.profiles import Profile
from claude_relay.errors import ListenError, RelayError, SettingsError
from claude_relay.listening import listening
from claude_relay.settings import PREFIX, Settings
from claude_relay.settings_loading import Loaded
from claude_relay.store.opening import opener

_PYTHONS = ((3, 11), (3, 13))
"""The oldest and the newest version of Python that the tests run with."""
_AUTH_TIMEOUT = 20.0
"""Seconds that Claude Code has to say whether it is logged in."""
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_COSTS: Mapping[str, str] = {
    "text": "a text that begins with / gets a space before it, so that it is no command",
    "reuse": "each request starts a process, which takes most of a second, and an agent forgets what it did",
    "reset": "each new conversation needs a new process",
    "tools": "calls of the client's tools may cost a second request upstream",
    "interrupt": "an answer whose client has left is ended by ending its process",
    "single_request": "an answer that is cut at a limit ends its process, and may cost a second request upstream",
    "tied": "an agent's process is asked before each question whether it did anything by itself",
    "peers": "where turns are not tied either, no process is used again",
}
"""What it costs the user where a part of the self-test fails."""


def run(flags: Mapping[str, object], console: Console | None, *, live: bool) -> list[Check]:
    """Make all checks, and print each when it is done.

    Args:
        flags: Settings as given on the command line.
        console: Where to; None if nothing is printed.
        live: Whether the upstream is asked too.
    """
    # what the engine logs, its failures are told by here
    logging.getLogger("claude_relay").addHandler(logging.NullHandler())
    return asyncio.run(_run(flags, console, live=live))


async def _run(flags: Mapping[str, object], console: Console | None, *, live: bool) -> list[Check]:
    done: list[Check] = []
    with nullcontext() if console is None else console.status("checking"):
        async for check in examined(flags, live=live):
            done.append(check)
            if console is not None:
                show(console, check)
    return done


async def examined(flags: Mapping[str, object], *, live: bool) -> AsyncIterator[Check]:
    """Yield each check when it is done.

    Args:
        flags: Settings as given on the command line.
        live: Whether the upstream is asked too.
    """
    environ = settings_loading.environment()
    yield _python()
    try:
        found = settings_loading.resolve(flags)
        profiles = load(found.settings, found.keys, environ)
    except SettingsError as error:
        yield Check("settings", "failed", error.message, "Correct it; the relay does not start with it.")
        return
    chosen = found.settings
    yield _settings(found)
    yield _user()
    yield _callers(found)
    yield _profiles(profiles)
    yield await _port(chosen)
    yield _temporary_files(environ)
    yield _state(chosen, environ)
    yield await _store(chosen, environ)
    yield _capacity(chosen)
    if chosen.runner == "echo":
        yield Check("Claude Code", "skipped", "the echo runner answers")
        return
    async for check in _claude(chosen, environ, live=live):
        yield check


async def _claude(chosen: Settings, environ: Mapping[str, str], *, live: bool) -> AsyncIterator[Check]:
    try:
        installation = await asyncio.to_thread(discover, chosen.claude_path, environ)
    except RelayError as error:
        yield Check("Claude Code", "failed", error.message.removesuffix(REMEDY).strip(), REMEDY)
        return
    yield _version(installation)
    yield await asyncio.to_thread(_login, installation, environ)
    yield _network(installation, environ, chosen.port)
    yield await _self_test(chosen, installation, environ)
    if live:
        async for check in examined_live(chosen, environ):
            yield check


def _python() -> Check:
    version = sys.version_info[:2]
    text = f"{sys.version.split()[0]} ({sys.executable})"
    if _PYTHONS[0] <= version <= _PYTHONS[1]:
        return Check("Python", "ok", text)
    return Check(
        "Python", "warning", text, f"It was not tested; {_written(_PYTHONS[0])} to {_written(_PYTHONS[1])} were."
    )


def _settings(found: Loaded) -> Check:
    if found.refusal is not None:
        return Check("settings", "warning", found.refusal)
    named = ", ".join(option.variable for option in found.taken)
    return Check("settings", "ok", f"from {settings_loading.shown(found.file)}: {named}" if found.file else "no file")


def _user() -> Check:
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return Check("user", "ok", "not root")
    return Check("user", "warning", "root: what an agent does, it does as root", "Start the relay as another user.")


def _callers(found: Loaded) -> Check:
    chosen, names = found.settings, ", ".join(key.name for key in found.keys)
    if names and chosen.api_key_file is not None and settings_loading.is_exposed(chosen.api_key_file):
        return Check("callers", "warning", "other users can read the file of keys", f"chmod 600 {chosen.api_key_file}")
    if names:
        return Check("callers", "ok", f"anyone who has one of the keys: {names}")
    if chosen.uds is not None:
        return Check("callers", "ok", "programs of this user, through the Unix socket")
    if addresses.is_local(chosen.host):
        return Check("callers", "ok", "programs of this machine")
    return Check(
        "callers",
        "warning",
        f"programs of this machine alone, though it listens on {chosen.host}: there is no key",
        "For clients on other machines and in containers: --api-key NAME=KEY. For none: --host 127.0.0.1.",
    )


def _profiles(profiles: Iterable[Profile]) -> Check:
    if names := ", ".join(profile.name for profile in profiles):
        return Check("profiles", "ok", names)
    return Check("profiles", "skipped", "none")


async def _port(chosen: Settings) -> Check:
    try:
        with listening(chosen) as opened:
            return Check("address", "ok", f"{opened.place} is free")
    except ListenError as error:
        place = relays.own(chosen)
        async with relays.client(place) as http:
            if await relays.answers(http):
                return Check("address", "ok", f"a relay answers at {place.uds or place.url}")
        what, _, remedy = error.message.partition(". ")
        return Check("address", "failed", f"{what}.", remedy)


def _temporary_files(environ: Mapping[str, str]) -> Check:
    try:
        require_place(environ)
    except RelayError as error:
        return Check("temporary files", "failed", error.message, "Name a directory that can be written, with TMPDIR.")
    return Check("temporary files", "ok", "can be written")


def _state(chosen: Settings, environ: Mapping[str, str]) -> Check:
    directory = settings_loading.state_directory(chosen, environ)
    if _is_writable(directory):
        return Check("state directory", "ok", str(directory))
    return Check(
        "state directory",
        "warning",
        f"{directory} cannot be written: no responses and no conversations are kept",
        "Name another one: --state-dir. To keep nothing: --no-store.",
    )


def _is_writable(directory: Path) -> bool:
    """Whether a directory can be written, or made."""
    try:
        is_directory = stat.S_ISDIR(directory.stat().st_mode)
    except FileNotFoundError:
        return directory != directory.parent and _is_writable(directory.parent)
    except OSError:
        return False
    return is_directory and os.access(directory, os.W_OK | os.X_OK)


async def _store(chosen: Settings, environ: Mapping[str, str]) -> Check:
    directory = settings_loading.state_directory(chosen, environ)
    open_store = opener(chosen, directory)
    if open_store is None:
        return Check("store", "skipped", "responses are not kept (--no-store)")
    if chosen.store_url is None and not any(_files(directory)):
        return Check("store", "ok", "a file in the state directory, which the relay makes when it starts")
    try:
        async with open_store():
            return Check("store", "ok", "a server" if chosen.store_url else f"a file in {directory}")
    except RelayError as error:
        remedy = "Answers do not need it. Correct --store-url or --state-dir, or keep nothing: --no-store."
        return Check("store", "warning", error.message, remedy)


def _files(directory: Path) -> list[Path]:
    with suppress(OSError):
        return list(directory.glob("*.sqlite3"))
    return []


def _capacity(chosen: Settings) -> Check:
    made = size(chosen, find())
    return Check("capacity", "ok", f"{made.answers} answers at once, {made.processes} processes: {made.reason}")


def _version(found: Installation) -> Check:
    text = f"{found.version_text} ({found.path})"
    if found.version < command.TRIED_SINCE:
        return Check(
            "Claude Code", "failed", text, f"Update it: {_written(command.TRIED_SINCE)} is the oldest that works."
        )
    if found.version > command.TRIED_UNTIL:
        newest = _written(command.TRIED_UNTIL)
        return Check("Claude Code", "warning", f"{text}, which is newer than {newest}, the last one that was tested")
    return Check("Claude Code", "ok", text)


def _login(found: Installation, environ: Mapping[str, str]) -> Check:
    """Ask Claude Code; it tells how it is logged in, and no token."""
    try:
        ran = subprocess.run(  # noqa: S603 - the operator's own executable
            [found.path, "auth", "status"],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_AUTH_TIMEOUT,
            stdin=subprocess.DEVNULL,
            env={name: value for name, value in environ.items() if not name.startswith(PREFIX)},
        )
        told = json.loads(ran.stdout)
        is_in, method, provider = bool(told["loggedIn"]), str(told["authMethod"]), str(told["apiProvider"])
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        what = "Claude Code does not say whether it is logged in"
        return Check("login", "warning", what, f"Run: {_typed(found, environ)} auth status")
    if is_in:
        return Check("login", "ok", f"{method}, {provider}")
    return Check(
        "login",
        "failed",
        "Claude Code is not logged in, and has no key",
        f"As the user that runs the relay: {_typed(found, environ)} auth login. "
        "Or set ANTHROPIC_API_KEY in the relay's environment.",
    )


def _typed(found: Installation, environ: Mapping[str, str]) -> str:
    """Return what a shell calls this CLI by: the one that comes with a package is not on PATH."""
    return "claude" if shutil.which("claude", path=environ.get("PATH")) == found.path else shlex.quote(found.path)


def _network(found: Installation, environ: Mapping[str, str], port: int) -> Check:
    if "ANTHROPIC_BASE_URL" in environ:
        if "ANTHROPIC_BASE_URL" not in command.environment(environ, found, "chat", port):
            what = "ANTHROPIC_BASE_URL names this relay, so the relay's own Claude Code does not get it"
            return Check("network", "warning", what, "Set it for clients only.")
        return Check("network", "ok", "Claude Code asks the server that ANTHROPIC_BASE_URL names")
    named = [name for name in _PROXIES if environ.get(name) or environ.get(name.lower())]
    direct = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    if not named:
        return Check("network", "ok", "no proxy")
    if direct == "*" or {"localhost", "127.0.0.1"} <= {part.strip() for part in direct.split(",")}:
        return Check("network", "ok", f"Claude Code uses the proxy of {', '.join(named)}")
    return Check(
        "network",
        "warning",
        f"{', '.join(named)} is set: clients of this environment may send requests for this machine to a proxy",
        "Set NO_PROXY=localhost,127.0.0.1 for them.",
    )


async def _self_test(chosen: Settings, found: Installation, environ: Mapping[str, str]) -> Check:
    if not chosen.self_test:
        return Check("self-test", "skipped", "switched off (--no-self-test)")
    result = await run_self_test(found, environ, _at_once)
    if not result.failed:
        return Check("self-test", "ok", "all that the relay relies on works with this Claude Code")
    costs = "; ".join(f"{name}: {_COSTS[name]}" for name in result.failed)
    newest = _written(command.TRIED_UNTIL)
    return Check(
        "self-test", "warning", f"not used, since it does not work: {costs}", f"Claude Code {newest} has it all."
    )


async def _at_once() -> None:
    """Nothing goes on that would have to be waited for."""


def _written(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
