"""The Claude Code runner as a whole, with a small stand-in for the CLI."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from claude_relay.engine.claude import process
from claude_relay.engine.claude import spares as spares_module
from claude_relay.engine.claude.runner import ClaudeCodeRunner
from claude_relay.engine.profiles import Profile
from claude_relay.engine.runner import ClaudeRunner, open_run
from claude_relay.engine.vocabulary import (
    Event,
    JsonOutput,
    ParameterDropped,
    RunEnd,
    RunStarted,
    Sampling,
    TextDelta,
    Usage,
)
from claude_relay.errors import InvalidRequestError, RelayError, UnavailableError, UpstreamError
from claude_relay.settings import Personality, Settings
from tests.unit.engine.claude.fakes import FakeCli
from tests.unit.factories import RunRequestFactory, conversation

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

Make = Callable[..., ClaudeCodeRunner]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spares_module, "_RETRY_DELAY", 0.02)


@pytest.fixture
async def make(cli: FakeCli, tmp_path: Path) -> AsyncIterator[Make]:
    """Make runners that are stopped in the end."""
    runners: list[ClaudeCodeRunner] = []
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "notes.txt").touch()

    def build(mode: str = "", path: Path | None = None) -> ClaudeCodeRunner:
        settings = Settings(
            claude_path=str(path or cli.executable()), cwd=str(tmp_path / "project"), personality="chat", warm=1
        )
        runners.append(ClaudeCodeRunner(settings, {**cli.environ, "FAKE_CLI": mode, "CLAUDECODE": "1"}, cli.spend))
        return runners[-1]

    yield build
    for runner in runners:
        await runner.stop()


async def until_spare(runner: ClaudeCodeRunner) -> None:
    async with asyncio.timeout(5):
        while runner._pool.counts.spare == 0:  # noqa: ASYNC110 - the pool tells nobody
            await asyncio.sleep(0.005)


def test_it_is_a_runner() -> None:
    assert isinstance(ClaudeCodeRunner(Settings(), {}), ClaudeRunner)


async def test_a_request_is_answered_and_its_process_ends(make: Make, cli: FakeCli) -> None:
    runner = make()
    await runner.start()

    events = [event async for event in runner.run(RunRequestFactory.build())]
    await runner.stop()

    assert events[0] in {RunStarted("prewarmed"), RunStarted("started")}
    assert events[1:] == [TextDelta("You said: Hello"), RunEnd("end", Usage(7, 0, 0, 2), cost=0.5)]
    await cli.all_ended()


async def test_requests_at_the_same_time_do_not_mix(make: Make) -> None:
    runner = make()
    await runner.start()

    async def ask(name: str) -> list[Event]:
        return [event async for event in runner.run(RunRequestFactory.build(turns=conversation(name)))]

    answers = await asyncio.gather(*map(ask, "abcd"))

    assert [answer[1] for answer in answers] == [TextDelta(f"You said: {name}") for name in "abcd"]


async def test_a_chat_works_in_an_empty_directory_and_an_agent_in_the_operators(make: Make, cli: FakeCli) -> None:
    runner = make()
    await runner.start()
    await until_spare(runner)

    async for _ in runner.run(RunRequestFactory.build(personality="chat")):
        pass
    async for _ in runner.run(RunRequestFactory.build(personality="agent")):
        pass

    by_personality = {"--safe-mode" in start["argv"]: start for start in cli.told("start")}
    assert by_personality[True]["files"] == []
    assert by_personality[False]["files"] == ["notes.txt"]


async def test_an_agent_of_a_profile_works_in_the_directory_of_its_profile(
    make: Make, cli: FakeCli, tmp_path: Path
) -> None:
    (tmp_path / "docs").mkdir()
    runner = make()
    docs = Profile(name="docs", target="x", model="sonnet", personality="agent", cwd=str(tmp_path / "docs"))

    for profile in (docs, replace(docs, name="elsewhere", cwd=None)):
        async for _ in runner.run(RunRequestFactory.build(personality="agent", profile=profile)):
            pass

    started = [start["cwd"] for start in cli.told("start") if "--safe-mode" not in start["argv"]]
    assert started[:2] == [str(tmp_path / "docs"), str(tmp_path / "project")]


def git(directory: Path, *arguments: str) -> str:
    """Return what a command of git writes."""
    author = ("-c", "user.name=x", "-c", "user.email=x@x.example")
    command = ("git", "-C", str(directory), *author, *arguments)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
async def tree(make: Make, cli: FakeCli, tmp_path: Path) -> Profile:  # noqa: ARG001 - it makes the directory
    """A profile whose agents get worktrees, which are kept in the test's own directory."""
    git(tmp_path / "project", "init", "--quiet")
    git(tmp_path / "project", "commit", "--quiet", "--allow-empty", "--message=first")
    cli.environ["XDG_STATE_HOME"] = str(tmp_path / "state")
    return Profile(name="tree", target="x", model="sonnet", personality="agent", worktree=True)


