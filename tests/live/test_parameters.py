"""Each parameter on the upstream's request, and on the answer."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.relay import Relay, clean_environment, relay
from tests.upstream import FakeUpstream, Message, Text, Thinking, ToolUse, Usage, text

SAMPLED = "claude-sonnet-4-6"
"""A model that takes sampling options."""


def _sent(upstream: FakeUpstream, index: int = 0) -> dict[str, Any]:
    body = upstream.messages_requests[index].body
    assert body is not None
    return body


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({"temperature": 0.3, "model": SAMPLED}, {"temperature": 0.3}),
        ({"temperature": 1.7, "model": SAMPLED}, {"temperature": 1}),
        ({"temperature": 0, "model": SAMPLED}, {"temperature": 0}),
        ({"top_p": 0.5, "model": "house-model"}, {"top_p": 0.5}),
        ({"top_k": 7, "model": SAMPLED}, {"top_k": 7}),
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stop": ["a", " ", "b"]}, {"stop_sequences": ["a", "b"]}),
        ({"max_tokens": 77}, {"max_tokens": 77}),
        ({"max_completion_tokens": 78, "max_tokens": 77}, {"max_tokens": 78}),
        ({"reasoning_effort": "low"}, {"output_config": {"effort": "low"}}),
        ({"reasoning_effort": "minimal"}, {"output_config": {"effort": "low"}}),
        ({"reasoning_effort": "max"}, {"output_config": {"effort": "max"}}),
    ],
)
@pytest.mark.parametrize("kind", ["chat", "verbatim"])
def test_what_is_asked_for_is_sent(
    request: pytest.FixtureRequest, upstream: FakeUpstream, kind: str, asked: dict[str, Any], sent: dict[str, Any]
) -> None:
    running: Relay = request.getfixturevalue(kind)
    response = running.chat("hi", **asked)
    assert response.status_code == 200
    assert "x-claude-relay-ignored" not in response.headers
    assert response.headers["x-claude-relay-personality"] == "chat"
    body = _sent(upstream)
    assert {name: body[name] for name in sent} == sent
    assert len(upstream.messages_requests) == 1


def test_a_choice_of_words_switches_thinking_off_and_a_wish_to_think_wins(chat: Relay, upstream: FakeUpstream) -> None:
    assert "x-claude-relay-ignored" not in chat.chat("hi", model=SAMPLED, temperature=0.2).headers
    assert chat.chat("hi", temperature=0.2, reasoning_effort="high").headers["x-claude-relay-ignored"] == "temperature"
    assert chat.chat("hi", reasoning_effort="none").status_code == 200
    worded, thoughtful, thoughtless = (_sent(upstream, index) for index in range(3))
    assert "thinking" not in worded
    assert "context_management" not in worded
    assert "temperature" not in thoughtful
    assert thoughtful["thinking"]["type"] == "adaptive"
    assert "thinking" not in thoughtless


def test_nothing_of_one_request_reaches_the_next(chat: Relay, upstream: FakeUpstream) -> None:
    chat.chat("hi", model=SAMPLED, temperature=0.2, stop=["x"], max_tokens=5, reasoning_effort="none")
    chat.chat("hi", model=SAMPLED)
    body = _sent(upstream, 1)
    assert not {"temperature", "stop_sequences"} & set(body)
    assert body["max_tokens"] > 1000
    assert body["thinking"]["type"] == "adaptive"


def test_an_agent_reports_what_would_bend_its_work(agent: Relay, upstream: FakeUpstream) -> None:
    response = agent.chat("hi", temperature=0.2, max_tokens=5, top_p=0.1, reasoning_effort="low")
    assert set(response.headers["x-claude-relay-ignored"].split(", ")) == {"temperature", "max_tokens", "top_p"}
    assert response.headers["x-claude-relay-personality"] == "agent"
    body = _sent(upstream)
    assert "temperature" not in body
    assert body["output_config"] == {"effort": "low"}


def test_a_token_limit_ends_the_answer_and_the_clis_own_continuation(chat: Relay, upstream: FakeUpstream) -> None:
    # as slow as the quickest of real ones: the CLI must be told in time that this turn asks nothing more
    upstream.replies(*[text("so far", stop_reason="max_tokens", head_delay=0.2)] * 4)
    answer = chat.chat("hi", max_tokens=2).json()
    chat.settle()
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["choices"][0]["message"]["content"] == "so far"
    assert answer["usage"]["completion_tokens"] == 3
    # left alone, the CLI makes four
    assert len(upstream.messages_requests) == 1


@pytest.mark.parametrize(
    "empty", [Message(blocks=(), head_delay=0.2), Message(blocks=(Thinking("hm"),), head_delay=0.2)]
)
def test_an_answer_without_words_is_not_asked_for_again_where_there_is_a_limit(
    chat: Relay, upstream: FakeUpstream, empty: Message
) -> None:
    upstream.replies(empty, text("again"))
    answer = chat.chat("hi", max_tokens=50).json()
    chat.settle()
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["choices"][0]["message"]["content"] == ""
    assert len(upstream.messages_requests) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_white_space_can_stop_an_answer_too(either: Relay, upstream: FakeUpstream, stream: bool) -> None:
    upstream.replies(text("one\ntwo\n\nthree", chunks=("one\nt", "wo\n", "\nthr", "ee"), interval=0.05))
    response = either.chat("hi", stop=["\n\n"], stream=stream)
    if stream:
        frames = [json.loads(line[6:]) for line in response.text.split("\n\n") if line.startswith("data: {")]
        content = "".join(frame["choices"][0]["delta"].get("content", "") for frame in frames)
        finish = frames[-1]["choices"][0]["finish_reason"]
    else:
        content = response.json()["choices"][0]["message"]["content"]
        finish = response.json()["choices"][0]["finish_reason"]
    assert (content, finish) == ("one\ntwo", "stop")


def test_an_answer_that_the_relay_stops_is_no_longer_written_and_its_process_is_used_again(
    chat: Relay, upstream: FakeUpstream, *, current: bool
) -> None:
    chat.chat("once, so that there is a process", stop=["\n"])
    before = chat.processes()
    upstream.clear()
    for _ in range(3):
        upstream.replies(text("one two", chunks=("one ", "two"), interval=5))
        answer = chat.chat("hi", stop=[" "]).json()
        assert upstream.messages_requests[-1].disconnected.wait(1)
        assert answer["choices"][0]["message"]["content"] == "one"
        assert "cost" in answer["usage"]

    assert chat.processes()["reset"] - before["reset"] == (3 if current else 0)
    assert len(upstream.messages_requests) == 3


def test_several_answers_come_with_their_indexes_and_summed_usage(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(*(text(f"answer {number}", usage=Usage(1, 2, 3, 4)) for number in range(3)))
    answer = chat.chat("hi", n=3).json()
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    assert {choice["message"]["content"] for choice in answer["choices"]} == {"answer 0", "answer 1", "answer 2"}
    assert answer["usage"]["prompt_tokens"] == 18
    assert answer["usage"]["completion_tokens"] == 12


def test_several_answers_stream_side_by_side(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(*(text(f"{number}-{number}", chunks=(f"{number}", f"-{number}")) for number in range(2)))
    stream = chat.openai.chat.completions.create(
        model="sonnet",
        n=2,
        stream=True,
        stream_options={"include_usage": True},
        messages=[{"role": "user", "content": "hi"}],
    )
    texts, ends, usages = {0: "", 1: ""}, [], 0
    for chunk in stream:
        usages += chunk.usage is not None
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            ends += [choice.index] if choice.finish_reason else []
    assert set(texts.values()) == {"0-0", "1-1"}
    assert sorted(ends) == [0, 1]
    assert usages == 1


def test_usage_tells_cost_and_thinking_of_this_request_alone(
    chat: Relay, upstream: FakeUpstream, current: bool
) -> None:
    upstream.replies(text("a", usage=Usage(1000, 0, 0, 500)), text("b", usage=Usage(1000, 0, 0, 500)))
    first, second = (chat.chat("hi").json()["usage"] for _ in range(2))
    assert first["cost"] == pytest.approx(second["cost"])
    assert first["cost"] > 0
    assert first.get("completion_tokens_details") == ({"reasoning_tokens": 0} if current else None)


@pytest.fixture
def custom(home: Path, upstream: FakeUpstream, claude_path: str) -> Iterator[Relay]:
    """A relay with every choice that is off by default."""
    choices = {
        "personality": "agent",
        "strict": True,
        "reasoning": False,
        "show_activity": True,
        "alias": ("gpt-4o=sonnet:chat", "smart=opus"),
        "permission_mode": "dontAsk",
    }
    with relay(home, clean_environment(home, upstream), claude_path=claude_path, warm=0, **choices) as running:
        yield running


def test_the_operators_choices(custom: Relay, upstream: FakeUpstream, current: bool) -> None:
    # an alias is listed, and answered under the name the client used
    assert [model["id"] for model in custom.http.get("/v1/models").json()["data"]][-2:] == ["gpt-4o", "smart"]
    upstream.replies(Message(blocks=(Thinking("hm"), Text("hello"))))
    answer = custom.chat("hi", model="gpt-4o")
    assert answer.json()["model"] == "gpt-4o"
    assert answer.headers["x-claude-relay-personality"] == "chat"
    assert _sent(upstream)["model"].startswith("claude-sonnet")
    # thinking is hidden
    assert "reasoning_content" not in answer.json()["choices"][0]["message"]
    # what the model takes is known after the first answer
    (model,) = (model for model in custom.http.get("/v1/models").json()["data"] if model["id"] == "gpt-4o")
    assert model["context_length"] == (1_000_000 if current else 200_000)
    # a client's own suffix wins over the alias's
    assert custom.chat("hi", model="smart:chat").headers["x-claude-relay-personality"] == "chat"
    # what has no effect is an error
    refused = custom.chat("hi", seed=1)
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "unsupported_parameter"
    assert refused.json()["error"]["param"] == "seed"
    # what the agent does is shown
    call = ToolUse("toolu_1", "Bash", {"command": "npm  test\n && true", "description": "x"})
    upstream.replies(Message(blocks=(call,)), text("done"))
    message = custom.chat("work", model="sonnet").json()["choices"][0]["message"]
    assert message["reasoning_content"] == "Bash: npm test && true\n"
    assert message["content"] == "done"
