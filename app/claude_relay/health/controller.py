"""The route of ``/health``."""

from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from msgspec import structs
from msgspec.structs import replace

from claude_relay import logs
from claude_relay.engine.runner import ClaudeRunner
from claude_relay.health import outbound
from claude_relay.health.schemas import Health
from claude_relay.web import draining
from claude_relay.web.auth_middleware import current_caller
from claude_relay.web.controller import WireController
from claude_relay.web.watchdog import Watchdog


class HealthController(WireController):
    """How the relay is."""

    path = "/health"
    tags = ("Health",)

    @get(
        operation_id="getHealth",
        summary="Check health",
        response_description="How the relay is.",
        opt={draining.SERVE_WHILE_DRAINING: True},
    )
    async def get_health(
        self,
        request: Request[Any, Any, Any],
        runner: NamedDependency[ClaudeRunner],
        watchdog: NamedDependency[Watchdog],
    ) -> Response[Health]:
        """Tell whether requests can be served. The HTTP status is 200 as long as the relay itself runs.

        When it is about to stop the `status` is `draining`, and the HTTP status 503. Anybody may ask; those who may not
        call otherwise are told the `status` alone.
        """
        found = runner.health()
        server = {"event_loop": structs.asdict(watchdog.health), "log_lines_lost": logs.lost()}
        found = replace(found, detail={**found.detail, **server})
        health = (
            outbound.status_only(found)
            if current_caller(request.scope) is None
            else outbound.full_health(runner.name, found)
        )
        if draining.is_draining(request):
            return Response(replace(health, status="draining"), status_code=503)
        return Response(health)
