"""The routes of ``/console``: what the page at ``/`` asks for."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, SkipValidation
from msgspec import Struct

from claude_relay import __version__
from claude_relay.access.policy import Caller
from claude_relay.console import outbound, schemas
from claude_relay.console.activity import Activity
from claude_relay.engine import vocabulary
from claude_relay.engine.approvals import Approvals
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
_STOP_TRIES = 20
_STOP_INTERVAL = 0.1
"""Seconds."""


class ConsoleController(WireController):
    """What the viewer's own requests do; those of others are not told."""

    path = "/console"
    include_in_schema = False

    @get("/events")
    async def events(
        self,
        request: Request[Any, Any, Any],
        *,
        runner: NamedDependency[SkipValidation[ClaudeRunner]],
        settings: NamedDependency[SkipValidation[Settings]],
        activity: NamedDependency[SkipValidation[Activity]],
        approvals: NamedDependency[SkipValidation[Approvals]],
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
            workers=settings.workers,
        )
        return LiveResponse(_frames(served, _View(caller, runner, activity, approvals), draining), nothing)

    @post("/responses/{response_id:str}/stop", status_code=204)
    async def stop_response(
        self,
        request: Request[Any, Any, Any],
        response_id: FromPath[str],
        activity: NamedDependency[SkipValidation[Activity]],
    ) -> None:
        """Stop the work on a response, which would go on for a while though its client has left."""
        caller, store = require_caller(request.scope), store_of(request)
        if store is not None:
            owners = _identities(caller, activity)
            await _stopped(store, [Key(owner, _KIND, response_id) for owner in owners])

    @post("/approvals/{approval_id:str}", status_code=204)
    async def decide(
        self,
        request: Request[Any, Any, Any],
        approval_id: FromPath[str],
        data: JSONBody[schemas.Decision],
        activity: NamedDependency[SkipValidation[Activity]],
        approvals: NamedDependency[SkipValidation[Approvals]],
    ) -> None:
        """Permit or deny what waits for the viewer's permission."""
        caller = require_caller(request.scope)
        waits = (
            one for one in _identities(caller, activity) if any(approval_id == found.id for found in approvals.of(one))
        )
        await approvals.decide(next(waits, caller.identity), vocabulary.Decision(approval_id, data.approve))

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


class _View(Struct, frozen=True):
    """What a viewer sees.

    Attributes:
        caller: The viewer.
        runner: The engine.
        activity: What goes on.
        approvals: What waits for permission.
    """

    caller: Caller
    runner: ClaudeRunner
    activity: Activity
    approvals: Approvals

    @property
    def state(self) -> schemas.State:
        """What is true now."""
        waiting = [
            outbound.waiting(approval, is_held=self.approvals.is_held(identity, approval.id))
            for identity in _identities(self.caller, self.activity)
            for approval in self.approvals.of(identity)
        ]
        waiting.sort(key=lambda one: one.created_at)
        return outbound.state(self.runner.health(), self.activity.running(self.caller.account), waiting)


async def _frames(served: schemas.Served, view: _View, draining: Draining) -> AsyncIterator[bytes]:
    account, activity = view.caller.account, view.activity
    yield frame(served, "served")
    now = time.time()
    minutes, quarters = activity.minutes(account, now), activity.quarters(account, now)
    yield frame(schemas.Usage(now=now, minutes=minutes, quarters=quarters), "usage")
    told, number = b"", 0
    while not draining.has_begun:
        state = frame(view.state, "state")
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


async def _stopped(store: Store, keys: list[Key]) -> None:
    """Have a response cancelled, which may be written down only when it is noticed that its client has left."""
    for _ in range(_STOP_TRIES):
        if any([await store.request_cancel(key) for key in keys]):
            return
        await asyncio.sleep(_STOP_INTERVAL)


async def _whole(store: Store, key: Key) -> schemas.WholeResponse | None:
    record = await store.get(key)
    return None if record is None else outbound.whole(record, await store.page(key, limit=_ITEMS))


def _identities(caller: Caller, activity: Activity) -> tuple[str, ...]:
    """Return whose texts a viewer sees: those of its user's programs, which without keys send any dummy key or none.

    Where the user is not known an account may be several users', who see no texts of each other.
    """
    if caller.account == caller.name:
        return (caller.identity,)
    return tuple(dict.fromkeys([caller.identity, *activity.identities(caller.account)]))
