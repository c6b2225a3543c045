"""Log lines carry the id of the request they belong to."""

import logging
import logging.config
from collections.abc import Iterator

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
