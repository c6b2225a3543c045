"""A process as a conversation partner, against a small stand-in for the CLI."""

import asyncio
import logging
from typing import Any

import pytest
from msgspec.structs import replace

from claude_relay.engine.claude import configuration, wire
from claude_relay.engine.claude import session as session_module
from claude_relay.engine.claude.control import ProcessGoneError
from claude_relay.engine.claude.history import native
from claude_relay.engine.claude.models import Models
from claude_relay.engine.claude.session import Session
from claude_relay.engine.vocabulary import Decision, JsonOutput, RunRequest, Sampling, Tool
from claude_relay.errors import UnavailableError, UpstreamError
from claude_relay.settings import Personality
from tests.unit.engine.claude.fakes import CAPABLE, FakeCli, until_ended
from tests.unit.factories import RunRequestFactory, conversation

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def answer(session: Session) -> str:
    """Return the text up to the result."""
    pieces = []
    while not isinstance(line := await session.receive(), wire.Result):
        match line:
            case wire.StreamEvent(wire.ContentBlockDelta(wire.TextPiece(text))):
                pieces.append(text)
    return "".join(pieces)


async def until_message_ends(session: Session) -> None:
    """Read up to the reason why the model stopped."""
    while True:
        match await session.receive():
            case wire.StreamEvent(wire.MessageDelta()):
                return


def hello(**fields: Any) -> RunRequest:
    return RunRequestFactory.build(**fields)


@pytest.mark.parametrize("mode", ["", "garbage"])
async def test_a_session_is_ready_when_the_process_answers_whatever_it_says_before(cli: FakeCli, mode: str) -> None:
    session = await cli.session(mode)

    await session.ready()

    assert [line["request"]["subtype"] for line in cli.told("control_request")] == [
        "get_settings",
        "list_models",
    ]
    assert session.alive


async def test_a_process_whose_upstream_would_be_the_relay_is_never_ready(cli: FakeCli) -> None:
    others = await cli.session("loops", is_relay="http://127.0.0.1:9999".__eq__)
    relays = await cli.session("loops", is_relay="http://127.0.0.1:8082".__eq__)

    await others.ready()
    with pytest.raises(UnavailableError, match=r"settings\.json") as raised:
        await relays.ready()

    assert (raised.value.code, raised.value.should_retry) == ("upstream_is_relay", False)


async def test_a_process_that_exits_at_once_is_never_ready_and_its_last_words_are_logged(
    cli: FakeCli, caplog: pytest.LogCaptureFixture
) -> None:
    session = await cli.session("exits")

    with pytest.raises(UpstreamError) as raised:
        await session.ready()

    assert raised.value.code == "claude_exited"
    assert "cannot start: no disk" not in raised.value.message
    assert "cannot start: no disk" in caplog.text
    await until_ended(session.process)
    assert not session.alive


async def test_last_words_that_come_after_the_end_of_the_output_are_logged_too(
    cli: FakeCli, caplog: pytest.LogCaptureFixture
) -> None:
    session = await cli.session("exits with late words")

    with pytest.raises(UpstreamError):
        await session.ready()

    assert "cannot start: no disk" in caplog.text


async def test_a_question_is_answered(cli: FakeCli) -> None:
    session = await cli.session()
    await session.ready()

    await session.ask(hello(turns=conversation("What is up?")), native)
    assert session.in_turn

    assert await answer(session) == "You said: What is up?"
    assert not session.in_turn


@pytest.mark.parametrize(
    ("personality", "system", "fields"),
    [
        ("chat", "Be brief.", {"systemPrompt": ["Be brief."]}),
        ("chat", None, {"systemPrompt": [""]}),
        ("agent", "Be brief.", {"appendSystemPrompt": "Be brief."}),
        ("agent", None, {}),
    ],
)
async def test_the_callers_words_are_the_whole_prompt_of_a_chat_and_follow_that_of_an_agent(
    cli: FakeCli, personality: Personality, system: str | None, fields: dict[str, Any]
) -> None:
    session = await cli.session(personality=personality)

    await session.ask(hello(system=system, personality=personality), native)
    await answer(session)

    assert cli.controls() == [{"subtype": "initialize", "title": "claude-relay", **fields}]


async def test_another_model_is_set_with_a_boundary_before_anything_is_said(cli: FakeCli) -> None:
    session = await cli.session()

    await session.ask(hello(model="opus", turns=conversation("Hi", "Hello", "Again")), native)
    await answer(session)

    kinds = [line.get("subtype") or line.get("request", {}).get("subtype") or line["type"] for line in cli.work()]
    assert kinds == ["start", "initialize", "apply_flag_settings", "compact_boundary", "user", "assistant", "user"]
    assert cli.controls()[1] == {
        "subtype": "apply_flag_settings",
        "settings": configuration.defaults("opus", "chat"),
    }


