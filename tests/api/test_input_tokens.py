"""How many tokens a request has: estimated, for nothing, with all that it refers to."""

from typing import Any

import pytest

from claude_relay.asgi import create_app
from claude_relay.settings import Settings
from claude_relay.store import memory
from tests.api.conftest import Client
from tests.api.test_stored_responses import ListeningRunner, ask, error_of
from tests.callers import calling

PATH = "/v1/responses/input_tokens"
LONG = "All tests have to pass before anything is merged. " * 40
TOOL = {"type": "function", "name": "f", "description": LONG, "parameters": {"type": "object"}}


def count(client: Client, **fields: Any) -> int:
    answer = client.post(PATH, json=fields)
    assert answer.status_code == 200, answer.text
    assert answer.json()["object"] == "response.input_tokens"
    found: int = answer.json()["input_tokens"]
    return found


def test_a_count_says_that_it_is_an_estimate_and_asks_nobody() -> None:
    runner = ListeningRunner()
    with calling(create_app(Settings(), runner, open_store=memory.open_store)) as client:
        answer = client.post(PATH, json={"model": "sonnet", "input": LONG})

    assert answer.headers["x-claude-relay-token-count"] == "estimate"
    assert answer.json()["input_tokens"] == pytest.approx(400, rel=0.25)
    assert runner.heard == []


def test_a_request_without_anything_has_few_tokens(client: Client) -> None:
    assert 0 < count(client) < 20


@pytest.mark.parametrize(
    "more",
    [
        {"instructions": LONG},
        {"input": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": LONG}]},
        {"tools": [TOOL]},
        {"text": {"format": {"type": "json_schema", "name": "a", "schema": {"type": "object", "description": LONG}}}},
    ],
)
def test_all_that_the_model_reads_is_counted(client: Client, more: dict[str, Any]) -> None:
    assert count(client, **{"input": "Hi", **more}) > count(client, input="Hi") + 300


def test_what_it_refers_to_is_counted_and_nothing_is_kept(client: Client) -> None:
    first = ask(client, [{"id": "msg_1", "role": "user", "content": LONG}])
    conversation = client.post("/v1/conversations", json={"items": [{"role": "user", "content": LONG}]}).json()["id"]

    assert count(client, previous_response_id=first["id"], input="And?") > 700
    assert count(client, conversation=conversation, input="And?") > 300
    assert count(client, input=[{"type": "item_reference", "id": "msg_1"}]) > 300
    assert len(client.get(f"/v1/conversations/{conversation}/items").json()["data"]) == 1


def test_what_a_response_would_refuse_is_refused(client: Client) -> None:
    assert error_of(client.post(PATH, json={"input": 5})) == (400, "invalid_value", "input")
    previous = client.post(PATH, json={"previous_response_id": "resp_1"})
    assert error_of(previous) == (400, "previous_response_not_found", "previous_response_id")


def test_a_request_for_the_background_is_counted_too(client: Client) -> None:
    assert count(client, input="Hi", background=True) == count(client, input="Hi")
