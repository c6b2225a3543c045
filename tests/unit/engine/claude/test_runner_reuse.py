"""The runner keeps processes and uses them again, if the self-test says so."""

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from claude_relay.engine.claude import runner as runner_module
from claude_relay.engine.claude.capabilities import SelfTestResult
from claude_relay.engine.claude.pool import Limits, Pool
from claude_relay.engine.claude.runner import ClaudeCodeRunner, likely, limits, self_test_pauses
from claude_relay.engine.limits.resources import Bound, Resources
from claude_relay.engine.limits.sizing import Size, size
from claude_relay.engine.vocabulary import Event, RunEnd, RunRequest, RunStarted, TextDelta
from claude_relay.settings import Personality, Settings
from tests.unit.engine.claude.fakes import FakeCli
from tests.unit.factories import RunRequestFactory, conversation

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

Make = Callable[..., Awaitable[ClaudeCodeRunner]]
ALL = SelfTestResult(
    text=True, reuse=True, reset=True, tools=True, interrupt=True, single_request=True, tied=True, peers=True
)


@pytest.fixture
async def make(cli: FakeCli) -> AsyncIterator[Make]:
    """Make runners that have started, and are stopped in the end."""
    runners: list[ClaudeCodeRunner] = []

    async def build(mode: str = "", **chosen: Any) -> ClaudeCodeRunner:
        fields = {"self_test": False, "warm": 0, **chosen}
        settings = Settings(claude_path=str(cli.executable()), personality="chat", **fields)
        runners.append(ClaudeCodeRunner(settings, {**cli.environ, "FAKE_CLI": mode}))
        await runners[-1].start()
        await asyncio.sleep(0.01)
        return runners[-1]

    yield build
    for runner in runners:
        await runner.stop()


def asking(*texts: str, **fields: Any) -> RunRequest:
    return RunRequestFactory.build(turns=conversation(*texts), **fields)


async def asked(runner: ClaudeCodeRunner, *texts: str, **fields: Any) -> list[Event]:
    return [event async for event in runner.run(asking(*texts, **fields))]


def got(runner: ClaudeCodeRunner) -> dict[str, int]:
    """Return how requests got their processes, by what health says."""
    processes = runner.health().detail["processes"]
    return {how: processes[how] for how in ("reused", "reset", "prewarmed", "started") if processes[how]}


def said(cli: FakeCli) -> list[str]:
    return [line["message"]["content"][0]["text"] for line in cli.told("user", "assistant")]


# --- conversations ---------------------------------------------------------------------------------------------------


async def test_a_conversation_lives_in_one_process_and_each_turn_is_written_once(make: Make, cli: FakeCli) -> None:
    runner = await make()
    turns: list[str] = []

    for question in ("one", "two", "three"):
        turns.append(question)
        (_, said_, _) = await asked(runner, *turns)
        assert isinstance(said_, TextDelta)
        turns.append(said_.text)

    assert got(runner) == {"started": 1, "reused": 2}
    assert said(cli) == ["one", "two", "three"]


async def test_another_conversation_of_the_caller_is_asked_of_the_emptied_process(make: Make, cli: FakeCli) -> None:
    runner = await make()

    await asked(runner, "one")
    await asked(runner, "two")

    assert got(runner) == {"started": 1, "reset": 1}
    assert len(cli.told("start")) == 1


async def test_callers_do_not_share_processes(make: Make) -> None:
    runner = await make()

    for caller in ("ann", "bob", "ann", "bob"):
        await asked(runner, "Hi", caller=caller)

    assert got(runner) == {"started": 2, "reset": 2}


async def test_a_conversation_whose_process_was_killed_is_rebuilt(make: Make, cli: FakeCli) -> None:
    runner = await make()
    await asked(runner, "one")
    (session,) = runner._pool._idle
    session.process.kill()

    answer = await asked(runner, "one", "You said: one", "two")

    assert answer[-3:-1] == [RunStarted("started"), TextDelta("You said: two")]
    assert said(cli)[1:] == ["one", "You said: one", "two"]


async def test_where_nothing_is_used_again_each_turn_gets_a_process(make: Make) -> None:
    runner = await make(reuse=False)

    await asked(runner, "one")
    await asked(runner, "one", "You said: one", "two")

    assert got(runner) == {"started": 2}


async def test_a_process_is_back_before_the_client_knows_of_the_end(make: Make) -> None:
    runner = await make()
    run = runner.run(asking("one"))
    async for event in run:
        if isinstance(event, RunEnd):
            assert (runner._pool.counts.busy, runner._pool.counts.idle) == (0, 1)


