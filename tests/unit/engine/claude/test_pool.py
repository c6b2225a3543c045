"""Who gets which process, and that none is lost or left behind."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from msgspec.structs import replace

from claude_relay.engine.claude import pool as pool_module
from claude_relay.engine.claude import spares as spares_module
from claude_relay.engine.claude import wire
from claude_relay.engine.claude.history import native
from claude_relay.engine.claude.matching import Kind
from claude_relay.engine.claude.pool import Limits, Pool
from claude_relay.engine.claude.session import Session
from claude_relay.engine.profiles import Profile
from claude_relay.engine.vocabulary import RunRequest
from claude_relay.errors import RelayError, UnavailableError, UpstreamError
from claude_relay.settings import Personality
from tests.unit.engine.claude.fakes import CAPABLE, FakeCli, until_ended
from tests.unit.factories import RunRequestFactory, conversation

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


class Opener:
    """Starts stand-ins for a pool, and knows how many, and how many at once.

    Attributes:
        modes: How the next ones misbehave; an exception is raised instead of starting one.
        gate: While it is clear, nothing is started.
        started: The personalities of all that were asked for.
        sessions: All that were started.
        at_once: The largest number in the making at one time.
    """

    def __init__(self, cli: FakeCli) -> None:
        self._cli = cli
        self.modes: list[str | Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.started: list[Personality] = []
        self.sessions: list[Session] = []
        self.at_once = 0
        self._now = 0

    async def __call__(self, kind: Kind) -> Session:
        self.started.append(kind.personality)
        self._now += 1
        self.at_once = max(self.at_once, self._now)
        try:
            await self.gate.wait()
            mode = self.modes.pop(0) if self.modes else ""
            if isinstance(mode, Exception):
                raise mode
            session = await self._cli.session(mode, kind.personality, profile=kind.profile)
        finally:
            self._now -= 1
        self.sessions.append(session)
        return session


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spares_module, "_REFILL_DELAY", 0.01)
    monkeypatch.setattr(spares_module, "_RETRY_DELAY", 0.02)


@pytest.fixture
async def opener(cli: FakeCli) -> Opener:
    return Opener(cli)


@pytest.fixture
async def make(opener: Opener) -> AsyncIterator[Callable[[int], Pool]]:
    """Make pools that are stopped in the end."""
    pools: list[Pool] = []

    def build(warm: int) -> Pool:
        pools.append(Pool(opener, limits(warm), lambda _: 0, lambda: replace(CAPABLE, reset=False)))
        return pools[-1]

    yield build
    for pool in pools:
        await pool.stop()


def limits(warm: int) -> Limits:
    return Limits(warm, processes=64, starts=2, idle_seconds=600, turns=200, memory=1)


def wanting(personality: Personality) -> RunRequest:
    return RunRequestFactory.build(personality=personality)


def by_work(pool: Pool) -> tuple[int, int, int]:
    """Return how many processes are spare, busy and ending."""
    return pool.counts.spare, pool.counts.busy, pool.counts.ending


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - the pool tells nobody
            await asyncio.sleep(0.005)


async def until_spares_are_ready(pool: Pool, number: int) -> None:
    await until(lambda: sum(map(len, pool._spares._ready.values())) == number)
    await asyncio.sleep(0.005)  # the one who keeps them has seen it too


async def test_spares_are_started_one_at_a_time_up_to_the_number_that_was_asked_for(
    make: Callable[[int], Pool], opener: Opener
) -> None:
    pool = make(3)

    pool.start("chat")
    await until_spares_are_ready(pool, 3)
    await asyncio.sleep(0.03)

    assert opener.started == ["chat"] * 3
    assert opener.at_once == 1
    assert by_work(pool) == (3, 0, 0)


@pytest.mark.parametrize("likely", [("agent", "chat"), ("chat", "agent")])
async def test_spares_of_each_likely_personality_are_ready_before_it_is_asked(
    make: Callable[[int], Pool], opener: Opener, likely: tuple[Personality, ...]
) -> None:
    pool = make(1)
    pool.start(*likely)
    await until_spares_are_ready(pool, 2)

    sessions = [await pool.checkout(wanting(personality)) for personality in likely]

    assert [session.personality for session in sessions] == list(likely)
    assert tuple(opener.started[:2]) == likely
    assert opener.sessions[:2] == sessions
    assert (pool.counts.prewarmed, pool.counts.started) == (2, 0)


async def test_a_checkout_takes_a_spare_and_the_gap_is_filled(make: Callable[[int], Pool], opener: Opener) -> None:
    pool = make(1)
    pool.start("chat")
    await until_spares_are_ready(pool, 1)
    (spare,) = opener.sessions

    session = await pool.checkout(wanting("chat"))

    assert session is spare
    assert by_work(pool) == (0, 1, 0)
    await until_spares_are_ready(pool, 1)
    assert by_work(pool) == (1, 1, 0)
    assert len(opener.started) == 2


async def test_without_spares_each_checkout_starts_a_process_of_its_own(
    make: Callable[[int], Pool], opener: Opener
) -> None:
    pool = make(0)
    pool.start("chat")

    first, second = await pool.checkout(wanting("chat")), await pool.checkout(wanting("chat"))

    assert opener.sessions == [first, second]
    assert first.process.pid != second.process.pid
    assert by_work(pool) == (0, 2, 0)


async def test_a_session_is_never_handed_out_twice(make: Callable[[int], Pool]) -> None:
    pool = make(2)
    pool.start("chat")
    await until_spares_are_ready(pool, 1)

    sessions = await asyncio.gather(*(pool.checkout(wanting("chat")) for _ in range(6)))

    assert len(set(sessions)) == 6
    assert len({session.process.pid for session in sessions}) == 6


async def test_a_spare_of_one_personality_never_serves_the_other(make: Callable[[int], Pool], opener: Opener) -> None:
    pool = make(1)
    pool.start("agent")
    await until_spares_are_ready(pool, 1)

    session = await pool.checkout(wanting("chat"))

    assert session.personality == "chat"
    await until_spares_are_ready(pool, 2)  # a personality in use is kept warm too
    assert sorted(opener.started) == ["agent", "chat", "chat"]


def profile(name: str, *, worktree: bool = False) -> Profile:
    return Profile(name=name, target="sonnet:agent", model="sonnet", personality="agent", worktree=worktree)


def wanting_profile(found: Profile | None) -> RunRequest:
    return RunRequestFactory.build(personality="agent", profile=found)


async def test_a_spare_of_one_profile_serves_no_other_and_no_request_without_one(
    make: Callable[[int], Pool], opener: Opener
) -> None:
    pool = make(1)
    pool.start("agent")
    await until_spares_are_ready(pool, 1)
    plain = opener.sessions[0]

    for found, origin in ((profile("one"), "started"), (profile("two"), "started"), (profile("one"), "prewarmed")):
        session = await pool.checkout(wanting_profile(found))
        assert (session.kind.profile, session.origin) == (found, origin)
        await until(lambda: all(len(ready) == 1 for ready in pool._spares._ready.values()))
    assert await pool.checkout(wanting_profile(None)) is plain


async def test_a_profile_that_nobody_asks_for_any_more_keeps_no_spare(opener: Opener) -> None:
    pool = Pool(opener, replace(limits(1), idle_seconds=2.0), lambda _: 0, lambda: CAPABLE)
    pool.start("agent")
    await pool.checkout(wanting_profile(profile("one")))
    await until_spares_are_ready(pool, 2)

    await until(lambda: pool.counts.spare == 1)
    await asyncio.sleep(0.05)

    assert [kind.profile for kind, ready in pool._spares._ready.items() if ready] == [None]
    await pool.stop()


async def test_a_worktree_is_made_for_a_conversation_and_not_ahead(make: Callable[[int], Pool], opener: Opener) -> None:
    pool = make(1)
    pool.start("agent")
    await until_spares_are_ready(pool, 1)

    await pool.checkout(wanting_profile(profile("tree", worktree=True)))
    await asyncio.sleep(0.05)

    assert [session.kind.profile is not None for session in opener.sessions] == [False, True]


async def test_a_request_that_waits_makes_the_spares_of_other_profiles_go_where_there_is_no_room(
    opener: Opener,
) -> None:
    pool = Pool(opener, replace(limits(1), processes=3), lambda _: 0, lambda: CAPABLE)
    pool.start()
    for name in ("one", "two"):
        pool.retire(await pool.checkout(wanting_profile(profile(name))))
    await until_spares_are_ready(pool, 2)
    busy = await pool.checkout(wanting_profile(None))
    assert busy.origin == "started"
    one = next(session for session in opener.sessions if session.alive and session.kind.profile == profile("one"))

    assert (await pool.checkout(wanting_profile(profile("three")))).origin == "started"

    assert one not in pool._alive
    assert len(pool._alive) == 3
    await pool.stop()


async def test_a_checkout_waits_for_the_spare_that_is_starting(make: Callable[[int], Pool], opener: Opener) -> None:
    pool = make(1)
    opener.gate.clear()
    pool.start("chat")
    await until(lambda: len(opener.started) == 1)

    waiting = asyncio.create_task(pool.checkout(wanting("chat")))
    await asyncio.sleep(0)
    opener.gate.set()

    assert await waiting is opener.sessions[0]


async def test_a_dead_spare_is_skipped(make: Callable[[int], Pool], opener: Opener) -> None:
    pool = make(2)
    pool.start("chat")
    await until_spares_are_ready(pool, 2)
    dead, living = opener.sessions
    await dead.process.close()

    assert await pool.checkout(wanting("chat")) is living
    assert not dead.alive


async def test_when_all_spares_are_dead_a_new_process_is_started(make: Callable[[int], Pool], opener: Opener) -> None:
    pool = make(1)
    pool.start("chat")
    await until_spares_are_ready(pool, 1)
    await opener.sessions[0].process.close()

    session = await pool.checkout(wanting("chat"))

    assert session.alive
    assert session is opener.sessions[1]


async def test_a_checkout_cancelled_while_a_spare_starts_leaves_it_to_the_next(
    make: Callable[[int], Pool], opener: Opener
) -> None:
    pool = make(1)
    opener.gate.clear()
    pool.start("chat")
    await until(lambda: len(opener.started) == 1)
    leaving = asyncio.create_task(pool.checkout(wanting("chat")))
    await asyncio.sleep(0.005)

    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    assert pool.counts.starting == 1
    opener.gate.set()

    assert await pool.checkout(wanting("chat")) is opener.sessions[0]


async def test_a_checkout_cancelled_while_its_own_process_starts_leaves_a_spare(
    make: Callable[[int], Pool], opener: Opener
) -> None:
    pool = make(0)
    opener.gate.clear()
    leaving = asyncio.create_task(pool.checkout(wanting("chat")))
    await until(lambda: len(opener.started) == 1)

    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    opener.gate.set()

    await until_spares_are_ready(pool, 1)
    assert by_work(pool) == (1, 0, 0)


async def test_a_process_that_cannot_be_started_is_an_error_of_the_checkout(
    make: Callable[[int], Pool], opener: Opener
) -> None:
    opener.modes = [UnavailableError("no CLI")]

    with pytest.raises(UnavailableError, match="no CLI"):
        await make(0).checkout(wanting("chat"))


async def test_a_process_that_never_gets_ready_is_an_error_of_the_checkout(
    make: Callable[[int], Pool], opener: Opener
) -> None:
    pool = make(0)
    opener.modes = ["exits"]

    with pytest.raises(UpstreamError):
        await pool.checkout(wanting("chat"))

    await until(lambda: by_work(pool) == (0, 0, 0))


@pytest.mark.parametrize("failure", [UnavailableError("no CLI today"), "exits"])
async def test_a_spare_that_fails_to_start_is_logged_and_tried_again(
    make: Callable[[int], Pool], opener: Opener, caplog: pytest.LogCaptureFixture, failure: str | Exception
) -> None:
    pool = make(1)
    opener.modes = [failure, failure]

    pool.start("chat")
    await until_spares_are_ready(pool, 1)

    assert len(opener.started) == 3
    assert caplog.text.count("no chat process could be kept ready") == 2
    assert (await pool.checkout(wanting("chat"))).alive


async def test_whoever_waits_for_a_spare_that_fails_gets_another_process(
    make: Callable[[int], Pool], opener: Opener
) -> None:
    pool = make(1)
    opener.gate.clear()
    opener.modes = [UnavailableError("not this one")]
    pool.start("chat")
    await until(lambda: len(opener.started) == 1)
    waiting = asyncio.create_task(pool.checkout(wanting("chat")))
    await asyncio.sleep(0)

    opener.gate.set()

    assert (await waiting).alive


async def test_retiring_ends_the_process_without_waiting_and_only_once(make: Callable[[int], Pool]) -> None:
    pool = make(0)
    session = await pool.checkout(wanting("chat"))

    pool.retire(session)
    pool.retire(session)
    assert by_work(pool) == (0, 0, 1)
    assert session.alive

    await until_ended(session.process)


async def test_a_session_that_was_never_the_pools_is_not_touched(make: Callable[[int], Pool], cli: FakeCli) -> None:
    stranger = await cli.session()

    make(0).retire(stranger)
    await asyncio.sleep(0.02)

    assert stranger.alive


async def test_retiring_in_the_middle_of_an_answer_interrupts_first(
    make: Callable[[int], Pool], opener: Opener, cli: FakeCli
) -> None:
    pool = make(0)
    opener.modes = ["works"]
    session = await pool.checkout(wanting("chat"))
    await session.ask(RunRequestFactory.build(), native)
    while not isinstance(await session.receive(), wire.StreamEvent):
        pass

    pool.retire(session)
    await until_ended(session.process)

    assert cli.controls()[-1] == {"subtype": "interrupt"}


async def test_a_process_ends_even_if_its_turn_cannot_be_ended(cli: FakeCli, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_: Session) -> None:
        raise ValueError

    monkeypatch.setattr(Session, "end_turn", fail)
    session = await cli.session()

    with pytest.raises(ValueError):  # noqa: PT011 - whatever it is
        await pool_module._end(session)

    await cli.all_ended()


async def test_retiring_after_an_answer_just_closes(make: Callable[[int], Pool], cli: FakeCli) -> None:
    pool = make(0)
    session = await pool.checkout(wanting("chat"))
    await session.ask(RunRequestFactory.build(), native)
    while not isinstance(await session.receive(), wire.Result):
        pass

    pool.retire(session)
    await until_ended(session.process)

    assert session.process.returncode == 0
    assert [request["subtype"] for request in cli.controls()] == ["initialize"]


async def test_a_process_that_died_in_the_middle_of_an_answer_is_retired_like_any_other(
    make: Callable[[int], Pool], opener: Opener
) -> None:
    pool = make(0)
    opener.modes = ["dies"]
    session = await pool.checkout(wanting("chat"))
    await session.ask(RunRequestFactory.build(), native)
    with pytest.raises(UpstreamError):
        while True:
            await session.receive()
    await until_ended(session.process)

    pool.retire(session)
    await pool.stop()

    assert by_work(pool) == (0, 0, 0)


@pytest.mark.usefixtures("hurried")
async def test_retiring_a_process_that_no_longer_reads_ends_it_all_the_same(
    make: Callable[[int], Pool], opener: Opener
) -> None:
    pool = make(0)
    opener.modes = ["deaf later"]
    session = await pool.checkout(wanting("chat"))
    asking = asyncio.create_task(session.ask(RunRequestFactory.build(turns=conversation("x" * (3 << 20))), native))
    await asyncio.sleep(0.05)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)

    pool.retire(session)

    async with asyncio.timeout(2):
        await session.process._process.wait()


@pytest.mark.usefixtures("hurried")
async def test_stopping_leaves_no_process_neither_busy_nor_spare_nor_starting(
    make: Callable[[int], Pool], opener: Opener, cli: FakeCli
) -> None:
    pool = make(2)
    opener.modes = ["works", "", "deaf"]
    pool.start("chat")
    await until_spares_are_ready(pool, 2)
    busy = await pool.checkout(wanting("chat"))
    await busy.ask(RunRequestFactory.build(), native)
    await until(lambda: len(cli.told("start")) == 3)  # the third never gets ready

    await pool.stop()

    assert by_work(pool) == (0, 0, 0)
    assert [session.alive for session in opener.sessions] == [False] * 3
    await cli.all_ended()


async def test_stopping_waits_for_processes_that_are_already_on_their_way_out(
    make: Callable[[int], Pool], cli: FakeCli
) -> None:
    pool = make(0)
    session = await pool.checkout(wanting("chat"))
    pool.retire(session)

    await pool.stop()

    assert not session.alive
    await cli.all_ended()


async def test_stopping_twice_or_before_the_start_is_no_error(make: Callable[[int], Pool]) -> None:
    pool = make(1)
    await pool.stop()
    await pool.stop()


@pytest.mark.usefixtures("hurried")
async def test_stopping_ends_a_checkout_that_waits_for_its_process(
    make: Callable[[int], Pool], opener: Opener, cli: FakeCli
) -> None:
    pool = make(0)
    opener.modes = ["deaf"]
    waiting = asyncio.create_task(pool.checkout(wanting("chat")))
    await until(lambda: len(cli.told("start")) == 1)

    await pool.stop()

    assert isinstance(await outcome(waiting), BaseException)
    await cli.all_ended()


async def test_a_process_whose_start_began_before_the_stop_does_not_outlive_it(
    make: Callable[[int], Pool], opener: Opener, cli: FakeCli
) -> None:
    pool = make(0)
    opener.gate.clear()
    waiting = asyncio.create_task(pool.checkout(wanting("chat")))
    await until(lambda: len(opener.started) == 1)

    await pool.stop()
    opener.gate.set()

    assert isinstance(await outcome(waiting), BaseException)
    await cli.all_ended()


async def test_a_checkout_that_the_stop_ended_is_told_so_by_an_error_for_the_client(
    make: Callable[[int], Pool], opener: Opener
) -> None:
    pool = make(0)
    opener.gate.clear()
    waiting = asyncio.create_task(pool.checkout(wanting("chat")))
    await until(lambda: len(opener.started) == 1)

    await pool.stop()

    assert isinstance(await outcome(waiting), RelayError)


async def test_after_the_stop_nothing_is_handed_out(make: Callable[[int], Pool], cli: FakeCli) -> None:
    pool = make(0)
    await pool.stop()

    late = await outcome(asyncio.ensure_future(pool.checkout(wanting("chat"))))

    assert isinstance(late, UnavailableError)
    assert cli.told("start") == []


async def outcome(task: asyncio.Task[Session]) -> Session | BaseException:
    """Return what a task came to; its cancellation must not be taken for the test's own."""
    (came,) = await asyncio.gather(task, return_exceptions=True)
    return came


async def test_a_process_that_never_answers_is_given_up_and_ended(
    make: Callable[[int], Pool], opener: Opener, cli: FakeCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "_START_TIMEOUT", 0.1)
    opener.modes = ["deaf"]
    pool = make(0)

    with pytest.raises(UpstreamError, match="does not answer") as raised:
        await pool.checkout(RunRequestFactory.build())

    assert raised.value.code == "claude_unresponsive"
    await pool.stop()
    await cli.all_ended()
