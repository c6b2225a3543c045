"""One question, one answer: streaming and not, through the real CLI."""

import json
import time

import pytest

from tests.live.bodies import conversation, system_text
from tests.live.relay import Relay
from tests.upstream import FakeUpstream, Message, Text, Thinking, Usage, text


def test_a_plain_answer_has_text_finish_reason_and_true_token_counts(either: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(text("Hi there.", usage=Usage(input_tokens=7, cache_read=11, cache_creation=13, output_tokens=5)))
    answer = either.openai.chat.completions.create(model="sonnet", messages=[{"role": "user", "content": "Hello!"}])
    assert answer.object == "chat.completion"
    assert answer.model == "sonnet"
    assert answer.choices[0].message.content == "Hi there."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (31, 5, 36)
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 11
    assert len(upstream.messages_requests) == 1


def test_deltas_arrive_as_the_model_writes_them(either: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(text("one two three four", chunks=("one ", "two ", "three ", "four"), interval=0.3))
    either.wait_for_spare()
    arrivals: list[tuple[str, float]] = []
    stream = either.openai.chat.completions.create(
        model="sonnet", messages=[{"role": "user", "content": "Count"}], stream=True
    )
    for chunk in stream:
        arrivals.extend((choice.delta.content, time.monotonic()) for choice in chunk.choices if choice.delta.content)
    assert [piece for piece, _ in arrivals] == ["one ", "two ", "three ", "four"]
    sent = upstream.messages_requests[0].sent
    lateness = [arrived - left for (_, arrived), left in zip(arrivals, sent, strict=True)]
    assert max(lateness) < 0.25, "a delta waited for the next one"
    assert arrivals[-1][1] - arrivals[0][1] > 0.7


def test_a_stream_has_exactly_the_frames_that_clients_need(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(text("ab", chunks=("a", "b")))
    with chat.http.stream("POST", "/v1/chat/completions", json=_streamed()) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-cache"
        frames = [line for line in response.iter_lines() if line]
    assert frames[-1] == "data: [DONE]"
    chunks = [json.loads(frame.removeprefix("data: ")) for frame in frames[:-1]]
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": ""},
        {"content": "a"},
        {"content": "b"},
        {},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, None, "stop"]
    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks}) == 1
    assert not any("usage" in chunk for chunk in chunks)


def test_usage_comes_once_and_only_when_it_was_asked_for(chat: Relay) -> None:
    stream = chat.openai.chat.completions.create(
        model="sonnet",
        messages=[{"role": "user", "content": "Hello!"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    usages = [(chunk.choices, chunk.usage) for chunk in stream if chunk.usage]
    assert len(usages) == 1
    choices, usage = usages[0]
    assert choices == []
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens == 423


def test_thinking_is_never_content(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(Message(blocks=(Thinking("Let me see."), Text("42"))))
    message = chat.chat("?").json()["choices"][0]["message"]
    assert message["content"] == "42"
    assert message["reasoning_content"] == "Let me see."


@pytest.mark.parametrize(
    ("asked", "sent"), [("sonnet", "claude-sonnet"), ("opus", "claude-opus"), ("claude-haiku-4-5", "claude-haiku-4-5")]
)
def test_the_model_is_the_one_that_was_asked_for(either: Relay, upstream: FakeUpstream, asked: str, sent: str) -> None:
    assert either.chat("hi", model=asked).json()["model"] == asked
    (request,) = upstream.messages_requests
    assert request.body is not None
    assert request.body["model"].startswith(sent)
    assert conversation(request.body) == [("user", ["hi"])]


def test_without_a_model_the_default_answers(chat: Relay, upstream: FakeUpstream) -> None:
    response = chat.http.post("/chat/completions", json={"messages": [{"role": "user", "content": "hi"}]})
    assert response.json()["model"] == "sonnet"
    body = upstream.messages_requests[0].body
    assert body is not None
    assert body["model"].startswith("claude-sonnet")


def test_the_models_suffix_chooses_the_personality(agent: Relay, upstream: FakeUpstream) -> None:
    agent.chat("hi", model="sonnet:chat")
    agent.chat("hi", model="sonnet:agent")
    lean, full = (request.body for request in upstream.messages_requests)
    assert lean is not None
    assert full is not None
    assert lean["tools"] == []
    assert "Bash" in {tool["name"] for tool in full["tools"]}


def test_the_path_works_without_the_prefix(chat: Relay) -> None:
    for path in ("/chat/completions", "/v1/chat/completions"):
        response = chat.http.post(path, json={"messages": [{"role": "user", "content": "hi"}]})
        assert response.status_code == 200, path


def test_a_form_content_type_is_still_read_as_json(chat: Relay) -> None:
    response = chat.http.post(
        "/v1/chat/completions",
        content=json.dumps({"messages": [{"role": "user", "content": "hi"}]}),
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert response.status_code == 200


def test_the_system_message_is_the_whole_prompt_of_chat(chat: Relay, upstream: FakeUpstream) -> None:
    chat.post(messages=[{"role": "system", "content": "Only rhymes."}, {"role": "user", "content": "hi"}])
    body = upstream.messages_requests[0].body
    assert body is not None
    assert body["system"][-1]["text"] == "Only rhymes."
    assert len(system_text(body)) < 300


def test_the_system_message_follows_claude_codes_own_prompt_in_agent(agent: Relay, upstream: FakeUpstream) -> None:
    agent.post(messages=[{"role": "system", "content": "Only rhymes."}, {"role": "user", "content": "hi"}])
    body = upstream.messages_requests[0].body
    assert body is not None
    assert body["system"][-1]["text"].endswith("Only rhymes.")
    assert len(system_text(body)) > 2000


def _streamed() -> dict[str, object]:
    return {"model": "sonnet", "messages": [{"role": "user", "content": "hi"}], "stream": True}
