"""``POST /v1/completions`` over the echo runner: what it answers, refuses, and names."""

import json
from typing import Any

import pytest

from tests.api.conftest import Client


def told(text: str) -> list[dict[str, Any]]:
    """Return the chunks of a stream that ends as OpenAI's do."""
    *events, done = text.removesuffix("\n\n").split("\n\n")
    assert done == "data: [DONE]"
    return [json.loads(event.removeprefix("data: ")) for event in events]


@pytest.mark.parametrize("path", ["/completions", "/v1/completions"])
def test_a_text_is_continued(client: Client, path: str) -> None:
    response = client.post(path, json={"model": "m", "prompt": "a b", "user": "u", "nonsense": 1})

    answer = response.json()
    assert answer["id"].startswith("cmpl-")
    assert (answer["object"], answer["model"]) == ("text_completion", "m")
    assert answer["choices"] == [{"text": "a b", "index": 0, "logprobs": None, "finish_reason": "stop"}]
    assert response.headers["x-claude-relay-ignored"] == "user, nonsense"
    assert response.headers["x-claude-relay-personality"] == "chat"


def test_each_prompt_has_its_continuations_in_order(client: Client) -> None:
    answer = client.post("/v1/completions", json={"prompt": ["a", "b c"], "n": 2, "echo": True}).json()

    assert [choice["text"] for choice in answer["choices"]] == ["aa", "aa", "b cb c", "b cb c"]
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    assert answer["usage"]["completion_tokens"] == 6


def test_sixteen_tokens_are_enough_unless_more_are_asked_for(client: Client) -> None:
    prompt = "word " * 20
    short, long = (
        client.post("/v1/completions", json={"prompt": prompt, **more}).json()["choices"][0]
        for more in ({}, {"max_tokens": 20})
    )

    assert (short["text"], short["finish_reason"]) == ("word " * 16, "length")
    assert (long["text"], long["finish_reason"]) == (prompt, "stop")


def test_a_stream_has_data_lines_alone_and_ends_with_the_usage(client: Client) -> None:
    body = {"prompt": ["a b", "c"], "stream": True, "stream_options": {"include_usage": True}, "stop": "b"}

    response = client.post("/v1/completions", json=body)

    chunks = told(response.text)
    assert response.headers["content-type"].startswith("text/event-stream")
    texts = ["", ""]
    for chunk in chunks[:-1]:
        (choice,) = chunk["choices"]
        texts[choice["index"]] += choice["text"]
        assert chunk["usage"] is None
    assert texts == ["a ", "c"]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] > 0


def test_a_failure_before_the_stream_has_its_status_and_one_within_it_is_an_event(client: Client) -> None:
    early = client.post("/v1/completions", json={"prompt": "!echo error=429\na", "stream": True})
    late = client.post("/v1/completions", json={"prompt": "!echo error=502 after=1\na b", "stream": True})

    assert (early.status_code, early.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert '"text":"a "' in late.text
    assert json.loads(late.text.strip().split("\n\n")[-1].removeprefix("data: "))["error"]["code"] == "upstream_error"


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": "a", "logprobs": 1}, "logprobs"),
        ({"prompt": {}}, "prompt"),
        ({}, "prompt"),
    ],
)
def test_what_cannot_be_served_is_a_400(client: Client, wrong: dict[str, Any], param: str) -> None:
    response = client.post("/v1/completions", json=wrong)

    assert (response.status_code, response.json()["error"]["param"]) == (400, param)
