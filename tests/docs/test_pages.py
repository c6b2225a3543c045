"""What the pages name exists: pages, headings, commands, flags, variables, modules."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click
import pytest

from claude_relay.cli import main
from claude_relay.settings import PREFIX, options
from tests.docs.pages import PAGES, ROOT, page, rows, section

WITH_COMMANDS = (*PAGES, ROOT / ".env.example", ROOT / "docker/Dockerfile", ROOT / "docker/compose.yaml")


def _relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _anchors(text: str) -> set[str]:
    """Return the anchors that a repository's host makes of headings."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _links(text: str) -> list[tuple[str, str]]:
    found = re.findall(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)]+))?\)", text)
    return [(target, anchor) for target, anchor in found if target or anchor]


@pytest.mark.parametrize("path", PAGES, ids=_relative)
def test_every_link_leads_to_a_page_and_a_heading(path: Path) -> None:
    for target, anchor in _links(path.read_text()):
        there = path.parent / target if target else path
        assert there.exists(), target
        if anchor:
            assert anchor in _anchors(there.read_text()), f"{target}#{anchor}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        path = waiting.pop().resolve()
        if path in seen or path.suffix != ".md":
            continue
        seen.add(path)
        waiting += [path.parent / target for target, _ in _links(path.read_text()) if target]
    assert {path.resolve() for path in PAGES} <= seen


def _commands(text: str) -> Iterator[list[str]]:
    """Yield the arguments of each documented call of the command that has any."""
    text = re.sub(r"\n(?:# )?(?=serve\b)", " ", text)
    fenced = re.findall(r"^```(?:console|sh)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in fenced for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", text)
    for line in lines:
        # before it stand variables, and what runs it; docker and git only have things of that name
        if match := re.match(r"(?!docker|git|cd)(?:[\w.=/,:-]+ )*?claude-relay ([^|>]+)(?:> \S+)?$", line):
            yield shlex.split(match[1], comments=True)


def _parse(arguments: list[str]) -> None:
    """Parse as the command does, without running it."""
    with click.Context(main, info_name="claude-relay", **main.context_settings) as outside:
        if arguments[0].startswith("-"):
            main.parse_args(outside, arguments)
            return
        name, command, rest = main.resolve_command(outside, arguments)
        assert command is not None
        command.make_context(name, rest, parent=outside)


@pytest.mark.parametrize("path", WITH_COMMANDS, ids=_relative)
def test_every_documented_command_line_is_one(path: Path) -> None:
    for arguments in _commands(path.read_text()):
        # --version and --help end here
        with suppress(click.exceptions.Exit):
            _parse(arguments)


def test_command_lines_are_found() -> None:
    found = [arguments for path in WITH_COMMANDS for arguments in _commands(path.read_text())]
    assert len(found) >= 10
    assert ["serve"] in found
    assert ["serve", "--env-file", ".env"] in found


@pytest.mark.parametrize("wrong", ["serve --no-such-flag", "serve --port", "serve here", "start", "--no-such-flag"])
def test_command_lines_that_are_none_are_refused(wrong: str) -> None:
    ((*arguments,),) = _commands(f"```console\nuv run claude-relay {wrong}\n```")
    with pytest.raises(click.UsageError):
        _parse(arguments)


@pytest.mark.parametrize("path", WITH_COMMANDS, ids=_relative)
def test_every_variable_of_ours_exists(path: Path) -> None:
    named = set(re.findall(rf"{PREFIX}[A-Z_]*[A-Z]", path.read_text()))
    others = {"CLAUDE_RELAY_TEST_CLI", "CLAUDE_RELAY_URL", "CLAUDE_RELAY_KEY"}
    assert named - others <= {option.variable for option in options()}


def test_every_flag_that_is_named_alone_exists() -> None:
    known = {name for option in options() for name in (option.flag, f"--no-{option.flag[2:]}" if option.switch else "")}
    for path in (ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in ("api", "quickstart", "reliability"))):
        named = set(re.findall(r"`(--[a-z-]+)[` ]", path.read_text()))
        assert named <= known, path.name


def test_every_module_of_the_table_of_rooms_exists() -> None:
    table = rows(page("docs/architecture.md"))
    named = [name for row in table for name in re.findall(r"`([\w/.]+)`", row[0])]
    assert len(named) > 10
    for name in named:
        assert (ROOT / "app/claude_relay" / name).exists(), name


def test_every_module_that_the_architecture_names_exists() -> None:
    text = page("docs/architecture.md")
    source = ROOT / "app/claude_relay"
    files = {path.name for path in source.rglob("*.py")}
    assert set(re.findall(r"`(?:[\w]+/)?(\w+\.py)`", text)) <= files
    for package, module in re.findall(r"`(web|chat|engine|models|health)\.(\w+)`", text):
        assert importlib.util.find_spec(f"claude_relay.{package}.{module}"), f"{package}.{module}"


def test_what_contributing_says_of_findings_is_true_of_each() -> None:
    assert section("CONTRIBUTING.md", "## Findings")
    found = sorted((ROOT / "findings").iterdir())
    assert len(found) >= 4
    for path in found:
        text = path.read_text()
        assert path.suffix == ".sh"
        assert path.stat().st_mode & 0o111, path.name
        lines = text.splitlines()
        assert lines[0] == "#!/usr/bin/env bash"
        comment = lines[1 : lines.index("set -euo pipefail")]
        assert all(line.startswith("# ") for line in comment), path.name
        for part in ("One would guess:", "What happens:", "Seen:"):
            assert sum(line.startswith(f"# {part}") for line in comment) == 1, (path.name, part)
        assert re.search(r"\d+\.\d+", comment[0]), "the version"
