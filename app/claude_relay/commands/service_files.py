"""What a service manager has to be told to keep the relay running: its files and commands. Pure.

Nothing secret is in the definition of the service, which others may read: all settings are in a file of variables.
"""

import plistlib
import shlex
from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

NAME = "claude-relay"
Command = tuple[str, ...]

_STOP_GRACE = 30
"""Seconds beside ``--drain-timeout`` after which a relay that is to stop is killed."""
_RESTART_AFTER = 2
_RESTARTS = 5
_RESTART_WINDOW = 300
"""Within as many seconds there are no more than ``_RESTARTS`` starts."""
_WRONG_SETTINGS = 2
"""The exit code of a relay whose settings are wrong: no start after it would be another."""


class Program(Struct, frozen=True):
    """The program that is kept running.

    Attributes:
        arguments: Its command line.
        directory: Where it works.
        variables: The file of its environment.
        own_variables: A file with more of it, which the operator may write.
        drain_timeout: Seconds that it takes to stop.
    """

    arguments: Command
    directory: str
    variables: str
    own_variables: str
    drain_timeout: int


class Manager(Protocol):
    """A service manager."""

    @property
    def definition(self) -> str:
        """The path of the file that defines the service."""

    def text(self, program: Program) -> str:
        """Return what the definition says."""

    def start(self) -> tuple[Command, ...]:
        """Return the commands that start the service, now and whenever the user logs in, or start it again."""

    def stop(self) -> tuple[Command, ...]:
        """Return the commands that stop the service for good; each may fail."""

    def forget(self) -> tuple[Command, ...]:
        """Return the commands to run when the definition has been removed."""

    def status(self) -> Command:
        """Return the command that shows whether the service runs."""

    def logs(self, lines: int, *, follow: bool) -> Command:
        """Return the command that shows what the service has logged.

        Args:
            lines: How many lines at most.
            follow: Whether to go on with those to come.
        """


class Systemd(Struct, frozen=True):
    """The systemd of a user.

    Attributes:
        config: The user's directory of configuration files.
    """

    config: str

    @property
    def definition(self) -> str:
        """The unit."""
        return f"{self.config}/systemd/user/{self._unit}"

    @property
    def _unit(self) -> str:
        return f"{NAME}.service"

    def text(self, program: Program) -> str:
        """Return the unit."""
        return f"""\
[Unit]
Description=Claude Code behind OpenAI's API
StartLimitIntervalSec={_RESTART_WINDOW}
StartLimitBurst={_RESTARTS}

[Service]
Type=exec
ExecStart={" ".join(map(_quoted, program.arguments))}
WorkingDirectory={_escaped(program.directory)}
EnvironmentFile={_escaped(program.variables)}
EnvironmentFile=-{_escaped(program.own_variables)}
Restart=on-failure
RestartSec={_RESTART_AFTER}
RestartPreventExitStatus={_WRONG_SETTINGS}
KillMode=mixed
TimeoutStopSec={program.drain_timeout + _STOP_GRACE}

[Install]
WantedBy=default.target
"""

    def start(self) -> tuple[Command, ...]:
        """Return the commands that start the service, now and whenever the user logs in, or start it again."""
        return self._control("daemon-reload"), self._control("enable", self._unit), self._control("restart", self._unit)

    def stop(self) -> tuple[Command, ...]:
        """Return the command that stops the service for good."""
        return (self._control("disable", "--now", self._unit),)

    def forget(self) -> tuple[Command, ...]:
        """Return the command that has systemd forget the unit."""
        return (self._control("daemon-reload"),)

    def status(self) -> Command:
        """Return the command that shows whether the service runs."""
        return self._control("status", "--no-pager", self._unit)

    def logs(self, lines: int, *, follow: bool) -> Command:
        """Return the command that shows what the service has logged."""
        shown = ("--user", "--unit", self._unit, "--lines", str(lines), "--no-pager")
        return ("journalctl", *shown, *(("--follow",) if follow else ()))

    def _control(self, *arguments: str) -> Command:
        return ("systemctl", "--user", *arguments)


class Launchd(Struct, frozen=True):
    """The launchd of macOS.

    Attributes:
        home: The user's home directory.
        user_id: The number of the user.
    """

    home: str
    user_id: int

    @property
    def definition(self) -> str:
        """The agent's property list."""
        return f"{self.home}/Library/LaunchAgents/{NAME}.plist"

    @property
    def _log(self) -> str:
        return f"{self.home}/Library/Logs/{NAME}.log"

    def text(self, program: Program) -> str:
        """Return the property list. A shell reads the variables, since launchd reads no files of them."""
        own = shlex.quote(program.own_variables)
        script = f'set -a; . {shlex.quote(program.variables)}; [ ! -r {own} ] || . {own}; set +a; exec "$@"'
        agent = {
            "Label": NAME,
            "ProgramArguments": ["/bin/sh", "-c", script, NAME, *program.arguments],
            "WorkingDirectory": program.directory,
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": _RESTART_WINDOW // _RESTARTS,
            "ExitTimeOut": program.drain_timeout + _STOP_GRACE,
            "StandardOutPath": self._log,
            "StandardErrorPath": self._log,
        }
        return plistlib.dumps(agent, sort_keys=False).decode()

    def start(self) -> tuple[Command, ...]:
        """Return the command that starts the service, now and whenever the user logs in."""
        return (("launchctl", "bootstrap", self._domain, self.definition),)

    def stop(self) -> tuple[Command, ...]:
        """Return the command that stops the service for good."""
        return (("launchctl", "bootout", f"{self._domain}/{NAME}"),)

    def forget(self) -> tuple[Command, ...]:
        """Return nothing: an agent that was stopped is forgotten."""
        return ()

    def status(self) -> Command:
        """Return the command that shows whether the service runs."""
        return ("launchctl", "print", f"{self._domain}/{NAME}")

    def logs(self, lines: int, *, follow: bool) -> Command:
        """Return the command that shows what the service has logged."""
        return ("tail", "-n", str(lines), *(("-F",) if follow else ()), self._log)

    @property
    def _domain(self) -> str:
        return f"gui/{self.user_id}"


def variables_file(variables: Mapping[str, str]) -> str:
    """Return a file of variables that both systemd and a shell read."""
    lines = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join(("# written by: claude-relay service install", *lines, ""))


def _quoted(argument: str) -> str:
    """Return an argument as a command line of systemd has it."""
    text = _escaped(argument).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{text}"' if text != argument or " " in argument or "'" in argument else text


def _escaped(text: str) -> str:
    return text.replace("%", "%%")
