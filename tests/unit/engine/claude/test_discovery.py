"""The CLI is found, or it is said why not and what to do."""

from pathlib import Path

import pytest

from claude_relay.engine.claude import discovery
from claude_relay.engine.claude.discovery import Installation, bundled, discover, read_version
from claude_relay.errors import UnavailableError


def script(path: Path, body: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("says", "version"),
    [
        ("2.1.330 (Claude Code)", (2, 1, 330)),
        ("claude 10.20.30-beta.1", (10, 20, 30)),
    ],
)
def test_a_cli_tells_its_version(tmp_path: Path, says: str, version: tuple[int, int, int]) -> None:
    assert read_version(script(tmp_path / "claude", f'echo "{says}"')) == version


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("echo hello", id="no version"),
        pytest.param("exit 0", id="silent"),
        pytest.param("echo 2.1.330; exit 1", id="fails"),
        pytest.param("echo 2.1.330 >&2", id="elsewhere"),
    ],
)
def test_a_program_that_tells_no_version_is_no_cli(tmp_path: Path, body: str) -> None:
    with pytest.raises(UnavailableError, match=r"did not tell a version.*--claude-path") as raised:
        read_version(script(tmp_path / "claude", body))

    assert raised.value.code == "claude_not_found"


def test_a_version_is_asked_for_with_closed_input(tmp_path: Path) -> None:
    assert read_version(script(tmp_path / "claude", "cat; echo 1.2.3")) == (1, 2, 3)


def test_a_program_that_does_not_answer_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "_VERSION_TIMEOUT", 0.1)

    with pytest.raises(UnavailableError, match="does not run"):
        read_version(script(tmp_path / "claude", "exec sleep 30"))


@pytest.mark.parametrize("name", ["missing", "directory", "plain"])
def test_what_cannot_be_run_is_no_cli(tmp_path: Path, name: str) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "plain").write_text("no program")

    with pytest.raises(UnavailableError, match="does not run"):
        read_version(str(tmp_path / name))


def test_a_program_that_answers_with_bytes_is_no_cli(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        read_version(script(tmp_path / "claude", r"printf '\377\376'"))


def test_the_operators_choice_comes_before_the_path(tmp_path: Path) -> None:
    chosen = script(tmp_path / "mine", "echo 1.0.0")
    script(tmp_path / "bin" / "claude", "echo 2.0.0")

    assert discover(chosen, {"PATH": str(tmp_path / "bin")}) == Installation(chosen, (1, 0, 0))


def test_the_path_that_counts_is_the_given_one(tmp_path: Path) -> None:
    found = script(tmp_path / "bin" / "claude", "echo 2.0.0")

    assert discover(None, {"PATH": str(tmp_path / "bin")}) == Installation(found, (2, 0, 0))


def test_without_one_on_the_path_the_bundled_one_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    brought = script(tmp_path / "claude_agent_sdk" / "_bundled" / "claude", "echo 3.0.0")
    (tmp_path / "claude_agent_sdk" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    assert bundled() == brought
    assert discover(None, {"PATH": str(tmp_path)}) == Installation(brought, (3, 0, 0))


def test_a_wheel_without_a_cli_brings_none_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "claude_agent_sdk").mkdir()
    (tmp_path / "claude_agent_sdk" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    assert bundled() is None


def test_without_any_cli_the_error_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "bundled", lambda: None)

    with pytest.raises(UnavailableError, match=r"No Claude Code CLI was found.*CLAUDE_RELAY_CLAUDE_PATH"):
        discover(None, {"PATH": str(tmp_path)})


def test_a_version_compares_as_numbers_and_reads_as_people_write_it() -> None:
    older, newer = Installation("claude", (2, 1, 99)), Installation("claude", (2, 1, 330))

    assert older.version < newer.version
    assert newer.version_text == "2.1.330"
