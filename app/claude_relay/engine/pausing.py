"""A runner whose answers may end where a tool waits for permission, and go on with the request that decides."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing
from functools import partial
from typing import Literal

from msgspec.structs import replace

from claude_relay.engine.approvals import GONE, Approvals
from claude_relay.engine.runner import ClaudeRunner, RunnerHealth
from claude_relay.engine.vocabulary import (
    ApprovalRequested,
    Decision,
    Event,
    RunEnd,
    RunPaused,
    RunRequest,
    RunStarted,
    TextDelta,
    ThinkingDelta,
    ToolActivity,
    ToolOutcome,
    Usage,
)
from claude_relay.errors import InvalidRequestError, quoted

_HOLD = 0.5
"""Seconds that the use of a tool is not shown: it may turn out that it waits for permission."""
_GRACE = 0.25
"""Seconds in which further tools of the same message may ask for permission."""
_SEPARATOR = "\n\n"


class PausingRunner:
    """A ``ClaudeRunner`` that lets another one do the work.

    A run that pauses goes on to exist, with its process and its place among the answers, until a request decides or
    the time for that is over. The request that decides gets the rest of its events.

    Args:
        runner: Does the work.
        approvals: What waits for permission.
    """

    def __init__(self, runner: ClaudeRunner, approvals: Approvals) -> None:
        self.name = runner.name
        self._runner = runner
        self._approvals = approvals
        self._paused: dict[str, _PausableRun] = {}

    @property
    def models(self) -> tuple[str, ...]:
        """The runner's models."""
        return self._runner.models

    async def start(self) -> None:
        """Start the runner."""
        await self._runner.start()

    async def stop(self) -> None:
        """End what is paused, and stop the runner."""
        for run in set(self._paused.values()):
            await self._end(run)
        await self._runner.stop()

    def health(self) -> RunnerHealth:
        """Return the runner's health."""
        return self._runner.health()

    def context_window(self, model: str) -> int:
        """Return how many tokens a model takes."""
        return self._runner.context_window(model)

    def run(self, request: RunRequest) -> AsyncGenerator[Event, None]:
        """Answer a request, or go on with the answer whose tools it decides about.

        Raises:
            InvalidRequestError: It decides about what does not wait, or not about all that does.
            RelayError: The run fails.
        """
        if request.decisions:
            return self._resumed(request.caller, request.decisions)
        if any(self._approvals.is_held(request.caller, approval_id) for approval_id in request.undecided):
            return self._moved_on(request)
        if request.pauses:
            return self._until_paused(_PausableRun(self._runner.run(request)))
        return self._runner.run(request)

    async def _moved_on(self, request: RunRequest) -> AsyncGenerator[Event, None]:
        """End what waits in a conversation that goes on without it, which may need its place, and answer."""
        await self._approvals.abandon(request.caller, request.undecided)
        async with aclosing(self.run(request)) as events:
            async for event in events:
                yield event

    async def _resumed(self, caller: str, decisions: tuple[Decision, ...]) -> AsyncGenerator[Event, None]:
        run = self._decided(caller, decisions)
        self._forget(run)
        responses = self._approvals.take(decisions)
        try:
            for decision, respond in zip(decisions, responses, strict=True):
                await respond(decision)
        except BaseException:
            await run.aclose()
            raise
        async with aclosing(self._until_paused(run, RunStarted("resumed"))) as events:
            async for event in events:
                yield event

    def _decided(self, caller: str, decisions: tuple[Decision, ...]) -> "_PausableRun":
        """Return the run that waits for these decisions, of which none has an effect otherwise."""
        found: set[_PausableRun] = set()
        for decision in decisions:
            run = self._paused.get(decision.approval_id)
            if run is None or not self._approvals.is_held(caller, decision.approval_id):
                raise InvalidRequestError(
                    f"Approval request {quoted(decision.approval_id)} not found: {GONE}",
                    param="input",
                    code="approval_not_found",
                )
            found.add(run)
        run, *others = found
        missing = sorted(run.waiting - {decision.approval_id for decision in decisions})
        if others or missing or len(decisions) != len(run.waiting):
            raise InvalidRequestError(
                "All approval requests of a response, and of no other, must be answered at once, each of them once."
                + (f" No answer to: {', '.join(missing)}." if missing else ""),
                param="input",
                code="approvals_incomplete",
            )
        return run

    async def _until_paused(self, run: "_PausableRun", *first: Event) -> AsyncGenerator[Event, None]:
        """Yield some events and those of a run, which goes on to exist only if it is paused."""
        is_paused = False
        try:
            for event in first:
                yield event
            async with aclosing(run.events(self._pause)) as events:
                async for event in events:
                    is_paused = bool(run.waiting)
                    yield event
        finally:
            if not is_paused:
                await run.aclose()

    def _pause(self, run: "_PausableRun", asked: Iterable[str]) -> frozenset[str]:
        """Keep a run until it is decided, and return what it waits for; nothing if all is decided already."""
        held = self._approvals.hold(asked, partial(self._end, run))
        self._paused.update(dict.fromkeys(held, run))
        if held:
            run.when_over(partial(self._forget, run))
        return frozenset(held)

    async def _end(self, run: "_PausableRun") -> None:
        self._forget(run)
        await run.aclose()

    def _forget(self, run: "_PausableRun") -> None:
        for approval_id in [known for known, paused in self._paused.items() if paused is run]:
            del self._paused[approval_id]


