"""Logging set-up, and the id of the request that a log line belongs to."""

import json
import logging
import re
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

_SIMPLE = re.compile(r"[\w.:/,+-]+", re.ASCII)
"""What needs no quotation marks."""

request_id: ContextVar[str] = ContextVar("request_id", default="-")
"""Id of the request being served, as in the ``x-request-id`` response header; ``-`` outside a request."""


class RequestIdFilter(logging.Filter):
    """Gives every record the ``request_id`` that the format string names."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the id and keep the record."""
        record.request_id = request_id.get()
        return True


class TextFormatter(logging.Formatter):
    """A line for people; the facts of a request follow as ``name=value``."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(request_id)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the standard library's name
        """Return the line without what an exception adds. Whatever a client chose cannot begin a line of its own."""
        line = super().formatMessage(record)
        facts = "".join(f" {name}={_plain(value)}" for name, value in _facts(record).items())
        return (line + facts).replace("\r", "\\r").replace("\n", "\\n")


class JsonFormatter(logging.Formatter):
    """One JSON object for each line; the facts of a request are fields of it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object."""
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "request_id": getattr(record, "request_id", "-"),
            "message": record.getMessage(),
            **_facts(record),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    found: dict[str, Any] = getattr(record, "facts", {})
    return found


def _plain(value: object) -> str:
    text = str(value)
    return text if _SIMPLE.fullmatch(text) else json.dumps(text)


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
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": style,
                "filters": ["request_id"],
            }
        },
        "loggers": {"claude_relay": logger, "uvicorn": logger, "litestar": logger},
    }