async def test_the_past_is_that_of_the_model_by_its_full_id_which_is_asked_by_its_name(cli: FakeCli) -> None:
    models = Models()
    models.learn_listed([wire.ListedModel("sonnet", "claude-sonnet-9")])
    session = Session(await cli.spawn(), "chat", "sonnet", lambda: CAPABLE, models=models)

    await session.ask(hello(turns=conversation("Hi", "Hello", "Again")), native)
    await answer(session)

    assert [line["message"]["model"] for line in cli.told("assistant")] == ["claude-sonnet-9"]
    assert [control["subtype"] for control in cli.controls()] == ["initialize"]


async def test_the_past_is_written_turn_by_turn_and_each_batch_waits_for_its_result(cli: FakeCli) -> None:
    session = await cli.session()

    await session.ask(hello(turns=conversation("1", "2", "3", "4", "5")), native)

    assert await answer(session) == "You said: 5"
    assert cli.told("impatient") == []
    turns = cli.told("user", "assistant")
    assert [(turn["type"], turn["message"]["content"][0]["text"]) for turn in turns] == [
        ("user", "1"),
        ("assistant", "2"),
        ("user", "3"),
        ("assistant", "4"),
        ("user", "5"),
    ]
    assert [turn.get("shouldQuery", True) for turn in turns if turn["type"] == "user"] == [False, False, True]


async def test_no_two_control_requests_share_an_id(cli: FakeCli) -> None:
    session = await cli.session()
    await session.ready()

    await session.ask(hello(model="opus"), native)
    await answer(session)

    ids = [line["request_id"] for line in cli.told("control_request")]
    assert len(ids) == len(set(ids)) == 5


@pytest.mark.parametrize("mode", ["garbage", "asks", "no UTF-8"])
async def test_what_the_relay_does_not_understand_does_not_stop_an_answer(cli: FakeCli, mode: str) -> None:
    session = await cli.session(mode)
    await session.ready()

    await session.ask(hello(), native)

    assert (await answer(session)).startswith("You said: ")


async def test_lines_that_are_no_json_are_logged_without_what_they_say(
    cli: FakeCli, caplog: pytest.LogCaptureFixture
) -> None:
    session = await cli.session("garbage")
    await session.ready()
    await session.ask(hello(), native)
    await answer(session)

    assert "no JSON line" in caplog.text
    assert "Welcome!" not in caplog.text


async def test_a_question_of_the_cli_that_nobody_knows_is_refused_by_name(cli: FakeCli) -> None:
    session = await cli.session("asks")

    await session.ask(hello(), native)

    assert await answer(session) == "You said: claude-relay does not know 'can_use_tool'"
    (refusal,) = cli.told("control_response")
    assert refusal["response"]["request_id"] == "theirs"


@pytest.mark.parametrize(("approve", "behavior"), [(True, "allow"), (False, "deny")])
async def test_a_process_that_asks_hears_what_was_decided(cli: FakeCli, approve: bool, behavior: str) -> None:
    session = await cli.session("asks", "agent", asks=True)

    await session.ask(hello(), native)
    while not isinstance(asked := await session.receive(), wire.ControlRequest):
        pass
    await session.permit(asked, Decision("a", approve))

    assert f'"behavior": "{behavior}"' in await answer(session)


async def test_what_is_asked_between_two_questions_is_denied(cli: FakeCli) -> None:
    session = await cli.session("asks later", "agent", asks=True)
    await session.ask(hello(), native)
    await answer(session)

    session.watch(lambda _: None)
    async with asyncio.timeout(5):
        while not cli.told("control_response"):  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.01)

    (reply,) = cli.told("control_response")
    assert (reply["response"]["request_id"], reply["response"]["response"]["behavior"]) == ("later", "deny")
    await session.end_turn()


@pytest.mark.parametrize("texts", [("Hi",), ("Hi", "Hello", "Again")])
async def test_a_refused_configuration_is_an_error(cli: FakeCli, texts: tuple[str, ...]) -> None:
    session = await cli.session("refuses")

    with pytest.raises(UpstreamError, match="too late") as raised:
        await session.ask(hello(turns=conversation(*texts)), native)
        await answer(session)

    assert raised.value.code == "claude_refused"


