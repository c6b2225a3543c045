"""A runner under the operator's limits: who may begin, how many at once, how often, for how much, and for how long."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from msgspec.structs import replace

from claude_relay.engine.limits.admission import Admission, capacity
from claude_relay.engine.limits.deadlines import Deadlines, with_deadlines
from claude_relay.engine.limits.quotas import Quotas
from claude_relay.engine.limits.resources import find
from claude_relay.engine.limits.sizing import size
from claude_relay.engine.runner import ClaudeRunner, RunnerHealth
from claude_relay.engine.vocabulary import Event, RunAccepted, RunRequest, RunStarted
from claude_relay.settings import Settings


class LimitedRunner:
    """A ``ClaudeRunner`` that lets another one do the work.

    Args:
        runner: Does the work.
        admission: Who may come in.
        quotas: What each caller may use.
        deadlines: How long a run may take.
    """

    def __init__(self, runner: ClaudeRunner, admission: Admission, quotas: Quotas, deadlines: Deadlines) -> None:
        self.name = runner.name
        self._runner = runner
        self._admission = admission
        self._quotas = quotas
        self._deadlines = deadlines

    @property
    def models(self) -> tuple[str, ...]:
        """The runner's models."""
        return self._runner.models

    async def start(self) -> None:
        """Start the runner."""
        await self._runner.start()

    async def stop(self) -> None:
        """Stop the runner."""
        await self._runner.stop()

    def health(self) -> RunnerHealth:
        """Return the runner's health, and how many requests are answered and wait."""
        found = self._runner.health()
        admission = self._admission
        return replace(found, detail={**found.detail, "running": admission.running, "waiting": admission.waiting})

    def context_window(self, model: str) -> int:
        """Return how many tokens a model takes."""
        return self._runner.context_window(model)

    async def run(self, request: RunRequest) -> AsyncGenerator[Event, None]:
        """Answer a request within the limits.

        Raises:
            DeadlineError: The answer takes too long.
            QuotaError: The caller has spent what it may.
            RateLimitError: There are too many requests.
            RelayError: The run fails.
        """
        await self._quotas.charge_request(request.account, request.charge)
        has_begun = False
        try:
            with self._admission.enter(request.account) as ticket:
                yield RunAccepted()
                waited = await ticket.wait()
                admitted_at = time.monotonic()
                async with (
                    aclosing(self._runner.run(request)) as events,
                    aclosing(with_deadlines(events, self._deadlines)) as timely,
                ):
                    async for event in timely:
                        has_begun = True
                        if isinstance(event, RunStarted):
                            yield RunStarted(event.origin, waited, time.monotonic() - admitted_at)
                        else:
                            yield event
        finally:
            if not has_begun:
                await self._quotas.refund(request.account, request.charge)


def limited(runner: ClaudeRunner, settings: Settings, quotas: Quotas) -> LimitedRunner:
    """Return a runner under the limits that the operator set; it tells the quotas itself what is spent."""
    return LimitedRunner(
        runner,
        Admission(capacity(settings, size(settings, find()).answers)),
        quotas,
        Deadlines(
            settings.first_event_timeout, settings.silence_timeout, settings.total_timeout, settings.approval_timeout
        ),
    )
