"""How long requests wait for a process where many come at once, in virtual time: short answers, long ones, and both."""

import asyncio
import statistics
from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from claude_relay.engine.claude import pool as pool_module
from claude_relay.engine.claude import wire
from claude_relay.engine.claude.history import native
from claude_relay.engine.claude.matching import Kind
from claude_relay.engine.claude.pool import Limits, Pool
from claude_relay.engine.claude.session import Session
from claude_relay.engine.vocabulary import Text, Turn
from tests.unit.engine.claude.composer import Composer
from tests.unit.engine.claude.fakes import CAPABLE
from tests.unit.engine.virtual import BACKEND, VirtualLoop, now
from tests.unit.factories import RunRequestFactory, conversation

pytestmark = pytest.mark.anyio

START, SHORT, LONG = 0.4, 0.02, 20.0
"""Seconds that a start takes, and an answer."""
CORES = 2
LIMITS = Limits(warm=1, processes=64, starts=CORES - 1, idle_seconds=600, turns=0, memory=1)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, type[VirtualLoop]]]:
    return BACKEND


class Machine:
    """A pool whose processes take time to start and to answer."""

    def __init__(self) -> None:
        self.pool = Pool(self._open, LIMITS, lambda _: 0, lambda: CAPABLE)
        self.started = 0

    async def _open(self, kind: Kind) -> Session:
        self.started += 1
        await asyncio.sleep(START)
        return Session(Composer(), kind.personality, "sonnet", lambda: CAPABLE)

    async def ask(self, seconds: float, caller: str = "ann") -> float:
        """Ask what takes some time to answer, and return how long a process was waited for."""
        came = now()
        request = RunRequestFactory.build(turns=conversation("Q"), caller=caller)
        session = await self.pool.checkout(request)
        waited = now() - came
        await session.ask(request, native)
        while not isinstance(await session.receive(), wire.Result):
            pass
        await asyncio.sleep(seconds)
        self.pool.release(session)
        return waited

    async def talk(self, session: Session, *texts: str) -> None:
        """Ask the last of a conversation's texts, and let the process hold it and the answer."""
        await session.ask(RunRequestFactory.build(turns=conversation(*texts), caller="ann"), native)
        while not isinstance(await session.receive(), wire.Result):
            pass
        session.settle(Turn("assistant", (Text("ok"),)))
        self.pool.release(session)

    async def burst(self, answers: Iterable[float]) -> list[float]:
        return await asyncio.gather(*map(self.ask, answers))


@pytest.fixture
async def machine() -> Machine:
    """Return one that has answered a question, and has a process idle and a spare."""
    made = Machine()
    made.pool.start("chat")
    await asyncio.sleep(2 * START)
    await made.ask(SHORT)
    await asyncio.sleep(2 * START)
    assert (made.pool.counts.idle, made.pool.counts.spare) == (1, 1)
    return made


async def test_short_answers_are_all_given_by_hot_processes_before_the_first_start_is_over(machine: Machine) -> None:
    before = machine.started

    waited = await machine.burst([SHORT] * 8)

    assert max(waited) < START
    assert machine.pool.counts.started == 0
    # the spare of the burst is replaced, and nothing else is started
    await asyncio.sleep(2 * START)
    assert machine.started - before == 1
    await machine.pool.stop()


async def test_where_answers_are_long_nobody_waits_longer_than_for_his_place_in_the_row_of_starts(
    machine: Machine,
) -> None:
    waited = await machine.burst([LONG] * 8)

    # the idle one and the spare serve two at once, and the third sees soon that neither is given back
    assert sorted(waited) == pytest.approx([0, 0, *(START * place for place in range(1, 7))], abs=0.1)
    all_at_once = START * 6 / CORES
    assert statistics.median(waited) <= all_at_once + 0.1
    await machine.pool.stop()


async def test_short_answers_do_not_wait_for_long_ones(machine: Machine) -> None:
    long = asyncio.create_task(machine.burst([LONG] * 4))
    await asyncio.sleep(0.01)

    waited = await machine.burst([SHORT] * 16)

    assert max(waited) < 4 * START
    assert not long.done()
    await long
    await machine.pool.stop()


