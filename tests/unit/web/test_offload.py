"""What takes long is done offload the event loop, one piece after the other."""

import asyncio
import threading
from contextvars import ContextVar
from functools import partial

import pytest

from claude_relay.web.offload import Offload

REQUEST: ContextVar[str] = ContextVar("REQUEST")


@pytest.mark.anyio
async def test_the_loop_goes_on_while_something_is_done_beside_it() -> None:
    over = threading.Event()
    work = asyncio.ensure_future(Offload().run(lambda: over.wait(10)))
    await asyncio.sleep(0)
    over.set()

    assert await work


@pytest.mark.anyio
async def test_one_piece_of_work_is_done_after_the_other() -> None:
    offload, at_work = Offload(), threading.Semaphore(1)
    order: list[int] = []

    def work(number: int) -> None:
        assert at_work.acquire(blocking=False)
        order.append(number)
        at_work.release()

    await asyncio.gather(*(offload.run(partial(work, number)) for number in range(50)))

    assert order == list(range(50))


@pytest.mark.anyio
async def test_work_belongs_to_its_request_and_fails_as_it_would_here() -> None:
    def work() -> None:
        raise ValueError(REQUEST.get())

    REQUEST.set("req-1")
    with pytest.raises(ValueError, match="req-1"):
        await Offload().run(work)
