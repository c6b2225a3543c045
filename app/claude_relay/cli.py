"""The command line. Heavy imports stay inside the commands, so that ``--help`` feels instant."""

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, NoReturn, TypeVar

import rich_click as click

from claude_relay import __version__, settings_loading
from claude_relay.errors import RelayError, SettingsError
from claude_relay.settings import Option, Settings, options

Command = TypeVar("Command", bound=Callable[..., Any])

_APP = "claude_relay.asgi:create_app"
_GRACE = 2
"""Seconds for what is left when ``claude_relay.web.draining`` has ended all answers: clients that read nothing."""

_IDLE = 120
"""Seconds that a connection stays open between requests: longer than clients keep theirs in a pool (5 to 90), so that
none asks on one that is just being closed."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="claude-relay")
def main() -> None:
    """Claude Code behind OpenAI's API."""


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

    Every option is also an environment variable, such as CLAUDE_RELAY_PORT for --port, and a line of a .env file.
    A flag wins over the environment, the environment over .env.
    """
    import uvicorn

    from claude_relay import logs

    try:
        chosen = settings_loading.load(flags)
    except SettingsError as error:
        _fail(error.message, 2)
    _require_free(chosen.host, chosen.port)
    click.echo(_greeting(chosen), err=True)
    settings_loading.publish(settings_loading.export(chosen))
    uvicorn.run(
        _APP,
        factory=True,
        host=chosen.host,
        port=chosen.port,
        workers=chosen.workers,
        reload=chosen.reload,
        log_config=logs.config(chosen.log_level, chosen.log_format),
        # one line for each request is enough: our own
        access_log=False,
        timeout_graceful_shutdown=_GRACE,
        timeout_keep_alive=_IDLE,
        server_header=False,
        http="claude_relay.web.protocol:BoundedProtocol",
        # claude_relay.web.auth believes proxies by itself, and has to know which address was the proxy's
        proxy_headers=False,
    )


@main.command(
    "litestar",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def litestar_command(arguments: tuple[str, ...]) -> None:
    """Run a command of Litestar's own command line on this application, such as 'routes'."""
    from litestar.cli.main import litestar_group

    litestar_group(["--app", _APP, *arguments], prog_name="claude-relay litestar")


def _require_free(host: str, port: int) -> None:
    """End here, with one line, when the address cannot be listened on."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with closing(socket.socket(family, kind, protocol)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        _fail(f"Cannot listen on {host} port {port}: {error.strerror}. Choose another with --host or --port.", 1)


def _greeting(chosen: Settings) -> str:
    """Say where the relay is and what answers there."""
    here = "localhost" if chosen.host in {"0.0.0.0", "::", "127.0.0.1"} else chosen.host  # noqa: S104
    base = f"http://{here}:{chosen.port}"
    return "\n".join(
        (
            f"claude-relay {__version__}, listening on {chosen.host} port {chosen.port}",
            f"  base_url     {base}/v1",
            f"  engine       {_engine(chosen)}",
            f"  personality  {chosen.personality}",
            "  who may call without a key, only programs of this machine; with a key, anyone who has it, from anywhere",
            f"               {_keys(chosen)}",
            f"  try it       {base}/schema/swagger",
            *_warnings(chosen),
        )
    )


def _keys(chosen: Settings) -> str:
    names = [key.name for key in settings_loading.keyring(chosen)]
    return f"keys: {', '.join(names)}" if names else "no key is set (--api-key)"


def _warnings(chosen: Settings) -> Iterator[str]:
    if chosen.api_key_file is not None and settings_loading.is_exposed(chosen.api_key_file):
        yield f"  warning      other users can read {chosen.api_key_file}: chmod 600 it"


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
