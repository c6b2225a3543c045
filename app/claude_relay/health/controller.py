"""The route of ``/health``."""

from litestar import get
from litestar.di import NamedDependency

from claude_relay.engine.runner import ClaudeRunner
from claude_relay.health import outbound
from claude_relay.health.schemas import Health
from claude_relay.web.controller import WireController


class HealthController(WireController):
    """How the relay is."""

    path = "/health"
    tags = ("Health",)

    @get(operation_id="getHealth", summary="Check health", response_description="How the relay is.")
    async def get_health(self, runner: NamedDependency[ClaudeRunner]) -> Health:
        """Tell whether requests can be served. The HTTP status is 200 as long as the relay itself runs."""
        return outbound.reported(runner.name, runner.health())
