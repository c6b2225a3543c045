"""What clients and models really say: ids of other providers, halves of characters, arguments that are no object."""

import json
import re
from typing import Any

import pytest

from tests.live.bodies import conversation
from tests.live.relay import Relay
from tests.upstream import FakeUpstream, Message, Text, ToolUse, text

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
SMILE = "\N{GRINNING FACE}"
UNKNOWN = "\N{REPLACEMENT CHARACTER}"


def _called(call_id: str, arguments: str = "{}") -> dict[str, Any]:
    call = {"id": call_id, "type": "function", "function": {"name": "f", "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _result(call_id: str, content: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def _user(content: str) -> dict[str, Any]:
    return {"role": "user", "content": content}


def _blocks(upstream: FakeUpstream, kind: str) -> list[dict[str, Any]]:
    body = upstream.messages_requests[-1].body
    assert body is not None
    contents = [message["content"] for message in body["messages"] if isinstance(message["content"], list)]
    return [block for content in contents for block in content if block["type"] == kind]


@pytest.mark.parametrize("ids", [("call_0", "call_0"), ("functions.f:0", "call_1|fc_2"), ("", "\N{SNOWMAN}")])
def test_calls_may_have_any_id_and_each_has_its_own_result(
    each: Relay, upstream: FakeUpstream, ids: tuple[str, str]
) -> None:
    first, second = ids
    messages = [
        *(_user("1"), _called(first), _result(first, "one")),
        *(_called(second), _result(second, "two"), {"role": "assistant", "content": "so"}, _user("2")),
    ]

    response = each.post(messages=messages, model="sonnet", tools=[TOOL])

    assert response.status_code == 200
    calls, results = _blocks(upstream, "tool_use"), _blocks(upstream, "tool_result")
    assert [call["id"] for call in calls] == [result["tool_use_id"] for result in results]
    assert len({call["id"] for call in calls}) == 2
    assert all(re.fullmatch("[a-zA-Z0-9_-]+", call["id"]) for call in calls)
    assert [result["content"][0]["text"] for result in results] == ["one", "two"]
    assert len(upstream.messages_requests) == 1


@pytest.mark.parametrize("arguments", ['{"city": "Par', "null", "[]", "plain words", '{"a": "\\ud83d"}'])
def test_past_arguments_may_be_anything(each: Relay, upstream: FakeUpstream, arguments: str) -> None:
    messages = [_user("1"), _called("toolu_1", arguments), _result("toolu_1", "invalid arguments"), _user("2")]

    response = each.post(messages=messages, model="sonnet", tools=[TOOL])

    assert response.status_code == 200
    assert [call["input"] for call in _blocks(upstream, "tool_use")] == [{"input": arguments}]


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (("a \ud83d", "\ude00 b"), f"a {SMILE} b"),
        (("a \ud83d", " b"), f"a {UNKNOWN} b"),
        (("a \ude00 b \ud83d",), f"a {UNKNOWN} b {UNKNOWN}"),
    ],
)
def test_a_character_may_be_cut_and_nothing_hangs(
    either: Relay, upstream: FakeUpstream, pieces: tuple[str, ...], shown: str
) -> None:
    upstream.replies(text(chunks=pieces), text(chunks=pieces))

    told = either.chat("?").json()["choices"][0]["message"]["content"]
    stream = either.openai.chat.completions.create(
        model="sonnet", messages=[{"role": "user", "content": "?"}], stream=True
    )

    assert told == shown
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == shown


def test_half_a_character_in_arguments_is_told_as_its_escape_and_goes_up_again(
    either: Relay, upstream: FakeUpstream
) -> None:
    written = '{"a":"x\ud83d"}'
    upstream.replies(Message(blocks=(Text("Look."), ToolUse("toolu_1", "f", {}, chunks=(written,), written=written))))

    message = either.chat("?", tools=[TOOL]).json()["choices"][0]["message"]
    assert message["tool_calls"][0]["function"]["arguments"] == '{"a":"x\\ud83d"}'
    either.settle()

    messages = [_user("?"), message, _result("toolu_1", "done")]
    assert either.post(messages=messages, model="sonnet", tools=[TOOL]).status_code == 200


def test_what_the_upstream_holds_of_a_conversation_is_in_order(each: Relay, upstream: FakeUpstream) -> None:
    messages = [
        _user("1"),
        _called("x"),
        _result("x", "one"),
        _user("2"),
        _called("x"),
        _result("x", "two"),
        _user("3"),
    ]

    each.post(messages=messages, model="sonnet", tools=[TOOL])

    body = upstream.messages_requests[-1].body
    assert body is not None
    assert [role for role, _ in conversation(body)] == ["user", "assistant", "user", "assistant", "user"]
    assert json.dumps(body).count("tool_use_id") == 2
