"""What a runner is, and what a run is."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any, Literal, Protocol, runtime_checkable

from msgspec import Struct, field

from claude_relay.engine.vocabulary import Event, ParameterDropped, PromptCounted, RunAccepted, RunRequest, RunStarted

Spend = Callable[[str, float], None]
"""Is told who has spent how many US dollars, each time that becomes known, whether a run was finished or not."""


class RunnerHealth(Struct, frozen=True):
    """The health of a runner.

    Attributes:
        status: ``ok``, or ``degraded`` when requests will fail.
        detail: Facts about the runner for the operator, in plain JSON types.
        reason: Why it is degraded.
        remedy: What the operator can do about it.
    """

    status: Literal["ok", "degraded"]
    detail: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None
    remedy: str | None = None


@runtime_checkable
class ClaudeRunner(Protocol):
    """Answers requests. Endpoint families know this and never a concrete runner."""

    name: str

    @property
    def models(self) -> tuple[str, ...]:
        """Names of models that can be asked, as far as they are known; there may be others."""

    async def start(self) -> None:
        """Get ready, without waiting for anything slow."""

    async def stop(self) -> None:
        """Stop all runs and leave no process behind."""

    def run(self, request: RunRequest) -> AsyncGenerator[Event, None]:
        """Answer a request with events, the last of them a ``RunEnd``.

        Closing the generator stops the work, at any point.

        Raises:
            RelayError: From the generator, when the run fails.
        """

    def health(self) -> RunnerHealth:
        """Return the health of the runner, without waiting."""

    def context_window(self, model: str) -> int:
        """Return how many tokens a model takes, prompt and answer together, as far as is known."""


class Run:
    """A run whose answer has begun: from here on it streams.

    Attributes:
        events: All events of the run, those that have arrived included. To be iterated once.
        dropped: What the upstream refused of the request's options.
        begun: How the run began.
    """

    def __init__(
        self,
        first: Event,
        rest: AsyncGenerator[Event, None],
        dropped: tuple[str, ...] = (),
        begun: RunStarted = RunStarted("unknown"),  # noqa: B008 - frozen
        counted: PromptCounted | None = None,
    ) -> None:
        self._rest = rest
        self.events = self._all(first, counted)
        self.dropped = dropped
        self.begun = begun

    async def _all(self, first: Event, counted: PromptCounted | None) -> AsyncIterator[Event]:
        if counted is not None:
            yield counted
        yield first
        async for event in self._rest:
            yield event

    async def aclose(self) -> None:
        """Stop the work if it still goes on. May be called more than once."""
        await self._rest.aclose()


def nothing() -> None:
    """Do nothing: nobody has to know."""


async def open_run(runner: ClaudeRunner, request: RunRequest, accepted: Callable[[], None] = nothing) -> Run:
    """Start a run and wait for the first event of its answer, so that early failures are raised here.

    Args:
        runner: The runner.
        request: What to ask.
        accepted: Called when the limits have let the run in, perhaps to the queue; more than once, maybe.

    Raises:
        RelayError: The run failed before its first event.
    """
    events = runner.run(request)
    dropped: list[str] = []
    counted: PromptCounted | None = None
    begun = RunStarted("unknown")
    while isinstance(first := await anext(events), RunAccepted | RunStarted | ParameterDropped | PromptCounted):
        accepted()
        match first:
            case ParameterDropped(field_):
                dropped.append(field_)
            case PromptCounted():
                counted = first
            case RunStarted():
                begun = first
    accepted()
    return Run(first, events, tuple(dropped), begun, counted)
