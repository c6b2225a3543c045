"""``claude-relay doctor``: each way in which it knows a relay to fail, with its remedy; the CLI is a script."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from claude_relay.asgi import create_app
from claude_relay.cli import main
from claude_relay.commands import doctor
from claude_relay.engine.claude.capabilities import SelfTestResult
from claude_relay.engine.claude.discovery import Installation
from claude_relay.engine.echo import EchoRunner
from claude_relay.settings import Settings
from tests.api.sockets import listening

LOGGED_IN = '{"loggedIn": true, "authMethod": "api_key", "apiProvider": "firstParty"}'
LOGGED_OUT = '{"loggedIn": false, "authMethod": "none", "apiProvider": "firstParty"}'


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run where no file and no variable of the machine counts."""
    monkeypatch.chdir(tmp_path)
    kept = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}
    monkeypatch.setattr(os, "environ", kept)


@pytest.fixture
def claude(tmp_path: Path) -> Any:
    """Makes a CLI that tells a version and whether it is logged in."""

    def made(version: str = "2.1.332", auth: str = LOGGED_IN) -> Path:
        path = tmp_path / "claude"
        path.write_text(f"#!/bin/sh\nif [ \"$1\" = auth ]; then echo '{auth}'; else echo '{version}'; fi\n")
        path.chmod(0o755)
        return path

    return made


def ran(*arguments: object, json_: bool = True) -> Result:
    given = ["doctor", *(["--json"] if json_ else []), *map(str, arguments)]
    return CliRunner().invoke(main, given, prog_name="claude-relay")


def checked(free_port: int, *arguments: object) -> dict[str, dict[str, Any]]:
    """Return all checks by their names."""
    common = ("--port", free_port, "--no-self-test") if "--port" not in arguments else ("--no-self-test",)
    report = json.loads(ran(*common, *arguments).stdout)
    return {check["name"]: check for check in report["checks"]}


def test_where_all_is_there_nothing_fails_and_every_check_says_what_it_found(claude: Any, free_port: int) -> None:
    result = ran("--claude-path", claude(), "--port", free_port, "--no-self-test", "--host", "127.0.0.1")

    report = json.loads(result.stdout)
    assert (result.exit_code, report["ok"]) == (0, True)
    found = {check["name"]: check for check in report["checks"]}
    assert {check["outcome"] for name, check in found.items() if name != "user"} == {"ok", "skipped"}
    assert all(check["detail"] for check in report["checks"])
    assert "2.1.332" in found["Claude Code"]["detail"]
    assert found["login"]["detail"] == "api_key, firstParty"


def test_for_people_each_check_is_a_line_and_a_remedy_one_below_it(claude: Any, free_port: int) -> None:
    result = ran("--claude-path", claude(auth=LOGGED_OUT), "--port", free_port, "--no-self-test", json_=False)

    lines = result.stdout.splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith("FAIL")]
    assert "login" in lines[at]
    assert "claude auth login" in lines[at + 1]
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "name", "outcome", "words"),
    [
        (("--cwd", "/no/such/place"), "settings", "failed", ["--cwd"]),
        (("--cwd", "x" * 300), "settings", "failed", ["--cwd"]),
        (("--claude-path", "x" * 300), "settings", "failed", ["--claude-path"]),
        (("--profiles", "none.toml"), "settings", "failed", ["--profiles", "none.toml"]),
        (("--profile", "docs=sonnet:chat", "--profile", "pirate=haiku"), "profiles", "ok", ["docs, pirate"]),
        (("--claude-path", "/bin/false"), "Claude Code", "failed", ["did not print a version", "Install Claude Code"]),
        (("--host", "0.0.0.0"), "callers", "warning", ["no key", "--api-key NAME=KEY"]),
        (("--host", "0.0.0.0", "--api-key", "ada=sEcReTsEcReT"), "callers", "ok", ["ada"]),
        (("--uds", "relay.sock"), "callers", "ok", ["this user"]),
        (("--uds", "relay.sock"), "address", "ok", ["relay.sock is free"]),
        (("--no-store",), "store", "skipped", ["not kept"]),
        (("--store-url", "valkey://127.0.0.1:1/0"), "store", "warning", ["--no-store"]),
        (("--state-dir", "/dev/null/x"), "state directory", "warning", ["--state-dir"]),
        (("--state-dir", "x" * 300), "state directory", "warning", ["--state-dir"]),
        (("--state-dir", "a/b/c"), "state directory", "ok", ["a/b/c"]),
        (("--max-concurrent", "3"), "capacity", "ok", ["3 answers at once", "as chosen"]),
    ],
)
def test_what_is_wrong_is_told_with_its_remedy(
    free_port: int, arguments: tuple[str, ...], name: str, outcome: str, words: list[str]
) -> None:
    check = checked(free_port, "--runner", "echo" if name != "Claude Code" else "claude", *arguments)[name]

    assert check["outcome"] == outcome
    text = f"{check['detail']} {check['remedy']}"
    for word in words:
        assert word in text
    assert "sEcReT" not in text


