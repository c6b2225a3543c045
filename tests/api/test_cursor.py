"""Chat completions that are asked for in the items of the responses API, as Cursor's agent mode asks."""

import json
from typing import Any

import pytest

from claude_relay.asgi import create_app
from claude_relay.engine.echo import EchoRunner
from claude_relay.engine.vocabulary import Text, ToolCall, ToolResult
from claude_relay.settings import Settings
from claude_relay.store import memory
from tests.api.conftest import Client
from tests.api.test_stored_responses import ListeningRunner
from tests.callers import calling

PATH = "/v1/chat/completions"
PATCH = {
    "type": "custom",
    "name": "ApplyPatch",
    "description": "Apply a patch",
    "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "ok"'},
}
READ = {"type": "function", "name": "read_file", "parameters": {"type": "object", "properties": {}}, "strict": False}
ASKED = {
    "model": "gpt-x",
    "user": "someone",
    "input": [
        {"role": "system", "content": "You edit files."},
        {"role": "user", "content": [{"type": "input_text", "text": "Change it."}]},
    ],
    "tools": [READ, PATCH],
    "tool_choice": "auto",
    "stream": True,
    "stream_options": {"include_usage": True},
    "reasoning": {"effort": "medium", "summary": "auto"},
    "include": ["reasoning.encrypted_content"],
    "store": False,
}


def chunks_of(text: str) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


def test_items_are_answered_in_chunks_with_usage(client: Client) -> None:
    answer = client.post(PATH, json=ASKED)

    assert answer.status_code == 200, answer.text
    chunks = chunks_of(answer.text)
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    said = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    assert said == "Change it."
    assert chunks[-1]["usage"]["total_tokens"] > 0
    assert answer.headers["x-claude-relay-ignored"] == "include, tools.format"


def test_what_the_items_say_reaches_the_model() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "ApplyPatch", "arguments": "*** Begin Patch"}
    turn = [call, {"type": "function_call_output", "call_id": "c", "output": "done"}]
    runner = ListeningRunner()
    with calling(create_app(Settings(), runner, open_store=memory.open_store)) as client:
        client.post(PATH, json={**ASKED, "input": [*ASKED["input"], *turn]})  # type: ignore[misc]

    (asked,) = runner.heard
    assert (asked.model, asked.personality, asked.system, asked.effort) == (
        "gpt-x",
        "chat",
        "You edit files.",
        "medium",
    )
    assert [(tool.name, tool.takes_text) for tool in asked.tools] == [("read_file", False), ("ApplyPatch", True)]
    made = ToolCall("c", "ApplyPatch", "*** Begin Patch")
    assert [turn.content for turn in asked.turns] == [
        (Text("Change it."),),
        (made,),
        (ToolResult("c", (Text("done"),)),),
    ]


@pytest.mark.parametrize("messages", [[], None])
def test_a_list_of_messages_that_is_empty_is_none(client: Client, messages: object) -> None:
    answer = client.post(PATH, json={"input": "hi", "messages": messages})

    assert answer.json()["choices"][0]["message"]["content"] == "hi"
    assert answer.json()["object"] == "chat.completion"
    assert "x-claude-relay-ignored" not in answer.headers


def test_tools_may_have_the_form_of_chat_completions() -> None:
    wrapped = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    runner = ListeningRunner()
    with calling(create_app(Settings(), runner, open_store=memory.open_store)) as client:
        client.post(PATH, json={"input": "hi", "tools": [wrapped]})

    assert [tool.name for tool in runner.heard[0].tools] == ["f"]


def test_messages_are_read_although_there_is_input_too(client: Client) -> None:
    body = {"messages": [{"role": "user", "content": "said"}], "input": "not said"}

    answer = client.post(PATH, json=body)

    assert answer.json()["choices"][0]["message"]["content"] == "said"
    assert answer.headers["x-claude-relay-ignored"] == "input"


def test_nothing_of_it_is_kept_and_what_was_kept_is_found(client: Client) -> None:
    kept = client.post("/v1/responses", json={"input": [{"id": "msg_1", "role": "user", "content": "one"}]}).json()

    found = client.post(PATH, json={"input": [{"type": "item_reference", "id": "msg_1"}]})
    missing = client.post(PATH, json={"input": [{"type": "item_reference", "id": "msg_2"}]})

    assert found.json()["choices"][0]["message"]["content"] == "one"
    assert (missing.status_code, missing.json()["error"]["param"]) == (404, "input[0].id")
    assert client.get(f"/v1/responses/{kept['id']}").status_code == 200
    assert client.get(f"/v1/responses/{found.json()['id']}").status_code == 404


def test_what_a_chat_completion_cannot_do_is_named(client: Client) -> None:
    answer = client.post(PATH, json={"input": "hi", "background": True, "max_tokens": 5})

    assert answer.headers["x-claude-relay-ignored"] == "background, max_tokens"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": 5}, "input"),
        ({"input": [{"type": "message", "role": "someone"}]}, "input[0].role"),
        ({"model": "gpt-x"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "someone", "content": ""}], "input": "hi"}, "messages[0].role"),
    ],
)
def test_errors_name_what_is_wrong_in_the_form_that_was_sent(client: Client, body: dict[str, Any], param: str) -> None:
    answer = client.post(PATH, json=body)

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_a_body_that_is_large_is_read_too(client: Client) -> None:
    answer = client.post(PATH, json={"input": "x" * 100_000})

    assert answer.json()["usage"]["prompt_tokens"] > 0


def test_an_answer_in_json_that_was_asked_for_in_items_is_held_to_it() -> None:
    runner = ListeningRunner()
    with calling(create_app(Settings(), runner, open_store=memory.open_store)) as client:
        client.post(PATH, json={"input": "{}", "text": {"format": {"type": "json_object"}}})

    assert runner.heard[0].output is not None


def test_a_chat_waits_for_permission_and_does_not_end_there() -> None:
    runner = ListeningRunner()
    settings = Settings(permission_mode="ask")

    with calling(create_app(settings, runner, open_store=memory.open_store)) as client:
        for path in ("chat/completions", "responses"):
            client.post(f"/v1/{path}", json={"model": "sonnet:agent", "input": "Hi"})

    assert [heard.pauses for heard in runner.heard] == [False, True]


def test_a_relay_in_another_application_reads_items_too() -> None:
    with calling(create_app(Settings(), EchoRunner())) as client:
        answer = client.post("/chat/completions", json={"input": "hi"})

    assert answer.json()["choices"][0]["message"]["content"] == "hi"
