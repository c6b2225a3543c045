"""The client's own tools: offered unchanged, called by the model, run by the client."""

import json
from typing import Any

import pytest

from tests.live.bodies import conversation
from tests.live.relay import Relay
from tests.upstream import FakeUpstream, Message, Text, ToolUse, text

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "x-unknown": 1}
WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "Weather.", "parameters": CITY}}
TIME = {"type": "function", "function": {"name": "get-time"}}
CLOSED = {"type": "object", "properties": {"city": {"type": "string"}}, "required": [], "additionalProperties": False}

FORCED = "claude-sonnet-4-6"
"""A model that can be made to call."""


def _sent(upstream: FakeUpstream, index: int = 0) -> dict[str, Any]:
    body = upstream.messages_requests[index].body
    assert body is not None
    return body


def _two_calls() -> Message:
    weather = ToolUse("toolu_A", "get_weather", {"city": "Oslo"}, chunks=3)
    return Message(blocks=(Text("Let me see."), weather, ToolUse("toolu_B", "get-time", {}, chunks=1)))


def test_calls_are_told_as_openai_tells_them(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(_two_calls())
    choice = chat.chat("Weather and time?", tools=[WEATHER, TIME]).json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == "Let me see."
    calls = choice["message"]["tool_calls"]
    assert [(call["id"], call["type"], call["function"]["name"]) for call in calls] == [
        ("toolu_A", "function", "get_weather"),
        ("toolu_B", "function", "get-time"),
    ]
    assert [json.loads(call["function"]["arguments"]) for call in calls] == [{"city": "Oslo"}, {}]
    chat.settle()
    assert len(upstream.messages_requests) == 1


def test_parameters_may_have_any_name(either: Relay, upstream: FakeUpstream) -> None:
    names = {"$filter": {"type": "string"}, "a b": {"type": "integer"}, "page.size": {"type": "integer"}}
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": names}}}
    upstream.replies(Message(blocks=(ToolUse("toolu_1", "f", {"_filter": "x", "a_b": 1, "page.size": 2}),)))

    message = either.chat("?", tools=[tool]).json()["choices"][0]["message"]
    either.settle()
    either.post(
        messages=[
            {"role": "user", "content": "?"},
            message,
            {"role": "tool", "tool_call_id": "toolu_1", "content": "none"},
        ],
        model="sonnet",
        tools=[tool],
    )

    (call,) = message["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"$filter": "x", "a b": 1, "page.size": 2}
    blocks = [block for turn in _sent(upstream, 1)["messages"] for block in turn["content"]]
    assert [block["input"] for block in blocks if isinstance(block, dict) and block["type"] == "tool_use"] == [
        {"_filter": "x", "a_b": 1, "page.size": 2}
    ]
    assert len(upstream.messages_requests) == 2


def test_arguments_stream_as_the_model_writes_them(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(_two_calls())
    stream: Any = chat.openai.chat.completions.create(
        model="sonnet",
        messages=[{"role": "user", "content": "?"}],
        tools=[WEATHER, TIME],  # type: ignore[list-item] # plain dicts do
        stream=True,
    )
    pieces: list[Any] = []
    finish = []
    for chunk in stream:
        (choice,) = chunk.choices
        pieces += [
            (
                call.index,
                call.id,
                call.function.name if call.function else None,
                call.function and call.function.arguments,
            )
            for call in choice.delta.tool_calls or ()
        ]
        finish += [choice.finish_reason] if choice.finish_reason else []
    assert finish == ["tool_calls"]
    assert [piece[:3] for piece in pieces if piece[1]] == [(0, "toolu_A", "get_weather"), (1, "toolu_B", "get-time")]
    first = [piece[3] or "" for piece in pieces if piece[0] == 0]
    assert len([piece for piece in first if piece]) == 3, "the deltas are the model's own"
    assert json.loads("".join(first)) == {"city": "Oslo"}


def test_the_model_sees_the_tools_unchanged(chat: Relay, upstream: FakeUpstream, current: bool) -> None:
    many = [
        {"type": "function", "function": {"name": f"tool_{number:02}", "description": "d" * 5000, "parameters": CITY}}
        for number in reversed(range(64))
    ]
    odd = [
        TIME,
        {"type": "function", "function": {"name": "empty", "parameters": {}}},
        {"type": "function", "function": {"name": "foo", "parameters": {"foo": "bar"}}},
        {"type": "function", "function": {"name": "Bash", "description": "Mine.", "parameters": CITY}},
        {"type": "function", "function": {"name": "strict", "parameters": CLOSED, "strict": True}},
    ]
    assert chat.chat("?", tools=[*many, *odd]).status_code == 200
    body = _sent(upstream)
    wanted: list[Any] = [tool["function"] for tool in many]
    assert body["tools"][:64] == [
        {"name": tool["name"], "description": tool["description"], "input_schema": tool["parameters"]}
        for tool in wanted
    ]
    none = {"type": "object", "properties": {}}
    assert [(tool["name"], tool["input_schema"], tool.get("strict")) for tool in body["tools"][64:]] == [
        ("get-time", none, None),
        ("empty", none, None),
        ("foo", {"type": "object", "foo": "bar"}, None),
        ("Bash", CITY, None),
        ("strict", CLOSED, True),
    ]
    # an older CLI tells the date in a reminder, whatever the tools
    assert json.dumps(body["messages"]).count("<system-reminder>") == (0 if current else 1)
    assert conversation(body) == [("user", ["?"])]


@pytest.mark.parametrize(
    ("fields", "choice"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, None),
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "get-time"}}},
            {"type": "tool", "name": "get-time"},
        ),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        (
            {"parallel_tool_calls": False, "tool_choice": "required", "reasoning_effort": "high"},
            {"type": "any", "disable_parallel_tool_use": True},
        ),
    ],
)
def test_the_choice_of_tools_is_the_upstreams_to_enforce(
    chat: Relay, upstream: FakeUpstream, fields: dict[str, Any], choice: dict[str, Any] | None
) -> None:
    response = chat.chat("?", model=FORCED, tools=[WEATHER, TIME], **fields)
    assert response.status_code == 200
    body = _sent(upstream)
    assert body.get("tool_choice") == choice
    forced = choice is not None and choice["type"] in {"any", "tool"}
    assert ("thinking" in body) != forced, "forcing and thinking exclude each other upstream"
    assert ("reasoning_effort" in response.headers.get("x-claude-relay-ignored", "")) == ("reasoning_effort" in fields)