async def test_costs_are_told_turn_by_turn(make: Make) -> None:
    runner = await make()

    ends = [(await asked(runner, text))[-1] for text in ("one", "two")]

    assert [end.cost for end in ends if isinstance(end, RunEnd)] == [0.5, 0.5]


async def test_an_answer_is_continued_where_it_is_held(make: Make) -> None:
    runner = await make()
    await asked(runner, "one")

    await asked(runner, "one", "You said: one")

    assert got(runner) == {"started": 1, "reused": 1}


# --- the self-test ---------------------------------------------------------------------------------------------------


async def examined(runner: ClaudeCodeRunner) -> str:
    """Return what health says of the self-test once it is over."""
    async with asyncio.timeout(5):
        while (verdict := str(runner.health().detail["self_test"])) == "running":  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.001)
    return verdict


@pytest.mark.parametrize(
    ("missing", "verdict", "reuse", "reset"),
    [
        ({}, "passed", True, True),
        ({"reset": False}, "failed: reset", True, False),
        ({"reuse": False, "tools": False}, "failed: reuse, tools", False, True),
        ({"peers": False}, "failed: peers", True, True),
        ({"tied": False}, "failed: tied", True, True),
        ({"tied": False, "peers": False}, "failed: tied, peers", False, True),
    ],
)
async def test_what_fails_the_self_test_is_not_used_and_told(
    make: Make, monkeypatch: pytest.MonkeyPatch, missing: dict[str, bool], verdict: str, reuse: bool, reset: bool
) -> None:
    async def run_self_test(*_: object) -> SelfTestResult:
        return replace(ALL, **missing)

    monkeypatch.setattr(runner_module, "run_self_test", run_self_test)
    runner = await make(self_test=True)

    assert await examined(runner) == verdict
    assert (runner._capabilities.reuse, runner._capabilities.reset) == (reuse, reset)


async def test_until_the_self_test_is_over_nothing_is_used_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = asyncio.Event()

    async def run_self_test(*_: object) -> SelfTestResult:
        await gate.wait()
        return ALL

    monkeypatch.setattr(runner_module, "run_self_test", run_self_test)
    runner = await make(self_test=True)
    assert runner.health().detail["self_test"] == "running"

    await asked(runner, "one")
    await asked(runner, "two")
    gate.set()

    assert got(runner) == {"started": 2}
    assert await examined(runner) == "passed"


async def test_a_self_test_that_could_not_be_made_was_not_passed(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run_self_test(*_: object) -> SelfTestResult:
        raise OSError("no room for a home")

    monkeypatch.setattr(runner_module, "run_self_test", run_self_test)
    runner = await make(self_test=True)

    assert await examined(runner) == "failed: everything"


async def test_a_self_test_that_failed_is_made_again_with_growing_pauses(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdicts = iter((replace(ALL, reset=False), replace(ALL, reuse=False, reset=False), ALL))

    async def run_self_test(*_: object) -> SelfTestResult:
        return next(verdicts)

    monkeypatch.setattr(runner_module, "run_self_test", run_self_test)
    monkeypatch.setattr(runner_module, "self_test_pauses", lambda: itertools.repeat(0.001))
    runner = await make(self_test=True)
    assert runner._self_testing is not None
    await asyncio.wait_for(runner._self_testing, 5)

    assert list(itertools.islice(self_test_pauses(), 8)) == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert runner.health().detail["self_test"] == "passed"
    assert (runner._capabilities.reuse, runner._capabilities.reset) == (True, True)


async def test_a_self_test_that_was_not_made_was_not_passed(make: Make) -> None:
    assert await examined(await make(self_test=True, reuse=False)) != "passed"


async def test_a_spare_that_was_started_before_the_verdict_follows_it_too(
    make: Make, monkeypatch: pytest.MonkeyPatch, cli: FakeCli
) -> None:
    gate = asyncio.Event()

    async def run_self_test(*_: object) -> SelfTestResult:
        await gate.wait()
        return replace(ALL, text=False)

    monkeypatch.setattr(runner_module, "run_self_test", run_self_test)
    runner = await make(self_test=True, warm=1)
    async with asyncio.timeout(5):
        while not cli.told("control_request"):  # noqa: ASYNC110 - the pool tells nobody
            await asyncio.sleep(0.01)
    gate.set()
    await examined(runner)

    await asked(runner, "/clear")

    assert said(cli) == [" /clear"]


# --- limits ----------------------------------------------------------------------------------------------------------


def size_of(settings: Settings, megabytes: int = 1 << 14) -> Size:
    return size(settings, Resources(Bound(megabytes << 20, "machine"), Bound(2, "machine")))


def limits_of(**chosen: Any) -> Limits:
    settings = Settings(**chosen)
    return limits(settings, size_of(settings))


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, ("agent", "chat")),
        ({"personality": "chat"}, ("chat",)),
        ({"personality": "chat", "personality_for": ("ann=agent",)}, ("chat", "agent")),
        ({"personality": "agent", "personality_for": ("webui=chat",)}, ("agent", "chat")),
        ({"max_processes": 10, "max_concurrent": 4, "warm": 3}, ("agent",)),
        ({"max_processes": 11, "max_concurrent": 4, "warm": 3}, ("agent", "chat")),
    ],
)
def test_what_will_likely_be_asked_is_the_operators_choice_and_a_plain_model_for_those_with_tools(
    chosen: dict[str, Any], expected: tuple[Personality, ...]
) -> None:
    settings = Settings(**chosen)

    assert likely(settings, size_of(settings)) == expected


