"""The relay as a plugin of a Litestar application: its routes, its engine, and who may call."""

import socket
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Request, Response, Router
from litestar.config.app import AppConfig
from litestar.di import Provide
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.exceptions.responses import create_exception_response
from litestar.plugins import InitPlugin
from litestar.types import ASGIApp, ExceptionHandler, ExceptionHandlersMap, Receive, Scope, Send
from msgspec.structs import replace

from claude_relay import cursor
from claude_relay.access.keys import Key
from claude_relay.access.policy import policy_of
from claude_relay.approvals.controller import ApprovalsController
from claude_relay.chat.controller import ChatController
from claude_relay.completions.controller import CompletionsController
from claude_relay.console.activity import Activity
from claude_relay.console.controller import ConsoleController
from claude_relay.engine.approvals import Approvals
from claude_relay.engine.claude.runner import ClaudeCodeRunner
from claude_relay.engine.echo import EchoRunner
from claude_relay.engine.limits.limited import limited
from claude_relay.engine.limits.quotas import Quotas, quotas
from claude_relay.engine.pausing import PausingRunner
from claude_relay.engine.profile_files import load as load_profiles
from claude_relay.engine.runner import ClaudeRunner
from claude_relay.health.controller import HealthController
from claude_relay.messages.controller import MessagesController
from claude_relay.messages.failures import DIALECT as MESSAGES
from claude_relay.metrics.controller import MetricsController
from claude_relay.models.controller import ModelsController
from claude_relay.responses.compact_controller import CompactController
from claude_relay.responses.controller import ResponsesController
from claude_relay.responses.conversations.controller import ConversationsController
from claude_relay.responses.failures import DIALECT as RESPONSES
from claude_relay.responses.input_tokens_controller import InputTokensController
from claude_relay.settings import Settings
from claude_relay.settings_loading import environment, keyring, metrics_key, state_directory
from claude_relay.store.counters import MemoryCounters
from claude_relay.store.opening import Opener, kept_open, opener
from claude_relay.store.protocol import Store
from claude_relay.web import (
    access_log,
    auth_middleware,
    bodies,
    dialect,
    disconnects,
    errors,
    head_requests,
    idempotency,
    jobs,
    profiles,
    stored,
    tracing,
)
from claude_relay.web.context import RequestContext
from claude_relay.web.draining import Draining
from claude_relay.web.family import PREFIXES, Family, paths
from claude_relay.web.request_metrics import RequestMetrics
from claude_relay.web.watchdog import Watchdog

FAMILIES = (
    Family(ChatController, other_form=cursor.FORM),
    Family(ResponsesController, RESPONSES, parts=(InputTokensController, CompactController)),
    Family(ConversationsController, RESPONSES),
    Family(MessagesController, MESSAGES),
    Family(CompletionsController),
    Family(ApprovalsController),
    Family(ModelsController),
    Family(HealthController, is_open=True),
    Family(MetricsController),
    Family(ConsoleController),
)
_MEGABYTE = 1024 * 1024


