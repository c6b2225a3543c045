"""The routes of ``/console``: what the page at ``/`` asks for."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, SkipValidation

from claude_relay import __version__
from claude_relay.access.policy import Caller
from claude_relay.console import outbound, schemas
from claude_relay.console.activity import Activity
from claude_relay.engine.runner import ClaudeRunner
from claude_relay.errors import NotFoundError, quoted
from claude_relay.settings import Settings
from claude_relay.store.protocol import Key, Record, Store
from claude_relay.web.auth_middleware import require_caller
from claude_relay.web.controller import WireController
from claude_relay.web.dialect import registered
from claude_relay.web.disconnects import nothing
from claude_relay.web.draining import Draining
from claude_relay.web.frames import frame
from claude_relay.web.live_responses import LiveResponse
from claude_relay.web.stored import store_of

_INTERVAL = 0.3
"""Seconds between looks at what has changed."""
_RESPONSES = 50
"""That are listed."""
_ITEMS = 100
"""Of a request that are shown."""
_KIND = "response"


class ConsoleController(WireController):
    """What the viewer's own requests do; those of others are not told."""

    path = "/console"
    include_in_schema = False

    @get("/events")
    async def events(
        self,
        request: Request[Any, Any, Any],
        runner: NamedDependency[SkipValidation[ClaudeRunner]],
        settings: NamedDependency[SkipValidation[Settings]],
        activity: NamedDependency[SkipValidation[Activity]],
        draining: NamedDependency[SkipValidation[Draining]],
    ) -> Response[Any]:
        """Tell what goes on, as it changes, until the viewer leaves or the server is about to stop."""
        caller = require_caller(request.scope)
        served = schemas.Served(
            version=__version__,
            runner=runner.name,
            caller=caller.name,
            model=settings.model,
            paths=list(registered(request.app)),
            keeps_responses=store_of(request) is not None,
        )
        return LiveResponse(_frames(served, caller.account, runner, activity, draining), nothing)

    @get("/responses")
    async def list_responses(
        self, request: Request[Any, Any, Any], activity: NamedDependency[SkipValidation[Activity]]
    ) -> schemas.StoredResponses:
        """Return the latest responses that are kept for the viewer."""
        caller, store = require_caller(request.scope), store_of(request)
        found: list[Record] = []
        for owner in _identities(caller, activity) if store else ():
            found += await store.recent(owner, _KIND, _RESPONSES) if store else ()
        return schemas.StoredResponses(outbound.stored(found)[:_RESPONSES])

    @get("/responses/{response_id:str}")
    async def get_response(
        self,
        request: Request[Any, Any, Any],
        response_id: FromPath[str],
        activity: NamedDependency[SkipValidation[Activity]],
    ) -> schemas.WholeResponse:
        """Return a response that is kept for the viewer."""
        store = store_of(request)
        for owner in _identities(require_caller(request.scope), activity) if store else ():
            if store and (found := await _whole(store, Key(owner, _KIND, response_id))):
                return found
        raise NotFoundError(f"Response {quoted(response_id)} not found.")


async def _frames(
    served: schemas.Served, account: str, runner: ClaudeRunner, activity: Activity, draining: Draining
) -> AsyncIterator[bytes]:
    yield frame(served, "served")
    now = time.time()
    minutes, quarters = activity.minutes(account, now), activity.quarters(account, now)
    yield frame(schemas.Usage(now=now, minutes=minutes, quarters=quarters), "usage")
    told, number = b"", 0
    while not draining.has_begun:
        state = frame(outbound.state(runner.health(), activity.running(account)), "state")
        if state != told:
            told = state
            yield state
        if requests := activity.finished(account, number):
            number = requests[-1].number
            yield frame(schemas.Requests(requests), "requests")
            now = time.time()
            # only the latest can have changed
            minutes, quarters = activity.minutes(account, now)[-1:], activity.quarters(account, now)[-1:]
            yield frame(schemas.Usage(now=now, minutes=minutes, quarters=quarters), "usage")
        await asyncio.sleep(_INTERVAL)


async def _whole(store: Store, key: Key) -> schemas.WholeResponse | None:
    record = await store.get(key)
    return None if record is None else outbound.whole(record, await store.page(key, limit=_ITEMS))


def _identities(caller: Caller, activity: Activity) -> tuple[str, ...]:
    """Return whose responses a viewer sees: those of its account, which without keys sends any dummy key or none."""
    return tuple(dict.fromkeys([caller.identity, *activity.identities(caller.account)]))
