"""One question is one request upstream in ``chat``, also where the CLI would ask a second one by itself."""

from typing import Any

import pytest

from tests.live.relay import Relay
from tests.upstream import FakeUpstream, Message, Text, Thinking, ToolUse, text

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
QUICKEST = 0.2
"""Seconds that a real upstream takes at least, in which the CLI is told that this turn asks nothing more."""
SILENT = {
    "nothing": Message(blocks=(), head_delay=QUICKEST),
    "a stop sequence at once": Message(blocks=(), stop_reason="stop_sequence", head_delay=QUICKEST),
    "an empty text": Message(blocks=(Text("", chunks=()),), head_delay=QUICKEST),
    "thinking": Message(blocks=(Thinking("Hm."),), head_delay=QUICKEST),
    "thinking and a stop sequence": Message(
        blocks=(Thinking("Hm."),), stop_reason="stop_sequence", head_delay=QUICKEST
    ),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("reply", SILENT.values(), ids=SILENT.keys())
def test_an_answer_without_words_is_an_answer(
    chat: Relay, upstream: FakeUpstream, reply: Message, *, stream: bool
) -> None:
    upstream.replies(reply)

    response = chat.chat("?", stop=["END"], stream=stream)
    chat.settle()

    assert response.status_code == 200
    assert len(upstream.messages_requests) == 1
    if stream:
        assert '"finish_reason":"stop"' in response.text
    else:
        (choice,) = response.json()["choices"]
        assert (choice["message"]["content"], choice["finish_reason"]) == ("", "stop")
    assert chat.chat("And now?").json()["choices"][0]["message"]["content"]


def test_an_answer_of_white_space_is_told_as_it_is(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(text(" \n", chunks=(" ", "\n"), interval=QUICKEST))

    assert chat.chat("?").json()["choices"][0]["message"]["content"] == " \n"
    chat.settle()
    assert len(upstream.messages_requests) == 1


@pytest.mark.parametrize("written", ['{"city": "Par', "[1]", "plain words", '{"a":1} {'])
def test_a_call_whose_arguments_do_not_parse_is_the_clients(chat: Relay, upstream: FakeUpstream, written: str) -> None:
    calls = (ToolUse("toolu_1", "f", {}, written=written), ToolUse("toolu_2", "f", {"a": 1}))
    asked = 0
    # nobody sees this end coming: the CLI is killed before it asks again, for which a busy machine may be too slow
    for _ in range(3):
        upstream.clear()
        upstream.replies(Message(blocks=calls))
        message: Any = chat.chat("?", tools=[TOOL]).json()["choices"][0]["message"]
        chat.settle()
        assert [call["function"]["arguments"] for call in message["tool_calls"]] == [written, '{"a": 1}']
        if (asked := len(upstream.messages_requests)) == 1:
            break
    assert asked == 1
