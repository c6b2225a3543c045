"""Many turns: the upstream sees the client's conversation, turn by turn and word by word."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.live.bodies import conversation
from tests.live.relay import Relay
from tests.upstream import FakeUpstream, Message, text


def _messages(turns: int) -> list[dict[str, str]]:
    roles = ("user", "assistant")
    return [{"role": roles[index % 2], "content": f"turn {index}: ünïcödé\n  kept"} for index in range(turns)]


@pytest.mark.parametrize("turns", [1, 3, 39])
def test_past_turns_reach_the_upstream_as_turns(each: Relay, upstream: FakeUpstream, turns: int) -> None:
    messages = _messages(turns)
    assert each.post(messages=messages).status_code == 200
    (request,) = upstream.messages_requests
    assert request.body is not None
    assert conversation(request.body) == [(message["role"], [message["content"]]) for message in messages]


def test_history_is_right_for_another_model_too(each: Relay, upstream: FakeUpstream) -> None:
    messages = _messages(5)
    assert each.post(messages=messages, model="haiku").status_code == 200
    (request,) = upstream.messages_requests
    assert request.body is not None
    assert request.body["model"].startswith("claude-haiku")
    assert conversation(request.body) == [(message["role"], [message["content"]]) for message in messages]


def test_all_text_parts_count_in_order(chat: Relay, upstream: FakeUpstream) -> None:
    parts = [{"type": "text", "text": word} for word in ("first", "second", "third")]
    chat.post(messages=[{"role": "user", "content": parts}])
    body = upstream.messages_requests[0].body
    assert body is not None
    assert conversation(body) == [("user", ["first", "second", "third"])]


@pytest.mark.parametrize("kind", ["chat", "verbatim"])
def test_two_hundred_turns_arrive_whole(request: pytest.FixtureRequest, upstream: FakeUpstream, kind: str) -> None:
    running: Relay = request.getfixturevalue(kind)
    messages = _messages(201)
    assert running.post(messages=messages).status_code == 200
    (recorded,) = upstream.messages_requests
    assert recorded.body is not None
    assert conversation(recorded.body) == [(message["role"], [message["content"]]) for message in messages]


def test_the_same_conversation_begins_the_same_way_each_time(each: Relay, upstream: FakeUpstream) -> None:
    messages = [{"role": "system", "content": "Be kind."}, *_messages(5)]
    for more in ([], _messages(7)[5:]):
        assert each.post(messages=[*messages, *more]).status_code == 200
    first, second = (request.body for request in upstream.messages_requests)
    assert first is not None
    assert second is not None
    assert first["tools"] == second["tools"]
    # the first system block names the version and a mark of the first text; it is the same here too
    assert first["system"] == second["system"]
    assert conversation(second)[:5] == conversation(first)


def test_tool_calls_and_results_of_the_past_arrive_as_blocks(each: Relay, upstream: FakeUpstream) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
    other = {"id": "call_2", "type": "function", "function": {"name": "time", "arguments": ""}}
    each.post(
        messages=[
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": None, "tool_calls": [call, other]},
            {"role": "tool", "tool_call_id": "call_2", "content": "noon"},
            {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "rain"}]},
            {"role": "assistant", "content": "Rain."},
            {"role": "user", "content": "And now?"},
        ]
    )
    body = upstream.messages_requests[0].body
    assert body is not None
    turns = [message for message in body["messages"] if message["role"] != "system"]
    assert turns[1]["content"] == [
        {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Oslo"}},
        {"type": "tool_use", "id": "call_2", "name": "time", "input": {}},
    ]
    assert [(block["tool_use_id"], block["content"]) for block in turns[2]["content"]] == [
        ("call_2", [{"type": "text", "text": "noon"}]),
        ("call_1", [{"type": "text", "text": "rain"}]),
    ]
    assert turns[3]["content"] == [{"type": "text", "text": "Rain."}]


def test_an_answer_that_was_begun_is_continued_where_the_upstream_allows(
    verbatim: Relay, upstream: FakeUpstream
) -> None:
    begun = [{"role": "user", "content": "Count."}, {"role": "assistant", "content": "One, two, "}]
    upstream.replies(text("three."))
    response = verbatim.post(messages=begun, model="claude-haiku-4-5", reasoning_effort="none")
    assert response.json()["choices"][0]["message"]["content"] == "three."
    (request,) = upstream.messages_requests
    assert request.body is not None
    assert conversation(request.body) == [("user", ["Count."]), ("assistant", ["One, two,"])]


def test_messages_of_one_role_in_a_row_become_one_turn(each: Relay, upstream: FakeUpstream) -> None:
    each.post(
        messages=[
            {"role": "assistant", "content": "Welcome!"},
            {"role": "user", "content": "a"},
            {"role": "user", "content": "b"},
            {"role": "assistant", "content": ""},
            {"role": "user", "content": "c"},
        ]
    )
    body = upstream.messages_requests[0].body
    assert body is not None
    assert conversation(body) == [("user", ["."]), ("assistant", ["Welcome!"]), ("user", ["a", "b", "c"])]


def test_a_megabyte_of_text_arrives_whole(each: Relay, upstream: FakeUpstream) -> None:
    long = "0123456789abcde\n" * 65536
    assert each.chat(long, model="opus").status_code == 200
    body = upstream.messages_requests[0].body
    assert body is not None
    assert conversation(body) == [("user", [long])]


def test_a_long_answer_arrives_whole(chat: Relay, upstream: FakeUpstream) -> None:
    long = "é" * 3_000_000
    upstream.replies(text(long, chunks=2))
    assert chat.chat("go").json()["choices"][0]["message"]["content"] == long


def test_requests_at_the_same_time_do_not_mix(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.default = _echo
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda number: chat.chat(f"question {number}").json(), range(4)))
    assert [answer["choices"][0]["message"]["content"] for answer in answers] == [
        f"answer to question {number}" for number in range(4)
    ]


def _echo(body: dict[str, Any]) -> Message:
    (_, texts), *_ = reversed(conversation(body))
    return text("answer to " + texts[-1], interval=0.05)