async def test_a_result_that_cannot_be_read_is_an_error_and_not_an_endless_wait(cli: FakeCli) -> None:
    session = await cli.session("unreadable")
    await session.ask(hello(), native)

    with pytest.raises(UpstreamError) as raised:
        await answer(session)

    assert raised.value.code == "claude_unreadable"


async def test_a_process_that_dies_in_the_middle_of_an_answer_is_an_error_after_what_it_said(
    cli: FakeCli, caplog: pytest.LogCaptureFixture
) -> None:
    session = await cli.session("dies")
    await session.ask(hello(), native)
    said = await session.receive()
    while not isinstance(said, wire.StreamEvent):
        said = await session.receive()

    with pytest.raises(UpstreamError) as raised:
        await answer(session)

    assert raised.value.code == "claude_exited"
    assert "out of memory" in caplog.text


async def test_the_end_of_a_process_is_logged_once_and_not_at_all_where_the_relay_ended_it(
    cli: FakeCli, caplog: pytest.LogCaptureFixture
) -> None:
    for dismissed in (True, False):
        session = await cli.session("exits")
        await until_ended(session.process)
        session.process.dismissed = dismissed
        for _ in range(3):
            with pytest.raises(ProcessGoneError) as raised:
                await session.ready()
            assert raised.value.last_words == "cannot start: no disk"
        logged = [record.levelname for record in caplog.records if record.levelname == "ERROR"]
        assert logged == ([] if dismissed else ["ERROR"])


async def test_a_process_that_was_given_a_request_is_not_quoted(cli: FakeCli, caplog: pytest.LogCaptureFixture) -> None:
    session = await cli.session("exits")
    session._channel.is_bound = True
    await until_ended(session.process)

    with pytest.raises(ProcessGoneError) as raised:
        await session.ready()

    assert "no disk" not in caplog.text + raised.value.last_words


async def test_asking_a_process_that_has_gone_is_an_error_of_the_upstream(cli: FakeCli) -> None:
    session = await cli.session("exits")
    await until_ended(session.process)

    with pytest.raises(UpstreamError):
        await session.ask(hello(), native)


async def test_an_interrupt_ends_the_turn(cli: FakeCli) -> None:
    session = await cli.session("works")
    await session.ask(hello(), native)
    while not isinstance(await session.receive(), wire.StreamEvent):
        pass

    await session.interrupt()

    assert await answer(session) == ""
    assert cli.controls()[-1] == {"subtype": "interrupt"}
    assert not session.in_turn


@pytest.mark.parametrize("personality", ["chat", "agent"])
async def test_an_answer_that_is_cut_short_is_interrupted_and_its_cost_is_known(
    cli: FakeCli, personality: Personality
) -> None:
    session = await cli.session("works", personality)
    await session.ask(hello(), native)
    assert session.cost is None

    await session.abort()

    assert cli.controls()[-1] == {"subtype": "interrupt"}
    assert session.cost == 0.25
    assert session.alive
    assert session.aborted
    assert not session.in_turn


@pytest.mark.parametrize(("personality", "code"), [("chat", -9), ("agent", None)])
async def test_where_an_interrupt_changes_nothing_a_chat_is_killed_and_an_agent_may_have_tools_to_end(
    cli: FakeCli, monkeypatch: pytest.MonkeyPatch, personality: Personality, code: int | None
) -> None:
    monkeypatch.setattr(session_module, "_INTERRUPT_TIMEOUT", 0.05)
    session = await cli.session("works on", personality)
    await session.ask(hello(), native)

    await session.abort()
    if code is not None:
        await until_ended(session.process)

    assert session.process.returncode == code
    assert session.in_turn
    assert session.cost is None


LIMITED = Sampling(max_tokens=5)


@pytest.mark.parametrize(
    ("mode", "fields"), [("goes on", {"sampling": LIMITED}), ("calls", {"tools": (Tool("time", "", {}),)})]
)
async def test_where_the_cli_would_ask_again_it_is_kept_from_it_and_can_be_used_again(
    cli: FakeCli, mode: str, fields: dict[str, Any]
) -> None:
    session = await cli.session(mode)
    await session.ask(hello(**fields), native)
    await until_message_ends(session)

    await session.abort()

    assert session.cost == 0.5
    assert session.aborted
    assert session.alive
    assert not session.in_turn
    assert cli.controls()[-1]["settings"] == {"env": configuration.BLOCKED}


