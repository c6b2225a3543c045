"""The runs of one request: begun together, their events merged, closed together."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any

from msgspec.structs import replace

from claude_relay.engine.runner import ClaudeRunner, Run, nothing, open_run
from claude_relay.engine.vocabulary import Event, RunEnd, RunRequest, RunStarted

Indexed = tuple[int, Event]
"""An event, and which of the answers it belongs to, counted from 0."""


class Answers:
    """The runs of one request, one or more.

    Nobody waits for all of them to begin: where few may go on at once, the last begins when the first has ended.

    Attributes:
        ends: How those ended that have.
    """

    def __init__(self, opening: list[asyncio.Task[Run]]) -> None:
        self._opening = opening
        self._streams: list[AsyncGenerator[Event, None]] = []
        self._waiting: dict[asyncio.Future[Event | None], int] = {}
        self.ends: list[RunEnd] = []

    @property
    def dropped(self) -> tuple[str, ...]:
        """The options that the upstream refused, of the runs that have begun."""
        return tuple(dict.fromkeys(name for run in self._begun() for name in run.dropped))

    @property
    def begun(self) -> tuple[RunStarted, ...]:
        """How the runs that have begun got their processes."""
        return tuple(run.begun for run in self._begun())

    async def events(self) -> AsyncIterator[Indexed]:
        """Yield all events as they come, each with the number of its run.

        Raises:
            RelayError: One of the runs fails.
        """
        if len(self._opening) == 1:
            run = await self._opening[0]
            async for event in run.events:
                if isinstance(event, RunEnd):
                    self.ends.append(event)
                yield 0, event
            return
        self._streams = [_events(task) for task in self._opening]
        for index in range(len(self._streams)):
            self._wait_for(index)
        while self._waiting:
            done, _ = await asyncio.wait(self._waiting, return_when=asyncio.FIRST_COMPLETED)
            for future in sorted(done, key=self._waiting.__getitem__):
                index = self._waiting.pop(future)
                if (came := future.result()) is not None:
                    self._wait_for(index)
                    if isinstance(came, RunEnd):
                        self.ends.append(came)
                    yield index, came

    async def begin(self) -> None:
        """Wait for the first event of any run.

        Raises:
            RelayError: A run failed before its first event.
        """
        done, _ = await asyncio.wait(self._opening, return_when=asyncio.FIRST_COMPLETED)
        for opening in done:
            opening.result()

    async def aclose(self) -> None:
        """Stop whatever still goes on, the waiting for it first."""
        going_on: list[asyncio.Future[Any]] = [*self._waiting, *self._opening]
        for future in going_on:
            future.cancel()
        await asyncio.gather(*going_on, return_exceptions=True)
        await asyncio.gather(*(run.aclose() for run in self._begun()), return_exceptions=True)

    def _begun(self) -> list[Run]:
        over = [opening for opening in self._opening if opening.done() and not opening.cancelled()]
        return [opening.result() for opening in over if opening.exception() is None]

    def _wait_for(self, index: int) -> None:
        self._waiting[asyncio.ensure_future(_next(self._streams[index]))] = index


async def opened(
    runner: ClaudeRunner, requests: Sequence[RunRequest], accepted: Callable[[], None] = nothing
) -> Answers:
    """Ask all that one request asks at once, and wait until an answer has begun. It is charged for together.

    Args:
        runner: The engine.
        requests: What it asks.
        accepted: Called when the limits have let one of them in, perhaps to the queue; more than once, maybe.

    Raises:
        RelayError: A run failed before its first event; the others are stopped.
    """
    charged = [replace(each, charge=0 if index else len(requests)) for index, each in enumerate(requests)]
    answers = Answers([asyncio.create_task(open_run(runner, each, accepted)) for each in charged])
    try:
        await answers.begin()
    except BaseException:
        await answers.aclose()
        raise
    return answers


async def _events(opening: asyncio.Task[Run]) -> AsyncGenerator[Event, None]:
    run = await opening
    async for event in run.events:
        yield event


async def _next(stream: AsyncIterator[Event]) -> Event | None:
    return await anext(stream, None)
