"""What the Open Responses specification (2026-04-24) asks of a server over HTTP, over the echo runner.

Each of its compliance suite's cases that needs no model is here, with the schemas that the suite checks; those that
need one are in tests/live/test_open_responses.py.
"""

from typing import Any

import pytest

from tests.api.conftest import Client
from tests.open_responses import require_compacted, require_response, require_stream
from tests.unit.responses.bodies import events_of


def say(role: str, content: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": content, **fields}


CASES: dict[str, list[dict[str, Any]]] = {
    "a text": [say("user", "Greet me in three words.")],
    "a system message": [say("system", "You talk like a sailor."), say("user", "Greet me.")],
    "phases in the history": [
        say("assistant", "Let me look at my notes.", phase="commentary"),
        say("assistant", "It is seven.", phase="final_answer"),
        say("user", "Which number was it?"),
    ],
    "several turns": [
        say("user", "I am Berta."),
        say("assistant", "Good day, Berta."),
        say("user", "Who am I?"),
    ],
    "an image": [
        say(
            "user",
            [
                {"type": "input_text", "text": "What is this?"},
                {
                    "type": "input_image",
                    "image_url": "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7",
                },
            ],
        )
    ],
}


@pytest.mark.parametrize("given", CASES.values(), ids=CASES)
def test_an_answer_has_all_fields_and_is_complete(client: Client, given: list[dict[str, Any]]) -> None:
    answer = client.post("/v1/responses", json={"model": "echo", "input": given})

    assert answer.status_code == 200, answer.text
    require_response(answer.json(), "completed")
    assert [item["type"] for item in answer.json()["output"]] == ["message"]


@pytest.mark.parametrize("given", CASES.values(), ids=CASES)
def test_a_stream_has_known_events_with_all_fields_and_ends_with_the_whole_response(
    client: Client, given: list[dict[str, Any]]
) -> None:
    answer = client.post("/v1/responses", json={"model": "echo", "input": given, "stream": True})

    require_stream(events_of(answer.text), "completed")


def test_an_answer_repeats_what_the_request_asked_for(client: Client) -> None:
    tool = {
        "type": "function",
        "name": "look_up",
        "description": "Looks a word up.",
        "parameters": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
        "strict": False,
    }
    asked = {
        "instructions": "Be brief.",
        "tools": [tool],
        "tool_choice": "none",
        "temperature": 0.5,
        "top_p": 0.9,
        "max_output_tokens": 1000,
        "metadata": {"case": "echo"},
        "safety_identifier": "somebody",
        "prompt_cache_key": "a-key",
        "parallel_tool_calls": False,
        "store": False,
    }

    answer = client.post("/v1/responses", json={"model": "echo", "input": "Hello", **asked}).json()

    require_response(answer, "completed")
    assert {name: answer[name] for name in asked} == asked


def test_an_answer_that_is_cut_off_says_why_whole_or_streamed(client: Client) -> None:
    asked = {"model": "echo:chat", "input": "one two three four", "max_output_tokens": 2}

    whole = client.post("/v1/responses", json=asked).json()
    told = events_of(client.post("/v1/responses", json={**asked, "stream": True}).text)

    require_response(whole, "incomplete")
    assert whole["incomplete_details"] == {"reason": "max_output_tokens"}
    require_stream(told, "incomplete")


def test_an_answer_that_fails_while_it_is_streamed_ends_with_the_failure(client: Client) -> None:
    asked = {"model": "echo", "input": "!echo error=429 after=1\none two", "stream": True}

    told = events_of(client.post("/v1/responses", json=asked).text)

    require_stream(told, "failed")
    assert told[-1]["response"]["error"]["code"]


def test_a_conversation_is_made_shorter_and_gone_on_from(client: Client) -> None:
    given = [say("user", "We set out on Monday."), say("assistant", "I see: on Monday.")]
    asked = {"model": "echo", "input": given, "prompt_cache_key": "a-key"}

    answer = client.post("/v1/responses/compact", json=asked)

    assert answer.status_code == 200, answer.text
    require_compacted(answer.json())
    further = {"model": "echo", "input": [*answer.json()["output"], say("user", "When?")]}
    require_response(client.post("/v1/responses", json=further).json(), "completed")


def test_a_conversation_cannot_be_made_shorter_without_a_model(client: Client) -> None:
    answer = client.post("/v1/responses/compact", json={"input": [say("user", "Make this shorter.")]})

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "model"
