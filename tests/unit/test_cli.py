"""The command line: help, bad values, a busy port, and what the server is started with."""

import ast
import json
import os
import pickle
import re
import shlex
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from claude_relay import __version__, serving
from claude_relay.cli import main
from claude_relay.settings import Option, options
from claude_relay.settings_loading import load, resolve
from claude_relay.web.connections import Limits
from claude_relay.web.protocol import BoundedProtocol


@pytest.fixture(autouse=True)
def clean_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run where no file and no variable of the machine counts."""
    monkeypatch.chdir(tmp_path)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CLAUDE_RELAY_")}
    monkeypatch.setattr(os, "environ", kept)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Keep the server from starting, and tell how it would have been."""
    calls: list[dict[str, Any]] = []

    def run(sockets: Sequence[socket.socket], app: str, **options: Any) -> None:
        calls.append({"places": [opened.getsockname()[:2] for opened in sockets], "app": app, **options})

    monkeypatch.setattr(serving, "run", run)
    return calls


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def invoked(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="claude-relay")


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_names_the_commands(flag: str) -> None:
    result = invoked(flag)

    assert result.exit_code == 0
    assert "serve" in result.output
    assert "litestar" in result.output


def test_help_of_serve_names_every_setting_and_its_default() -> None:
    help_text = " ".join(invoked("serve", "--help").output.split())

    for option in options():
        assert option.flag in help_text
    assert "[default: 8082]" in help_text
    assert "--no-reload" in help_text


@pytest.mark.parametrize("option", [option for option in options() if option.choices], ids=lambda option: option.name)
def test_help_of_serve_names_the_choices_where_there_are_few(option: Option) -> None:
    (parameter,) = (parameter for parameter in main.commands["serve"].params if parameter.name == option.name)

    assert parameter.metavar == "|".join(option.choices)


def test_the_version_is_told() -> None:
    result = invoked("--version")

    assert (result.exit_code, result.output.strip()) == (0, f"claude-relay, version {__version__}")


@pytest.mark.slow
def test_the_package_runs_as_a_module() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "claude_relay", "--version"], check=True, capture_output=True, text=True, timeout=20
    )

    assert __version__ in ran.stdout
    assert ran.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "eighty"], ["--port", "int", "eighty"]),
        (["--port", "99999"], ["--port", "65535"]),
        (["--personality", "butler"], ["--personality", "agent, chat", "butler"]),
        (["--log-level", "loud"], ["--log-level", "warning", "loud"]),
        (["--cwd", "/no/such/directory"], ["--cwd", "/no/such/directory"]),
        (["--claude-path", "/no/such/claude"], ["--claude-path", "/no/such/claude"]),
    ],
)
def test_a_bad_value_is_told_in_one_line(arguments: list[str], words: list[str], started: list[dict[str, Any]]) -> None:
    result = invoked("serve", *arguments)

    assert result.exit_code == 2
    assert len(result.output.splitlines()) == 1
    for word in words:
        assert word in result.output
    assert started == []


def test_a_bad_variable_is_told_by_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "CLAUDE_RELAY_WARM", "many")

    result = invoked("serve")

    assert result.exit_code == 2
    assert result.output.startswith("claude-relay: CLAUDE_RELAY_WARM: ")


def test_an_option_that_does_not_exist_is_refused() -> None:
    result = invoked("serve", "--prot", "80")

    assert result.exit_code == 2
    assert "--prot" in result.output


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::", "localhost"])
def test_a_busy_port_is_told_in_one_line(busy_port: int, host: str, started: list[dict[str, Any]]) -> None:
    result = invoked("serve", "--runner", "echo", "--host", host, "--port", busy_port)

    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 1
    assert str(busy_port) in result.output
    assert "--port" in result.output
    assert started == []


def test_an_address_that_is_none_of_this_machine_is_told_in_one_line(
    free_port: int, started: list[dict[str, Any]]
) -> None:
    result = invoked("serve", "--runner", "echo", "--host", "192.0.2.1", "--port", free_port)

    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 1
    assert started == []


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("0.0.0.0", "http://localhost:{}/v1\n"),
        ("::", "http://localhost:{}/v1\n"),
        ("127.0.0.1", "http://localhost:{}/v1\n"),
        ("127.0.0.2", "http://127.0.0.2:{}/v1\n"),
        ("localhost", "http://localhost:{}/v1\n"),
        ("::1", "http://[::1]:{}/v1\n"),
        ("0", "http://localhost:{}/v1\n"),
        ("::ffff:127.0.0.1", "http://[::ffff:127.0.0.1]:{}/v1\n"),
    ],
)
def test_the_greeting_gives_a_url_that_works(
    host: str, base: str, free_port: int, started: list[dict[str, Any]]
) -> None:
    result = invoked("serve", "--runner", "echo", "--host", host, "--port", free_port)

    assert base.format(free_port) in result.output
    assert len(started) == 1


