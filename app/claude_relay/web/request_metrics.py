"""Figures of requests for Prometheus, counted when a request is over."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram

from claude_relay.engine.approvals import Outcome
from claude_relay.engine.vocabulary import RunEnd, Usage
from claude_relay.web.context import Asked, RequestContext

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
_MOST_MODELS = 32
"""Models that have figures of their own."""
_OTHER = "other"
_UNWANTED = ("client_disconnected", "cancelled")
"""What became of answers that nobody wanted any more."""


class RequestMetrics:
    """The figures of one server.

    Labels have few values: paths are those that are served, models those that the engine knows, up to a number of them,
    and any other is ``other``.

    Args:
        paths: The paths below which something is served, and the family of each.
        models: Returns the names of the models that are known.

    Attributes:
        registry: Where the figures are.
    """

    def __init__(self, paths: Mapping[str, str], models: Callable[[], Collection[str]]) -> None:
        self._paths = paths
        self._models = models
        self._with_figures: set[str] = set()
        self.registry = CollectorRegistry()
        self._requests = self._counter(
            "requests",
            "Requests, by path, HTTP status, personality and error code.",
            ("path", "status", "personality", "error"),
        )
        self._runs = self._counter(
            "runs",
            "Answers that were asked for, by family, model, personality and how they ended.",
            ("family", "model", "personality", "outcome"),
        )
        self._origins = self._counter("checkouts", "Answers, by how each got its process.", ("origin",))
        self._tokens = self._counter("tokens", "Tokens, by model and kind.", ("model", "kind"))
        self._cost = self._counter("cost_usd", "US dollars, by Claude Code's estimate, by model.", ("model",))
        self._upstream = self._counter(
            "upstream_requests", "Requests to the upstream, of answers that ended.", ("personality",)
        )
        self._queue = self._histogram("queue", "Seconds that requests waited for their turn.")
        self._checkout = self._histogram("checkout", "Seconds from there until they had a process.")
        self._first_token = self._histogram("first_token", "Seconds until answers began.")
        self._total = self._histogram("request", "Seconds that requests for answers took in all.")
        self._approvals = self._histogram(
            "approval", "Seconds that tools waited for permission, by what became of that.", "outcome"
        )
        for outcome in get_args(Outcome):
            self._approvals.labels(outcome)

    def observe(self, context: RequestContext, fields: Mapping[str, Any]) -> None:
        """Count a request that is over.

        Args:
            context: What is known of it.
            fields: What the access log tells of it.
        """
        personality, error = fields.get("personality", ""), fields.get("error") or ""
        path = self._path(fields["path"])
        if not context.is_background:
            self._requests.labels(path or _OTHER, str(fields.get("status", "")), personality, error).inc()
        if context.asked is None:
            return
        model = self._model(context.asked.model)
        family = self._paths.get(path, _OTHER)
        for outcome in _outcomes(context.asked, error):
            self._runs.labels(family, model, personality, outcome).inc()
        for one in context.asked.begun:
            self._origins.labels(one.origin).inc()
        for end in context.asked.ends:
            self._count_end(end, model, personality)
        self._time(context.asked, personality, fields["total_ms"] / 1000)

    def observe_approval(self, outcome: Outcome, seconds: float) -> None:
        """Count a tool that waits for permission no more.

        Args:
            outcome: What became of it.
            seconds: How long it waited.
        """
        self._approvals.labels(outcome).observe(seconds)

    def _count_end(self, end: RunEnd, model: str, personality: str) -> None:
        for kind, count in _tokens(end.usage, end.thinking_tokens or 0):
            self._tokens.labels(model, kind).inc(count)
        self._cost.labels(model).inc(end.cost or 0)
        self._upstream.labels(personality).inc(end.upstream_requests or 0)

    def _time(self, asked: Asked, personality: str, total: float) -> None:
        self._total.labels(personality).observe(total)
        if asked.begun:
            self._queue.labels(personality).observe(max(one.waited for one in asked.begun))
            self._checkout.labels(personality).observe(max(one.prepared for one in asked.begun))
        if asked.seconds_to_first_event is not None:
            self._first_token.labels(personality).observe(asked.seconds_to_first_event)

    def _counter(self, name: str, meaning: str, labels: tuple[str, ...]) -> Counter:
        return Counter(f"claude_relay_{name}", meaning, labels, registry=self.registry)

    def _histogram(self, name: str, meaning: str, label: str = "personality") -> Histogram:
        return Histogram(f"claude_relay_{name}_seconds", meaning, (label,), buckets=_SECONDS, registry=self.registry)

    def _path(self, path: str) -> str:
        below = f"{path}/"
        return next((known for known in self._paths if below.startswith(f"{known}/")), "")

    def _model(self, model: str) -> str:
        if model in self._with_figures:
            return model
        if len(self._with_figures) < _MOST_MODELS and model in self._models():
            self._with_figures.add(model)
            return model
        return _OTHER


def _outcomes(asked: Asked, error: str) -> Iterable[str]:
    """Yield how each answer ended; those that did not end failed, or nobody waited for them any more."""
    yield from (end.stop for end in asked.ends)
    rest = error if error in _UNWANTED else "error"
    yield from [rest] * (asked.answers - len(asked.ends))


def _tokens(usage: Usage, thinking: int) -> tuple[tuple[str, int], ...]:
    return (
        ("prompt", usage.prompt_tokens),
        ("cached", usage.cache_read_tokens),
        ("cache_written", usage.cache_creation_tokens),
        ("completion", usage.output_tokens),
        ("thinking", thinking),
    )
