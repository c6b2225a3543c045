"""The command line. Heavy imports stay inside the commands, so that ``--help`` feels instant."""

import asyncio
import io
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

import rich_click as click

from claude_relay import __version__, settings_loading
from claude_relay.commands.clients import catalog
from claude_relay.commands.clients.client import KEY, SERVER
from claude_relay.errors import ListenError, RelayError, SettingsError
from claude_relay.listening import Listening, listening
from claude_relay.settings import Option, Settings, options

Command = TypeVar("Command", bound=Callable[..., Any])

_APP = "claude_relay.asgi:served"
_FILE = click.Path(path_type=Path)
_INTERRUPTED = 130
"""Exit code of what was interrupted, as shells have it."""
_GRACE = 2
"""Seconds for what is left when ``claude_relay.web.draining`` has ended all answers: clients that read nothing."""

_IDLE = 120
"""Seconds that a connection stays open between requests: longer than clients keep theirs in a pool (5 to 90), so that
none asks on one that is just being closed."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="claude-relay")
def main() -> None:
    """Claude Code behind OpenAI's API."""
    _open_standard_streams()
    _replace_unknown_characters()


def _setting_options(command: Command) -> Command:
    """Give a command one option for each setting; values are checked where all settings are."""
    for option in reversed(options()):
        default = f"  [default: {option.default_text}]" if option.default_text and not option.switch else ""
        names = f"{option.flag}/--no-{option.flag[2:]}" if option.switch else option.flag
        add = click.option(names, option.name, default=None, help=option.description + default, **_kind(option))
        command = add(command)
    return command


def _kind(option: Option) -> dict[str, Any]:
    if option.switch:
        return {"is_flag": True}
    return {"metavar": "|".join(option.choices) or "VALUE", "multiple": option.many}


@main.command()
@_setting_options
def serve(**flags: object) -> None:
    """Start the server.

    Every option is also an environment variable, such as CLAUDE_RELAY_PORT for --port, and a line of the file that
    --env-file names. A flag wins over the environment, the environment over the file.
    """
    try:
        found = settings_loading.resolve(flags)
        profiles = _profiles(found)
    except SettingsError as error:
        _fail(error.message, 2)
    try:
        with listening(found.settings) as place:
            _require_place(found.settings)
            # who cannot be greeted can be served all the same
            with suppress(OSError):
                click.echo(_greeting(found, place, profiles), err=True)
            settings_loading.publish(settings_loading.export(found.settings))
            _serve(found.settings, place)
    except ListenError as error:
        _fail(error.message, 1)


def _serve(chosen: Settings, place: Listening) -> None:
    from claude_relay import logs, serving
    from claude_relay.access import addresses
    from claude_relay.web.connections import Connections, limits_of
    from claude_relay.web.protocol import BoundedProtocol

    proxies = tuple(network for text in chosen.trusted_proxy if (network := addresses.network(text)))
    connections = Connections(limits_of(chosen.max_connections, chosen.max_per_address, proxies))
    serving.run(
        place.sockets,
        _APP,
        factory=True,
        workers=chosen.workers,
        reload=chosen.reload,
        log_config=logs.config(chosen.log_level, chosen.log_format),
        # one line for each request is enough: our own
        access_log=False,
        timeout_graceful_shutdown=_GRACE,
        timeout_keep_alive=_IDLE,
        server_header=False,
        # a partial of a class makes what a class makes, and reaches the workers
        http=cast("type[asyncio.Protocol]", partial(BoundedProtocol, connections=connections)),
        ws="none",
        # claude_relay.access.policy believes proxies by itself, and has to know which address was the proxy's
        proxy_headers=False,
    )


@main.command("codex-config")
@click.option("--url", help="Where the relay is.  [default: this machine, at the port of the settings]")
@click.option("--model", help="The model that Codex asks.  [default: that of the settings]")
@click.option("--catalog", is_flag=True, help="Print the model catalog that the configuration names.")
def codex_config(url: str | None, model: str | None, *, catalog: bool) -> None:
    """Print the configuration with which Codex CLI uses the relay.

    It is a config.toml, and with --catalog the file of models that it names. Nothing is written.
    """
    from claude_relay.commands import codex, relays

    try:
        chosen = settings_loading.resolve().settings
        base_url = f"http://127.0.0.1:{chosen.port}/v1" if url is None else f"{relays.server(url)}/v1"
    except SettingsError as error:
        _fail(error.message, 2)
    model = model or chosen.model
    if catalog:
        click.echo(codex.catalog((model, *codex.MODELS)))
    else:
        click.echo(codex.config(base_url, model), nl=False)