def test_the_greeting_tells_how_to_use_a_unix_socket(started: list[dict[str, Any]], tmp_path: Path) -> None:
    result = invoked("serve", "--runner", "echo", "--uds", "re lay.sock")

    assert "listening on the Unix socket re lay.sock" in result.output
    assert "curl --unix-socket 're lay.sock' http://localhost/health" in result.output
    assert len(started) == 1
    assert not (tmp_path / "re lay.sock").exists()


def test_a_path_that_is_something_else_is_told_in_one_line(started: list[dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")

    result = invoked("serve", "--runner", "echo", "--uds", "notes")

    assert (result.exit_code, started) == (1, [])
    assert len(result.output.splitlines()) == 1
    assert "no socket" in result.output
    assert "--uds" in result.output
    assert (tmp_path / "notes").read_text() == "mine"


# --- files of settings -----------------------------------------------------------------------------------------------

HOSTILE = """
CLAUDE_RELAY_ALLOW_ORIGIN=*
CLAUDE_RELAY_CLAUDE_PATH=/tmp/theirs
CLAUDE_RELAY_API_KEYS=theirs=sEcReTsEcReT
CLAUDE_RELAY_MODEL=opus${HOME}
CLAUDE_RELAY_WARM=0
"""


def test_the_greeting_names_the_file_each_value_that_it_set_and_what_it_may_not_set(
    started: list[dict[str, Any]], free_port: int, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(HOSTILE)

    output = invoked("serve", "--runner", "echo", "--port", free_port, "--warm", "1").output

    assert f"settings     from {tmp_path}/.env:" in output
    assert "CLAUDE_RELAY_MODEL='opus" in output
    assert "${HOME}" in output
    assert "CLAUDE_RELAY_WARM" not in output
    (warning,) = [line for line in output.splitlines() if "warning" in line]
    assert f"not taken from {tmp_path}/.env" in warning
    for name in ("ALLOW_ORIGIN", "CLAUDE_PATH", "API_KEYS", "--env-file .env"):
        assert name in warning
    assert "no key is set" in output
    assert "sEcReT" not in output
    assert len(started) == 1
    chosen = load()
    assert (chosen.allow_origin, chosen.claude_path, chosen.api_keys) == ((), None, ())


def test_a_terminal_does_nothing_that_a_file_says(
    started: list[dict[str, Any]], free_port: int, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("CLAUDE_RELAY_MODEL=opus\x1b[2J\n")

    output = invoked("serve", "--runner", "echo", "--port", free_port).output

    assert "\x1b" not in output
    assert "opus" in output
    assert len(started) == 1


def test_a_file_that_the_operator_names_may_set_everything_and_its_secrets_are_not_shown(
    started: list[dict[str, Any]], free_port: int, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(f"CLAUDE_RELAY_ALLOW_ORIGIN=*\nCLAUDE_RELAY_API_KEYS=alice={SECRET}\n")
    (tmp_path / ".env").chmod(0o644)

    output = invoked("serve", "--runner", "echo", "--port", free_port, "--env-file", ".env").output

    assert "not taken" not in output
    assert f"other users can read {tmp_path}/.env: chmod 600 it" in output
    assert "CLAUDE_RELAY_ALLOW_ORIGIN=('*',)" in output
    assert "CLAUDE_RELAY_API_KEYS=..." in output
    assert SECRET not in output
    assert len(started) == 1
    assert load().allow_origin == ("*",)


def test_workers_read_no_file_again(started: list[dict[str, Any]], free_port: int, tmp_path: Path) -> None:
    invoked("serve", "--runner", "echo", "--port", free_port)
    (tmp_path / ".env").write_text("CLAUDE_RELAY_CWD=/\nCLAUDE_RELAY_MODEL=opus\n")

    assert len(started) == 1
    assert resolve().file is None
    assert load().model == "sonnet"


def test_a_file_that_is_named_must_be_there(started: list[dict[str, Any]]) -> None:
    result = invoked("serve", "--env-file", "no-such-file")

    assert (result.exit_code, started) == (2, [])
    assert len(result.output.splitlines()) == 1
    assert "--env-file" in result.output
    assert "No such file" in result.output


def test_the_server_starts_with_what_was_chosen_and_its_workers_find_the_same(
    free_port: int, started: list[dict[str, Any]]
) -> None:
    result = invoked(
        "serve",
        *("--runner", "echo", "--host", "127.0.0.1", "--port", free_port),
        *("--workers", 2, "--drain-timeout", 3, "--log-level", "debug"),
    )

    assert result.exit_code == 0
    (call,) = started
    assert (call["app"], call["factory"]) == ("claude_relay.asgi:served", True)
    assert (call["places"], call["workers"]) == ([("127.0.0.1", free_port)], 2)
    assert call["timeout_graceful_shutdown"] == 2
    # httpx forgets its idle connections after 5 seconds, requests never, Go after 90
    assert call["timeout_keep_alive"] > 90
    assert os.environ["CLAUDE_RELAY_DRAIN_TIMEOUT"] == "3"
    assert call["log_config"]["loggers"]["claude_relay"]["level"] == "DEBUG"
    assert os.environ["CLAUDE_RELAY_RUNNER"] == "echo"
    assert os.environ["CLAUDE_RELAY_PORT"] == str(free_port)


def test_the_greeting_says_where_it_is_and_what_answers_there(free_port: int, started: list[dict[str, Any]]) -> None:
    result = invoked("serve", "--runner", "echo", "--host", "127.0.0.1", "--port", free_port)

    assert f"http://localhost:{free_port}/v1" in result.output
    assert f"http://localhost:{free_port}/schema/swagger" in result.output
    assert "echo (offline" in result.output
    assert len(started) == 1


def test_the_greeting_names_the_profiles_and_they_reach_the_workers(
    free_port: int, started: list[dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "profiles.toml").write_text('[pirate]\nmodel = "haiku:chat"\n')
    chosen = ("--profile", f"docs=sonnet:agent,cwd={tmp_path}", "--profiles", str(tmp_path / "profiles.toml"))

    result = invoked("serve", "--runner", "echo", "--port", free_port, *chosen)

    assert "  profiles     docs, pirate\n" in result.output
    assert len(started) == 1
    assert (load().profile, load().profiles) == ((chosen[1],), chosen[3])


def test_a_bad_profile_is_told_in_one_line_before_anything_is_served(started: list[dict[str, Any]]) -> None:
    result = invoked("serve", "--profile", "docs=sonnet:agent,cwd=/no/such/directory")

    assert (result.exit_code, started) == (2, [])
    assert result.output.splitlines() == [
        "claude-relay: CLAUDE_RELAY_PROFILE (--profile): 'docs': cwd: expected a directory; got '/no/such/directory'"
    ]


@pytest.mark.parametrize(
    ("body", "words"), [("echo 2.1.330", "Claude Code 2.1.330"), ("exit 1", "none yet. ")], ids=["works", "fails"]
)
def test_the_greeting_tells_which_claude_was_found_and_a_broken_one_does_not_stop_the_server(
    tmp_path: Path, free_port: int, started: list[dict[str, Any]], body: str, words: str
) -> None:
    claude = tmp_path / "claude"
    claude.write_text(f"#!/bin/sh\n{body}\n")
    claude.chmod(0o755)

    result = invoked("serve", "--claude-path", claude, "--host", "127.0.0.1", "--port", free_port)

    assert words in result.output
    assert str(claude) in result.output
    assert len(started) == 1


def test_commands_of_litestar_run_on_this_application(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []
    monkeypatch.setattr(
        "litestar.cli.main.litestar_group", lambda arguments, prog_name: given.append((arguments, prog_name))
    )

    Path(".env").write_text("CLAUDE_RELAY_CWD=/\nCLAUDE_RELAY_MODEL=opus\n")
    result = invoked("litestar", "routes", "--help")
    assert result.exit_code == 0
    assert "not taken from" in result.output
    # Litestar's own way of reading .env takes nothing that stands in the environment already
    assert (os.environ["CLAUDE_RELAY_CWD"], os.environ["CLAUDE_RELAY_MODEL"]) == ("", "opus")

    assert given == [(["--app", "claude_relay.asgi:served", "routes", "--help"], "claude-relay litestar")]


@pytest.mark.slow
def test_asking_for_help_does_not_pay_for_the_server() -> None:
    code = (
        "import sys; from claude_relay.cli import main; main(['--help'], standalone_mode=False);"
        "print([name for name in ('litestar', 'uvicorn', 'claude_relay.asgi') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=20)

    assert ran.stdout.splitlines()[-1] == "[]"


def test_aliases_are_given_by_repeating_the_flag(started: list[dict[str, Any]], free_port: int) -> None:
    result = invoked("serve", "--port", free_port, "--runner", "echo", "--alias", "gpt-4o=sonnet", "--alias", "o1=opus")

    assert result.exit_code == 0
    assert len(started) == 1
    assert load().aliases == {"gpt-4o": "sonnet", "o1": "opus"}


def test_aliases_of_the_environment_reach_the_server(
    monkeypatch: pytest.MonkeyPatch, started: list[dict[str, Any]], free_port: int
) -> None:
    monkeypatch.setenv("CLAUDE_RELAY_ALIAS", "gpt-4o=sonnet")

    invoked("serve", "--port", free_port, "--runner", "echo")

    assert len(started) == 1
    assert load().aliases == {"gpt-4o": "sonnet"}


def test_a_bad_alias_is_told_in_one_line(started: list[dict[str, Any]]) -> None:
    result = invoked("serve", "--alias", "gpt-4o")

    assert (result.exit_code, started) == (2, [])
    assert "--alias" in result.output
    assert "gpt-4o" in result.output


# --- who may call ----------------------------------------------------------------------------------------------------

RULE = "without a key, only programs of this machine; with a key, anyone who has it, from anywhere"
SECRET = "sEcReTsEcReT"


def test_the_greeting_says_who_may_call(started: list[dict[str, Any]], free_port: int) -> None:
    without = invoked("serve", "--port", free_port, "--runner", "echo").output
    keys = ("--api-key", f"alice={SECRET}", "--api-key", f"{SECRET}2")
    with_keys = invoked("serve", "--port", free_port, "--runner", "echo", *keys).output

    assert RULE in without
    assert RULE in with_keys
    assert "no key is set (--api-key)" in without
    assert "keys: alice, key-2" in with_keys
    assert SECRET not in with_keys
    assert len(started) == 2


def test_keys_reach_the_workers_and_no_flag_of_the_server(started: list[dict[str, Any]], free_port: int) -> None:
    invoked("serve", "--port", free_port, "--runner", "echo", "--api-key", f"alice={SECRET}")

    (call,) = started
    assert SECRET not in str(call)
    assert load().api_keys == (f"alice={SECRET}",)


@pytest.mark.parametrize("value", [f"alice={SECRET},alice={SECRET}2", "sEcReT", "alice=sEcReT"])
@pytest.mark.parametrize("source", ["flag", "variable"])
def test_a_bad_key_is_told_in_one_line_that_does_not_show_it(
    monkeypatch: pytest.MonkeyPatch, started: list[dict[str, Any]], source: str, value: str
) -> None:
    if source == "variable":
        monkeypatch.setitem(os.environ, "CLAUDE_RELAY_API_KEYS", value)

    result = invoked("serve", *(("--api-key", value) if source == "flag" else ()))

    assert (result.exit_code, started) == (2, [])
    assert len(result.output.splitlines()) == 1
    assert "--api-key" in result.output
    assert "sEcReT" not in result.output


def test_a_file_of_keys_is_read_once_for_the_greeting(started: list[dict[str, Any]], free_port: int) -> None:
    reader, writer = os.pipe()
    os.write(writer, f"alice={SECRET}".encode())
    os.close(writer)

    output = invoked("serve", "--port", free_port, "--runner", "echo", "--api-key-file", f"/dev/fd/{reader}").output

    os.close(reader)
    assert "keys: alice" in output
    assert len(started) == 1


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o644, True)])
def test_a_file_of_keys_that_others_may_read_is_warned_of(
    tmp_path: Path, started: list[dict[str, Any]], free_port: int, mode: int, warned: bool
) -> None:
    file = tmp_path / "keys"
    file.write_text(f"alice={SECRET}\n")
    file.chmod(mode)

    output = invoked("serve", "--port", free_port, "--runner", "echo", "--api-key-file", file).output

    assert "keys: alice" in output
    assert ("chmod 600" in output) is warned
    assert SECRET not in output
    assert len(started) == 1


def test_no_proxy_is_believed_by_uvicorn_and_headers_have_an_end(started: list[dict[str, Any]], free_port: int) -> None:
    invoked("serve", "--port", free_port, "--runner", "echo", "--trusted-proxy", "10.0.0.5")

    (call,) = started
    assert call["proxy_headers"] is False
    assert call["ws"] == "none"
    assert issubclass(call["http"].func, BoundedProtocol)


def test_the_limits_of_connections_reach_the_workers(started: list[dict[str, Any]], free_port: int) -> None:
    limits = ("--max-connections", 100, "--max-per-address", 7, "--trusted-proxy", "10.0.0.0/8")
    invoked("serve", "--port", free_port, "--runner", "echo", *limits)

    (call,) = started
    connections = pickle.loads(pickle.dumps(call["http"])).keywords["connections"]
    assert connections.limits == Limits(100, 7, (ip_network("10.0.0.0/8"),))


def test_an_agent_that_may_do_anything_needs_a_key_or_a_loopback_address(started: list[dict[str, Any]]) -> None:
    result = invoked("serve", "--permission-mode", "bypassPermissions")

    assert (result.exit_code, started) == (2, [])
    assert len(result.output.splitlines()) == 1
    assert "--api-key" in result.output


# --- clients ---------------------------------------------------------------------------------------------------------


def test_all_clients_are_listed_by_the_names_that_print_their_settings() -> None:
    listed = invoked("clients").output.splitlines()

    assert len(listed) >= 20
    for line in listed:
        assert invoked("clients", line.split()[0].upper()).exit_code == 0


def test_settings_name_the_relay_and_the_key_of_the_user() -> None:
    result = invoked("clients", "codex", "--url", "https://relay.example/v1/")

    settings = tomllib.loads(result.stdout)
    assert settings["model_providers"]["relay"]["base_url"] == "https://relay.example/v1"
    assert "config.toml" in result.stderr
    assert 'api_key="sEcReT"' in invoked("clients", "openai", "--key", "sEcReT").stdout


def _in_python(text: str) -> set[str]:
    return {str(node.value) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)}


def _in_javascript(text: str) -> set[str]:
    return {json.loads(found) for found in re.findall(r'"(?:[^"\\]|\\.)*"', text)}


def _in_shell(text: str) -> set[str]:
    return {word.partition("=")[2] or word for word in shlex.split(text)}


def _in_yaml(text: str) -> set[str]:
    return {match for line in yaml.safe_load(text)["models"] for match in line.values() if isinstance(match, str)}


@pytest.mark.parametrize(
    ("name", "strings"),
    [
        ("openai", _in_python),
        ("openai-node", _in_javascript),
        ("opencode", _in_javascript),
        ("environment", _in_shell),
        ("cline", _in_shell),
        ("continue", _in_yaml),
    ],
)
def test_a_url_and_a_key_of_any_characters_are_read_as_they_are(name: str, strings: Callable[[str], set[str]]) -> None:
    key, url = """a"b'c\\d$e`f#:{unused}http://localhost:8082""", """http://relay.example/"a'$b\\c/é"""

    settings = invoked("clients", name, "--url", url, "--key", key).stdout

    assert {key, f"{url}/v1"} <= strings(settings)


@pytest.mark.parametrize("command", [("ask", "hi"), ("clients", "openai"), ("codex-config",)])
@pytest.mark.parametrize(
    "url",
    [
        "",
        "relay.example",
        "ftp://relay.example",
        "http://",
        "http://xn--a.example",
        "http://ü..x",
        "http://[::1",
        "http://relay.example:many",
        "http://relay.example:99999",
        "http://relay.example?x=1",
        "http://relay.example#x",
        "http://relay example",
        "http://relay.example/\n",
        "http://relay.example/\udcff",
    ],
)
def test_a_url_that_no_relay_can_have_is_told_in_one_line(command: tuple[str, ...], url: str) -> None:
    result = invoked(*command, "--url", url)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "--url" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("key", ["a key", "a\nkey", "ключ", "a\udcff"])
def test_settings_have_no_key_that_no_client_can_send(key: str) -> None:
    result = invoked("clients", "openai", "--key", key)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "--key" in result.stderr


@pytest.mark.parametrize("name", ["opencode", "qwen-code"])
def test_settings_in_json_are_json(name: str) -> None:
    assert "http://localhost:8082/v1" in str(json.loads(invoked("clients", name).stdout))


def test_a_client_that_nobody_knows_is_told_in_one_line() -> None:
    result = invoked("clients", "telnet")

    assert result.exit_code == 2
    assert len(result.output.splitlines()) == 1


def test_what_codex_needs_follows_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_RELAY_PORT", "9000")
    monkeypatch.setenv("CLAUDE_RELAY_MODEL", "opus")

    config, catalog = invoked("codex-config"), invoked("codex-config", "--catalog")
    other = invoked("codex-config", "--url", "https://relay.example/v1", "--model", "haiku")

    assert 'base_url = "http://127.0.0.1:9000/v1"' in config.stdout
    assert 'model = "opus"' in config.stdout
    assert json.loads(catalog.stdout)["models"][0]["slug"] == "opus"
    assert 'base_url = "https://relay.example/v1"' in other.stdout
    assert 'model = "haiku"' in other.stdout


def test_what_codex_needs_is_not_printed_for_settings_that_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_RELAY_PORT", "many")

    result = invoked("codex-config")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "CLAUDE_RELAY_PORT" in result.stderr
