"""Conversations that are made shorter, and what goes on from them."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from claude_relay.asgi import create_app
from claude_relay.engine.echo import EchoRunner
from claude_relay.engine.vocabulary import Event, RunEnd, RunRequest, RunStarted, StopReason, TextDelta, Usage
from claude_relay.responses.summaries import sealed, unsealed
from claude_relay.settings import Settings
from claude_relay.store import memory
from tests.api.conftest import Client
from tests.api.test_stored_responses import ListeningRunner, ask, error_of
from tests.callers import calling

PATH = "/v1/responses/compact"
CALL = {"type": "function_call", "call_id": "c", "name": "read", "arguments": '{"path": "a.txt"}'}
CONVERSATION: list[dict[str, Any]] = [
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": "Read a.txt."},
    {"type": "reasoning", "summary": []},
    CALL,
    {"type": "function_call_output", "call_id": "c", "output": "42"},
    {"role": "assistant", "content": "It says 42."},
    {"role": "user", "content": "Thanks."},
]
SUMMARY = "The user had a.txt read, which says 42. 🎈"


class SummarizingRunner(ListeningRunner):
    """Tells the same to whatever it is asked."""

    def __init__(self, text: str = SUMMARY, stop: StopReason = "end") -> None:
        super().__init__()
        self._text = text
        self._stop = stop

    async def run(self, request: RunRequest) -> AsyncGenerator[Event, None]:
        """Answer."""
        self.heard.append(request)
        yield RunStarted("new")
        yield TextDelta(self._text)
        yield RunEnd(self._stop, Usage(input_tokens=100, cache_read_tokens=20, output_tokens=9))


def compact(runner: EchoRunner, **fields: Any) -> Any:
    with calling(create_app(Settings(), runner, open_store=memory.open_store)) as client:
        return client.post(PATH, json={"model": "sonnet", "input": CONVERSATION, **fields})


def test_what_the_user_said_stays_and_an_item_stands_for_the_rest() -> None:
    answer = compact(SummarizingRunner())

    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["object"], body["usage"]["input_tokens"], body["usage"]["total_tokens"]) == (
        "response.compaction",
        120,
        129,
    )
    *messages, item = body["output"]
    assert [(each["role"], each["content"][0]["text"]) for each in messages] == [
        ("developer", "Be brief."),
        ("user", "Read a.txt."),
        ("user", "Thanks."),
    ]
    assert (item["type"], unsealed(item["encrypted_content"])) == ("compaction", SUMMARY)
    assert len({each["id"] for each in body["output"]}) == 4


def test_the_plain_model_is_asked_about_the_whole_conversation_without_tools() -> None:
    runner = SummarizingRunner()

    compact(runner, model="sonnet:agent", instructions="You edit files.", tools=[{"type": "web_search"}])

    (asked,) = runner.heard
    assert (asked.personality, asked.tools, asked.system) == ("chat", (), "You edit files.\n\nBe brief.")
    told = json.dumps([repr(turn) for turn in asked.turns])
    assert told.index("Read a.txt.") < told.index("42") < told.index("Thanks.") < told.index("is about to be replaced")
    assert asked.turns[-1].role == "user"


def test_a_conversation_goes_on_from_the_items() -> None:
    runner = SummarizingRunner()
    with calling(create_app(Settings(), runner, open_store=memory.open_store)) as client:
        items = client.post(PATH, json={"model": "sonnet", "input": CONVERSATION}).json()["output"]
        first = ask(client, [*items, {"role": "user", "content": "What does it say?"}])
        ask(client, "And now?", previous_response_id=first["id"])
        again = client.post(PATH, json={"model": "sonnet", "input": items}).json()["output"]

    for asked in runner.heard[1:]:
        assert SUMMARY in repr(asked.turns)
    assert [each["type"] for each in again] == ["message", "message", "message", "compaction"]


def test_what_was_kept_is_made_shorter_too() -> None:
    runner = SummarizingRunner()
    with calling(create_app(Settings(), runner, open_store=memory.open_store)) as client:
        first = ask(client, "My name is Ada.")
        made = client.post(PATH, json={"model": "sonnet", "previous_response_id": first["id"], "input": None})
        lost = client.post(PATH, json={"model": "sonnet", "previous_response_id": "resp_1"})

    assert [each["content"][0]["text"] for each in made.json()["output"][:-1]] == ["My name is Ada."]
    assert error_of(lost) == (400, "previous_response_not_found", "previous_response_id")


def test_an_item_of_another_server_is_ignored_by_name(client: Client) -> None:
    item = {"type": "compaction", "encrypted_content": "gAAAAA"}

    answer = client.post("/v1/responses", json={"input": [item, {"role": "user", "content": "Hi"}]})

    assert answer.headers["x-claude-relay-ignored"] == "input.compaction"


@pytest.mark.parametrize("content", ["", "claude-relay-1:ü", "claude-relay-1:/w==", "claude-relay-1:x", "gAAAAA"])
def test_what_is_no_summary_of_ours_is_none(content: str) -> None:
    assert unsealed(content) is None


@pytest.mark.parametrize("summary", ["", "a", SUMMARY, "x" * 10_000])
def test_a_summary_comes_back_as_it_was(summary: str) -> None:
    assert unsealed(sealed(summary)) == summary


@pytest.mark.parametrize("runner", [SummarizingRunner(" "), SummarizingRunner("No.", "refusal")])
def test_a_model_that_tells_nothing_is_an_error(runner: SummarizingRunner) -> None:
    assert error_of(compact(runner))[:2] == (503, "server_is_overloaded")


def test_a_model_must_be_named_if_only_as_null(client: Client) -> None:
    assert error_of(client.post(PATH, json={"input": "x"})) == (400, "missing_required_parameter", "model")
    assert client.post(PATH, json={"input": "x", "model": None}).status_code == 200


def test_a_call_without_output_is_refused(client: Client) -> None:
    assert error_of(client.post(PATH, json={"model": "sonnet", "input": [CALL]})) == (400, "invalid_value", "input")


def test_what_has_no_effect_is_named(client: Client) -> None:
    answer = client.post(PATH, json={"model": "sonnet", "input": "x", "tools": [], "stream": True})

    assert answer.headers["x-claude-relay-ignored"] == "stream, tools"


def test_a_text_is_a_message_of_the_user(client: Client) -> None:
    (message, _) = client.post(PATH, json={"model": "sonnet", "input": "Hi"}).json()["output"]

    assert (message["role"], message["content"]) == ("user", [{"type": "input_text", "text": "Hi"}])