async def test_what_one_caller_gives_back_is_not_waited_for_by_another(machine: Machine) -> None:
    await asyncio.gather(*(machine.ask(SHORT, caller) for caller in ("ann", "bob", "cay")))

    assert machine.pool.counts.reset == 1
    assert (machine.pool.counts.prewarmed, machine.pool.counts.started) == (2, 1)
    await machine.pool.stop()


async def test_a_conversation_keeps_its_process_for_a_while_where_others_like_it_go_on(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = ["Q", "A", "Q2"]
    first, second = [
        await machine.pool.checkout(RunRequestFactory.build(turns=conversation(*talk), caller="ann")) for _ in "ab"
    ]
    await machine.talk(first, *talk)
    await second.ask(RunRequestFactory.build(turns=conversation(*talk), caller="ann"), native)
    other = RunRequestFactory.build(turns=conversation("other"), caller="ann")

    assert (await machine.pool.checkout(other)).origin == "started"
    monkeypatch.setattr(pool_module, "_CONVERSATION_KEPT", 0.0)

    assert await machine.pool.checkout(other) is first
    await machine.pool.stop()


async def test_who_has_nothing_else_under_way_leaves_a_conversation_for_the_next(machine: Machine) -> None:
    talk = ["Q", "A", "Q2"]
    session = await machine.pool.checkout(RunRequestFactory.build(turns=conversation(*talk), caller="ann"))
    await machine.talk(session, *talk)

    assert await machine.pool.checkout(RunRequestFactory.build(turns=conversation("other"), caller="ann")) is session
    await machine.pool.stop()


async def test_what_answered_one_question_comes_before_a_conversation_and_the_oldest_of_these_first(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "_CONVERSATION_KEPT", 0.0)
    talk = ["Q", "A", "Q2"]
    asked = [RunRequestFactory.build(turns=conversation(*talk), caller="ann") for _ in "abc"]
    one, two, three = [await machine.pool.checkout(request) for request in asked]
    for session in (one, two):
        await machine.talk(session, *talk)
    await machine.talk(three, "Q")

    other = RunRequestFactory.build(turns=conversation("other"), caller="ann")
    assert [await machine.pool.checkout(other) for _ in "ab"] == [three, one]
    await machine.pool.stop()


async def test_who_waits_does_not_get_the_process_of_a_conversation_that_goes_on(machine: Machine) -> None:
    talk = ["Q", "A", "Q2"]
    first, second = [
        await machine.pool.checkout(RunRequestFactory.build(turns=conversation(*talk), caller="ann")) for _ in "ab"
    ]
    await second.ask(RunRequestFactory.build(turns=conversation(*talk), caller="ann"), native)
    waiting = asyncio.create_task(machine.ask(SHORT))
    await asyncio.sleep(0)

    await machine.talk(first, *talk)

    assert not waiting.done()
    assert await waiting == pytest.approx(START, abs=0.1)
    machine.pool.retire(second)
    await machine.pool.stop()


async def test_where_there_is_no_room_the_conversation_that_is_idle_longest_loses_its_process(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = ["Q", "A", "Q2"]
    sessions = [
        await machine.pool.checkout(RunRequestFactory.build(turns=conversation(*talk), caller="ann")) for _ in "ab"
    ]
    for session in sessions:
        await machine.talk(session, *talk)
        await asyncio.sleep(0.001)
    monkeypatch.setattr(machine.pool, "_limits", replace(LIMITS, processes=2))

    taken = await machine.pool.checkout(RunRequestFactory.build(turns=conversation("other"), caller="ann"))

    assert taken is sessions[0]
    await machine.pool.stop()


async def test_who_waits_gets_the_process_of_a_conversation_that_has_not_gone_on_for_a_while(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = ["Q", "A", "Q2"]
    request = RunRequestFactory.build(turns=conversation(*talk), caller="ann")
    first, second = [await machine.pool.checkout(request) for _ in "ab"]
    await second.ask(request, native)
    waiting = asyncio.create_task(machine.ask(SHORT))
    await asyncio.sleep(0)
    await machine.talk(first, *talk)

    monkeypatch.setattr(pool_module, "_CONVERSATION_KEPT", 0.0)

    assert await waiting < START
    assert first.origin == "reset"
    await machine.pool.stop()
