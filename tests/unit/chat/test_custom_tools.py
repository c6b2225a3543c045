"""Tools that take text: offered to the model as functions of one argument, and told as the client knows them."""

import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from openai.types.chat import ChatCompletion

from claude_relay.chat.functions import custom_tools, offered_tools
from claude_relay.chat.outbound import RenderOptions, chunks, fold
from claude_relay.engine.fanout import Indexed
from claude_relay.engine.vocabulary import (
    Event,
    RunEnd,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolCallStart,
    ToolChoice,
    Usage,
)
from claude_relay.errors import InvalidRequestError
from tests.unit.chat.bodies import request, to_question

pytestmark = pytest.mark.anyio

RULES = "start: begin hunk+ end"
PATCH = {"name": "apply_patch", "description": "Edits files."}
NESTED = {"type": "custom", "custom": PATCH}
FLAT = {"type": "custom", **PATCH}
TIME = {"type": "function", "function": {"name": "time"}}
TEXT = '*** Begin Patch\n+"quoted" \N{SNOWMAN}'
CALL = (ToolCallStart("toolu_1", "apply_patch"), ToolCallDelta(TEXT[:10]), ToolCallDelta(TEXT[10:]))
END = RunEnd("tool_calls", Usage())


def schema(**text: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"input": {"type": "string", **text}},
        "required": ["input"],
        "additionalProperties": False,
    }


def shown(*tools: dict[str, Any]) -> RenderOptions:
    return RenderOptions("chatcmpl-1", 0, "gpt-x", custom_tools=custom_tools(request(tools=list(tools))))


def refused(**fields: Any) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as raised:
        to_question(**fields)
    return raised.value


# --- what the model is offered ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", [NESTED, FLAT])
def test_it_is_offered_with_one_argument_beside_functions(tool: dict[str, Any]) -> None:
    described = Tool("apply_patch", "Edits files.", schema(), takes_text=True)

    assert offered_tools(request(tools=[TIME, tool])) == (
        Tool("time", "", {"type": "object", "properties": {}}),
        described,
    )


@pytest.mark.parametrize(
    "tool",
    [
        {
            "type": "custom",
            "custom": {"name": "p", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": RULES}}},
        },
        {"type": "custom", "name": "p", "format": {"type": "grammar", "syntax": "lark", "definition": RULES}},
    ],
)
def test_the_model_is_told_of_a_grammar_and_the_client_that_nothing_holds_it_to_it(tool: dict[str, Any]) -> None:
    question = to_question(tools=[tool])

    assert question.run.tools == (
        Tool("p", "", schema(description=f"Text of this lark grammar:\n{RULES}"), takes_text=True),
    )
    assert question.ignored == ("tools.custom.format",)


@pytest.mark.parametrize("format_", [None, {"type": "text"}, {"type": "grammar"}])
def test_any_other_text_needs_no_words(format_: Any) -> None:
    question = to_question(tools=[{"type": "custom", "custom": {**PATCH, "format": format_}}])

    assert question.run.tools == (Tool("apply_patch", "Edits files.", schema(), takes_text=True),)
    assert question.ignored == ()


def test_one_without_a_name_is_refused_by_its_place() -> None:
    error = refused(tools=[TIME, {"type": "custom"}])

    assert (error.param, error.code) == ("tools[1].custom", "missing_required_parameter")


def test_two_tools_of_one_name_are_refused_whatever_they_take() -> None:
    assert refused(tools=[{"type": "function", "function": {"name": "apply_patch"}}, FLAT]).param == "tools[1]"


# --- which may be called ---------------------------------------------------------------------------------------------


def test_it_can_be_the_one_that_must_be_called() -> None:
    named = {"type": "custom", "custom": {"name": "apply_patch"}}

    assert to_question(tools=[TIME, NESTED], tool_choice=named).run.tool_choice == ToolChoice("required", "apply_patch")
    assert refused(tools=[TIME], tool_choice=named).param == "tool_choice.custom.name"


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_only_what_is_allowed_is_offered(mode: str) -> None:
    allowed = {"mode": mode, "tools": [{"type": "custom", "custom": {"name": "apply_patch"}}]}
    question = to_question(
        tools=[TIME, NESTED],
        tool_choice={"type": "allowed_tools", "allowed_tools": allowed},
        reasoning_effort="high",
    )

    assert [tool.name for tool in question.run.tools] == ["apply_patch"]
    assert question.run.tool_choice == ToolChoice(mode)  # type: ignore[arg-type]
    assert question.ignored == (("reasoning_effort",) if mode == "required" else ())


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        ([{"type": "function", "function": {"name": "other"}}], "tool_choice.allowed_tools.tools[0].function.name"),
        ([], "tool_choice.allowed_tools.tools"),
    ],
)
def test_what_is_allowed_must_be_there(tools: list[Any], param: str) -> None:
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": tools}}

    assert refused(tools=[TIME], tool_choice=allowed).param == param