def test_a_request_with_tools_is_a_chat_unless_it_says_otherwise(agent: Relay, upstream: FakeUpstream) -> None:
    assert agent.chat("?", tools=[WEATHER]).headers["x-claude-relay-personality"] == "chat"
    assert [tool["name"] for tool in _sent(upstream)["tools"]] == ["get_weather"]


OWN = (
    "Agent", "AskUserQuestion", "Bash", "BashOutput", "Config", "CronCreate", "Edit", "EnterPlanMode",
    "ExitPlanMode", "Glob", "Grep", "KillShell", "LSP", "Monitor", "MultiEdit", "NotebookEdit", "Read",
    "SendMessage", "Skill", "SlashCommand", "Task", "TaskCreate", "TodoWrite", "ToolSearch", "WebFetch",
    "WebSearch", "Workflow", "Write",
)  # fmt: skip
"""Names of Claude Code's own tools."""


def test_tools_that_are_called_as_claude_codes_own_bring_nothing_of_it_along(
    chat: Relay, upstream: FakeUpstream
) -> None:
    def surroundings(*names: str) -> Any:
        upstream.clear()
        tools = [{"type": "function", "function": {"name": name, "parameters": CITY}} for name in names]
        assert chat.chat("hi", tools=tools).status_code == 200
        body = _sent(upstream)
        assert [tool["name"] for tool in body["tools"]] == list(names)
        return body["messages"], body["system"][1:]

    assert surroundings(*OWN) == surroundings("weather")


def test_in_agent_they_stand_beside_claude_codes_own(agent: Relay, upstream: FakeUpstream) -> None:
    own = ToolUse("toolu_1", "Bash", {"command": "echo hi", "description": "x"})
    upstream.replies(
        Message(blocks=(own,)), Message(blocks=(ToolUse("toolu_2", "get_weather", {"city": "Oslo"}),)), text("Rain.")
    )
    first = agent.chat("?", model="sonnet:agent", tools=[WEATHER]).json()["choices"][0]
    assert first["finish_reason"] == "tool_calls"
    assert [call["id"] for call in first["message"]["tool_calls"]] == ["toolu_2"]
    assert {"get_weather", "Bash"} <= {tool["name"] for tool in _sent(upstream)["tools"]}
    messages = [
        {"role": "user", "content": "?"},
        first["message"],
        {"role": "tool", "tool_call_id": "toolu_2", "content": "rain"},
    ]
    second = agent.post(messages=messages, model="sonnet:agent", tools=[WEATHER]).json()["choices"][0]
    assert second["message"]["content"] == "Rain."
    # the agent still knows what it did itself
    assert "toolu_1" in json.dumps(_sent(upstream, 2)["messages"])
    assert agent.processes()["reused"] >= 1


