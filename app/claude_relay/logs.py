"""Logging set-up, the id of the request that a log line belongs to, and a log that keeps nobody waiting."""

import asyncio
import contextlib
import json
import logging
import os
import queue
import re
import select
import threading
import time
import traceback
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

_SIMPLE = re.compile(r"[\w.:/,+-]+", re.ASCII)
"""What needs no quotation marks."""
_MOST_WAITING = 4 * 1024 * 1024
"""Characters of lines that may wait to be written; further lines are lost."""
_FLUSH_TIMEOUT = 1.0
"""Seconds that what waits gets when the program ends."""
_POLL_INTERVAL = 0.005
"""Seconds between two looks at what waits."""

request_id: ContextVar[str] = ContextVar("request_id", default="-")
"""Id of the request being served, as in the ``x-request-id`` response header; ``-`` outside a request."""


class RequestIdFilter(logging.Filter):
    """Gives every record the ``request_id`` that the format string names."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the id and keep the record."""
        record.request_id = request_id.get()
        return True


class PatientHandler(logging.Handler):
    """Writes lines on a thread of its own: a reader who does not read, or a disk that is full, costs lines, not time.

    Nothing here takes a lock that a signal handler could wait for in vain.

    Args:
        stream: Where to; None means nowhere.
    """

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        self._stream = stream
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._put = self._taken = 0
        self._refused = self._failed = self._told = 0
        self._writer: threading.Thread | None = None

    @property
    def lost(self) -> int:
        """How many lines were lost since the start."""
        return self._refused + self._failed

    def emit(self, record: logging.LogRecord) -> None:
        """Have the line written soon."""
        try:
            line = self.format(record) + "\n"
        except Exception:  # noqa: BLE001 - a line that cannot be written costs itself, and no more
            self._refused += 1
            return
        if self._stream is None or self._put - self._taken > _MOST_WAITING:
            self._refused += 1
            return
        if self._writer is None:
            self._writer = threading.Thread(target=self._write_all, name="log", daemon=True)
            self._writer.start()
        self._put += len(line)
        self._lines.put(line)

    def flush(self) -> None:
        """Wait a moment for what waits to be written."""
        deadline = time.monotonic() + _FLUSH_TIMEOUT
        while self._taken < self._put and time.monotonic() < deadline:
            time.sleep(_POLL_INTERVAL)

    def _write_all(self) -> None:
        while True:
            line = self._lines.get()
            try:
                self._write(line)
            except (OSError, ValueError):
                self._failed += 1
            else:
                self._tell()
            self._taken += len(line)

    def _tell(self) -> None:
        """Say that lines were lost, once one could be written again."""
        if (missing := self.lost - self._told) > 0:
            text = "%d lines of the log were lost: it could not be written"
            record = logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, (missing,), None)
            record.request_id = "-"
            with contextlib.suppress(OSError, ValueError):
                self._write(self.format(record) + "\n")
                self._told += missing

    def _write(self, line: str) -> None:
        assert self._stream is not None  # noqa: S101 - there would be no lines
        try:
            number = self._stream.fileno()
        except OSError:
            self._stream.write(line)
            self._stream.flush()
            return
        # past the stream and its lock, which the interpreter would want when it ends
        rest = line.encode(errors="backslashreplace")
        while rest:
            try:
                rest = rest[os.write(number, rest) :]
            except BlockingIOError:
                select.select([], [number], [])


class DiscreetFormatter(logging.Formatter):
    """Formats an exception by its kind and place, without its message, which may contain a client's words."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the standard library's name
        """Return the stack, and the kinds of the exceptions."""
        return "\n".join(_told(ei[1])) if ei[1] is not None else ""


class TextFormatter(DiscreetFormatter):
    """A line for people; the fields of a request follow as ``name=value``."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(request_id)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the standard library's name
        """Return the line without what an exception adds. Whatever a client chose cannot begin a line of its own."""
        line = super().formatMessage(record)
        fields = "".join(f" {name}={_plain(value)}" for name, value in _fields(record).items())
        return (line + fields).replace("\r", "\\r").replace("\n", "\\n")


class JsonFormatter(DiscreetFormatter):
    """One JSON object for each line; the fields of a request are fields of it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object."""
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "request_id": getattr(record, "request_id", "-"),
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


def report(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what nobody handled in an event loop, as its exception handler. asyncio's own would quote the exception."""
    logging.getLogger(__name__).error("%s", context["message"], exc_info=context.get("exception"))


def _told(error: BaseException) -> Iterator[str]:
    """Yield the lines that tell of an exception, after those of what led to it."""
    if (earlier := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is not None:
        yield from _told(earlier)
        yield "which led to"
    yield from "".join(traceback.format_tb(error.__traceback__)).splitlines()
    # the system's own words name files, and nothing that a client said
    yield type(error).__qualname__ + (f": {error}" if isinstance(error, OSError) else "")
    for part in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        yield from (f"  {line}" for line in _told(part))


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    found: dict[str, Any] = getattr(record, "fields", {})
    return found


def _plain(value: object) -> str:
    text = str(value)
    return text if _SIMPLE.fullmatch(text) else json.dumps(text)


def lost() -> int:
    """Return how many lines of the log could not be written since the start."""
    handlers = logging.getLogger("claude_relay").handlers
    return sum(handler.lost for handler in handlers if isinstance(handler, PatientHandler))


def config(level: str, style: Literal["text", "json"] = "text") -> dict[str, Any]:
    """Return a ``logging.config.dictConfig`` mapping for the relay and uvicorn.

    Args:
        level: Name of the lowest level shown, in lower case as in the settings.
        style: Lines for people, or JSON for programs.
    """
    logger = {"handlers": ["stderr"], "level": level.upper(), "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": RequestIdFilter}},
        "formatters": {"text": {"()": TextFormatter}, "json": {"()": JsonFormatter}},
        "handlers": {
            "stderr": {
                "()": PatientHandler,
                "stream": "ext://sys.stderr",
                "formatter": style,
                "filters": ["request_id"],
            }
        },
        "loggers": {"claude_relay": logger, "uvicorn": logger, "litestar": logger},
        # what other libraries say would be written at once, however long that takes
        "root": {"handlers": ["stderr"], "level": "WARNING"},
    }