def test_an_agent_is_offered_what_is_allowed_too() -> None:
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [TIME]}}
    question = to_question(model="opus:agent", tools=[TIME, NESTED], tool_choice=allowed)

    assert [tool.name for tool in question.run.tools] == ["time"]


def test_a_choice_of_tools_without_tools_is_refused() -> None:
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [TIME]}}

    assert refused(tool_choice=allowed).param == "tool_choice.allowed_tools.tools[0].function.name"


# --- how its calls are told ------------------------------------------------------------------------------------------


def told(show: RenderOptions, *events: Event) -> list[dict[str, Any]]:
    """Return the calls of a whole answer, which openai's own type takes."""
    answer = msgspec.json.encode(fold(show, [(0, event) for event in (*events, END)]))
    ChatCompletion.model_validate_json(answer)
    calls: list[dict[str, Any]] = json.loads(answer)["choices"][0]["message"]["tool_calls"]
    return calls


async def streamed(show: RenderOptions, *events: Event) -> list[dict[str, Any]]:
    async def stream() -> AsyncIterator[Indexed]:
        for event in (*events, END):
            yield 0, event

    found = [json.loads(msgspec.json.encode(chunk))["choices"][0]["delta"] async for chunk in chunks(show, stream())]
    return [call for delta in found for call in delta.get("tool_calls", ())]


async def test_a_call_is_told_as_a_custom_one_as_it_is_written() -> None:
    show = shown(TIME, NESTED)
    events = (ToolCallStart("toolu_0", "time"), ToolCallDelta("{}"), *CALL)

    assert told(show, *events) == [
        {"id": "toolu_0", "type": "function", "function": {"name": "time", "arguments": "{}"}},
        {"id": "toolu_1", "type": "custom", "custom": {"name": "apply_patch", "input": TEXT}},
    ]
    assert await streamed(show, *events) == [
        {"index": 0, "id": "toolu_0", "type": "function", "function": {"name": "time", "arguments": ""}},
        {"index": 0, "function": {"arguments": "{}"}},
        {"index": 1, "id": "toolu_1", "type": "custom", "custom": {"name": "apply_patch", "input": ""}},
        {"index": 1, "custom": {"input": TEXT[:10]}},
        {"index": 1, "custom": {"input": TEXT[10:]}},
    ]


async def test_who_sends_it_flat_is_told_of_a_function_whose_arguments_are_the_text() -> None:
    show = shown(FLAT)

    assert told(show, *CALL) == [
        {"id": "toolu_1", "type": "function", "function": {"name": "apply_patch", "arguments": TEXT}}
    ]
    assert await streamed(show, *CALL) == [
        {"index": 0, "id": "toolu_1", "type": "function", "function": {"name": "apply_patch", "arguments": ""}},
        {"index": 0, "function": {"arguments": TEXT[:10]}},
        {"index": 0, "function": {"arguments": TEXT[10:]}},
    ]


# --- how its calls come back -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", [NESTED, FLAT])
def test_a_call_comes_back_as_it_was_told(tool: dict[str, Any]) -> None:
    (call,) = told(shown(tool), *CALL)
    history = [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "toolu_1", "content": "done"},
    ]

    _, turn, _ = to_question(messages=history, tools=[tool]).run.turns

    assert turn.content == (ToolCall("toolu_1", "apply_patch", TEXT),)


@pytest.mark.parametrize("tool", [NESTED, FLAT, TIME])
def test_a_client_may_send_what_a_call_is_not_as_null(tool: dict[str, Any]) -> None:
    (call,) = told(shown(tool), CALL[0] if tool is not TIME else ToolCallStart("toolu_1", "time"))
    history = [
        {"role": "assistant", "tool_calls": [{"function": None, "custom": None, **call}]},
        {"role": "tool", "tool_call_id": "toolu_1", "content": "done"},
    ]

    turns = to_question(messages=history, tools=[tool]).run.turns

    assert [piece.id for turn in turns for piece in turn.content if isinstance(piece, ToolCall)] == ["toolu_1"]


@pytest.mark.parametrize("nothing", [{}, {"function": None, "custom": None}])
def test_a_call_of_nothing_is_refused(nothing: dict[str, Any]) -> None:
    history = [{"role": "assistant", "tool_calls": [{"id": "toolu_1", **nothing}]}]

    error = refused(messages=history)

    assert (error.param, error.code) == ("messages[0].tool_calls[0].function", "missing_required_parameter")
