"""The CLI is found, or it is said why not and what to do."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from claude_relay.engine.claude import discovery
from claude_relay.engine.claude.discovery import Finder, Installation, bundled, discover, identity_of, read_version
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
    with pytest.raises(UnavailableError, match=r"did not print a version.*--claude-path") as raised:
        read_version(script(tmp_path / "claude", body))

    assert raised.value.code == "claude_not_found"


def test_a_version_is_asked_for_with_closed_input(tmp_path: Path) -> None:
    assert read_version(script(tmp_path / "claude", "cat; echo 1.2.3")) == (1, 2, 3)


@pytest.mark.slow
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

    assert discover(chosen, {"PATH": str(tmp_path / "bin")}) == Installation(chosen, (1, 0, 0), identity_of(chosen))


def test_the_path_that_counts_is_the_given_one(tmp_path: Path) -> None:
    found = script(tmp_path / "bin" / "claude", "echo 2.0.0")

    assert discover(None, {"PATH": str(tmp_path / "bin")}) == Installation(found, (2, 0, 0), identity_of(found))


def test_without_one_on_the_path_the_bundled_one_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    brought = script(tmp_path / "claude_agent_sdk" / "_bundled" / "claude", "echo 3.0.0")
    (tmp_path / "claude_agent_sdk" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    assert bundled() == brought
    assert discover(None, {"PATH": str(tmp_path)}) == Installation(brought, (3, 0, 0), identity_of(brought))


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


def test_a_file_has_an_identity_until_it_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "claude"
    before = identity_of(script(path, "echo 1.0.0"))
    assert before == identity_of(str(path))

    path.rename(tmp_path / "old")
    assert identity_of(str(path)) is None

    assert identity_of(script(path, "echo 1.0.0")) not in {None, before}


def test_a_link_has_the_identity_of_what_it_leads_to(tmp_path: Path) -> None:
    link = tmp_path / "claude"
    link.symlink_to(script(tmp_path / "1.0.0", "echo 1.0.0"))
    before = identity_of(str(link))

    link.unlink()
    link.symlink_to(script(tmp_path / "2.0.0", "echo 2.0.0"))

    assert before is not None
    assert identity_of(str(link)) != before


@pytest.fixture
def counted(tmp_path: Path) -> Callable[[], int]:
    """Tell how often the CLI ``tmp_path / "claude"`` was asked for its version."""
    return lambda: len((tmp_path / "asked").read_text()) if (tmp_path / "asked").exists() else 0


def cli_of(tmp_path: Path, version: str) -> str:
    return script(tmp_path / "claude", f"printf . >>{tmp_path}/asked; echo {version}")


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_cli_that_is_as_it_was_is_not_asked_again(tmp_path: Path, counted: Callable[[], int]) -> None:
    finder = Finder(cli_of(tmp_path, "1.0.0"), {})

    found = await asyncio.gather(*(finder.find() for _ in range(5)))

    assert found == [finder.installation] * 5
    assert await finder.find() is finder.installation
    assert finder.missing is None
    assert counted() == 1


@pytest.mark.anyio
async def test_a_cli_that_was_replaced_is_asked_again(tmp_path: Path, counted: Callable[[], int]) -> None:
    finder = Finder(cli_of(tmp_path, "1.0.0"), {})
    await finder.find()
    (tmp_path / "claude").unlink()
    cli_of(tmp_path, "2.0.0")

    assert (await finder.find()).version == (2, 0, 0)
    assert counted() == 2


@pytest.mark.anyio
async def test_a_cli_that_is_gone_is_missed_at_once_and_found_when_it_is_back(tmp_path: Path) -> None:
    path = tmp_path / "claude"
    finder = Finder(cli_of(tmp_path, "1.0.0"), {})
    assert finder.missing == "not started yet"
    before = await finder.find()

    path.rename(tmp_path / "away")
    assert finder.missing is not None
    assert finder.missing.startswith(f"{path} is gone. Install")
    with pytest.raises(UnavailableError, match="does not run") as raised:
        await finder.find()
    assert raised.value.code == "claude_not_found"
    assert finder.missing == raised.value.message

    (tmp_path / "away").rename(path)
    assert await finder.find() is before
    assert finder.missing is None


@pytest.mark.anyio
async def test_one_who_does_not_wait_any_more_takes_nothing_from_the_others(tmp_path: Path) -> None:
    finder = Finder(cli_of(tmp_path, "1.0.0"), {})
    impatient, patient = asyncio.create_task(finder.find()), asyncio.create_task(finder.find())
    await asyncio.sleep(0)

    impatient.cancel()

    assert (await patient).version == (1, 0, 0)
    assert impatient.cancelled()


def test_the_relays_own_settings_which_may_be_keys_are_not_for_the_cli(tmp_path: Path) -> None:
    path = script(tmp_path / "claude", f"env > {tmp_path}/seen; echo 1.2.3")

    read_version(path, {"PATH": os.defpath, "HOME": "/mine", "CLAUDE_RELAY_API_KEYS": "ann=secret-key"})

    seen = (tmp_path / "seen").read_text()
    assert "HOME=/mine" in seen
    assert "CLAUDE_RELAY" not in seen
