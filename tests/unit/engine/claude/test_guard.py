"""When the CLI is kept from asking again."""

import pytest

from claude_relay.engine.claude import wire
from claude_relay.engine.claude.guard import SingleRequestGuard
from claude_relay.engine.vocabulary import JsonOutput, RunRequest, Sampling, Tool
from tests.unit.factories import RunRequestFactory

ASKING = wire.System("status", status="requesting")
BY_TOOL = JsonOutput({})
CLOCK = Tool("clock", "", {})


def call(name: str, kind: str = "tool_use") -> wire.StreamEvent:
    return wire.StreamEvent(wire.ContentBlockStart(wire.StartedBlock(kind, "toolu_1", name)))


def stopped(reason: str) -> wire.StreamEvent:
    return wire.StreamEvent(wire.MessageDelta(wire.MessageEnd(reason)))


def reply(request_id: str) -> wire.ControlResponse:
    return wire.ControlResponse(wire.ControlReply(request_id, "success"))


def request(**fields: object) -> RunRequest:
    return RunRequestFactory.build(**fields)


LIMITED = request(sampling=Sampling(max_tokens=5))


@pytest.mark.parametrize(
    ("asked", "due"),
    [
        (LIMITED, True),
        (request(sampling=Sampling(max_tokens=5), output=JsonOutput({}, {})), True),
        (request(sampling=Sampling(max_tokens=5), output=BY_TOOL), False),
        (request(sampling=Sampling(max_tokens=5), personality="agent"), False),
        (request(sampling=Sampling(stop=("END",))), True),
        (request(sampling=Sampling(stop=("END",)), output=BY_TOOL), False),
        (request(sampling=Sampling(stop=("END",)), personality="agent"), False),
        (request(), False),
    ],
)
def test_an_answer_with_a_limit_is_guarded_as_soon_as_it_is_asked_for(asked: RunRequest, due: bool) -> None:
    assert SingleRequestGuard.for_request(asked).should_engage(ASKING) is due


def delta(piece: wire.Delta) -> wire.StreamEvent:
    return wire.StreamEvent(wire.ContentBlockDelta(piece))


@pytest.mark.parametrize(
    ("asked", "piece", "due"),
    [
        (request(), wire.TextPiece(" \n"), True),
        (request(), wire.TextPiece(""), True),
        (request(), wire.TextPiece("\nyes"), False),
        (request(), wire.ArgumentsPiece(""), False),
        (request(output=BY_TOOL), wire.TextPiece(" "), False),
        (request(personality="agent"), wire.TextPiece(" "), False),
    ],
)
def test_white_space_is_guarded_as_long_as_no_word_has_come(asked: RunRequest, piece: wire.Delta, due: bool) -> None:
    guard = SingleRequestGuard.for_request(asked)
    if asked.personality == "chat" and asked.output is None:
        assert guard.awaits_words
    if guard.awaits_words:
        guard.observe(delta(piece))

    assert (guard.awaits_words and guard.should_engage(delta(piece))) is due
    assert guard.awaits_words is due


@pytest.mark.parametrize(
    ("asked", "line", "due"),
    [
        (request(tools=(CLOCK,)), call("unknown"), True),
        (request(tools=(CLOCK,)), call("clock"), False),
        (request(tools=(CLOCK,)), call("", "text"), False),
        (request(tools=(CLOCK,), output=BY_TOOL), call("StructuredOutput"), False),
        (request(tools=(CLOCK,), personality="agent"), call("Bash"), False),
        (request(), call("unknown"), False),
        (request(), call("", "thinking"), True),
        (request(), call("", "redacted_thinking"), True),
        (request(output=BY_TOOL), call("", "thinking"), False),
        (request(personality="agent"), call("", "thinking"), False),
    ],
)
def test_what_the_cli_would_go_on_after_is_guarded(asked: RunRequest, line: wire.Line, due: bool) -> None:
    assert SingleRequestGuard.for_request(asked).should_engage(line) is due


@pytest.mark.parametrize("line", [wire.System("status"), wire.System("init"), wire.Result("success")])
def test_nothing_else_closes_it(line: wire.Line) -> None:
    assert not SingleRequestGuard.for_request(LIMITED).should_engage(line)


def test_it_is_closed_once() -> None:
    guard = SingleRequestGuard.for_request(LIMITED)
    guard.engaging = "relay-1"

    assert not guard.should_engage(ASKING)


def test_it_contains_the_turn_if_it_was_closed_before_the_model_stopped() -> None:
    guard = SingleRequestGuard.for_request(LIMITED)
    guard.engaging = "relay-1"

    guard.observe(reply("relay-0"))
    guard.observe(stopped("max_tokens"))
    assert not guard.holds
    guard.observe(reply("relay-1"))
    guard.observe(stopped("max_tokens"))
    assert guard.holds


@pytest.mark.parametrize(("reason", "holds"), [("refusal", True), ("max_tokens", False), ("end_turn", False)])
def test_a_refusal_needs_no_fence(reason: str, holds: bool) -> None:
    guard = SingleRequestGuard()

    guard.observe(reply("relay-1"))
    guard.observe(stopped(reason))

    assert guard.holds is holds
