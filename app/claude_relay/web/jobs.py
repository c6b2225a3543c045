"""Work that goes on though no request waits for it any more, until the application ends."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from litestar import Request
from litestar.datastructures import State

_JOBS = "claude_relay_jobs"


class Jobs:
    """The work of one application that has no request.

    Attributes:
        on_idle: Called whenever the last of it has ended.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self.on_idle: Callable[[], object] = lambda: None

    def __len__(self) -> int:
        """Return how many go on."""
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin some work. It is cancelled when the application ends before it does."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Cancel all work, and wait until it has ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (exception := task.exception()) is not None:
            loop = task.get_loop()
            loop.call_exception_handler({"message": "work without a request failed", "exception": exception})
        if not self._tasks:
            self.on_idle()


def set_up(state: State, jobs: Jobs) -> None:
    """Give an application its jobs."""
    state[_JOBS] = jobs


def jobs_of(request: Request[Any, Any, Any]) -> Jobs:
    """Return the jobs of a request's application."""
    jobs: Jobs = request.app.state[_JOBS]
    return jobs
