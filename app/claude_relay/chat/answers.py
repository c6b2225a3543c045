"""The runs of one request: opened together, their events merged, closed together."""

import asyncio
from collections.abc import AsyncIterator

from claude_relay.chat.outbound import Indexed
from claude_relay.engine.runner import ClaudeRunner, Run, open_run
from claude_relay.engine.vocabulary import Event, RunRequest


class Answers:
    """One or more runs of the same question.

    Attributes:
        dropped: What the upstream refused of the question's wishes.
    """

    def __init__(self, runs: list[Run]) -> None:
        self._runs = runs
        self.dropped = tuple(dict.fromkeys(name for run in runs for name in run.dropped))

    async def events(self) -> AsyncIterator[Indexed]:
        """Yield all events as they come, each with the number of its run."""
        if len(self._runs) == 1:
            async for event in self._runs[0].events:
                yield 0, event
            return
        async for indexed in _merged([run.events for run in self._runs]):
            yield indexed

    async def aclose(self) -> None:
        """Stop whatever still goes on."""
        await asyncio.gather(*(run.aclose() for run in self._runs))


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


async def _merged(streams: list[AsyncIterator[Event]]) -> AsyncIterator[Indexed]:
    waiting = {asyncio.ensure_future(_next(stream)): index for index, stream in enumerate(streams)}
    try:
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=waiting.__getitem__):
                index = waiting.pop(task)
                if (event := task.result()) is not None:
                    waiting[asyncio.ensure_future(_next(streams[index]))] = index
                    yield index, event
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def _next(stream: AsyncIterator[Event]) -> Event | None:
    return await anext(stream, None)
