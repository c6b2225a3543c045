"""Profiles with what their files and directories say."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from claude_relay.engine.profile_files import load
from claude_relay.engine.profiles import Profile
from claude_relay.errors import SettingsError
from claude_relay.settings import Settings
from claude_relay.settings_loading import keyring

KEYS = ("team=team-team-team",)
ENVIRON = {"PATH": "/usr/bin:/bin"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with what profiles may name, which is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("docs", "home/docs", "repository/.git", "repository/part"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "system.md").write_text("\ufeffBe brief.\n\n")
    (tmp_path / "mcp.json").write_text('{"mcpServers": {}}')
    return tmp_path


def loaded(*lines: str, file: str | None = None, **choices: Any) -> tuple[Profile, ...]:
    settings = Settings(**{"profile": lines, "profiles": file, "api_keys": KEYS, **choices})
    return load(settings, keyring(settings), ENVIRON)


def test_without_profiles_there_are_none() -> None:
    assert loaded() == ()


def test_a_profile_has_all_that_was_named(here: Path) -> None:
    line = "docs=sonnet:agent,cwd=docs,permission=plan,tools=Read,mcp=mcp.json,system=system.md,key=team"

    assert loaded(line) == (
        Profile(
            name="docs",
            target="sonnet:agent",
            model="sonnet",
            personality="agent",
            cwd=str(here / "docs"),
            permission="plan",
            tools=("Read",),
            mcp=str(here / "mcp.json"),
            system="Be brief.",
            keys=("team",),
        ),
    )


def test_paths_may_begin_with_the_home_of_the_user(here: Path) -> None:
    assert loaded("docs=sonnet:agent,cwd=~/docs")[0].cwd == str(here / "home" / "docs")


@pytest.mark.parametrize(
    ("model", "aliases", "personality", "expected"),
    [
        ("sonnet", (), "agent", ("sonnet:agent", "sonnet", "agent")),
        ("sonnet", (), "chat", ("sonnet:chat", "sonnet", "chat")),
        ("sonnet:chat", (), "agent", ("sonnet:chat", "sonnet", "chat")),
        ("big", ("big=opus",), "agent", ("big:agent", "opus", "agent")),
        ("big", ("big=opus:chat",), "agent", ("big", "opus", "chat")),
        ("big:agent", ("big=opus:chat",), "chat", ("big:agent", "opus", "agent")),
    ],
)
def test_a_model_may_be_an_alias_and_the_personality_the_operators(
    model: str, aliases: tuple[str, ...], personality: str, expected: tuple[str, str, str]
) -> None:
    (found,) = loaded(f"docs={model}", alias=aliases, personality=personality)

    assert (found.target, found.model, found.personality) == expected


def test_a_file_has_a_table_for_each_and_paths_start_at_it(here: Path) -> None:
    folder = here / "settings"
    (folder / "project").mkdir(parents=True)
    (folder / "profiles.toml").write_text(
        '[docs]\nmodel = "sonnet:agent"\ncwd = "project"\ntools = ["Read"]\n[pirate]\nmodel = "haiku:chat"\n'
    )

    found = loaded("other=opus:chat", file="settings/profiles.toml")

    assert [profile.name for profile in found] == ["other", "docs", "pirate"]
    assert found[1].cwd == str(folder / "project")
    assert found[1].tools == ("Read",)


def test_a_file_and_the_command_line_share_their_names(here: Path) -> None:
    (here / "profiles.toml").write_text('[docs]\nmodel = "sonnet"\n')

    with pytest.raises(SettingsError, match="another name than that of"):
        loaded("docs=opus", file="profiles.toml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "cannot be read: No such file"),
        (b"\xff\xfe\x00", "it is no text"),
        (b"[docs", "expected TOML"),
        (b"docs = " + b"[" * 5_000, "expected TOML"),
        (b'model = "sonnet"', "'model': expected a table"),
        (b'[docs]\nmodel = "x"\ntool = ["Read"]', "'docs': expected fields of"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(here: Path, text: bytes | None, expected: str) -> None:
    if text is not None:
        (here / "profiles.toml").write_bytes(text)

    with pytest.raises(SettingsError, match=r"CLAUDE_RELAY_PROFILES \(--profiles\): 'profiles.toml'") as raised:
        loaded(file="profiles.toml")

    assert expected in raised.value.message


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("cwd=no-such", "cwd: expected a directory"),
        ("cwd=system.md", "cwd: expected a directory"),
        (f"cwd={'x' * 300}", "cwd: expected a directory"),
        ("system=no-such", "system: .* cannot be read"),
        ("system=docs", "system: .* cannot be read"),
        ("system=empty.md", "system: .* is empty"),
        ("mcp=no-such", "mcp: .* cannot be read"),
        ("mcp=system.md", "mcp: expected a JSON file with mcpServers"),
        ("mcp=deep.json", "mcp: expected a JSON file with mcpServers"),
        ("mcp=servers.json", "mcp: expected a JSON file with mcpServers"),
        ("key=guest", "the name of a key .* got 'guest'"),
        ("cwd=docs,worktree=yes", "a directory of a git repository"),
    ],
)
def test_what_is_wrong_with_what_a_profile_names_is_told(here: Path, fields: str, expected: str) -> None:
    (here / "empty.md").write_text(" \n")
    (here / "deep.json").write_text('{"mcpServers": ' + '{"a": ' * 5_000 + "1" + "}" * 5_001)
    (here / "servers.json").write_text('{"weather": {}}')

    with pytest.raises(SettingsError, match=rf"CLAUDE_RELAY_PROFILE \(--profile\): 'docs': .*{expected}"):
        loaded(f"docs=sonnet:agent,{fields}")


def test_a_worktree_needs_a_repository_around_the_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert loaded("docs=sonnet:agent,cwd=repository/part,worktree=yes")[0].worktree
    assert loaded("docs=sonnet:agent,worktree=yes", cwd="repository")[0].worktree

    nowhere: Callable[..., None] = lambda *_, **__: None  # noqa: E731
    monkeypatch.setattr(shutil, "which", nowhere)
    with pytest.raises(SettingsError, match="git on the PATH"):
        loaded("docs=sonnet:agent,cwd=repository,worktree=yes")


def test_permissions_that_let_everybody_do_anything_need_a_key_in_a_profile_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("claude_relay.settings_loading._is_root", lambda: False)
    line = "docs=sonnet:agent,permission=bypassPermissions"

    assert loaded(line)[0].permission == "bypassPermissions"
    with pytest.raises(SettingsError, match="'docs': bypassPermissions lets every caller do anything"):
        loaded(line, api_keys=())


def test_a_profile_that_lets_do_anything_is_refused_for_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claude_relay.settings_loading._is_root", lambda: True)

    with pytest.raises(SettingsError, match=r"'docs': .* as root"):
        loaded("docs=sonnet:agent,permission=bypassPermissions")
