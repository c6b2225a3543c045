"""A process that is asked again: where its conversation goes on, and where it proves that it has forgotten it."""

import asyncio
import time
from typing import Any

import pytest
from msgspec.structs import replace

from claude_relay.engine.claude import configuration, history, wire
from claude_relay.engine.claude import session as session_module
from claude_relay.engine.claude.control import ProcessGoneError
from claude_relay.engine.claude.history import native
from claude_relay.engine.claude.matching import Conversation
from claude_relay.engine.claude.session import NotEmptyError, Session, UnresponsiveError, UnsolicitedTurnError
from claude_relay.engine.vocabulary import RunRequest, Sampling, Text, Tool, ToolCall, ToolResult, Turn
from tests.unit.engine.claude.composer import OWN_TOOL, Composer, Reply
from tests.unit.engine.claude.fakes import CAPABLE, PROBES, FakeCli, until_ended
from tests.unit.factories import RunRequestFactory, conversation

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

WEATHER = Tool("weather", "Tells the weather.", {"type": "object"})


def asking(*texts: str, **fields: Any) -> RunRequest:
    return RunRequestFactory.build(turns=conversation(*texts), **fields)


async def answered(session: Session, request: RunRequest) -> None:
    await session.ask(request, native)
    while not isinstance(await session.receive(), wire.Result):
        pass


async def held(session: Session, *texts: str, **fields: Any) -> None:
    """Let a session hold a conversation, whose last text is its answer."""
    await answered(session, asking(*texts[:-1], **fields))
    session.settle(conversation(*texts)[-1])


def kinds(lines: list[dict[str, Any]]) -> list[str]:
    """Return what lines are, without the question whether the process is there."""
    found = [line.get("subtype") or line.get("request", {}).get("subtype") or line["type"] for line in lines]
    return [kind for kind in found if kind not in {"start", *PROBES}]


# --- going on --------------------------------------------------------------------------------------------------------


async def test_a_held_conversation_goes_on_with_its_last_turn_alone(cli: FakeCli) -> None:
    session = await cli.session()
    await held(session, "Q1", "A1")
    before = len(cli.work())

    await answered(session, asking("Q1", "A1", "Q2"))

    (line,) = cli.work()[before:]
    assert line["message"]["content"] == [{"type": "text", "text": "Q2"}]
    assert line.get("shouldQuery", True)


async def test_settings_that_differ_are_set_without_a_boundary_which_would_hide_the_conversation(cli: FakeCli) -> None:
    session = await cli.session()
    await held(session, "Q1", "A1")
    before = len(cli.work())
    request = asking("Q1", "A1", "Q2", sampling=Sampling(temperature=0.5))

    await answered(session, request)
    session.settle(Turn("assistant", (Text("A2"),)))
    await answered(session, asking("Q1", "A1", "Q2", "A2", "Q3", sampling=Sampling(temperature=0.5)))
    session.settle(Turn("assistant", (Text("A3"),)))
    await answered(session, asking("Q1", "A1", "Q2", "A2", "Q3", "A3", "Q4"))

    told = cli.work()[before:]
    assert kinds(told) == ["apply_flag_settings", "user", "user", "apply_flag_settings", "user"]
    assert told[0]["request"]["settings"] == configuration.settings(request, history.Plan((), (), {}))
    assert told[3]["request"]["settings"] == configuration.defaults("sonnet", "chat")


async def test_results_of_tools_are_the_last_turn_too(cli: FakeCli) -> None:
    session = await cli.session()
    call, result = ToolCall("toolu_1", "weather", {}), ToolResult("toolu_1", (Text("mild"),))
    turns = (*conversation("Q1"), Turn("assistant", (call,)))
    await answered(session, asking("Q1", tools=(WEATHER,)))
    session.settle(turns[-1])

    await answered(session, RunRequestFactory.build(turns=(*turns, Turn("user", (result,))), tools=(WEATHER,)))

    assert cli.told("user")[-1]["message"]["content"] == [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "mild"}]}
    ]


async def test_a_process_holds_nothing_while_it_is_asked(cli: FakeCli) -> None:
    session = await cli.session()
    await held(session, "Q1", "A1")

    await session.ask(asking("Q1", "A1", "Q2"), native)

    assert (session.history, session.turns, session.in_turn) == (None, 2, True)


async def test_only_the_first_question_binds_a_process(cli: FakeCli) -> None:
    session = await cli.session()
    await held(session, "Q1", "A1", system="Be brief.", caller="ann")
    binding = session.binding

    await answered(session, asking("Q1", "A1", "Q2", system="Be brief.", caller="ann"))

    assert session.binding is binding
    assert kinds(cli.told()).count("initialize") == 1


