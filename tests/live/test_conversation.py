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


@pytest.mark.parametrize("turns", [3, 11])
def test_past_turns_reach_the_upstream_as_turns(either: Relay, upstream: FakeUpstream, turns: int) -> None:
    messages = _messages(turns)
    assert either.post(messages=messages).status_code == 200
    (request,) = upstream.messages_requests
    assert request.body is not None
    assert conversation(request.body) == [(message["role"], [message["content"]]) for message in messages]


def test_history_is_right_for_another_model_too(either: Relay, upstream: FakeUpstream) -> None:
    messages = _messages(5)
    assert either.post(messages=messages, model="haiku").status_code == 200
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


def test_messages_of_one_role_in_a_row_become_one_turn(chat: Relay, upstream: FakeUpstream) -> None:
    chat.post(
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


def test_a_megabyte_of_text_arrives_whole(either: Relay, upstream: FakeUpstream) -> None:
    long = "0123456789abcde\n" * 65536
    assert either.chat(long).status_code == 200
    body = upstream.messages_requests[0].body
    assert body is not None
    assert conversation(body) == [("user", [long])]


def test_a_long_answer_arrives_whole(chat: Relay, upstream: FakeUpstream) -> None:
    long = "é" * 3_000_000
    upstream.replies(text(long, chunks=2))
    assert chat.chat("go").json()["choices"][0]["message"]["content"] == long


def test_requests_at_the_same_time_do_not_mix(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.default = _echo
    try:
        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(lambda number: chat.chat(f"question {number}").json(), range(4)))
    finally:
        upstream.default = text()
    assert [answer["choices"][0]["message"]["content"] for answer in answers] == [
        f"answer to question {number}" for number in range(4)
    ]


def _echo(body: dict[str, Any]) -> Message:
    (_, texts), *_ = reversed(conversation(body))
    return text("answer to " + texts[-1], interval=0.05)
