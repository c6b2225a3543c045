"""``claude-relay service``: what is written, what the service manager, a script here, is told, and what is left."""

import configparser
import os
import plistlib
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from claude_relay.cli import main
from claude_relay.commands import service
from claude_relay.commands.service_files import Launchd, Program, Systemd, variables_file
from claude_relay.errors import RelayError

PROGRAM = Program(("/opt/py thon", "serve", "50%", "$HOME"), "/srv/my work", "/home/a b/x.env", "/home/a b/own.env", 7)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory of the test's own, where no variable of the machine counts."""
    found = tmp_path / "home"
    found.mkdir()
    monkeypatch.chdir(found)
    kept = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "HOME": str(found)}
    monkeypatch.setattr(os, "environ", kept)
    monkeypatch.setattr(sys, "platform", "linux")
    return found


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes programs that write down how they are called, and return the file of that."""
    calls = tmp_path / "calls"
    calls.touch()

    def made(*names: str, script: str = "") -> Path:
        (tmp_path / "bin").mkdir(exist_ok=True)
        for name in names:
            program = tmp_path / "bin" / name
            program.write_text(f'#!/bin/sh\necho {name} "$@" >> {shlex.quote(str(calls))}\n{script}\n')
            program.chmod(0o755)
        # subprocess finds programs where the environment of the process says
        monkeypatch.setenv("PATH", os.environ["PATH"])
        return calls

    return made


def ran(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["service", *arguments], prog_name="claude-relay")


def unit(path: Path) -> dict[str, Any]:
    """Return the section of a unit that says how it runs."""
    found = configparser.ConfigParser(interpolation=None, strict=False)
    found.optionxform = str  # type: ignore[assignment, method-assign] # as its documentation has it
    found.read(path)
    return dict(found["Service"]) | dict(found["Unit"])


def sourced(*files: Path | str) -> dict[str, str]:
    """Return the variables that a shell reads."""
    script = "".join(f". {shlex.quote(str(file))}; " for file in files)
    command = ["/bin/sh", "-c", f"set -a; {script}exec env -0"]
    told = subprocess.run(command, env={}, capture_output=True, check=True, text=True).stdout
    return dict(line.split("=", 1) for line in told.split("\0") if line)


def test_the_service_is_installed_changed_and_removed(home: Path, stub: Callable[..., Path]) -> None:
    calls = stub("systemctl")

    assert ran("install", "--port", "9000", "--api-key", "me=a-$ecret-of-'mine'").exit_code == 0
    definition = home / ".config/systemd/user/claude-relay.service"
    variables = home / ".config/claude-relay/service.env"
    assert (variables.stat().st_mode & 0o777, definition.stat().st_mode & 0o077) == (0o600, 0o044)
    assert "ecret" not in definition.read_text()
    assert "9000" not in definition.read_text()
    found = sourced(variables)
    assert found["CLAUDE_RELAY_API_KEYS"] == "me=a-$ecret-of-'mine'"
    assert (found["CLAUDE_RELAY_PORT"], found["CLAUDE_RELAY_ENV_FILE"]) == ("9000", os.devnull)
    assert found["PATH"] == os.environ["PATH"]
    assert "CLAUDE_RELAY_RUNNER" not in found, "a default may change with the version"

    assert ran("install", "--port", "9001").exit_code == 0
    assert sourced(variables)["CLAUDE_RELAY_PORT"] == "9001"
    assert "ecret" not in variables.read_text()

    assert ran("uninstall").exit_code == 0
    assert not definition.exists()
    assert not variables.parent.exists()
    made = [f"systemctl --user {told}" for told in ("daemon-reload", *(f"{x} claude-relay.service" for x in _STARTED))]
    removed = ["systemctl --user disable --now claude-relay.service", "systemctl --user daemon-reload"]
    assert calls.read_text().splitlines() == [*made, *made, *removed]


_STARTED = ("enable", "restart")


def test_a_file_that_is_the_users_own_stays(home: Path, stub: Callable[..., Path]) -> None:
    stub("systemctl")
    ran("install")
    own = home / ".config/claude-relay/own.env"
    own.write_text("ANTHROPIC_API_KEY=x\n")

    ran("install")
    ran("uninstall")

    assert own.read_text() == "ANTHROPIC_API_KEY=x\n"


def test_the_unit_has_limits_and_time_to_stop(home: Path, stub: Callable[..., Path]) -> None:
    stub("systemctl")
    ran("install", "--drain-timeout", "60")

    found = unit(home / ".config/systemd/user/claude-relay.service")

    assert int(found["TimeoutStopSec"]) > 60
    assert (found["KillMode"], found["Restart"], found["RestartPreventExitStatus"]) == ("mixed", "on-failure", "2")
    assert int(found["StartLimitIntervalSec"]) > int(found["StartLimitBurst"]) * int(found["RestartSec"])
    assert found["WorkingDirectory"] == str(home)
    assert shlex.split(found["ExecStart"])[0] == sys.executable


def test_the_program_of_the_unit_is_one_that_starts(home: Path, stub: Callable[..., Path]) -> None:
    stub("systemctl")
    ran("install")
    command = shlex.split(unit(home / ".config/systemd/user/claude-relay.service")["ExecStart"])

    told = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout

    assert "--drain-timeout" in told


def test_a_unit_keeps_what_means_something_to_systemd(tmp_path: Path) -> None:
    path = tmp_path / "x.service"
    path.write_text(Systemd("/home/a/.config").text(PROGRAM))

    found = unit(path)

    assert found["ExecStart"] == '"/opt/py thon" serve "50%%" "$$HOME"'
    assert found["WorkingDirectory"] == "/srv/my work"


def test_systemd_finds_nothing_wrong_where_it_can_be_asked(home: Path, stub: Callable[..., Path]) -> None:
    stub("systemctl")
    ran("install")
    definition = home / ".config/systemd/user/claude-relay.service"
    assert definition.read_text().startswith("[Unit]\n")
    if (verify := shutil.which("systemd-analyze")) is None:
        return

    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
    told = subprocess.run(
        [verify, "--user", "verify", definition], env=environ, capture_output=True, text=True, check=False
    )

    assert "claude-relay.service" not in told.stderr, told.stderr


def test_an_agent_of_launchd_has_the_same(tmp_path: Path) -> None:
    agent = plistlib.loads(Launchd("/Users/a", 501).text(PROGRAM).encode())

    assert agent["KeepAlive"] == {"SuccessfulExit": False}
    assert agent["ExitTimeOut"] > 7
    assert agent["WorkingDirectory"] == "/srv/my work"
    for name, text in (("x", "PORT='9 000'\n"), ("own", "MORE=1\n")):
        (tmp_path / name).write_text(text)
    program = Program(("env", "-0"), "/", str(tmp_path / "x"), str(tmp_path / "own"), 5)
    command = plistlib.loads(Launchd("/Users/a", 501).text(program).encode())["ProgramArguments"]
    told = subprocess.run(command, env={}, capture_output=True, check=True, text=True).stdout.split("\0")
    assert {"PORT=9 000", "MORE=1"} <= set(told)


def test_launchd_is_told_to_start_again_show_and_stop(
    home: Path, stub: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "manager", lambda _: Launchd(str(home), 501))
    calls = stub("launchctl", "tail")

    codes = [ran(*arguments).exit_code for arguments in (["install"], ["status"], ["logs"], ["uninstall"])]

    agent = home / "Library/LaunchAgents/claude-relay.plist"
    assert codes == [0, 0, 0, 0]
    assert calls.read_text().splitlines() == [
        "launchctl bootout gui/501/claude-relay",
        f"launchctl bootstrap gui/501 {agent}",
        "launchctl print gui/501/claude-relay",
        f"tail -n 100 {home}/Library/Logs/claude-relay.log",
        "launchctl bootout gui/501/claude-relay",
    ]
    assert not agent.exists()


def test_what_the_service_manager_shows_is_shown_with_its_exit_code(stub: Callable[..., Path]) -> None:
    calls = stub("systemctl", "journalctl", script="exit 3")

    assert ran("status").exit_code == 3
    assert ran("logs", "--lines", "5", "--follow").exit_code == 3
    assert calls.read_text().splitlines() == [
        "systemctl --user status --no-pager claude-relay.service",
        "journalctl --user --unit claude-relay.service --lines 5 --no-pager --follow",
    ]


def test_a_service_manager_that_fails_is_quoted(stub: Callable[..., Path]) -> None:
    stub("systemctl", script="echo No bus. >&2; exit 1")

    result = ran("install")

    assert result.exit_code == 1
    assert "'systemctl --user daemon-reload' failed with 1: No bus." in result.stderr


@pytest.mark.parametrize("command", ["install", "status", "logs", "uninstall"])
def test_a_machine_without_a_service_manager_is_told_so(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    result = ran(command)

    assert result.exit_code == 1
    assert "cannot be run" in result.stderr


def test_another_system_has_no_service_that_is_known() -> None:
    with pytest.raises(RelayError, match="needs systemd or launchd"):
        service.manager({}, "win32")


def test_wrong_settings_are_refused_before_anything_is_written(home: Path, stub: Callable[..., Path]) -> None:
    calls = stub("systemctl")

    result = ran("install", "--port", "x")

    assert result.exit_code == 2
    assert "--port" in result.stderr
    assert calls.read_text() == ""
    assert not (home / ".config").exists()


def test_a_setting_that_a_service_manager_cannot_read_is_named(home: Path, stub: Callable[..., Path]) -> None:
    stub("systemctl")

    result = ran("install", "--state-dir", b"caf\xe9".decode("utf-8", "surrogateescape"))

    assert result.exit_code == 1
    assert result.stderr.startswith("claude-relay: CLAUDE_RELAY_STATE_DIR has bytes that are not UTF-8")
    assert not list(home.rglob("*.env"))


def test_a_place_that_cannot_be_written_is_named(home: Path) -> None:
    (home / ".config").touch()

    result = ran("install")

    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


@pytest.mark.parametrize("value", ["", "a b", "$HOME `x` \\n", 'it\'s "quoted"', "two\nlines", "#x;y"])
def test_a_shell_reads_every_value_as_it_was(tmp_path: Path, value: str) -> None:
    file = tmp_path / "x.env"
    file.write_text(variables_file({"VALUE": value, "NEXT": "1"}))

    assert sourced(file) | {"PWD": ""} == {"VALUE": value, "NEXT": "1", "PWD": ""}


def test_the_shell_is_told_how_to_complete_commands_and_options(home: Path) -> None:
    program = Path(sys.executable).with_name("claude-relay")
    environ = {"PATH": os.environ["PATH"], "HOME": str(home)}

    def told(**variables: str) -> str:
        return subprocess.run([program], env=environ | variables, capture_output=True, text=True, check=True).stdout

    assert "-F _claude_relay_completion claude-relay" in told(_CLAUDE_RELAY_COMPLETE="bash_source")
    commands = told(_CLAUDE_RELAY_COMPLETE="bash_complete", COMP_WORDS="claude-relay s", COMP_CWORD="1")
    options = told(_CLAUDE_RELAY_COMPLETE="bash_complete", COMP_WORDS="claude-relay serve --dr", COMP_CWORD="2")
    assert commands.split() == ["plain,serve", "plain,service"]
    assert options.split() == ["plain,--drain-timeout"]
