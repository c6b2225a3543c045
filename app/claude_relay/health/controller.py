"""The route of ``/health``."""

from typing import Any

from litestar import Request, get
from litestar.di import NamedDependency

from claude_relay.engine.runner import ClaudeRunner
from claude_relay.health import outbound
from claude_relay.health.schemas import Health
from claude_relay.web.controller import WireController
from claude_relay.web.door import admitted


class HealthController(WireController):
    """How the relay is."""

    path = "/health"
    tags = ("Health",)

    @get(operation_id="getHealth", summary="Check health", response_description="How the relay is.")
    async def get_health(self, request: Request[Any, Any, Any], runner: NamedDependency[ClaudeRunner]) -> Health:
        """Tell whether requests can be served. The HTTP status is 200 as long as the relay itself runs.

        Anybody may ask; those who may not call otherwise are told the `status` alone.
        """
        if admitted(request) is None:
            return outbound.hinted(runner.health())
        return outbound.reported(runner.name, runner.health())
