"""Whether requests are traced, by the variables that OpenTelemetry has for it."""

import logging
from collections.abc import Mapping
from typing import Protocol

from litestar import Litestar

_log = logging.getLogger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_SUPPORTED = "http/protobuf"


class Tracing(Protocol):
    """Traces the requests of an application."""

    def install(self, app: Litestar, paths: Mapping[str, str]) -> Litestar:
        """Trace the requests of an application.

        Args:
            app: The application.
            paths: The paths below which something is served, and the family of each.
        """

    async def stop(self) -> None:
        """Send what has not been sent, if that can be done in a moment, and trace no more."""


def tracing(environ: Mapping[str, str]) -> Tracing | None:
    """Return what traces requests and sends the traces where the environment says; None if it says nothing.

    Args:
        environ: The environment the relay was started in.
    """
    if not is_wanted(environ):
        return None
    protocol = next(filter(None, map(environ.get, _PROTOCOLS)), _SUPPORTED)
    if protocol != _SUPPORTED:
        _log.warning("Requests are not traced: %s is not supported, only %s.", protocol, _SUPPORTED)
        return None
    # it is an extra, and takes long to load
    try:
        from claude_relay.web import otel  # noqa: PLC0415
    except ImportError:
        # the variables may be meant for Claude Code alone
        _log.info("Requests are not traced: that needs the relay's extra `otel`.")
        return None
    return otel.OpenTelemetry(otel.provider())


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Whether the environment says that traces are sent, and where.

    Unlike OpenTelemetry's own set-up this needs an endpoint, or the exporter by name: nothing is sent by default.
    """
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = environ.get("OTEL_TRACES_EXPORTER", "")
    return exporter == "otlp" or (not exporter and any(environ.get(name) for name in _ENDPOINTS))