@pytest.mark.parametrize(("megabytes", "expected"), [(1024, 1), (2048, 2), (4096, 2), (1 << 14, 2)])
def test_a_small_machine_keeps_its_room_for_answers_and_their_conversations(megabytes: int, expected: int) -> None:
    assert len(likely(Settings(), size_of(Settings(), megabytes))) == expected


@pytest.mark.parametrize(("asked_for", "made"), [(1, 6), (6, 6), (50, 50)])
def test_there_may_always_be_as_many_processes_as_answers_and_spares(asked_for: int, made: int) -> None:
    assert limits_of(max_processes=asked_for, max_concurrent=4, warm=2).processes == made


def test_limits_are_the_operators_and_nothing_is_used_again_unasked() -> None:
    found = limits_of(warm=3, idle_timeout=5.0, max_process_turns=7, max_process_memory=2)

    assert (found.warm, found.idle_seconds, found.turns, found.memory) == (3, 5.0, 7, 2 << 20)
    assert found.processes > 3


async def test_a_question_is_asked_elsewhere_where_a_process_cannot_prove_that_it_is_empty(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    runner = await make("forgets nothing")
    await asked(runner, "one")

    events = await asked(runner, "two")

    assert isinstance(events[-1], RunEnd)
    assert [event.origin for event in events if isinstance(event, RunStarted)] == ["reset", "started"]
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["You said: two"]
    assert "could not prove that it has forgotten" in caplog.text


async def test_the_self_test_lets_requests_go_first_but_not_for_ever(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    went_on = asyncio.Event()

    async def run_self_test(_: Any, __: Any, let_others_go_first: Callable[[], Awaitable[None]]) -> SelfTestResult:
        await let_others_go_first()
        went_on.set()
        return ALL

    monkeypatch.setattr(runner_module, "run_self_test", run_self_test)
    monkeypatch.setattr(runner_module, "_SELF_TEST_WAITS", 0.2)
    monkeypatch.setattr(runner_module, "_SELF_TEST_PAUSE", 0.001)
    monkeypatch.setattr(Pool, "is_quiet", False)
    await make(self_test=True)
    await asyncio.sleep(0.05)
    assert not went_on.is_set()

    async with asyncio.timeout(2):
        await went_on.wait()


async def test_a_cli_that_was_replaced_is_examined_before_its_processes_are_used_again(
    make: Make, cli: FakeCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    examined: list[str] = []
    finish = asyncio.Event()

    async def run_self_test(installation: Any, *_: Any) -> SelfTestResult:
        examined.append(installation.version_text)
        await finish.wait()
        return ALL

    monkeypatch.setattr(runner_module, "run_self_test", run_self_test)
    runner = await make(self_test=True)
    finish.set()
    await asyncio.sleep(0.01)
    await asked(runner, "one")
    assert runner.health().detail["self_test"] == "passed"
    finish.clear()

    path = cli.executable()
    path.write_text(path.read_text() + "# a newer one\n")
    await asked(runner, "two", caller="another")
    await asked(runner, "one", "You said: one", "more")

    assert examined == ["2.1.330", "2.1.330"]
    assert runner.health().detail["self_test"] == "running"
    # the old one went on, and neither is kept until the new one is known to be good
    assert got(runner) == {"started": 2, "reused": 1}
    assert runner.health().detail["processes"]["idle"] == 0


async def test_a_private_directory_that_was_tidied_away_is_made_again(make: Make, cli: FakeCli) -> None:
    runner = await make(reuse=False)
    await asked(runner, "one")
    (place,) = {start["cwd"] for start in cli.told("start")}
    shutil.rmtree(Path(place).parent)

    assert TextDelta("You said: two") in await asked(runner, "two")
