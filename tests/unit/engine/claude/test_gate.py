"""Few runs are at their beginning at once, on a clock that passes only when everybody waits."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from claude_relay.engine.claude.gate import _GRACE, _PATIENCE, Gate
from tests.unit.engine.virtual import BACKEND, now, timers

pytestmark = pytest.mark.anyio

LONG = 1000.0


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return BACKEND


@pytest.fixture(autouse=True)
async def no_timer_is_left(anyio_backend: object) -> AsyncIterator[None]:  # noqa: ARG001 - runs on its loop
    yield
    assert timers() == 0


class Runs:
    """Runs that ask their upstream after some seconds, or never, and take some more.

    Attributes:
        began: When each was let in.
    """

    def __init__(self, width: int) -> None:
        self.gate = Gate(width)
        self.began: dict[str, float] = {}

    async def run(self, name: str, asks_after: float | None, takes: float = LONG) -> None:
        async with self.gate.entered() as asked:
            self.began[name] = now()
            if asks_after is not None:
                await asyncio.sleep(asks_after)
                asked()
            await asyncio.sleep(takes)


async def test_as_many_begin_at_once_as_the_gate_is_wide() -> None:
    runs = Runs(2)

    await asyncio.gather(*(runs.run(name, None, 1) for name in "abc"))

    assert runs.began == {"a": 0, "b": 0, "c": 1}


async def test_a_run_that_waits_for_its_upstream_lets_the_next_begin_after_a_moment() -> None:
    runs = Runs(1)

    await asyncio.gather(*(runs.run(name, 0.5) for name in "abc"))

    assert runs.began == pytest.approx({"a": 0, "b": 0.5 + _GRACE, "c": 1 + 2 * _GRACE})


async def test_a_run_that_takes_too_long_to_ask_keeps_nobody_from_it() -> None:
    runs = Runs(1)

    await asyncio.gather(*(runs.run(name, None) for name in "ab"))

    assert runs.began == {"a": 0, "b": _PATIENCE}


async def test_where_the_upstream_answers_at_once_the_next_begins_when_the_answer_ends() -> None:
    runs = Runs(1)

    await asyncio.gather(*(runs.run(name, 0.5, _GRACE / 2) for name in "ab"))

    assert runs.began == pytest.approx({"a": 0, "b": 0.5 + _GRACE / 2})


@pytest.mark.parametrize("asks_after", [None, 0.1], ids=["before it asks", "while it waits"])
@pytest.mark.parametrize("leaves_after", [0.05, 0.12, 0.5, 5])
async def test_a_place_is_given_back_once_however_a_run_ends(asks_after: float | None, leaves_after: float) -> None:
    runs = Runs(1)
    running = asyncio.create_task(runs.run("a", asks_after))
    await asyncio.sleep(leaves_after)

    running.cancel()
    await asyncio.wait({running})

    assert runs.gate._width._value == 1


async def test_a_place_is_given_back_once_however_often_a_run_says_that_it_has_asked() -> None:
    gate = Gate(1)
    async with gate.entered() as asked:
        for _ in range(5):
            asked()
            await asyncio.sleep(_GRACE * 0.6)
        assert gate._width._value == 1
    assert gate._width._value == 1


async def test_who_says_more_than_once_that_it_has_asked_does_not_put_its_leaving_off() -> None:
    runs = Runs(1)
    waiting = asyncio.create_task(runs.run("b", None, 0))
    async with runs.gate.entered() as asked:
        for _ in range(9):
            asked()
            await asyncio.sleep(_GRACE * 0.6)
    await waiting

    assert runs.began == pytest.approx({"b": _GRACE})


@pytest.mark.parametrize("wait", [0, _PATIENCE + 1], ids=["after it has ended", "after it took too long"])
async def test_who_has_left_cannot_ask_any_more(wait: float) -> None:
    gate = Gate(1)
    late: list[Callable[[], None]] = []
    async with gate.entered() as asked:
        late.append(asked)
        await asyncio.sleep(wait)
        if wait:
            asked()
            assert timers() == 0
    late[0]()

    assert (timers(), gate._width._value) == (0, 1)


async def test_who_leaves_while_waiting_at_the_gate_takes_no_place() -> None:
    runs = Runs(1)
    first, second, third = (asyncio.create_task(runs.run(name, None, 1)) for name in "abc")
    await asyncio.sleep(0.5)

    second.cancel()
    await asyncio.wait({first, second, third})

    assert runs.began == {"a": 0, "c": 1}
    assert runs.gate._width._value == 1


async def test_who_leaves_in_the_moment_of_being_let_in_gives_the_place_on() -> None:
    runs = Runs(1)
    async with runs.gate.entered():
        second, third = (asyncio.create_task(runs.run(name, None, 1)) for name in "bc")
        await asyncio.sleep(0.5)
    second.cancel()

    await asyncio.wait({second, third})

    assert runs.began == {"c": 0.5}
    assert runs.gate._width._value == 1