async def test_the_next_question_opens_the_fence(cli: FakeCli) -> None:
    session = await cli.session("goes on")
    await session.ask(hello(sampling=LIMITED), native)
    await until_message_ends(session)
    await session.abort()

    await session.ask(hello(sampling=LIMITED), native)
    assert not session.aborted
    await until_message_ends(session)

    (limit,) = configuration.BLOCKED
    set_ = [request["settings"]["env"][limit] for request in cli.controls() if "settings" in request]
    assert set_ == [configuration.UNLIMITED, "1", configuration.UNLIMITED, "1"]


@pytest.mark.parametrize(
    "fields",
    [{}, {"sampling": LIMITED, "output": JsonOutput({})}],
    ids=["no limit", "an answer by tool, which takes several calls of the model"],
)
async def test_an_answer_without_a_limit_of_its_own_is_not_fenced_and_ends_with_its_process(
    cli: FakeCli, fields: dict[str, Any]
) -> None:
    session = await cli.session("goes on")
    await session.ask(hello(**fields), native)
    await until_message_ends(session)

    await session.abort()
    await until_ended(session.process)

    assert session.process.returncode == -9


async def test_a_cli_that_cannot_be_fenced_is_not_and_ends_with_its_answer(cli: FakeCli) -> None:
    session = await cli.session("goes on", capabilities=replace(CAPABLE, single_request=False))
    await session.ask(hello(sampling=LIMITED), native)
    await until_message_ends(session)

    await session.abort()
    await until_ended(session.process)

    assert configuration.BLOCKED not in [request.get("settings", {}).get("env") for request in cli.controls()]


async def test_a_fence_that_came_too_early_costs_a_process_and_no_answer(cli: FakeCli) -> None:
    session = await cli.session("asks nothing")
    await session.ask(hello(sampling=LIMITED), native)

    with pytest.raises(ProcessGoneError, match="without asking the upstream"):
        await answer(session)


@pytest.mark.parametrize("personality", ["chat", "agent"])
async def test_an_answer_that_is_over_cannot_be_cut_short(cli: FakeCli, personality: Personality) -> None:
    session = await cli.session(personality=personality)
    await session.ask(hello(personality=personality), native)
    await answer(session)

    await session.abort()

    assert session.alive
    assert [request["subtype"] for request in cli.controls()] == ["initialize"]


async def test_the_turn_of_a_process_that_has_gone_is_over_without_a_word(
    cli: FakeCli, caplog: pytest.LogCaptureFixture
) -> None:
    session = await cli.session("dies")
    await session.ask(hello(), native)
    with pytest.raises(ProcessGoneError):
        await answer(session)
    await until_ended(session.process)
    caplog.clear()

    await session.end_turn()

    assert caplog.records == []


async def test_interrupting_a_process_that_has_gone_is_no_error(cli: FakeCli) -> None:
    session = await cli.session("exits")
    await until_ended(session.process)

    await session.interrupt()


async def test_secrets_of_a_conversation_do_not_reach_the_log(cli: FakeCli, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "claude_relay")
    session = await cli.session("dies")
    await session.ask(hello(system="SECRET", turns=conversation("SECRET")), native)

    with pytest.raises(UpstreamError):
        await answer(session)

    assert "SECRET" not in caplog.text


async def test_a_conversation_that_begins_with_the_assistant_does_not_wait_for_a_result_that_never_comes(
    cli: FakeCli,
) -> None:
    session = await cli.session()
    _, *turns = conversation("", "Welcome!", "Hi")

    async with asyncio.timeout(2):
        await session.ask(hello(turns=tuple(turns)), native)

    assert await answer(session) == "You said: Hi"
    assert [line["type"] for line in cli.told("user", "assistant")] == ["assistant", "user"]


async def test_a_process_that_writes_nothing_but_noise_is_given_up(cli: FakeCli) -> None:
    session = await cli.session("noise")

    with pytest.raises(UpstreamError) as raised:
        await session.ready()

    assert raised.value.code == "claude_unreadable"


async def test_a_question_that_cannot_be_read_is_an_error_at_once(cli: FakeCli) -> None:
    session = await cli.session("deep")

    with pytest.raises(UpstreamError) as raised:
        await session.ask(hello(), native)
        await answer(session)

    assert raised.value.code == "claude_unreadable"


@pytest.mark.parametrize("personality", ["chat", "agent"])
async def test_a_schema_that_the_cli_drops_is_an_error_before_anything_is_asked(
    cli: FakeCli, personality: Personality
) -> None:
    session = await cli.session("drops", personality)

    with pytest.raises(UpstreamError) as raised:
        await session.ask(hello(output=JsonOutput({"type": "object"}), personality=personality), native)
        await answer(session)
    await until_ended(session.process)

    assert raised.value.code == "claude_refused"
    assert not session.request_sent