async def test_an_agent_of_a_profile_with_worktrees_has_one_until_it_ends(
    make: Make, cli: FakeCli, tmp_path: Path, tree: Profile
) -> None:
    runner = make()
    worktrees = tmp_path / "state" / "claude-relay" / "worktrees"

    async for _ in runner.run(RunRequestFactory.build(personality="agent", profile=tree)):
        pass
    (started,) = [start["cwd"] for start in cli.told("start") if "--safe-mode" not in start["argv"]]
    await runner.stop()

    assert started.startswith(f"{worktrees}/tree-")
    assert list(worktrees.iterdir()) == []


async def test_a_plain_model_of_a_profile_with_worktrees_needs_none(
    make: Make, cli: FakeCli, tmp_path: Path, tree: Profile
) -> None:
    runner = make()

    async for _ in runner.run(RunRequestFactory.build(personality="chat", profile=tree)):
        pass
    await runner.stop()

    assert not any("worktrees" in start["cwd"] for start in cli.told("start"))
    assert git(tmp_path / "project", "worktree", "list").count("\n") == 1


async def test_a_worktree_whose_process_does_not_start_is_removed(
    make: Make, tmp_path: Path, tree: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner, places = make(), []

    async def spawn(argv: tuple[str, ...], environ: dict[str, str], cwd: str, **_: Any) -> None:
        places.append(cwd)
        raise UnavailableError(f"{argv[0]} cannot be started", code=environ["PATH"])

    monkeypatch.setattr(process, "spawn", spawn)
    with pytest.raises(UnavailableError, match="cannot be started"):
        async for _ in runner.run(RunRequestFactory.build(personality="agent", profile=tree)):
            pass

    assert [Path(place).parent for place in places] == [tmp_path / "state" / "claude-relay" / "worktrees"]
    assert git(tmp_path / "project", "worktree", "list").count("\n") == 1


async def test_where_no_worktree_can_be_made_the_client_is_told(make: Make) -> None:
    runner = make()
    tree = Profile(name="tree", target="x", model="sonnet", personality="agent", worktree=True)

    with pytest.raises(UnavailableError, match="No git worktree"):
        async for _ in runner.run(RunRequestFactory.build(personality="agent", profile=tree)):
            pass


async def test_the_private_directory_of_chats_is_gone_after_the_stop(make: Make, cli: FakeCli) -> None:
    runner = make()
    await runner.start()
    async for _ in runner.run(RunRequestFactory.build()):
        pass

    await runner.stop()

    (directory,) = {start["cwd"] for start in cli.told("start")}
    assert not os.path.exists(directory)  # noqa: ASYNC240 - nothing else waits here


async def test_closing_a_run_interrupts_the_cli_and_ends_it_and_its_cost_is_told(make: Make, cli: FakeCli) -> None:
    runner = make("works")
    await runner.start()

    run = await open_run(runner, RunRequestFactory.build(account="ann"))
    await run.aclose()
    await runner.stop()

    assert cli.controls()[-1] == {"subtype": "interrupt"}
    assert cli.spent == [("ann", 0.25)]
    await cli.all_ended()


@pytest.mark.parametrize("personality", ["chat", "agent"])
async def test_an_answer_that_met_its_limit_ends_at_once_and_nothing_more_is_asked(
    make: Make, cli: FakeCli, personality: Personality
) -> None:
    runner = make("cut")
    await runner.start()

    events = [event async for event in runner.run(RunRequestFactory.build(personality=personality))]
    await runner.stop()

    cost = 0.25 if personality == "agent" else None
    assert events[1:] == [TextDelta("half"), RunEnd("length", Usage(), cost=cost)]
    interrupts = [request for request in cli.controls() if request["subtype"] == "interrupt"]
    assert bool(interrupts) is (personality == "agent")
    await cli.all_ended()


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ("dies", "claude_exited"),
        ("exits", "claude_exited"),
        ("refuses", "claude_refused"),
        ("unreadable", "claude_unreadable"),
    ],
)
async def test_a_failed_run_is_an_error_and_leaves_no_process(make: Make, cli: FakeCli, mode: str, code: str) -> None:
    runner = make(mode)
    await runner.start()

    with pytest.raises(UpstreamError) as raised:
        async for _ in runner.run(RunRequestFactory.build()):
            pass
    await runner.stop()

    assert raised.value.code == code
    await cli.all_ended()


