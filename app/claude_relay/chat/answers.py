"""The runs of one request: opened together, their events merged, closed together."""

import asyncio
from collections.abc import AsyncIterator

from claude_relay.chat.outbound import Indexed
from claude_relay.engine.runner import ClaudeRunner, Run, open_run
from claude_relay.engine.vocabulary import Event, RunEnd, RunRequest


class Answers:
    """One or more runs of the same question.

    Attributes:
        dropped: What the upstream refused of the question's wishes.
        begun: How the runs began.
        ends: How those ended that have.
    """

    def __init__(self, runs: list[Run]) -> None:
        self._runs = runs
        self._waiting: dict[asyncio.Future[Event | None], int] = {}
        self.begun = tuple(run.begun for run in runs)
        self.ends: list[RunEnd] = []
        self.dropped = tuple(dict.fromkeys(name for run in runs for name in run.dropped))

    async def events(self) -> AsyncIterator[Indexed]:
        """Yield all events as they come, each with the number of its run."""
        if len(self._runs) == 1:
            async for event in self._runs[0].events:
                self._note(event)
                yield 0, event
            return
        for index in range(len(self._runs)):
            self._wait_for(index)
        while self._waiting:
            done, _ = await asyncio.wait(self._waiting, return_when=asyncio.FIRST_COMPLETED)
            for future in sorted(done, key=self._waiting.__getitem__):
                index = self._waiting.pop(future)
                if (came := future.result()) is not None:
                    self._wait_for(index)
                    self._note(came)
                    yield index, came

    async def aclose(self) -> None:
        """Stop whatever still goes on, the waiting for it first."""
        for future in self._waiting:
            future.cancel()
        await asyncio.gather(*self._waiting, return_exceptions=True)
        await asyncio.gather(*(run.aclose() for run in self._runs), return_exceptions=True)

    def _note(self, event: Event) -> None:
        if isinstance(event, RunEnd):
            self.ends.append(event)

    def _wait_for(self, index: int) -> None:
        self._waiting[asyncio.ensure_future(_next(self._runs[index].events))] = index


async def opened(runner: ClaudeRunner, request: RunRequest, count: int) -> Answers:
    """Ask a question a number of times at once, and wait until each answer has begun.

    Raises:
        RelayError: One of the runs failed before its first event; the others are stopped.
    """
    opening = [asyncio.ensure_future(open_run(runner, request)) for _ in range(count)]
    try:
        return Answers(await asyncio.gather(*opening))
    except BaseException:
        for task in opening:
            task.cancel()
        begun = await asyncio.gather(*opening, return_exceptions=True)
        await Answers([run for run in begun if isinstance(run, Run)]).aclose()
        raise


async def _next(stream: AsyncIterator[Event]) -> Event | None:
    return await anext(stream, None)
