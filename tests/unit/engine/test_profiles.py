"""Profiles as they are written down."""

from typing import Any

import pytest

from claude_relay.engine.profiles import (
    Entry,
    Profile,
    of_holder,
    parse_line,
    parse_table,
    require_distinct,
    require_fitting,
)
from claude_relay.errors import SettingsError

OPTION = "--profile"


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("docs=sonnet", {"model": "sonnet"}),
        ("docs=sonnet:agent", {"model": "sonnet:agent"}),
        ("docs=claude-opus-5-5[1m]:chat", {"model": "claude-opus-5-5[1m]:chat"}),
        (" docs = sonnet , cwd = ~/docs ", {"model": "sonnet", "cwd": "~/docs"}),
        ("docs=x,permission=acceptEdits", {"model": "x", "permission": "acceptEdits"}),
        ("docs=x,tools=Read+Grep + mcp__a__b", {"model": "x", "tools": ("Read", "Grep", "mcp__a__b")}),
        ("docs=x,tools=", {"model": "x", "tools": ()}),
        ("docs=x,system=a=b.md,mcp=c.json", {"model": "x", "system": "a=b.md", "mcp": "c.json"}),
        ("docs=x,key=team,key=ann", {"model": "x", "key": ("team", "ann")}),
        ("docs=x,worktree=yes", {"model": "x", "worktree": True}),
        ("docs=x,worktree=no", {"model": "x"}),
    ],
)
def test_a_line_has_a_name_a_model_and_fields(line: str, fields: dict[str, Any]) -> None:
    assert parse_line(line, OPTION) == Entry(where="--profile: 'docs'", name="docs", **fields)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", "NAME=MODEL"),
        ("docs", "NAME=MODEL"),
        ("docs=", "NAME=MODEL"),
        ("=sonnet", "NAME=MODEL"),
        ("docs=x,cwd", "FIELD=VALUE"),
        ("docs=x,,cwd=a", "FIELD=VALUE"),
        ("docs=x,cwd=a,cwd=b", "cwd once"),
        ("docs=x,model=y", "model once"),
        ("docs=x,where=y", "fields of model, cwd, permission, tools, mcp, system, key, worktree; got 'where'"),
        ("docs=x,permisson=plan", "got 'permisson'"),
        ("docs=x,permission=all", "permission of default, acceptEdits, auto, dontAsk, plan, bypassPermissions"),
        ("docs=x,cwd=", "a value of cwd"),
        ("docs=x,system=", "a value of system"),
        ("docs=x,tools=Read Grep", "got 'Read Grep'"),
        ("docs=x,tools=Read++Grep", "got ''"),
        ("docs=x,tools=--verbose", "got '--verbose'"),
        ("docs=x,worktree=true", "worktree=yes or worktree=no"),
        ("do cs=x", "letters, digits"),
        ("docs:chat=x", "letters, digits"),
        ("-docs=x", "letters, digits"),
        (f"{'d' * 65}=x", "64 at most"),
    ],
)
def test_what_is_wrong_with_a_line_is_told(line: str, expected: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parse_line(line, OPTION)

    assert raised.value.message.startswith("--profile: ")
    assert expected in raised.value.message


@pytest.mark.parametrize(
    "name", ["opus", "Sonnet", "haiku", "opusplan", "default", "best", "claude-docs", "us.anthropic.claude-x", "echo"]
)
def test_a_name_is_not_that_of_a_model(name: str) -> None:
    with pytest.raises(SettingsError, match="not that of a model"):
        parse_line(f"{name}=sonnet", OPTION)


def test_a_name_may_hold_that_of_a_model() -> None:
    assert parse_line("sonnet-docs=sonnet", OPTION).name == "sonnet-docs"


def test_a_table_says_the_same_as_a_line() -> None:
    table = {"model": "sonnet:agent", "tools": ["Read"], "key": ["team"], "worktree": True, "cwd": "docs"}

    line = parse_line("docs=sonnet:agent,tools=Read,key=team,worktree=yes,cwd=docs", OPTION)
    assert parse_table("docs", table, line.where) == line


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("sonnet", "a table such as [docs]"),
        ({}, "missing required field `model`"),
        ({"model": 1}, "expected `str`, got `int` - at `$.model`"),
        ({"model": "x", "tools": "Read"}, "`$.tools`"),
        ({"model": "x", "worktree": "yes"}, "`$.worktree`"),
        ({"model": "x", "permission": ["plan"]}, "a permission of"),
        ({"model": ""}, "a value of model"),
        ({"model": "x", "name": "other"}, "got 'name'"),
    ],
)
def test_what_is_wrong_with_a_table_is_told(table: object, expected: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parse_table("docs", table, "profiles.toml: 'docs'")

    assert raised.value.message.startswith("profiles.toml: 'docs': ")
    assert expected in raised.value.message


@pytest.mark.parametrize(
    "field", ["cwd=docs", "permission=plan", "tools=Read", "tools=", "mcp=mcp.json", "worktree=yes"]
)
def test_what_only_an_agent_has_is_refused_for_a_chat(field: str) -> None:
    entry = parse_line(f"docs=sonnet:chat,{field}", OPTION)

    require_fitting(entry, "agent")
    with pytest.raises(SettingsError, match=f"{field.partition('=')[0]}: only an agent .* sonnet:agent"):
        require_fitting(entry, "chat")


def test_a_chat_may_have_instructions_and_keys() -> None:
    require_fitting(parse_line("docs=sonnet:chat,system=x.md,key=team,worktree=no", OPTION), "chat")


@pytest.mark.parametrize(
    ("names", "model", "aliases", "expected"),
    [
        (("docs", "docs"), "sonnet", {}, "another name than that of --profile: 'docs'"),
        (("docs",), "sonnet", {"docs": "opus"}, "no alias"),
        (("docs",), "docs", {}, "--model"),
        (("docs",), "sonnet", {"gpt-4o": "docs"}, "without another name"),
    ],
)
def test_a_name_has_one_meaning(names: tuple[str, ...], model: str, aliases: dict[str, str], expected: str) -> None:
    entries = [parse_line(f"{name}=sonnet", OPTION) for name in names]

    with pytest.raises(SettingsError, match=expected):
        require_distinct(entries, model, aliases)


def test_names_that_differ_are_distinct() -> None:
    require_distinct([parse_line(f"{name}=sonnet", OPTION) for name in ("a", "b")], "sonnet", {"c": "opus"})


@pytest.mark.parametrize(
    ("key", "names"), [("team", ["all", "team", "both"]), ("ann", ["all", "both"]), ("local", ["all"])]
)
def test_who_holds_no_key_of_a_profile_has_it_not(key: str, names: list[str]) -> None:
    made = {"all": (), "team": ("team",), "both": ("team", "ann")}
    profiles = [
        Profile(name=name, target="sonnet:chat", model="sonnet", personality="chat", keys=keys)
        for name, keys in made.items()
    ]

    assert list(of_holder(profiles, key)) == names