async def test_a_process_that_died_unseen_has_not_spoken(cli: FakeCli) -> None:
    session = await cli.session()
    await held(session, "Q1", "A1")
    assert session.has_output
    await until_killed(session)

    with pytest.raises(ProcessGoneError):
        await answered(session, asking("Q1", "A1", "Q2"))

    assert not session.has_output


async def until_killed(session: Session) -> None:
    session.process.kill()
    await until_ended(session.process)


# --- agents ----------------------------------------------------------------------------------------------------------


async def agent(reply: Reply | None = None) -> tuple[Session, Composer]:
    """Return an agent that has answered once."""
    process = Composer()
    process.reply = reply or process.reply
    session = Session(process, "agent", "sonnet", lambda: replace(CAPABLE, tied_turns=False))
    await held(session, "Q1", "ok", personality="agent")
    return session, process


async def test_what_an_agent_did_by_itself_stays_in_its_conversation() -> None:
    work = {"type": "tool_use", "id": "own_1", "name": OWN_TOOL, "input": {}}
    session, process = await agent(Reply((work, {"type": "text", "text": "ok"})))

    await answered(session, asking("Q1", "ok", "Q2", personality="agent"))

    roles = [(role, [block["type"] for block in blocks]) for role, blocks in process.ledger.bodies[-1].messages]
    assert roles == [
        ("user", ["text"]),
        ("assistant", ["tool_use"]),
        ("user", ["tool_result"]),
        ("assistant", ["text"]),
        ("user", ["text"]),
    ]


@pytest.mark.parametrize(
    "line",
    [
        {"type": "stream_event", "event": {"type": "message_start", "message": {"usage": {}}}},
        {"type": "assistant", "message": {"content": []}},
        {"type": "result", "subtype": "success"},
    ],
    ids=lambda line: line["type"],
)
async def test_an_agent_that_went_on_by_itself_is_not_asked(line: dict[str, Any]) -> None:
    session, process = await agent()
    process._out.append(line)

    with pytest.raises(ProcessGoneError):
        await session.ask(asking("Q1", "ok", "Q2", personality="agent"), native)

    assert len(process.ledger.bodies) == 1


async def test_an_agent_that_was_quiet_is_asked_whatever_news_there_was_of_itself() -> None:
    session, process = await agent()
    process._out.append({"type": "system", "subtype": "status"})
    process._out.append({"type": "news"})

    await answered(session, asking("Q1", "ok", "Q2", personality="agent"))

    assert len(process.ledger.bodies) == 2


@pytest.mark.parametrize("dead", [True, False], ids=["died unseen", "went on"])
async def test_an_agent_that_cannot_be_asked_has_not_spoken_so_that_another_process_is_tried(dead: bool) -> None:
    session, process = await agent()
    process._out.append({"type": "result", "subtype": "success"})
    if dead:
        process.die(seen=False)

    with pytest.raises(ProcessGoneError):
        await session.ask(asking("Q1", "ok", "Q2", personality="agent"), native)

    assert not session.has_output


# --- forgetting ------------------------------------------------------------------------------------------------------


async def emptied(session: Session, request: RunRequest) -> None:
    """Ask something new, on a process that must forget what it holds."""
    session.forget()
    session.assign("reset")
    await session.ask(request, native)


@pytest.mark.parametrize("mode", ["", "garbled"])
async def test_an_emptied_process_is_told_to_forget_and_asked_at_once_and_its_next_question_is_all_there_is(
    cli: FakeCli, mode: str
) -> None:
    session = await cli.session(mode)
    await held(session, "Q1", "A1")
    before = len(cli.told())
    (first,) = cli.told("user")

    await emptied(session, asking("new", "A", "newer"))
    assert await answer_of(session)

    told = cli.told()[before:]
    assert kinds(told) == ["rewind_conversation", "user", "assistant", "user"]
    assert told[0]["request"] == {
        "subtype": "rewind_conversation",
        "target_message_uuid": first["uuid"],
        "last_seen_user_message_uuid": first["uuid"],
    }
    assert session.history is None


async def test_what_is_forgotten_reaches_from_the_first_line_since_the_last_time_to_the_last(cli: FakeCli) -> None:
    session = await cli.session()
    await held(session, "Q1", "A1")
    await emptied(session, asking("new", "A", "newer"))
    await answer_of(session)
    session.settle(Turn("assistant", (Text("A2"),)))
    await answered(session, asking("new", "A", "newer", "A2", "newest"))
    lines = [line["uuid"] for line in cli.told("user")]

    await emptied(session, asking("afresh"))

    assert cli.controls()[-1]["target_message_uuid"] == lines[1]
    assert cli.controls()[-1]["last_seen_user_message_uuid"] == lines[3]


