"""Log lines carry the id of the request they belong to."""

import asyncio
import contextlib
import json
import logging
import logging.config
import os
import re
import select
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import pytest

from claude_relay import logs
from claude_relay.logs import PatientHandler

NAMES = ("claude_relay", "uvicorn", "litestar", "")


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


def written(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was logged, once it is written."""
    for handler in logging.getLogger("claude_relay").handlers:
        handler.flush()
    return capsys.readouterr().err


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("name", ["claude_relay.engine", "uvicorn.access", "litestar"])
def test_a_line_names_its_request(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    logging.config.dictConfig(logs.config("info"))
    token = logs.request_id.set("req_1")
    try:
        logging.getLogger(name).info("hello %s", "you")
    finally:
        logs.request_id.reset(token)

    line = written(capsys)
    assert line.endswith(f"INFO    req_1 {name}: hello you\n")
    assert line.count("\n") == 1


@pytest.mark.usefixtures("restored")
def test_a_line_outside_a_request_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    logging.config.dictConfig(logs.config("info"))

    logging.getLogger("claude_relay").warning("hello")

    assert " - claude_relay: hello" in written(capsys)


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

    assert [line.split()[2] for line in written(capsys).splitlines()] == shown


FIELDS = {"fields": {"model": "sonnet", "cost_usd": 0.5, "path": "/a\nb c", "finish": "stop,stop"}}


@pytest.mark.usefixtures("restored")
def test_facts_follow_a_line_and_nothing_that_a_client_chose_begins_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logging.config.dictConfig(logs.config("info"))

    logging.getLogger("claude_relay").info("request %s", "a\r\nb", extra=FIELDS)

    line = written(capsys)
    assert line.endswith(' claude_relay: request a\\r\\nb model=sonnet cost_usd=0.5 path="/a\\nb c" finish=stop,stop\n')
    assert line.count("\n") == 1


@pytest.mark.usefixtures("restored")
def test_json_lines_hold_the_facts_as_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logging.config.dictConfig(logs.config("info", "json"))

    logging.getLogger("claude_relay").info("request", extra=FIELDS)
    logging.getLogger("uvicorn.error").error("no %s", "luck", exc_info=ZeroDivisionError("zero"))

    request, failure = map(json.loads, written(capsys).splitlines())
    assert FIELDS["fields"].items() <= request.items()
    assert (request["level"], request["logger"], request["request_id"]) == ("info", "claude_relay", "-")
    assert (failure["level"], failure["message"]) == ("error", "no luck")
    assert "ZeroDivisionError" in failure["exception"]
    assert datetime.fromisoformat(failure["time"]).tzinfo is UTC


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("style", ["text", "json"])
def test_facts_of_any_kind_can_be_logged(style: Any, capsys: pytest.CaptureFixture[str]) -> None:
    logging.config.dictConfig(logs.config("info", style))

    logging.getLogger("claude_relay").info("x", extra={"fields": {"a": "\ud800", "b": sys, "c": None, "d": "é ü"}})

    assert "ud800" in (shown := written(capsys))
    assert shown.count("\n") == 1


# --- a log that keeps nobody waiting ----------------------------------------------------------------------------------


@pytest.fixture
def pipe() -> Iterator[tuple[int, TextIO]]:
    """A pipe, to be read at one end and logged to at the other."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        yield reader, stream
        with contextlib.suppress(OSError):
            os.close(reader)


def logger_to(stream: TextIO | None) -> tuple[logging.Logger, PatientHandler]:
    logger = logging.getLogger("claude_relay.test")
    logger.handlers, logger.propagate = [], False
    handler = PatientHandler(stream)
    handler.addFilter(logs.RequestIdFilter())
    handler.setFormatter(logs.TextFormatter())
    logger.addHandler(handler)
    return logger, handler


def some(reader: int) -> bytes:
    """Return what has come, if anything does within a moment."""
    return os.read(reader, 65_536) if select.select([reader], [], [], 0.01)[0] else b""


@pytest.mark.slow
def test_a_reader_who_does_not_read_costs_lines_and_no_time(
    pipe: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, stream = pipe
    monkeypatch.setattr(logs, "_MOST_WAITING", 100_000)
    monkeypatch.setattr(logs, "_FLUSH_TIMEOUT", 0.1)
    logger, handler = logger_to(stream)

    began = time.monotonic()
    for number in range(10_000):
        logger.warning("line %06d %s", number, "x" * 50)
    handler.flush()
    assert time.monotonic() - began < 5
    assert handler.lost > 5000

    came = b""
    while handler._taken < handler._put:
        came += some(reader)
    lost = handler.lost
    logger.warning("again")
    while b"again" not in came or sum(map(int, re.findall(rb"(\d+) lines of the log were lost", came))) < lost:
        came += some(reader)
    numbers = [int(line.split(b"line ")[1][:6]) for line in came.splitlines() if b": line " in line]
    assert numbers == sorted(numbers)
    assert len(numbers) == 10_000 - lost


def test_a_full_disk_costs_lines_alone() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        logger, handler = logger_to(full)
        for _ in range(3):
            logger.warning("hello")
        handler.flush()

    assert handler.lost == 3


def test_a_reader_who_has_gone_and_no_place_to_log_to_cost_lines_alone(
    pipe: tuple[int, TextIO], capfd: pytest.CaptureFixture[str]
) -> None:
    reader, stream = pipe
    os.close(reader)
    for place in (stream, None):
        logger, handler = logger_to(place)
        logger.warning("hello")
        handler.flush()
        assert handler.lost == 1

    assert capfd.readouterr().err == ""


def test_a_pipe_that_does_not_block_is_waited_for(pipe: tuple[int, TextIO]) -> None:
    reader, stream = pipe
    os.set_blocking(stream.fileno(), False)
    logger, handler = logger_to(stream)
    for _ in range(2):
        logger.warning("x" * 80_000)

    came = b""
    while came.count(b"\n") < 2:
        came += os.read(reader, 65_536)
    handler.flush()
    assert (handler.lost, came.count(b"x")) == (0, 160_000)


def test_a_line_that_cannot_be_formatted_is_counted_and_no_more(
    pipe: tuple[int, TextIO], capfd: pytest.CaptureFixture[str]
) -> None:
    logger, handler = logger_to(pipe[1])
    logger.warning("%d", "no number")

    assert handler.lost == 1
    assert capfd.readouterr().err == ""


@pytest.mark.usefixtures("restored")
def test_how_many_lines_were_lost_is_known() -> None:
    logging.config.dictConfig(logs.config("info"))
    (handler,) = logging.getLogger("claude_relay").handlers
    assert isinstance(handler, PatientHandler)
    handler._refused = 7

    assert logs.lost() == 7


# --- nothing of what clients say --------------------------------------------------------------------------------------


def fails(word: str) -> None:
    try:
        dict[str, str]()[word]
    except KeyError as error:
        failures = [ValueError(word), TypeError(word)]
        raise ExceptionGroup(word, failures) from error


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("style", ["text", "json"])
def test_an_exception_is_told_by_its_kind_and_place_and_not_by_what_it_says(
    style: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.config.dictConfig(logs.config("info", style))
    try:
        fails("CANARY")
    except ExceptionGroup:
        logging.getLogger("uvicorn.error").exception("oh")

    shown = written(capsys)
    assert "CANARY" not in shown.replace('fails("CANARY")', "").replace('fails(\\"CANARY\\")', "")
    for kind in ("KeyError", "ExceptionGroup", "ValueError", "TypeError", "in fails"):
        assert kind in shown


@pytest.mark.usefixtures("restored")
def test_what_the_system_says_of_a_file_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    logging.config.dictConfig(logs.config("info"))
    logging.getLogger("litestar").error("oh", exc_info=FileNotFoundError(2, "No such file", "/x/y"))

    assert "FileNotFoundError: [Errno 2] No such file: '/x/y'" in written(capsys)


@pytest.mark.usefixtures("restored")
@pytest.mark.anyio
async def test_what_nobody_handles_in_a_loop_is_logged_without_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    logging.config.dictConfig(logs.config("info"))
    context = {"message": "Task exception was never retrieved", "exception": ValueError("CANARY"), "future": "CANARY"}

    logs.report(asyncio.get_running_loop(), context)

    shown = written(capsys)
    assert "Task exception was never retrieved" in shown
    assert "ValueError" in shown
    assert "CANARY" not in shown
