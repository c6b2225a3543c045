"""The route of ``/metrics``."""

from litestar import MediaType, Response, get
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from claude_relay import logs
from claude_relay.engine.approvals import Approvals
from claude_relay.engine.runner import ClaudeRunner
from claude_relay.metrics.figures import figures
from claude_relay.web import draining
from claude_relay.web.controller import WireController, failures
from claude_relay.web.request_metrics import RequestMetrics
from claude_relay.web.watchdog import Watchdog


class MetricsController(WireController):
    """Figures for Prometheus."""

    path = "/metrics"
    tags = ("Metrics",)

    @get(
        media_type=MediaType.TEXT,
        operation_id="getMetrics",
        summary="Get metrics",
        response_description="Figures in Prometheus' text format.",
        responses=failures(s401="The caller has no key.", s403="A web page calls that nobody allowed to."),
        opt={draining.SERVE_WHILE_DRAINING: True},
    )
    async def get_metrics(
        self,
        runner: NamedDependency[SkipValidation[ClaudeRunner]],
        watchdog: NamedDependency[Watchdog],
        metrics: NamedDependency[RequestMetrics],
        approvals: NamedDependency[SkipValidation[Approvals]],
    ) -> Response[bytes]:
        """Tell what was counted since the start, and how many processes there are now, in this worker."""
        now = figures(runner.name, runner.health(), watchdog.health, logs.lost(), approvals.waits())
        present = _Present(list(now))
        text = generate_latest(metrics.registry) + generate_latest(present)
        return Response(text, media_type="text/plain; version=0.0.4")


class _Present(Collector):
    """Figures that are known already."""

    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    def collect(self) -> list[Metric]:
        return self._found