@main.command(
    "litestar",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def litestar_command(arguments: tuple[str, ...]) -> None:
    """Run a command of Litestar's own command line on this application, such as 'routes'."""
    from litestar.cli.main import litestar_group

    # before Litestar, which reads a .env of its own choice into the environment
    try:
        found = settings_loading.resolve()
        _profiles(found)
    except SettingsError as error:
        _fail(error.message, 2)
    if found.refusal is not None:
        click.echo(f"claude-relay: {found.refusal}", err=True)
    settings_loading.publish(settings_loading.export(found.settings))
    litestar_group(["--app", _APP, *arguments], prog_name="claude-relay litestar")


@main.command("clients")
@click.argument("name", required=False)
@click.option("--url", metavar="URL", default=SERVER, help="Where the relay is.", show_default=True)
@click.option("--key", metavar="KEY", default=KEY, help="One of its keys.", show_default=True)
def clients_command(name: str | None, url: str, key: str) -> None:
    """Print the settings for a client, such as 'codex' or 'open-webui'; without a name, list all clients."""
    from claude_relay.commands import relays

    if name is None:
        for client in catalog.CLIENTS:
            click.echo(f"{client.name:<16}  {client.title}")
        return
    found = catalog.find(name)
    if found is None:
        _fail(f"There is no client {name!r} here. 'claude-relay clients' lists all.", 2)
    notes = [f"# {line}" for line in (f"{found.title}: in {found.where}", *found.remarks())]
    try:
        relays.require_key(key)
        settings = found.settings_for(relays.server(url), key)
    except SettingsError as error:
        _fail(error.message, 2)
    # only the settings go where output goes, so that they can be written to a file
    click.echo("\n".join(notes), err=True)
    click.echo(settings)


@main.command("doctor")
@click.option("--live", is_flag=True, help="Ask the real API too, by some small requests: what does it take?")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@_setting_options
def doctor_command(*, live: bool, as_json: bool, **flags: object) -> None:
    """Check all that 'serve' needs with the same options; the exit code is 1 if anything keeps it from answering."""
    from rich.console import Console

    from claude_relay.commands import checklist, doctor

    checks = doctor.run(flags, None if as_json else Console(), live=live)
    if as_json:
        click.echo(checklist.report(checks))
    sys.exit(checklist.has_failed(checks))


@main.group("service")
def service_group() -> None:
    """Keep the relay running as a service of your user: systemd on Linux, launchd on macOS."""


@service_group.command("install")
@_setting_options
def service_install(**flags: object) -> None:
    """Make the service, with the options, variables and .env of 'serve', and start it; again, to change it.

    It works in the current directory.
    """
    from claude_relay.commands import service

    environ = settings_loading.environment()
    try:
        chosen = settings_loading.resolve(flags)
        _profiles(chosen)
        click.echo("\n".join(service.install(chosen.settings, environ, service.manager(environ))), err=True)
    except SettingsError as error:
        _fail(error.message, 2)
    except RelayError as error:
        _fail(error.message, 1)


@service_group.command("status")
def service_status() -> None:
    """Show whether the service runs; the exit code is that of systemctl or launchctl."""
    from claude_relay.commands import service

    try:
        sys.exit(service.show(service.manager(settings_loading.environment()).status()))
    except RelayError as error:
        _fail(error.message, 1)


@service_group.command("logs")
@click.option("--lines", type=click.IntRange(min=0), default=100, help="How many lines at most.", show_default=True)
@click.option("--follow", is_flag=True, help="Go on with the lines to come.")
def service_logs(*, lines: int, follow: bool) -> None:
    """Show what the service has logged."""
    from claude_relay.commands import service

    try:
        sys.exit(service.show(service.manager(settings_loading.environment()).logs(lines, follow=follow)))
    except RelayError as error:
        _fail(error.message, 1)


@service_group.command("uninstall")
def service_uninstall() -> None:
    """Stop the service, and remove what 'install' has written."""
    from claude_relay.commands import service

    environ = settings_loading.environment()
    try:
        removed = service.uninstall(environ, service.manager(environ))
    except RelayError as error:
        _fail(error.message, 1)
    click.echo("\n".join(f"removed {path}" for path in removed) or "There was no service.", err=True)


@main.command("ask")
@click.argument("question", default="-")
@click.option("--model", metavar="NAME", help="The model, such as opus or sonnet:chat.")
@click.option("--image", "images", type=_FILE, multiple=True, help="An image that belongs to the question. Repeatable.")
@click.option("--json-schema", type=_FILE, help="A file with the JSON schema that the answer must fit.")
@click.option("--session", metavar="NAME", help="Go on with the conversation of this name, or begin it.")
@click.option("--url", metavar="URL", envvar="CLAUDE_RELAY_URL", help="The relay to ask.  [env: CLAUDE_RELAY_URL]")
@click.option("--key", metavar="KEY", envvar="CLAUDE_RELAY_KEY", help="One of its keys.  [env: CLAUDE_RELAY_KEY]")
def ask_command(
    *,
    question: str,
    model: str | None,
    images: tuple[Path, ...],
    json_schema: Path | None,
    session: str | None,
    url: str | None,
    key: str | None,
) -> None:
    """Ask one question; '-', or none, reads it from the standard input.

    A relay that runs on this machine answers, or the one that --url names; without any, this process does.
    """
    from claude_relay.commands import ask

    text = sys.stdin.read() if question == "-" else _readable(question)
    try:
        ask.run(ask.Arguments(text, model and _readable(model), images, json_schema, session, url, key))
    except SettingsError as error:
        _fail(error.message, 2)
    except RelayError as error:
        _fail(error.message, 1)
    except asyncio.CancelledError:
        sys.exit(_INTERRUPTED)


def _open_standard_streams() -> None:
    """Open those of the descriptors 0 to 2 that are closed, so that no socket or pipe gets one of them."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            # the lowest number that is free, which is this one
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def _replace_unknown_characters() -> None:
    """Have what an encoding does not know be replaced where text is read or written, so that the rest is not lost."""
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _readable(argument: str) -> str:
    """Return an argument with the sign for what is unknown for bytes that are not UTF-8."""
    return argument.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _require_place(chosen: Settings) -> None:
    """Exit with a one-line message if temporary files cannot be written."""
    if chosen.runner == "echo":
        return
    from claude_relay.engine.claude.private import require_place

    try:
        require_place(settings_loading.environment())
    except RelayError as error:
        _fail(error.message, 1)


def _profiles(found: settings_loading.Loaded) -> list[str]:
    """Return the names of the profiles; raises ``SettingsError`` as long as nothing is served yet."""
    from claude_relay.engine.profile_files import load

    return [profile.name for profile in load(found.settings, found.keys, settings_loading.environment())]


def _greeting(found: settings_loading.Loaded, place: Listening, profiles: Sequence[str]) -> str:
    """Return the text that the server prints at its start: its addresses, and what answers."""
    chosen = found.settings
    return "\n".join(
        (
            f"claude-relay {__version__}, listening on {place.place}",
            f"  base_url     {place.base_url}/v1",
            f"  engine       {_engine(chosen)}",
            f"  personality  {chosen.personality}",
            *([f"  profiles     {', '.join(profiles)}"] if profiles else []),
            "  who may call without a key, only programs of this machine; with a key, anyone who has it, from anywhere",
            f"               {_keys(found)}",
            *_of_file(found),
            _invitation(chosen, place),
            *_warnings(found),
        )
    )


def _invitation(chosen: Settings, place: Listening) -> str:
    if chosen.uds is not None:
        return f"  try it       curl --unix-socket {shlex.quote(chosen.uds)} {place.base_url}/health"
    return f"  try it       {place.base_url}/schema/swagger"


def _of_file(found: settings_loading.Loaded) -> Iterator[str]:
    """Return lines that name the ``.env`` file and each value that it set."""
    if found.file is None or not found.taken:
        return
    yield f"  settings     from {settings_loading.shown(found.file)}:"
    for option in found.taken:
        value = "..." if option.secret else repr(getattr(found.settings, option.name))
        yield f"               {option.variable}={value}"


def _keys(found: settings_loading.Loaded) -> str:
    names = [key.name for key in found.keys]
    return f"keys: {', '.join(names)}" if names else "no key is set (--api-key)"


def _warnings(found: settings_loading.Loaded) -> Iterator[str]:
    chosen = found.settings
    if found.refusal is not None:
        yield f"  warning      {found.refusal}"
    holds_keys = any(option.secret for option in found.taken)
    files: tuple[str | Path | None, ...] = (chosen.api_key_file, found.file if holds_keys else None)
    for path in files:
        if path is not None and settings_loading.is_exposed(path):
            yield f"  warning      other users can read {path}: chmod 600 it"


def _engine(chosen: Settings) -> str:
    if chosen.runner == "echo":
        return "echo (offline: no model is asked)"
    from claude_relay.engine.claude.discovery import discover

    try:
        found = discover(chosen.claude_path, settings_loading.environment())
    except RelayError as error:
        return f"none yet. {error.message}"
    return f"Claude Code {found.version_text} ({found.path})"


def _fail(message: str, code: int) -> NoReturn:
    click.echo(f"claude-relay: {message}", err=True)
    sys.exit(code)
