"""The pages of clients say what the command prints, and each says the same things of its client."""

import re

import pytest

from claude_relay.commands.clients.catalog import CLIENTS
from claude_relay.commands.clients.client import Client
from tests.docs.clients import DIRECTORY, INDEX, page_of, renewed, sections
from tests.docs.pages import ROOT, rows, section

HEADINGS = ["Settings", "Which model", "What works", "Limits"]
WORKS = ["an answer, streamed", "tools", "images", "structured output", "a call that `max_tokens` cuts"]
TESTED = {"yes", "by hand", "no", "not offered"}

each = pytest.mark.parametrize("client", [pytest.param(client, id=client.name) for client in CLIENTS])


def test_the_pages_have_the_settings_that_the_command_prints() -> None:
    for path, made in sections().items():
        text = path.read_text()
        assert text == renewed(text, made), f"{path.name}: python -m tests.docs.clients"


def test_there_is_a_page_for_each_client_and_for_nothing_else() -> None:
    assert set(DIRECTORY.iterdir()) == {INDEX, *map(page_of, CLIENTS)}


@each
def test_each_page_has_the_same_parts(client: Client) -> None:
    lines = page_of(client).read_text().splitlines()
    headings = [line.removeprefix("## ") for line in lines if line.startswith("## ")]

    assert lines[0] == f"# {client.title}"
    assert [heading for heading in headings if heading in HEADINGS] == HEADINGS


@each
def test_each_page_says_what_was_tested(client: Client) -> None:
    table = {row[0]: row[1] for row in rows(section(f"docs/clients/{client.name}.md", "## What works"))}

    assert list(table)[: len(WORKS)] == WORKS
    assert set(table.values()) <= TESTED
    tested = {state for state in table.values() if state in {"yes", "by hand"}}
    assert tested == ({"by hand" if "by hand" in client.tested else "yes"} if client.tested else set())


@each
def test_the_tests_of_a_client_exist(client: Client) -> None:
    there = {path.name for path in (ROOT / "tests/clients").rglob("test_*.py")}

    assert set(re.findall(r"test_\w+\.py", client.tested)) <= there
    for path in re.findall(r"tests/[\w/]+", client.tested):
        assert (ROOT / path).is_dir(), path
