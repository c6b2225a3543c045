"""A request that goes on with a thread is the whole conversation; what is kept of it is what the next one lacks."""

from typing import Any

import msgspec
import pytest

from claude_relay.errors import RelayError
from claude_relay.messages import limits, state
from claude_relay.messages.schemas import MessagesRequest, NewThread
from claude_relay.messages.state import Head, Stored
from tests.unit.messages.bodies import HELLO, TOOL, asked, refusal, request

ANSWER = {"role": "assistant", "content": [{"type": "text", "text": "Hi."}]}
THREAD = Stored(
    msgspec.json.encode(Head([{"type": "text", "text": "Be brief."}], [TOOL])),
    (msgspec.json.encode(HELLO), msgspec.json.encode(ANSWER)),
)
GO_ON = {"type": "continue", "previous_message_id": "msg_1"}


def test_a_request_without_thread_is_what_it_is() -> None:
    assert state.expanded(request(), None) == (request(), 0)
    assert state.expanded(request(), THREAD) == (request(), 0)


def test_a_thread_that_goes_on_has_its_messages_its_prompt_and_its_tools() -> None:
    run = asked(None, THREAD, messages=[{"role": "user", "content": "More"}], thread=GO_ON).run

    assert (
        run
        == asked(messages=[HELLO, ANSWER, {"role": "user", "content": "More"}], system="Be brief.", tools=[TOOL]).run
    )


def test_a_prompt_and_tools_that_come_with_it_take_the_place_of_those() -> None:
    run = asked(None, THREAD, messages=[HELLO], thread=GO_ON, system="Be long.", tools=[]).run

    assert (run.system, run.tools) == ("Be long.", ())


def test_what_is_kept_is_what_the_next_request_lacks() -> None:
    whole, earlier = state.expanded(request(thread=GO_ON), THREAD)

    assert earlier == 2
    kept = state.kept(whole, earlier)
    assert (kept.head, kept.previous, kept.messages) == (THREAD.head, "msg_1", (msgspec.json.encode(HELLO),))
    assert state.kept(request(thread={"type": "create"}), 0).previous is None
    assert state.kept(request(), 0) == state.Kept()
    assert [item.id for item in state.items("msg_2", kept.messages * 2)] == ["msg_2_0", "msg_2_1"]


def test_what_is_nested_too_deeply_to_be_kept_is_refused_before_it_is_asked() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5_000):
        deep = {"a": deep}
    sent = MessagesRequest(messages=[HELLO], tools=[{**TOOL, "input_schema": deep}], thread=NewThread())

    with pytest.raises(RelayError) as raised:
        state.kept(sent, 0)

    assert raised.value.status == 400


def test_where_nothing_is_kept_there_are_no_threads() -> None:
    for thread in (GO_ON, {"type": "create"}):
        with pytest.raises(RelayError) as raised:
            state.expanded(request(thread=thread), None)
        assert raised.value.code == state.UNSUPPORTED


def test_a_whole_conversation_has_limits_too() -> None:
    long = Stored(b"{}", (msgspec.json.encode(HELLO),) * limits.MOST_MESSAGES)

    assert refusal(None, long, thread=GO_ON).param == "messages"


def test_an_error_in_what_is_kept_does_not_name_a_place_in_the_request() -> None:
    broken = Stored(b"{}", (msgspec.json.encode({"role": "user", "content": [{"type": "text"}]}),))

    assert refusal(None, broken, thread=GO_ON).param == "thread.previous_message_id.content[0].text"
    assert refusal(None, THREAD, thread=GO_ON, messages=[{"role": "x"}]).param == "messages[0].role"


@pytest.mark.parametrize(("given", "is_one"), [("msg_1", True), ("", False), ("x" * 201, False), ("ä", False)])
def test_what_can_be_an_id(given: str, is_one: bool) -> None:
    assert state.is_id(given) == is_one
