"""The client's tools as an MCP server that lists them and never runs one."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from claude_relay.engine.claude import tools
from claude_relay.engine.claude.tools import SERVER, definition, hook_reply, mcp_reply, permission_reply, registration
from claude_relay.engine.vocabulary import Decision, JsonOutput, Tool, ToolCall, ToolChoice, Turn
from tests.unit.factories import RunRequestFactory, conversation

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "x-unknown": [1]}
WEATHER = Tool("get_weather", "Tells the weather.", SCHEMA)
CLOSED = {"type": "object", "additionalProperties": False}
STRICT = Tool("get-time", "", {"type": "object"}, strict=True, format=CLOSED)
TOOLS = (WEATHER, STRICT)


def replied(method: str | None, tools: tuple[Tool, ...] = TOOLS, **fields: Any) -> dict[str, Any]:
    """Return the JSON-RPC answer to a message."""
    named = {} if method is None else {"method": method}
    reply = mcp_reply({"jsonrpc": "2.0", **named, **fields}, tools)
    assert list(reply) == ["mcp_response"]
    answer: dict[str, Any] = reply["mcp_response"]
    assert answer.pop("jsonrpc") == "2.0"
    return answer


# --- the exchange ----------------------------------------------------------------------------------------------------


def test_the_server_is_named_and_every_call_is_asked_about() -> None:
    assert registration() == {
        "sdkMcpServers": [SERVER],
        "hooks": {"PreToolUse": [{"matcher": "*", "hookCallbackIds": ["defer"]}]},
    }


@pytest.mark.parametrize("version", ["2025-11-25", "2024-11-05"])
def test_the_server_speaks_the_version_that_it_is_spoken_to_in(version: str) -> None:
    answer = replied("initialize", id=0, params={"protocolVersion": version, "capabilities": {}})

    assert answer["id"] == 0
    assert answer["result"]["protocolVersion"] == version
    assert answer["result"]["capabilities"] == {"tools": {}}
    assert answer["result"]["serverInfo"]["name"] == SERVER


@pytest.mark.parametrize("params", [{}, {"params": {}}])
def test_an_introduction_without_a_version_is_answered_all_the_same(params: dict[str, Any]) -> None:
    assert replied("initialize", id=0, **params)["result"]["protocolVersion"]


@pytest.mark.parametrize("method", ["notifications/initialized", "notifications/cancelled", "ping"])
def test_what_needs_no_answer_gets_an_empty_one(method: str) -> None:
    assert replied(method) == {"id": 0, "result": {}}


def test_tools_are_listed_as_the_client_describes_them_and_always_loaded() -> None:
    answer = replied("tools/list", id=7)

    assert answer == {
        "id": 7,
        "result": {
            "tools": [
                {
                    "name": tool.name,
                    "description": tool.description,
                    "inputSchema": tool.schema,
                    "_meta": {"anthropic/alwaysLoad": True},
                }
                for tool in TOOLS
            ]
        },
    }


def test_many_long_tools_are_listed_whole() -> None:
    tools = tuple(Tool(f"tool_{number}", "x" * 5000, {"type": "object"}) for number in range(70))

    listed = replied("tools/list", tools, id=1)["result"]["tools"]

    assert [(tool["name"], len(tool["description"])) for tool in listed] == [(tool.name, 5000) for tool in tools]


@pytest.mark.parametrize("method", ["tools/call", "resources/list", "prompts/list", "", None])
def test_nothing_else_is_for_this_server_not_even_a_call(method: str | None) -> None:
    answer = replied(method, id="a")

    assert (answer["id"], answer["error"]["code"]) == ("a", -32601)
    assert "result" not in answer


def test_every_answer_can_be_written() -> None:
    for method in ("initialize", "notifications/initialized", "tools/list", "tools/call"):
        msgspec.json.encode(mcp_reply({"method": method, "id": 1}, TOOLS))


# --- calls -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["get_weather", "get-time"])
def test_a_call_of_the_clients_tools_is_left_to_the_client(name: str) -> None:
    assert hook_reply(name, TOOLS) == {
        "hookSpecificOutput": {"hookEventName": "PreToolUse", "permissionDecision": "defer"}
    }


def test_a_tool_that_may_be_used_gets_what_it_was_to_be_called_with() -> None:
    given = msgspec.Raw(b'{"n":1e400,"command":"ls"}')

    reply = permission_reply(Decision("a", approve=True, reason="Go on."), given)

    assert msgspec.json.encode(reply) == b'{"behavior":"allow","updatedInput":{"n":1e400,"command":"ls"}}'


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("", "The user did not permit this use of the tool."),
        ("Not today.", "The user did not permit this use of the tool. Not today."),
    ],
)
def test_the_model_is_told_why_a_tool_may_not_be_used(reason: str, message: str) -> None:
    assert permission_reply(Decision("a", approve=False, reason=reason), msgspec.Raw(b"{}")) == {
        "behavior": "deny",
        "message": message,
    }


@pytest.mark.parametrize("name", ["Bash", "get_weathe", "get_weather2", "GET_WEATHER", "", "StructuredOutput"])
def test_any_other_call_goes_its_way(name: str) -> None:
    assert hook_reply(name, TOOLS) == {}
    assert hook_reply(name, ()) == {}


# --- definitions -----------------------------------------------------------------------------------------------------


def test_the_upstream_gets_a_tool_unabridged_and_strict_only_where_it_is_held_to_a_schema() -> None:
    long = Tool("long", "d" * 5000, SCHEMA)

    assert definition(long) == {"name": "long", "description": "d" * 5000, "input_schema": SCHEMA}
    assert definition(STRICT) == {"name": "get-time", "description": "", "input_schema": CLOSED, "strict": True}
    assert definition(replace(STRICT, format=None)) == {
        "name": "get-time",
        "description": "",
        "input_schema": {"type": "object"},
    }


def test_only_beside_the_tool_for_answers_is_a_tool_of_its_name_renamed_and_its_past_calls_with_it() -> None:
    named = Tool(tools.ANSWER, "", {"type": "object"})
    turns = (*conversation("?"), Turn("assistant", (ToolCall("1", tools.ANSWER, {}),)))
    request = RunRequestFactory.build(
        tools=(named,), tool_choice=ToolChoice("required", tools.ANSWER), turns=turns, output=None
    )
    beside = replace(request, output=JsonOutput({"type": "object"}))

    renamed = tools.without_clash(beside)

    assert tools.without_clash(request) is request
    assert renamed.tools[0].name == renamed.tool_choice.name != tools.ANSWER
    assert [call.name for call in renamed.turns[-1].content if isinstance(call, ToolCall)] == [renamed.tools[0].name]
    assert tools.clients_name(renamed.tools[0].name) == tools.ANSWER