async def test_an_emptied_process_can_be_told_of_another_model(cli: FakeCli) -> None:
    session = await cli.session()
    await held(session, "Q1", "A1")
    before = len(cli.told())

    await emptied(session, asking("new", model="opus"))
    await answer_of(session)

    told = cli.told()[before:]
    assert kinds(told) == ["rewind_conversation", "apply_flag_settings", "compact_boundary", "user"]
    assert session.model == "opus"


async def test_settings_of_the_same_model_need_no_boundary(cli: FakeCli) -> None:
    session = await cli.session()
    await held(session, "Q1", "A1")
    before = len(cli.told())

    await emptied(session, asking("new", effort="low"))
    await answer_of(session)

    assert kinds(cli.told()[before:]) == ["rewind_conversation", "apply_flag_settings", "user"]


async def test_a_process_knows_which_requests_need_no_other_settings(cli: FakeCli) -> None:
    session = await cli.session()
    request = asking("Q1", sampling=Sampling(temperature=0.5))
    assert not session.is_set_for(request)
    await answered(session, request)

    assert session.is_set_for(asking("other", sampling=Sampling(temperature=0.5)))
    assert not session.is_set_for(asking("other"))
    assert not session.is_set_for(asking("other", sampling=Sampling(temperature=0.5), model="opus"))


@pytest.mark.parametrize(
    "mode",
    [
        "forgets nothing",
        "keeps an answer",
        "says half of it",
        "says it in words",
        "says nothing of it",
        "cannot rewind",
        "dies of it",
    ],
)
async def test_without_a_proof_nothing_of_the_answer_is_read_and_the_process_ends(cli: FakeCli, mode: str) -> None:
    session = await cli.session(mode)
    await held(session, "Q1", "A1")

    async with asyncio.timeout(1):
        with pytest.raises(ProcessGoneError) as raised:
            await emptied(session, asking("new"))

    assert isinstance(raised.value, NotEmptyError) is (mode != "dies of it")
    assert not session.has_output
    await until_ended(session.process)


async def test_the_proof_is_not_waited_for_longer_than_it_can_take(
    cli: FakeCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await cli.session("is silent")
    await held(session, "Q1", "A1")
    monkeypatch.setattr(session_module, "REPLY_TIMEOUT", 0.05)
    began = time.monotonic()

    with pytest.raises(UnresponsiveError):
        await emptied(session, asking("new"))

    assert 0.04 < time.monotonic() - began < 1


async def test_a_process_that_has_gone_proves_nothing(cli: FakeCli) -> None:
    session = await cli.session()
    await held(session, "Q1", "A1")
    await until_killed(session)

    with pytest.raises(ProcessGoneError):
        await emptied(session, asking("new"))


async def test_what_comes_before_the_proof_is_read_after_it() -> None:
    process = Composer()
    session = Session(process, "chat", "sonnet", lambda: CAPABLE)
    await held(session, "Q1", "ok")
    process._out.append({"type": "news", "of": "something"})

    await emptied(session, asking("new"))

    assert isinstance(await session.receive(), wire.Other)
    assert await answer_of(session)


# --- costs -----------------------------------------------------------------------------------------------------------


async def test_a_turns_cost_is_what_the_total_has_grown_by_and_is_told_at_once(cli: FakeCli) -> None:
    session = await cli.session()
    for text in ("one", "two"):
        await answered(session, asking("Q", "A", text, account="ann"))
        assert session.cost == 0.5

    assert cli.spent == [("ann", 0.5)] * 2


async def test_an_agent_that_takes_a_turn_of_its_own_before_the_question_is_asked_no_more(cli: FakeCli) -> None:
    session = await cli.session("wakes", "agent")
    session.history = Conversation.of(conversation("Q1", "A1"))
    await session.ask(asking("Q1", "A1", "Q2", personality="agent"), history.native)

    with pytest.raises(UnsolicitedTurnError):
        await answer_of(session)

    assert not session.request_sent
    assert session.in_turn, "its turn is interrupted when it ends"


async def answer_of(session: Session) -> wire.Result:
    while not isinstance(line := await session.receive(), wire.Result):
        pass
    return line


async def test_the_turn_of_an_older_cli_which_tells_nothing_of_it_is_taken_for_the_answer(cli: FakeCli) -> None:
    session = await cli.session("wakes", "agent", replace(CAPABLE, tied_turns=False))
    session.history = Conversation.of(conversation("Q1", "A1"))
    await session.ask(asking("Q1", "A1", "Q2", personality="agent"), history.native)

    while not isinstance(await session.receive(), wire.Result):
        pass
