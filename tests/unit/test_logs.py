"""Log lines carry the id of the request they belong to."""

import json
import logging
import logging.config
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from claude_relay import logs

NAMES = ("claude_relay", "uvicorn", "litestar")


@pytest.fixture
def restored() -> Iterator[None]:
    """Put the loggers back as they were."""
    before = {name: (logging.getLogger(name).level, logging.getLogger(name).propagate) for name in NAMES}
    handlers = {name: logging.getLogger(name).handlers[:] for name in NAMES}
    yield
    for name, (level, propagate) in before.items():
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.propagate, logger.handlers = propagate, handlers[name]


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("name", ["claude_relay.engine", "uvicorn.access", "litestar"])
def test_a_line_names_its_request(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    logging.config.dictConfig(logs.config("info"))
    token = logs.request_id.set("req_1")
    try:
        logging.getLogger(name).info("hello %s", "you")
    finally:
        logs.request_id.reset(token)

    line = capsys.readouterr().err
    assert line.endswith(f"INFO    req_1 {name}: hello you\n")
    assert line.count("\n") == 1


@pytest.mark.usefixtures("restored")
def test_a_line_outside_a_request_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    logging.config.dictConfig(logs.config("info"))

    logging.getLogger("claude_relay").warning("hello")

    assert " - claude_relay: hello" in capsys.readouterr().err


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["DEBUG", "INFO", "WARNING", "ERROR"]),
        ("info", ["INFO", "WARNING", "ERROR"]),
        ("warning", ["WARNING", "ERROR"]),
        ("error", ["ERROR"]),
    ],
)
def test_less_important_lines_are_left_out(level: str, shown: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    logging.config.dictConfig(logs.config(level))
    for name in ("debug", "info", "warning", "error"):
        getattr(logging.getLogger("claude_relay"), name)("hello")

    assert [line.split()[2] for line in capsys.readouterr().err.splitlines()] == shown


FACTS = {"facts": {"model": "sonnet", "cost_usd": 0.5, "path": "/a\nb c", "finish": "stop,stop"}}


@pytest.mark.usefixtures("restored")
def test_facts_follow_a_line_and_nothing_that_a_client_chose_begins_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logging.config.dictConfig(logs.config("info"))

    logging.getLogger("claude_relay").info("request %s", "a\r\nb", extra=FACTS)

    line = capsys.readouterr().err
    assert line.endswith(' claude_relay: request a\\r\\nb model=sonnet cost_usd=0.5 path="/a\\nb c" finish=stop,stop\n')
    assert line.count("\n") == 1


@pytest.mark.usefixtures("restored")
def test_json_lines_hold_the_facts_as_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logging.config.dictConfig(logs.config("info", "json"))

    logging.getLogger("claude_relay").info("request", extra=FACTS)
    logging.getLogger("uvicorn.error").error("no %s", "luck", exc_info=ZeroDivisionError("zero"))

    request, failure = map(json.loads, capsys.readouterr().err.splitlines())
    assert FACTS["facts"].items() <= request.items()
    assert (request["level"], request["logger"], request["request_id"]) == ("info", "claude_relay", "-")
    assert (failure["level"], failure["message"]) == ("error", "no luck")
    assert "ZeroDivisionError" in failure["exception"]
    assert datetime.fromisoformat(failure["time"]).tzinfo is UTC


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("style", ["text", "json"])
def test_facts_of_any_kind_can_be_logged(style: Any, capsys: pytest.CaptureFixture[str]) -> None:
    logging.config.dictConfig(logs.config("info", style))

    logging.getLogger("claude_relay").info("x", extra={"facts": {"a": "\ud800", "b": sys, "c": None, "d": "é ü"}})

    assert "ud800" in (shown := capsys.readouterr().err)
    assert shown.count("\n") == 1