class _PausableRun:
    """A run whose events are read by tasks of their own, so that it is still read when a response has ended.

    Attributes:
        waiting: The approvals that it waits for while it is paused.
    """

    def __init__(self, events: AsyncGenerator[Event, None]) -> None:
        self.waiting: frozenset[str] = frozenset()
        self._events = events
        self._reading: asyncio.Task[Event | None] | None = None
        self._working: dict[str, ToolActivity] = {}
        self._held: dict[str, ToolActivity] = {}
        self._asked: dict[str, str] = {}
        self._so_far: Usage | None = None
        self._spent = Usage()
        self._last_text = ""
        self._is_separated = False

    async def events(
        self, pause: Callable[["_PausableRun", Iterable[str]], frozenset[str]]
    ) -> AsyncGenerator[Event, None]:
        """Yield the events until the run ends, or ends for now.

        Args:
            pause: Told what was asked for, when nothing else comes; returns what is still to be waited for.
        """
        decided, self._asked, self.waiting = self._asked, {}, frozenset()
        for activity in self._working.values():
            yield replace(activity, approval_id=decided.get(activity.id))
        while (event := await self._next()) is not None:
            told: Iterable[Event]
            if event != "quiet":
                told = self._fed(event)
            elif self._so_far is not None and (waiting := pause(self, self._asked.values())):
                told = self._pausing(self._so_far, waiting)
            else:
                self._so_far = None
                told = self._shown()
            for each in told:
                yield each
            if self.waiting:
                return

    def when_over(self, do: Callable[[], None]) -> None:
        """Do something if the run ends by itself while it is paused."""
        assert self._reading is not None  # noqa: S101 - it is read all the time

        def look(reading: asyncio.Task[Event | None]) -> None:
            if reading.cancelled() or reading.exception() is not None or reading.result() is None:
                do()

        self._reading.add_done_callback(look)

    async def aclose(self) -> None:
        """Stop the work."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self._events.aclose()

    async def _next(self) -> Event | Literal["quiet"] | None:
        """Return the next event, or that none came where that matters; None at the end."""
        within = _GRACE if self._so_far is not None else _HOLD if self._held else None
        if self._reading is None:
            self._reading = asyncio.create_task(_first(self._events))
        done, _ = await asyncio.wait({self._reading}, timeout=within)
        if not done:
            return "quiet"
        reading, self._reading = self._reading, None
        return reading.result()

    def _fed(self, event: Event) -> Iterable[Event]:
        match event:
            case RunPaused(usage):
                self._so_far = usage
                return ()
            case ToolActivity():
                self._working[event.id] = self._held[event.id] = event
                return ()
            case ApprovalRequested():
                self._held.pop(event.call_id, None)
                self._asked[event.call_id] = event.id
                return (*self._separator(), event)
        return (*self._shown(), self._passed(event))

    def _shown(self) -> Iterator[ToolActivity]:
        held, self._held = self._held, {}
        yield from held.values()

    def _separator(self) -> Iterator[TextDelta]:
        """Set texts around a pause apart at the end of the first: the engine does it at the beginning of the second."""
        if self._last_text and not self._last_text.endswith("\n"):
            self._last_text, self._is_separated = "", True
            yield TextDelta(_SEPARATOR)

    def _pausing(self, usage: Usage, waiting: frozenset[str]) -> Iterator[Event]:
        """Yield how a response ends for now. What goes on meanwhile is shown in the next one."""
        self._held.clear()
        self._so_far = None
        spent, self._spent = self._spent, usage
        self.waiting = waiting
        yield RunEnd("approval", usage - spent)

    def _passed(self, event: Event) -> Event:
        match event:
            case TextDelta(text):
                self._last_text = text
                if self._is_separated:
                    self._is_separated = False
                    return TextDelta(text.removeprefix(_SEPARATOR))
            case ThinkingDelta():
                self._last_text = ""
            case ToolOutcome(call_id):
                self._working.pop(call_id, None)
            case RunEnd(usage=usage) if self._spent != Usage():
                # how much of the rest was thinking is not known
                return replace(event, usage=usage - self._spent, thinking_tokens=None)
        return event


async def _first(events: AsyncGenerator[Event, None]) -> Event | None:
    return await anext(events, None)