def test_the_legacy_form_works_too(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(Message(blocks=(ToolUse("toolu_A", "get_weather", {"city": "Oslo"}),)), text("Rain."))
    functions = [WEATHER["function"]]
    choice = chat.chat("?", model=FORCED, functions=functions, function_call={"name": "get_weather"}).json()["choices"][
        0
    ]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"]["name"] == "get_weather"
    assert _sent(upstream)["tool_choice"]["name"] == "get_weather"
    answer = chat.post(
        messages=[
            {"role": "user", "content": "?"},
            {"role": "assistant", "content": None, "function_call": choice["message"]["function_call"]},
            {"role": "function", "name": "get_weather", "content": "rain"},
        ],
        functions=functions,
    )
    assert answer.json()["choices"][0]["message"]["content"] == "Rain."
    calls = _sent(upstream, 1)["messages"]
    assert "tool_result" in json.dumps(calls)


PATCH = {"name": "apply_patch", "description": "Edits files."}


@pytest.mark.parametrize("tool", [{"type": "custom", "custom": PATCH}, {"type": "custom", **PATCH}])
def test_tools_that_take_text_are_called_with_text(chat: Relay, upstream: FakeUpstream, tool: dict[str, Any]) -> None:
    patch = '*** Begin Patch\n+"x"'
    upstream.replies(Message(blocks=(ToolUse("toolu_A", "apply_patch", {"input": patch}, chunks=9),)), text("Done."))
    choice = chat.chat("Edit.", tools=[WEATHER, tool]).json()["choices"][0]
    (call,) = choice["message"]["tool_calls"]
    form, field = ("custom", "input") if "custom" in tool else ("function", "arguments")
    assert call == {"id": "toolu_A", "type": form, form: {"name": "apply_patch", field: patch}}
    assert choice["finish_reason"] == "tool_calls"

    messages = [
        {"role": "user", "content": "Edit."},
        choice["message"],
        {"role": "tool", "tool_call_id": "toolu_A", "content": "edited"},
    ]
    before = chat.processes()["reused"]
    answer = chat.post(messages=messages, tools=[WEATHER, tool]).json()["choices"][0]
    assert answer["message"]["content"] == "Done."
    assert chat.processes()["reused"] - before == 1
    assert json.dumps({"input": patch}) in json.dumps(_sent(upstream, 1)["messages"])


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "custom"}]}, "tools[0].custom"),
        ({"tools": [{"type": "function", "function": {"name": "no spaces"}}]}, "tools[0].function.name"),
        ({"tools": [TIME, TIME]}, "tools[1]"),
        (
            {"tools": [TIME], "tool_choice": {"type": "function", "function": {"name": "x"}}},
            "tool_choice.function.name",
        ),
        ({"tool_choice": "required"}, "tool_choice"),
    ],
)
def test_what_cannot_be_offered_is_named(chat: Relay, fields: dict[str, Any], param: str) -> None:
    response = chat.chat("?", **fields)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


def test_a_call_of_a_tool_that_was_not_offered_is_the_clients_to_answer(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(Message(blocks=(Text("hm"), ToolUse("toolu_A", "unknown", {"n": 1})), interval=0.1))
    choice = chat.chat("?", tools=[TIME]).json()["choices"][0]
    chat.settle()
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "unknown"
    assert len(upstream.messages_requests) == 1


@pytest.mark.parametrize("after", [[], [{"role": "user", "content": "?"}], [{"role": "assistant", "content": "?"}]])
def test_a_call_without_a_result_is_named(chat: Relay, after: list[dict[str, str]]) -> None:
    calls = [{"id": f"call_{name}", "type": "function", "function": {"name": "x", "arguments": "{}"}} for name in "ab"]
    answered = {"role": "tool", "tool_call_id": "call_a", "content": "x"}
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "tool_calls": calls}, answered, *after]
    response = chat.post(messages=messages, tools=[TIME])
    assert response.status_code == 400
    assert "call_b" in response.json()["error"]["message"]
    assert "call_a" not in response.json()["error"]["message"]


def test_a_result_of_an_unknown_call_is_named(chat: Relay) -> None:
    response = chat.post(messages=[{"role": "tool", "tool_call_id": "nope", "content": "x"}], tools=[TIME])
    assert response.status_code == 400
    assert "nope" in response.json()["error"]["message"]
    assert response.json()["error"]["param"] == "messages[0].tool_call_id"
