"""Logging set-up, and the id of the request that a log line belongs to."""

import logging
from contextvars import ContextVar
from typing import Any

request_id: ContextVar[str] = ContextVar("request_id", default="-")
"""Id of the request being served, as in the ``x-request-id`` response header; ``-`` outside a request."""


class RequestIdFilter(logging.Filter):
    """Gives every record the ``request_id`` that the format string names."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the id and keep the record."""
        record.request_id = request_id.get()
        return True


def config(level: str) -> dict[str, Any]:
    """Return a ``logging.config.dictConfig`` mapping for the relay and uvicorn.

    Args:
        level: Name of the lowest level shown, in lower case as in the settings.
    """
    logger = {"handlers": ["stderr"], "level": level.upper(), "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": RequestIdFilter}},
        "formatters": {"line": {"format": "%(asctime)s %(levelname)-7s %(request_id)s %(name)s: %(message)s"}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": "line",
                "filters": ["request_id"],
            }
        },
        "loggers": {"claude_relay": logger, "uvicorn": logger, "litestar": logger},
    }