class RelayPlugin(InitPlugin):
    """Serves the relay's endpoints in an application that may have others.

    What the application has itself is left as it is: its routes, its exception handlers, its logging, its OpenAPI
    document. Callers of the relay's endpoints are authenticated as ``claude-relay serve`` does it; nobody else is.

    Args:
        settings: The operator's choices.
        runner: The engine; made from the settings when not given.
        families: The endpoints.
        prefixes: What stands before their paths. Add an empty one if ``/models`` and ``/health`` are free too.
        keys: The keys that let callers in; read as the settings say when not given.
        open_store: Opens the store that responses are kept in; the one of the settings when not given.
        traces: Traces requests; as the environment says when not given.
        approvals: What waits for permission, if the engine is given.

    Raises:
        SettingsError: A setting has a bad value.
    """

    def __init__(
        self,
        settings: Settings,
        runner: ClaudeRunner | None = None,
        *,
        families: Iterable[Family] = FAMILIES,
        prefixes: Iterable[str] = PREFIXES[:1],
        keys: Iterable[Key] | None = None,
        open_store: Opener | None = None,
        traces: tracing.Tracing | None = None,
        approvals: Approvals | None = None,
    ) -> None:
        self._settings = settings
        self._approvals = approvals or Approvals(settings.approval_timeout)
        self._quotas = quotas(settings, MemoryCounters())
        self._runner = runner or create_runner(settings, self._quotas, self._approvals)
        self._families = tuple(one for one in families if settings.console or one.controller is not ConsoleController)
        self._prefixes = tuple(prefixes)
        self._jobs = jobs.Jobs()
        self._draining = Draining(settings.drain_timeout, self._jobs)
        self._watchdog = Watchdog()
        self._activity = Activity()
        self._metrics = RequestMetrics(self._names_of_families(), lambda: self._runner.models)
        self._approvals.observe = self._metrics.observe_approval
        open_paths = paths((family for family in self._families if family.is_open), self._prefixes)
        known = keyring(settings) if keys is None else tuple(keys)
        self._profiles = load_profiles(settings, known, environment())
        self._policy = replace(
            policy_of(settings, known, socket.gethostname(), frozenset(open_paths)),
            metrics_key=metrics_key(settings),
            metrics_paths=frozenset(paths((Family(MetricsController),), self._prefixes)),
        )
        self._open_store = open_store or opener(settings, state_directory(settings, environment()))
        self._traces = traces or tracing.tracing(environment())
        self._protected: Litestar | None = None

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the routes, and start and stop the engine with the application."""
        for prefix in self._prefixes:
            app_config.route_handlers += [self._router(prefix, family) for family in self._families]
        for family in self._families:
            for path in paths((family,), self._prefixes):
                dialect.register(app_config.state, path, family.dialect)
        bodies.set_up(app_config.state, self._settings)
        profiles.set_up(app_config.state, self._profiles)
        jobs.set_up(app_config.state, self._jobs)
        self._watchdog.on_app_init(app_config)
        self._draining.on_app_init(app_config)
        for kind in (NotFoundException, MethodNotAllowedException):
            # by its status, which comes before its class
            app_config.exception_handlers[kind.status_code] = self._routed(kind, dict(app_config.exception_handlers))
        app_config.lifespan.append(self._running)
        app_config.on_startup.append(self._protect_own)
        return app_config

    def protect(self, app: Litestar, pages: Iterable[str] = ()) -> Litestar:
        """Authenticate and log every request of an application, those for unknown paths included.

        Args:
            app: The application.
            pages: Further paths of pages, which anybody may load if there is a key, since they ask for it.
        """
        self._protected = app
        policy = replace(self._policy, pages=(*self._policy.pages, *pages))
        authenticated = auth_middleware.install(head_requests.install(app), policy)
        logged = access_log.install(authenticated, self._observe, self._observe_begin)
        return logged if self._traces is None else self._traces.install(logged, self._names_of_families())

    @asynccontextmanager
    async def _running(self, app: Litestar) -> AsyncIterator[None]:
        """Run the engine, within the time in which the store is open: what answers have cost is counted there."""

        def use(store: Store | None) -> None:
            stored.set_up(app.state, store)
            self._quotas.share(store)

        async with kept_open(self._open_store, use):
            try:
                await self._runner.start()
                yield
            finally:
                await self._jobs.stop()
                await self._runner.stop()
                await self._quotas.settle()
                if self._traces is not None:
                    await self._traces.stop()

    def _protect_own(self, app: Litestar) -> None:
        """Authenticate and log the requests for the relay's endpoints, unless all requests are."""
        if self._protected is not None:
            return
        others = app.asgi_handler
        own = self.protect(app).asgi_handler
        below = self._below()

        async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
            is_own = f"{scope['path']}/".startswith(below)
            await (own if is_own else others)(scope, receive, send)

        app.asgi_handler = dispatch

    def _routed(self, kind: type[HTTPException], others: ExceptionHandlersMap) -> "ExceptionHandler[Any]":
        """Return what answers where there is no route: in the family's dialect below the relay's paths, else as before.

        Args:
            kind: What Litestar raises there, outside of all routers.
            others: The application's own handlers.
        """
        below = self._below()
        keys: tuple[Any, ...] = (kind.status_code, *kind.__mro__)
        other = next((others[key] for key in keys if key in others), None)

        def respond(request: Request[Any, Any, Any], exception: Exception) -> Response[Any]:
            if f"{request.scope['path']}/".startswith(below):
                return errors.respond(request, exception)
            return create_exception_response(request, exception) if other is None else other(request, exception)

        return respond

    def _observe_begin(self, context: RequestContext) -> None:
        self._activity.begin(context, time.time())

    def _observe(self, context: RequestContext, fields: Mapping[str, Any]) -> None:
        self._metrics.observe(context, fields)
        self._activity.end(context, fields, time.time())

    def _names_of_families(self) -> dict[str, str]:
        """Return what figures call the family of each path."""
        return {path: family.path.strip("/") for family in self._families for path in paths((family,), self._prefixes)}

    def _below(self) -> tuple[str, ...]:
        return tuple(f"{path}/" for path in paths(self._families, self._prefixes))

    def _router(self, prefix: str, family: Family) -> Router:
        def draining(app: ASGIApp) -> ASGIApp:
            # not the method itself: Litestar copies routers with all that they hold, but no functions
            return self._draining.middleware(app)

        return Router(
            prefix or "/",
            route_handlers=[family.controller, *family.parts],
            include_in_schema=prefix == self._prefixes[0],
            opt=family.other_form.opt if family.other_form else None,
            request_class=bodies.BodyRequest,
            request_max_body_size=self._settings.max_body_size * _MEGABYTE,
            exception_handlers={Exception: errors.respond},
            middleware=[
                disconnects.middleware,
                draining,
                *([] if family.is_open else [auth_middleware.required, idempotency.middleware]),
            ],
            dependencies={
                "runner": Provide(lambda: self._runner, sync_to_thread=False),
                "approvals": Provide(lambda: self._approvals, sync_to_thread=False),
                "settings": Provide(lambda: self._settings, sync_to_thread=False),
                "watchdog": Provide(lambda: self._watchdog, sync_to_thread=False),
                "metrics": Provide(lambda: self._metrics, sync_to_thread=False),
                "activity": Provide(lambda: self._activity, sync_to_thread=False),
                "draining": Provide(lambda: self._draining, sync_to_thread=False),
            },
        )


def create_runner(settings: Settings, used: Quotas, approvals: Approvals) -> ClaudeRunner:
    """Return the engine that the operator chose, under the limits that the operator set.

    Args:
        settings: The operator's choices.
        used: Counts what callers use.
        approvals: Is told what waits for permission.
    """
    claude = settings.runner == "claude"
    runner: ClaudeRunner = (
        ClaudeCodeRunner(settings, environment(), used.charge_cost, approvals) if claude else EchoRunner()
    )
    return PausingRunner(limited(runner, settings, used), approvals)