@pytest.mark.parametrize(("mode", "expected"), [("dies", False), ("dies asking", None)])
async def test_a_run_that_failed_after_its_answer_began_is_not_worth_a_second_price(
    make: Make, mode: str, expected: bool | None
) -> None:
    runner = make(mode)
    await runner.start()

    with pytest.raises(UpstreamError) as raised:
        await asked(runner)

    assert (raised.value.code, raised.value.should_retry) == ("claude_exited", expected)


async def test_health_tells_the_version_and_the_processes(make: Make) -> None:
    runner = make()
    assert runner.health().status == "degraded"
    await runner.start()
    await until_spare(runner)

    health = runner.health()

    assert health.status == "ok"
    assert (health.detail["claude_version"], health.detail["personality"]) == ("2.1.330", "chat")
    processes = health.detail["processes"]
    assert (processes["spare"], processes["busy"], processes["ending"]) == (1, 0, 0)


async def test_without_a_cli_the_runner_starts_degraded_and_says_what_to_do(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runner = make(path=tmp_path / "missing")

    await runner.start()

    health = runner.health()
    assert health.status == "degraded"
    assert "missing" in (health.reason or "")
    assert "--claude-path" in (health.remedy or "")
    assert "missing" in caplog.text
    with pytest.raises(UnavailableError) as raised:
        await anext(runner.run(RunRequestFactory.build()))
    assert raised.value.code == "claude_not_found"


async def test_a_cli_that_is_installed_later_is_found(make: Make, cli: FakeCli, tmp_path: Path) -> None:
    runner = make(path=tmp_path / "claude")
    (tmp_path / "claude").unlink(missing_ok=True)
    await runner.start()
    with pytest.raises(RelayError):
        await anext(runner.run(RunRequestFactory.build()))

    cli.executable()

    events = [event async for event in runner.run(RunRequestFactory.build())]
    assert isinstance(events[-1], RunEnd)
    assert runner.health().status == "ok"


async def test_stopping_what_was_never_started_is_no_error(make: Make) -> None:
    await make().stop()


# --- wishes ----------------------------------------------------------------------------------------------------------


async def asked(runner: ClaudeCodeRunner, **fields: Any) -> list[Event]:
    return [event async for event in runner.run(RunRequestFactory.build(**fields))]


async def test_what_the_upstream_refuses_is_left_out_until_it_is_taken_named_and_remembered(
    make: Make, cli: FakeCli
) -> None:
    runner = make("picky")
    await runner.start()
    wishes = Sampling(temperature=0.5, top_p=0.5, top_k=5)

    events = await asked(runner, sampling=wishes)
    again = await asked(runner, sampling=wishes)
    await runner.stop()

    assert [type(event) for event in events[:-2]] == [
        *(RunStarted, ParameterDropped),
        *(RunStarted, ParameterDropped),
        RunStarted,
    ]
    assert [event for event in events if isinstance(event, ParameterDropped)] == [
        ParameterDropped("top_k"),
        ParameterDropped("top_p"),
    ]
    assert events[-2] == TextDelta("You said: Hello")
    assert [type(event) for event in again] == [ParameterDropped, ParameterDropped, RunStarted, TextDelta, RunEnd]
    assert len(cli.told("user")) == 4
    await cli.all_ended()


async def test_what_is_refused_whatever_is_left_out_is_an_error_and_not_remembered(make: Make, cli: FakeCli) -> None:
    runner = make("stubborn")
    await runner.start()

    for _ in range(2):
        with pytest.raises(InvalidRequestError, match="top_k"):
            await asked(runner, sampling=Sampling(top_k=5))
    await runner.stop()

    assert len(cli.told("user")) == 4
    await cli.all_ended()


async def test_a_constrained_answer_that_the_upstream_refuses_is_taken_by_a_tool_instead(make: Make) -> None:
    runner = make("picky")
    await runner.start()
    schema = {"type": "object", "required": ["said"]}

    events = await asked(runner, output=JsonOutput(schema, schema))

    assert [type(event) for event in events] == [RunStarted, RunStarted, TextDelta, RunEnd]
    assert events[2] == TextDelta('{"said":"Hello"}')


async def test_an_answer_that_was_begun_is_continued(make: Make, cli: FakeCli) -> None:
    runner = make()
    await runner.start()

    events = await asked(runner, turns=conversation("Hi", "Hel"))
    await runner.stop()

    assert [event.text for event in events if isinstance(event, TextDelta)] == [
        "You said: Continue exactly where your last message ended; do not repeat any of it."
    ]
    await cli.all_ended()


@pytest.mark.parametrize("personality", ["chat", "agent"])
async def test_a_stop_sequence_ends_the_answer_and_the_work(make: Make, cli: FakeCli, personality: Personality) -> None:
    runner = make()
    await runner.start()

    events = await asked(runner, personality=personality, sampling=Sampling(stop=("llo",)))
    await runner.stop()

    assert events[1:-1] == [TextDelta("You said: He")]
    assert getattr(events[-1], "stop", None) == "stop_sequence"
    await cli.all_ended()


async def test_a_context_window_is_known_once_a_model_was_asked(make: Make) -> None:
    runner = make()
    await runner.start()
    assert runner.context_window("sonnet") == 200_000

    await asked(runner)

    assert runner.context_window("sonnet") == 1_000_000
    assert runner.context_window("opus") == 200_000


async def test_the_full_id_of_a_model_is_known_once_it_has_answered(make: Make) -> None:
    runner = make()
    await runner.start()
    before = runner.models

    await asked(runner)
    await asked(runner)

    assert before == ("opus", "sonnet", "haiku")
    assert runner.models == (*before, "some-model")
    assert runner.context_window("some-model") == 1_000_000


async def test_a_question_that_has_reached_the_upstream_is_not_asked_a_second_time(make: Make, cli: FakeCli) -> None:
    runner = make("dies asking")
    await runner.start()
    await until_spare(runner)

    with pytest.raises(UpstreamError) as raised:
        await open_run(runner, RunRequestFactory.build())
    await runner.stop()

    assert raised.value.code == "claude_exited"
    assert len(cli.told("user")) == 1


async def test_a_question_that_the_fence_kept_from_the_upstream_is_asked_again(make: Make, cli: FakeCli) -> None:
    runner = make("asks nothing")
    await runner.start()
    await until_spare(runner)

    with pytest.raises(UpstreamError):
        await open_run(runner, RunRequestFactory.build(sampling=Sampling(max_tokens=1)))
    await runner.stop()

    assert len(cli.told("user")) > 1


async def test_a_cli_that_does_not_start_shows_in_health_with_its_own_words(make: Make) -> None:
    runner = make("exits")
    await runner.start()
    async with asyncio.timeout(5):
        while runner.health().status == "ok":  # noqa: ASYNC110 - the pool tells nobody
            await asyncio.sleep(0.005)

    health = runner.health()
    assert (health.status, health.reason) == ("degraded", "Claude Code does not start. cannot start: no disk")
    assert health.remedy is not None
    assert "limits" in health.detail
