"""What docs/public-api.md lists is what the code has."""

import json
import logging
import re

import msgspec
import pytest

import claude_relay
from claude_relay.asgi import create_app
from claude_relay.engine.echo import EchoRunner
from claude_relay.health.schemas import Health
from claude_relay.settings import Option, Settings, options
from tests.callers import calling
from tests.docs.pages import ROOT, page, rows, section

PAGE = "docs/public-api.md"
QUESTION = {"model": "sonnet", "messages": [{"role": "user", "content": "Hi"}], "seed": 1}


def _named(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def _row(option: Option) -> list[str]:
    flag = f"`{option.flag}` / `--no-{option.flag[2:]}`" if option.switch else f"`{option.flag}`"
    return [flag, f"`{option.variable}`", f"`{option.default_text}`" if option.default_text else ""]


def test_each_flag_is_listed_with_its_variable_and_its_default() -> None:
    listed = [row[:3] for row in rows(page("docs/configuration.md")) if row[0].startswith("`--")]
    assert listed == [_row(option) for option in options()]


def test_the_fields_of_health_are_listed() -> None:
    first = section(PAGE, "## Health").partition(".")[0]
    assert _named(first) == [field.name for field in msgspec.structs.fields(Health)]


def test_the_headers_of_a_response_are_listed() -> None:
    listed = set(_named(section(PAGE, "## Response headers")))
    source = "\n".join(path.read_text() for path in (ROOT / "app").rglob("*.py"))
    assert [header for header in listed if f'"{header}"' not in source] == []
    with calling(create_app(Settings(), EchoRunner())) as client:
        answer = client.post("/v1/chat/completions", json=QUESTION)
    ours = {header for header in answer.headers if header.startswith(("x-", "openai-"))}
    assert ours
    assert ours <= listed


def test_the_fields_of_a_log_line_are_listed(caplog: pytest.LogCaptureFixture) -> None:
    table = rows(section("docs/configuration.md", "## The log"))
    listed = {name for row in table for name in _named(row[0])}
    with calling(create_app(Settings(), EchoRunner())) as client, caplog.at_level(logging.INFO):
        client.post("/v1/chat/completions", json={**QUESTION, "stream": True})
        client.post("/v1/chat/completions", json={})
    lines = [json.loads(json.dumps(record.fields)) for record in caplog.records if hasattr(record, "fields")]
    written = {name for line in lines for name in line} | {"request_id"}
    assert len(lines) == 2
    assert written <= listed
    assert listed - written <= {"cost_usd", "upstream_requests"}, "echo asks nobody and costs nothing"


def test_the_names_of_the_package_are_listed() -> None:
    first = section(PAGE, "## Python").partition(", all from")[0]
    assert sorted(_named(first)) == sorted(claude_relay.__all__)


def test_the_changelog_begins_with_the_version_of_the_package() -> None:
    versions = re.findall(r"^## \[([^]]+)\] - (\S+)$", page("CHANGELOG.md"), re.MULTILINE)
    assert versions[0][0] == claude_relay.__version__
    for _, date in versions:
        assert re.fullmatch(r"unreleased|\d{4}-\d{2}-\d{2}", date)
