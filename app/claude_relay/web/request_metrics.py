"""Figures of requests for Prometheus, counted by what the access log tells of each."""

from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
_TOKENS = ("prompt_tokens", "cached_tokens", "completion_tokens")


class RequestMetrics:
    """The figures of one server.

    Labels have few values: paths are those that are served, and any other is ``other``.

    Args:
        paths: The paths below which something is served.

    Attributes:
        registry: Where the figures are.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = tuple(paths)
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "claude_relay_requests",
            "Requests, by path, HTTP status, personality and error code.",
            ("path", "status", "personality", "error"),
            registry=self.registry,
        )
        self._origins = Counter(
            "claude_relay_runs", "Runs, by how each got its process.", ("origin",), registry=self.registry
        )
        self._tokens = Counter("claude_relay_tokens", "Tokens, by kind.", ("kind",), registry=self.registry)
        self._cost = Counter("claude_relay_cost_usd", "US dollars, by Claude Code's estimate.", registry=self.registry)
        self._queue = self._histogram("queue", "Seconds that requests waited for their turn.")
        self._first_token = self._histogram("first_token", "Seconds until answers began.")
        self._total = self._histogram("request", "Seconds that requests for answers took in all.")

    def observe(self, fields: Mapping[str, Any]) -> None:
        """Count a request that is over.

        Args:
            fields: What the access log tells of it.
        """
        personality = fields.get("personality", "")
        path, status = self._path(fields["path"]), str(fields.get("status", ""))
        self._requests.labels(path, status, personality, fields.get("error") or "").inc()
        for origin in filter(None, fields.get("origin", "").split(",")):
            self._origins.labels(origin).inc()
        for kind in _TOKENS:
            self._tokens.labels(kind.removesuffix("_tokens")).inc(fields.get(kind, 0))
        self._cost.inc(fields.get("cost_usd", 0))
        if personality:
            self._total.observe(fields["total_ms"] / 1000)
            for histogram, field in ((self._queue, "queue_ms"), (self._first_token, "first_token_ms")):
                if field in fields:
                    histogram.observe(fields[field] / 1000)

    def _histogram(self, name: str, meaning: str) -> Histogram:
        return Histogram(f"claude_relay_{name}_seconds", meaning, buckets=_SECONDS, registry=self.registry)

    def _path(self, path: str) -> str:
        below = f"{path}/"
        return next((known for known in self._paths if below.startswith(f"{known}/")), "other")