@pytest.mark.parametrize(
    ("version", "outcome"), [("2.1.100", "failed"), ("2.1.197", "ok"), ("2.1.332", "ok"), ("9.0.0", "warning")]
)
def test_a_version_is_told_whether_it_was_tested(claude: Any, free_port: int, version: str, outcome: str) -> None:
    check = checked(free_port, "--claude-path", claude(version))["Claude Code"]

    assert check["outcome"] == outcome
    assert version in check["detail"]


@pytest.mark.parametrize("auth", ["Please run /login", "[]", "{}"])
def test_who_does_not_say_whether_it_is_logged_in_is_not_refused(claude: Any, free_port: int, auth: str) -> None:
    assert checked(free_port, "--claude-path", claude(auth=auth))["login"]["outcome"] == "warning"


def test_the_remedy_for_a_login_that_is_missing_names_a_claude_that_the_shell_finds(
    claude: Any, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = claude(auth=LOGGED_OUT)
    elsewhere = checked(free_port, "--claude-path", path)["login"]["remedy"]
    monkeypatch.setitem(os.environ, "PATH", f"{path.parent}:{os.environ['PATH']}")
    on_the_path = checked(free_port)["login"]["remedy"]

    assert f": {path} auth login." in elsewhere
    assert ": claude auth login." in on_the_path


def test_a_port_that_another_program_has_is_a_failure_and_one_that_a_relay_has_is_none(free_port: int) -> None:
    with socket.create_server(("127.0.0.1", free_port)) as server:
        server.settimeout(0)
        taken = checked(free_port, "--runner", "echo", "--host", "127.0.0.1")["address"]
    with listening(create_app(Settings(), EchoRunner())) as (_, port):
        ours = checked(port, "--runner", "echo", "--host", "127.0.0.1")["address"]

    assert (taken["outcome"], ours["outcome"]) == ("failed", "ok")
    assert "--port" in taken["remedy"]
    assert "a relay answers at" in ours["detail"]


@pytest.mark.parametrize(
    ("variables", "outcome", "words"),
    [
        ({}, "ok", "no proxy"),
        ({"HTTPS_PROXY": "http://u:sEcReT@p:1"}, "warning", "HTTPS_PROXY"),
        ({"https_proxy": "http://p:1", "no_proxy": "x, localhost,127.0.0.1"}, "ok", "uses the proxy"),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "*"}, "ok", "uses the proxy"),
        ({"ANTHROPIC_BASE_URL": "https://gateway.example"}, "ok", "ANTHROPIC_BASE_URL"),
        ({"ANTHROPIC_BASE_URL": "http://localhost:{port}"}, "warning", "names this relay"),
    ],
)
def test_how_claude_code_reaches_its_upstream_is_told_without_a_password(
    claude: Any, free_port: int, variables: dict[str, str], outcome: str, words: str
) -> None:
    os.environ |= {name: value.format(port=free_port) for name, value in variables.items()}

    check = checked(free_port, "--claude-path", claude())["network"]

    assert check["outcome"] == outcome
    assert words in check["detail"]
    assert "sEcReT" not in str(check)


@pytest.mark.parametrize(("user", "outcome"), [(0, "warning"), (1000, "ok")])
def test_root_is_warned_of(monkeypatch: pytest.MonkeyPatch, free_port: int, user: int, outcome: str) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)

    assert checked(free_port, "--runner", "echo")["user"]["outcome"] == outcome


def test_a_directory_for_temporary_files_is_needed(free_port: int) -> None:
    os.environ["CLAUDE_CODE_TMPDIR"] = "/dev/null/x"

    check = checked(free_port, "--runner", "echo")["temporary files"]

    assert check["outcome"] == "failed"
    assert "TMPDIR" in check["remedy"]


def test_a_file_of_keys_that_others_may_read_is_warned_of(tmp_path: Path, free_port: int) -> None:
    (tmp_path / "keys").write_text("ada=sEcReTsEcReT\n")
    (tmp_path / "keys").chmod(0o644)

    check = checked(free_port, "--runner", "echo", "--api-key-file", tmp_path / "keys")["callers"]

    assert (check["outcome"], check["remedy"]) == ("warning", f"chmod 600 {tmp_path}/keys")


def test_a_store_that_is_there_is_opened(tmp_path: Path, free_port: int) -> None:
    directory = tmp_path / "state/claude-relay"
    directory.mkdir(parents=True)
    (directory / "store.sqlite3").write_text("no database at all, but long enough to be taken for one" * 20)

    check = checked(free_port, "--runner", "echo")["store"]

    assert check["outcome"] == "warning"


@pytest.mark.anyio
@pytest.mark.parametrize("part", SelfTestResult.__struct_fields__)
async def test_what_the_self_test_finds_missing_is_told_with_what_it_costs(
    monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    async def tested(*_: object) -> SelfTestResult:
        return SelfTestResult(**{name: name != part for name in SelfTestResult.__struct_fields__})

    monkeypatch.setattr(doctor, "run_self_test", tested)

    check = await doctor._self_test(Settings(), Installation("claude", (2, 1, 332)), {})

    assert check.outcome == "warning"
    assert f"{part}: {doctor._COSTS[part]}" in check.detail
