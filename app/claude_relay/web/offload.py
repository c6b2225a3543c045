"""Work that takes long, beside the event loop.

Threads share one interpreter: with several at work the loop would wait for each of them in turn, so there is one. What
it does must be Python, or short steps of C: within such a step nobody else has a turn.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")


class Offload:
    """Does one piece of work after the other, in the order in which they came."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "offload")

    async def run(self, work: Callable[[], T]) -> T:
        """Return what some work returns; the loop has its turns meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, copy_context().run, work)
