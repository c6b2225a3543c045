"""Which process serves a request: the one that holds its conversation, an emptied one, a spare, or a new one."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from claude_relay.engine.claude import spares as spares_module
from claude_relay.engine.claude import wire
from claude_relay.engine.claude.capabilities import Capabilities
from claude_relay.engine.claude.history import native
from claude_relay.engine.claude.matching import Kind
from claude_relay.engine.claude.pool import Limits, Pool
from claude_relay.engine.claude.session import REPLY_TIMEOUT, Session, UnresponsiveError
from claude_relay.engine.profiles import Profile
from claude_relay.engine.vocabulary import JsonOutput, RunRequest, Sampling, Text, Tool, ToolCall, ToolResult, Turn
from claude_relay.errors import UnavailableError
from tests.unit.engine.claude.composer import Composer
from tests.unit.engine.claude.fakes import CAPABLE, FakeCli, until_ended
from tests.unit.factories import RunRequestFactory, conversation

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

LIMITS = Limits(warm=0, processes=8, starts=2, idle_seconds=600, turns=100, memory=1)
WEATHER = Tool("weather", "Tells the weather.", {"type": "object"})

Make = Callable[..., Pool]


@pytest.fixture
def gate() -> asyncio.Event:
    """Return what must be set for a process to start."""
    event = asyncio.Event()
    event.set()
    return event


@pytest.fixture
def failures() -> list[Exception]:
    """Return what is raised instead of starting the next processes."""
    return []


@pytest.fixture
async def make(cli: FakeCli, gate: asyncio.Event, failures: list[Exception]) -> AsyncIterator[Make]:
    """Make pools of stand-ins that are stopped in the end."""
    pools: list[Pool] = []

    def build(mode: str = "", memory: int = 0, capabilities: Capabilities = CAPABLE, **limits: Any) -> Pool:
        async def open_session(kind: Kind) -> Session:
            await gate.wait()
            if failures:
                raise failures.pop(0)
            return await cli.session(mode, kind.personality, profile=kind.profile)

        pools.append(Pool(open_session, replace(LIMITS, **limits), lambda _: memory, lambda: capabilities))
        return pools[-1]

    yield build
    for pool in pools:
        await pool.stop()


DOCS = Profile(name="docs", target="sonnet:chat", model="sonnet", personality="chat", system="Be brief.")


def asking(*texts: str, **fields: Any) -> RunRequest:
    return RunRequestFactory.build(turns=conversation(*texts), **fields)


def said(answer: str) -> Turn:
    return Turn("assistant", (Text(answer),))


async def answered(pool: Pool, request: RunRequest) -> Session:
    """Serve a request, up to giving the process back."""
    session = await pool.checkout(request)
    await session.ask(request, native)
    while not isinstance(await session.receive(), wire.Result):
        pass
    return session


async def served(pool: Pool, request: RunRequest, answer: str = "A1") -> Session:
    """Serve a request: the process holds the conversation and its answer then."""
    session = await answered(pool, request)
    session.settle(said(answer))
    pool.release(session)
    return session


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - the pool tells nobody
            await asyncio.sleep(0.01)


# --- reused ----------------------------------------------------------------------------------------------------------


async def test_the_next_turn_of_a_conversation_is_asked_where_it_is_held_and_nothing_else_is_written(
    make: Make, cli: FakeCli
) -> None:
    pool = make()
    first = await served(pool, asking("Q1"))
    before = len(cli.work())

    second = await served(pool, asking("Q1", "A1", "Q2"))

    assert second is first
    assert second.origin == "reused"
    (line,) = cli.work()[before:]
    assert (line["type"], line["message"]["content"]) == ("user", [{"type": "text", "text": "Q2"}])
    assert (pool.counts.started, pool.counts.reused, pool.counts.idle) == (1, 1, 1)


async def test_a_held_conversation_comes_before_a_process_that_was_used_later(make: Make) -> None:
    pool = make()
    holder, later = await answered(pool, asking("Q1")), await answered(pool, asking("other"))
    for session in (holder, later):
        session.settle(said("A1"))
        pool.release(session)

    assert await pool.checkout(asking("Q1", "A1", "Q2")) is holder


@pytest.mark.parametrize(
    "edited",
    [
        pytest.param(("Q0", "A1", "Q2"), id="other question"),
        pytest.param(("Q1", "A0", "Q2"), id="other answer"),
        pytest.param(("Q2",), id="only the last turn"),
        pytest.param(("Q1",), id="the same question again"),
        pytest.param(("Q1", "A1", "Q2", "A2", "Q3"), id="a turn that was never asked here"),
    ],
)
async def test_a_conversation_that_differs_anywhere_is_rebuilt_on_an_emptied_process(
    make: Make, cli: FakeCli, edited: tuple[str, ...]
) -> None:
    pool = make()
    first = await served(pool, asking("Q1"))
    before = len(cli.told())

    second = await served(pool, asking(*edited))

    assert (second is first, second.origin) == (True, "reset")
    written = [line for line in cli.told()[before:] if line["type"] in {"user", "assistant"}]
    assert tuple(line["message"]["content"][0]["text"] for line in written) == edited


@pytest.mark.parametrize(
    "other",
    [
        {"caller": "somebody else"},
        {"system": "Be brief."},
        {"tools": (WEATHER,)},
        {"personality": "agent"},
        {"profile": DOCS},
        {"output": JsonOutput({"type": "object"})},
    ],
    ids=lambda other: next(iter(other)),
)
async def test_a_process_that_is_bound_to_something_else_serves_neither_this_conversation_nor_any_other(
    make: Make, other: dict[str, Any]
) -> None:
    pool = make()
    first = await served(pool, asking("Q1"))

    for texts in (("Q1", "A1", "Q2"), ("new",)):
        session = await pool.checkout(asking(*texts, **other))
        assert (session is first, session.origin) == (False, "started")


async def test_a_constrained_answer_and_a_choice_of_words_bind_nothing(make: Make, cli: FakeCli) -> None:
    pool = make()
    first = await served(pool, asking("Q1"))

    second = await served(
        pool, asking("Q1", "A1", "Q2", effort="low", output=JsonOutput({"type": "object"}, {"type": "object"}))
    )

    assert (second is first, second.origin) == (True, "reused")
    assert [request["subtype"] for request in cli.controls()] == ["initialize", "apply_flag_settings"]
    assert cli.told("system") == []


async def test_another_model_answers_in_an_emptied_process(make: Make, cli: FakeCli) -> None:
    pool = make()
    await served(pool, asking("Q1"))

    session = await served(pool, asking("Q1", "A1", "Q2", model="opus"))

    assert (session.origin, session.model) == ("reset", "opus")
    assert [turn["message"]["content"][0]["text"] for turn in cli.told("user", "assistant")] == ["Q1", "Q1", "A1", "Q2"]


async def test_results_of_tools_go_to_the_process_that_made_the_calls(make: Make, cli: FakeCli) -> None:
    pool = make()
    call = ToolCall("toolu_1", "weather", {"city": "Oslo"})
    question = asking("Weather?", tools=(WEATHER,))
    first = await answered(pool, question)
    first.settle(Turn("assistant", (call,)))
    pool.release(first)

    result = Turn("user", (ToolResult("toolu_1", (Text("mild"),)),))
    second = await served(pool, replace(question, turns=(*question.turns, Turn("assistant", (call,)), result)))

    assert second is first
    (block,) = cli.told("user")[-1]["message"]["content"]
    assert (block["type"], block["tool_use_id"]) == ("tool_result", "toolu_1")


async def test_two_who_continue_one_conversation_at_once_get_two_processes(make: Make) -> None:
    pool = make()
    first = await served(pool, asking("Q1"))

    one, other = await asyncio.gather(*(pool.checkout(asking("Q1", "A1", f"Q{number}")) for number in (2, 3)))

    assert one is not other
    assert [session.origin for session in (one, other)] == ["reused", "started"]
    assert one is first


async def test_without_any_past_there_is_nothing_to_be_found(make: Make) -> None:
    pool = make(capabilities=replace(CAPABLE, reset=False))
    session = await pool.checkout(asking("Q1"))
    pool.release(session)

    assert (await pool.checkout(asking("Q1"))).origin == "started"


# --- reset -----------------------------------------------------------------------------------------------------------


async def test_the_process_used_last_is_emptied_first(make: Make) -> None:
    pool = make()
    one, two, three = [await answered(pool, asking(text)) for text in "abc"]
    for session in (two, three, one):
        pool.release(session)

    assert [await pool.checkout(asking("new")) for _ in range(3)] == [one, three, two]


async def test_a_process_that_is_set_as_the_request_wants_it_is_emptied_before_one_used_later(make: Make) -> None:
    pool = make()
    warm = {"sampling": Sampling(temperature=0.5)}
    one, two = await answered(pool, asking("a", **warm)), await answered(pool, asking("b"))
    for session in (one, two):
        pool.release(session)

    assert await pool.checkout(asking("new", **warm)) is one


async def test_an_agent_is_never_emptied_for_its_tools_may_have_left_things_running(make: Make, cli: FakeCli) -> None:
    pool = make()
    first = await served(pool, asking("Q1", personality="agent"))

    second = await served(pool, asking("new", personality="agent"))
    third = await served(pool, asking("Q1", "A1", "Q2", personality="agent"))

    assert (second is first, second.origin) == (False, "started")
    assert (third is first, third.origin) == (True, "reused")
    assert "rewind_conversation" not in [request["subtype"] for request in cli.controls()]


async def test_where_no_process_can_prove_anything_none_is_emptied(make: Make, cli: FakeCli) -> None:
    pool = make(capabilities=replace(CAPABLE, reset=False))
    first = await served(pool, asking("Q1"))

    assert (await served(pool, asking("new"))).origin == "started"
    assert (await served(pool, asking("Q1", "A1", "Q2"))) is first
    assert "rewind_conversation" not in [request["subtype"] for request in cli.controls()]


# --- whichever comes first -------------------------------------------------------------------------------------------


async def waiting_for(pool: Pool, *requests: RunRequest) -> list[asyncio.Task[Session]]:
    """Let requests wait that cannot be served at once."""
    tasks = [asyncio.create_task(pool.checkout(request)) for request in requests]
    await asyncio.sleep(0)
    return tasks


async def test_who_waits_gets_the_process_that_is_given_back_before_one_has_started(
    make: Make, gate: asyncio.Event
) -> None:
    pool = make()
    busy = await answered(pool, asking("Q1"))
    gate.clear()
    (first, second) = await waiting_for(pool, asking("new"), asking("newer"))

    pool.release(busy)

    assert (await first, busy.origin) == (busy, "reset")
    gate.set()
    assert (await second).origin == "started"


async def test_what_was_started_for_who_got_another_process_is_a_spare_for_a_while(
    make: Make, gate: asyncio.Event
) -> None:
    pool = make(idle_seconds=0.05)
    pool.start()
    busy = await answered(pool, asking("Q1"))
    gate.clear()
    (waiting,) = await waiting_for(pool, asking("new"))
    pool.release(busy)
    await waiting

    gate.set()
    await until(lambda: bool(pool._spares._ready[Kind("chat")]))
    assert (await pool.checkout(asking("newer"))).origin == "prewarmed"

    (waiting,) = await waiting_for(pool, asking("newest", caller="somebody else"))
    waiting.cancel()
    await until(lambda: bool(pool._spares._ready[Kind("chat")]))
    await until(lambda: pool.counts.spare == 0)


@pytest.mark.parametrize(
    "other",
    [{"caller": "somebody else"}, {"system": "Be brief."}, {"personality": "agent"}, {"profile": DOCS}],
    ids=lambda other: next(iter(other)),
)
async def test_who_waits_for_something_else_does_not_get_what_is_given_back(
    make: Make, gate: asyncio.Event, other: dict[str, Any]
) -> None:
    pool = make()
    busy = await answered(pool, asking("Q1"))
    gate.clear()
    (waiting,) = await waiting_for(pool, asking("new", **other))

    pool.release(busy)
    assert pool.counts.idle == 1
    gate.set()

    assert (await waiting).origin == "started"


async def test_only_so_many_are_started_at_once_and_who_waited_longest_is_served_first(
    make: Make, gate: asyncio.Event
) -> None:
    pool = make(starts=2)
    gate.clear()
    waiting = await waiting_for(pool, *(asking("new", caller=caller) for caller in "abcde"))
    assert len(pool._opening) == 2

    gate.set()
    served: list[asyncio.Task[Session]] = []
    for task in waiting:
        task.add_done_callback(served.append)
    await asyncio.gather(*waiting)

    assert served == waiting
    assert pool.counts.started == 5


async def test_who_leaves_when_his_process_has_just_come_takes_it_along(make: Make, gate: asyncio.Event) -> None:
    pool = make()
    busy = await answered(pool, asking("Q1"))
    gate.clear()
    (waiting,) = await waiting_for(pool, asking("new"))

    pool.release(busy)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert waiting.cancelled()
    assert (pool.counts.busy, pool.counts.idle) == (0, 0)
    await until_ended(busy.process)


async def test_a_start_that_fails_is_the_error_of_who_waited_longest_and_the_others_wait_on(
    make: Make, gate: asyncio.Event, failures: list[Exception]
) -> None:
    pool = make(starts=1)
    gate.clear()
    failures.append(UnavailableError("no CLI"))
    first, second = await waiting_for(pool, asking("new"), asking("newer"))

    gate.set()

    with pytest.raises(UnavailableError, match="no CLI"):
        await first
    assert (await second).origin == "started"


# --- prewarmed and started -------------------------------------------------------------------------------------------


async def until_spare(pool: Pool) -> None:
    async with asyncio.timeout(5):
        while not any(pool._spares._ready.values()):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)


async def test_an_emptied_process_comes_before_a_spare_and_a_spare_before_a_new_one(make: Make) -> None:
    pool = make(warm=1)
    pool.start("chat")
    await until_spare(pool)

    first = await served(pool, asking("Q1"))
    second = await pool.checkout(asking("new"))
    await until_spare(pool)
    third = await pool.checkout(asking("newer"))
    fourth = await pool.checkout(asking("newest"))

    assert [session.origin for session in (second, third, fourth)] == ["reset", "prewarmed", "started"]
    assert second is first
    counts = pool.counts
    assert (counts.reused, counts.reset, counts.prewarmed, counts.started) == (0, 1, 2, 1)


async def test_a_spare_is_bound_by_its_first_request(make: Make) -> None:
    pool = make(warm=1)
    pool.start("chat")
    await until_spare(pool)

    session = await served(pool, asking("Q1", caller="ann"))

    assert session.origin == "prewarmed"
    assert (await pool.checkout(asking("new", caller="bob"))) is not session


# --- what is kept, and for how long ----------------------------------------------------------------------------------


async def test_an_agent_whose_conversation_is_not_known_is_not_kept(make: Make) -> None:
    pool = make()
    agent = await pool.checkout(asking("Q1", personality="agent"))
    chat = await pool.checkout(asking("Q1"))

    pool.release(agent)
    pool.release(chat)

    assert (pool.counts.idle, pool.counts.ending) == (1, 1)


async def test_a_process_answers_so_many_questions_and_no_more(make: Make) -> None:
    pool = make(turns=2)
    first = await served(pool, asking("Q1"))

    second = await served(pool, asking("Q1", "A1", "Q2"))

    assert second is first
    assert (pool.counts.idle, pool.counts.ending) == (0, 1)


async def test_a_process_that_has_grown_too_large_is_not_used_again(make: Make) -> None:
    pool = make(memory=1)

    await served(pool, asking("Q1"))

    assert (pool.counts.idle, pool.counts.ending) == (0, 1)


async def test_where_processes_are_not_used_again_each_ends_after_its_answer(make: Make) -> None:
    pool = make(capabilities=replace(CAPABLE, reuse=False))

    await served(pool, asking("Q1"))

    assert (pool.counts.idle, pool.counts.ending) == (0, 1)


@pytest.mark.usefixtures("hurried")
async def test_a_process_that_is_still_at_it_is_not_kept(make: Make) -> None:
    pool = make("works")
    session = await pool.checkout(asking("Q1"))
    await session.ask(asking("Q1"), native)

    session.settle(said("A1"))
    pool.release(session)

    assert (pool.counts.idle, pool.counts.ending) == (0, 1)


async def test_a_process_that_died_while_nobody_looked_is_not_found(make: Make) -> None:
    pool = make()
    first = await served(pool, asking("Q1"))
    await first.process.close()

    session = await pool.checkout(asking("Q1", "A1", "Q2"))

    assert (session is first, session.origin) == (False, "started")
    assert pool.counts.idle == 0


async def test_what_was_idle_longest_makes_room(make: Make) -> None:
    pool = make(processes=3)
    old, middle, new = [await answered(pool, asking("Q", caller=caller)) for caller in "abc"]
    for session in (old, middle, new):
        pool.release(session)

    await pool.checkout(asking("Q", caller="d"))

    assert list(pool._idle) == [middle, new]
    assert (pool.counts.idle, pool.counts.busy) == (2, 1)


async def test_a_process_that_waits_too_long_for_its_next_question_ends(make: Make) -> None:
    pool = make(idle_seconds=0.05)
    pool.start("chat")
    await served(pool, asking("Q1"))
    assert pool.counts.idle == 1

    async with asyncio.timeout(2):
        while pool.counts.idle:  # noqa: ASYNC110 - the pool tells nobody
            await asyncio.sleep(0.01)


# --- while nobody looks ----------------------------------------------------------------------------------------------


async def test_a_process_that_takes_a_turn_of_its_own_while_it_waits_is_ended_at_once_and_counted(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    pool = make("wakes later")
    await served(pool, asking("Q1"))

    await until(lambda: pool.counts.idle == 0)

    assert pool.counts.unsolicited == 1
    assert "began a turn that the relay did not ask for" in caplog.text
    assert (await pool.checkout(asking("Q1", "A1", "Q2"))).origin == "started"


async def test_a_spare_that_takes_a_turn_of_its_own_is_ended_too(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spares_module, "_RETRY_DELAY", 0.01)
    pool = make("wakes first", warm=1)
    pool.start("chat")

    await until(lambda: pool.counts.unsolicited >= 2)


async def test_a_process_that_ends_while_it_waits_is_given_up_at_once(make: Make) -> None:
    pool = make()
    session = await served(pool, asking("Q1"))

    session.process.kill()

    await until(lambda: pool.counts.idle == 0)


@pytest.mark.parametrize("asks", [("Q1", "A1", "Q2"), ("new",)], ids=["a conversation", "another one"])
async def test_processes_that_hang_are_found_at_once_however_many_they_are(make: Make, asks: tuple[str, ...]) -> None:
    pool = make()
    texts = ("Q1", *"abcdefg")
    sessions = [await answered(pool, asking(text)) for text in texts]
    for session in sessions:
        session.settle(said("A1"))
        pool.release(session)
        os.kill(session.process.pid, signal.SIGSTOP)
    began = time.monotonic()

    for _ in range(2):
        session = await pool.checkout(asking(*asks))
        try:
            await session.ask(asking(*asks), native)
        except UnresponsiveError:
            pool.retire(session)
            await pool.probe()
        else:
            break

    assert session.origin == "started"
    assert time.monotonic() - began < 8 * REPLY_TIMEOUT / 2, "they are not waited for one after the other"
    assert (pool.counts.idle, pool.counts.unresponsive) == (0, 8)


async def test_who_is_wanted_while_it_is_probed_answers_its_question(make: Make) -> None:
    pool = make()
    first = await served(pool, asking("Q1"))

    probing = asyncio.create_task(pool.probe(5))
    await asyncio.sleep(0)
    second = await served(pool, asking("Q1", "A1", "Q2"))
    await probing

    assert (second is first, second.origin) == (True, "reused")
    assert pool.counts.unresponsive == 0


async def test_a_fresh_process_is_started_whatever_waits(make: Make) -> None:
    pool = make()
    await served(pool, asking("Q1"))

    assert (await pool.checkout(asking("Q1", "A1", "Q2"), fresh=True)).origin == "started"


# --- at the same time ------------------------------------------------------------------------------------------------


class Composers:
    """A pool of stand-ins without processes."""

    def __init__(self, capabilities: Capabilities = CAPABLE, **limits: Any) -> None:
        self.all: list[Composer] = []
        self.pool = Pool(self._open, replace(LIMITS, **limits), lambda _: 0, lambda: capabilities)

    async def _open(self, kind: Kind) -> Session:
        await asyncio.sleep(0)
        self.all.append(Composer())
        return Session(self.all[-1], kind.personality, "sonnet", lambda: CAPABLE)

    async def idle(self, number: int, caller: str = "") -> list[Composer]:
        """Let some processes wait for their next question, the last one returned being the one used last."""
        for session in [await answered(self.pool, asking("Q", caller=caller)) for _ in range(number)]:
            self.pool.release(session)
        return self.all[-number:]


async def test_who_finds_a_process_that_cannot_prove_anything_does_not_stumble_over_one_that_others_took() -> None:
    composers = Composers()
    _, last = await composers.idle(2)
    last.leaks = True

    sessions = await asyncio.gather(*(composers.pool.checkout(asking(text)) for text in "ab"))

    assert len(set(sessions)) == 2
    await composers.pool.stop()


async def test_several_who_come_at_once_do_not_start_more_processes_than_there_may_be() -> None:
    composers = Composers(processes=4)
    await composers.idle(3, "ann")

    await asyncio.gather(*(composers.pool.checkout(asking("Q", caller="bob")) for _ in range(3)))

    assert composers.pool.counts.busy == 3
    assert composers.pool.counts.busy + composers.pool.counts.idle <= 4
    await composers.pool.stop()


async def test_giving_back_where_too_many_are_busy_ends_what_was_given_back_and_nothing_more() -> None:
    composers = Composers(processes=1)
    one, _, _ = [await composers.pool.checkout(asking("Q")) for _ in range(3)]

    composers.pool.release(one)

    assert composers.pool.counts.busy == 2
    await composers.pool.stop()


async def test_a_chat_that_can_neither_go_on_nor_be_emptied_is_not_kept() -> None:
    composers = Composers(replace(CAPABLE, reset=False))

    await composers.idle(1)

    assert composers.pool.counts.idle == 0
    await composers.pool.stop()
