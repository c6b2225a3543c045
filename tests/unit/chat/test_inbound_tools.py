"""What a request with functions comes to."""

from typing import Any

import pytest

from claude_relay.engine.vocabulary import Sampling, Text, Tool, ToolCall, ToolChoice, ToolResult
from claude_relay.errors import InvalidRequestError
from claude_relay.settings import Settings
from claude_relay.web.parameters import Question
from tests.unit.chat.bodies import CALLER, asked, to_question

WEATHER = Tool("weather", "", {"type": "object", "properties": {}})
TOOLS: dict[str, Any] = {"tools": [{"type": "function", "function": {"name": "weather"}}]}
FUNCTIONS: dict[str, Any] = {"functions": [{"name": "weather"}]}
NAMED = {"type": "function", "function": {"name": "weather"}}
FORCING = [{"tool_choice": "required"}, {"tool_choice": NAMED}, {"function_call": {"name": "weather"}}]


# --- what answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offer", [TOOLS, FUNCTIONS])
@pytest.mark.parametrize(
    ("model", "personality"), [(None, "chat"), ("opus", "chat"), ("opus:chat", "chat"), ("opus:agent", "agent")]
)
def test_who_brings_functions_gets_a_plain_model_unless_its_name_says_otherwise(
    offer: dict[str, Any], model: str | None, personality: str
) -> None:
    run = to_question("agent", model=model, **offer).run

    assert (run.personality, run.tools) == (personality, (WEATHER,))


@pytest.mark.parametrize("fields", [{"tools": []}, {"tool_choice": "auto"}, {}])
def test_without_functions_the_operators_choice_stands(fields: dict[str, Any]) -> None:
    assert to_question("agent", **fields).run.personality == "agent"


LOOP = [
    {"role": "user", "content": "Hi"},
    {
        "role": "assistant",
        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "a", "content": "mild"},
]
CUSTOM_LOOP = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "weather", "input": "x"}}]},
    {"role": "tool", "tool_call_id": "a", "content": "mild"},
]
LEGACY_LOOP = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "function_call": {"name": "weather", "arguments": "{}"}},
    {"role": "function", "name": "weather", "content": "mild"},
]
GONE_ON = [{"role": "assistant", "content": "It is mild."}, {"role": "user", "content": "Thanks"}]


@pytest.mark.parametrize("more", [[], GONE_ON, GONE_ON * 3])
@pytest.mark.parametrize("loop", [LOOP, CUSTOM_LOOP, LEGACY_LOOP])
@pytest.mark.parametrize(
    ("model", "personality"), [(None, "chat"), ("opus", "chat"), ("opus:chat", "chat"), ("opus:agent", "agent")]
)
def test_a_conversation_with_calls_stays_with_the_plain_model_when_no_functions_are_brought(
    loop: list[dict[str, Any]], more: list[dict[str, Any]], model: str | None, personality: str
) -> None:
    assert to_question("agent", model=model, messages=[*loop, *more]).run.personality == personality


@pytest.mark.parametrize("calls", [None, []])
def test_a_conversation_without_calls_is_no_reason_for_a_plain_model(calls: Any) -> None:
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?", "tool_calls": calls}]

    assert to_question("agent", messages=[*messages, *GONE_ON]).run.personality == "agent"


def test_an_alias_may_say_that_an_agent_answers() -> None:
    run = asked(Settings(personality="chat", alias=("worker=haiku:agent",)), model="worker", **TOOLS).run

    assert (run.model, run.personality) == ("haiku", "agent")


def test_the_caller_is_part_of_the_question() -> None:
    assert to_question(**TOOLS).run.caller == CALLER.identity


# --- what the model may do -------------------------------------------------------------------------------------------


def test_a_choice_is_passed_on() -> None:
    question = to_question(**TOOLS, tool_choice=NAMED, parallel_tool_calls=False)

    assert question.run.tool_choice == ToolChoice("required", "weather", parallel=False)
    assert question.ignored == ()


@pytest.mark.parametrize(
    ("fields", "ignored"),
    [
        ({"tool_choice": "required"}, ("tool_choice",)),
        ({"tool_choice": NAMED}, ("tool_choice",)),
        ({"tool_choice": "auto"}, ()),
        ({"parallel_tool_calls": False}, ("parallel_tool_calls",)),
        ({"parallel_tool_calls": True}, ()),
        ({"function_call": {"name": "weather"}}, ("function_call",)),
    ],
)
def test_an_agent_chooses_by_itself_and_the_wish_is_reported(fields: dict[str, Any], ignored: tuple[str, ...]) -> None:
    question = to_question(model="sonnet:agent", **TOOLS, **fields)

    assert question.run.tool_choice == ToolChoice()
    assert question.run.tools == (WEATHER,)
    assert question.ignored == ignored


@pytest.mark.parametrize("fields", [{"tool_choice": "none"}, {"function_call": "none"}])
def test_an_agent_that_must_not_call_is_not_told_of_the_functions(fields: dict[str, Any]) -> None:
    question = to_question(model="sonnet:agent", **TOOLS, **fields)

    assert (question.run.tools, question.ignored) == ((), ())


def test_a_plain_model_that_must_not_call_knows_them_all_the_same() -> None:
    run = to_question(**TOOLS, tool_choice="none").run

    assert (run.tools, run.tool_choice) == ((WEATHER,), ToolChoice("none"))


def test_a_strict_relay_refuses_a_choice_that_an_agent_would_ignore() -> None:
    with pytest.raises(InvalidRequestError) as raised:
        to_question(strict=True, model="sonnet:agent", **TOOLS, tool_choice="required")

    assert raised.value.param == "tool_choice"


@pytest.mark.parametrize("model", ["sonnet:chat", "sonnet", "sonnet:agent"])
@pytest.mark.parametrize(
    ("forcing", "param"),
    [
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "required", "tools": []}, "tool_choice"),
        ({"tool_choice": NAMED}, "tool_choice"),
        ({"tool_choice": {"type": "custom", "custom": {"name": "weather"}}}, "tool_choice"),
        ({"function_call": {"name": "weather"}}, "function_call"),
    ],
)
def test_a_call_cannot_be_forced_where_nothing_can_be_called(model: str, forcing: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        to_question(model=model, **forcing)

    assert (raised.value.status, raised.value.param) == (400, param)


@pytest.mark.parametrize("model", ["sonnet:chat", "sonnet:agent"])
def test_a_tool_that_must_be_called_is_one_of_those_that_are_offered(model: str) -> None:
    other = {"type": "function", "function": {"name": "time"}}

    with pytest.raises(InvalidRequestError) as raised:
        to_question(model=model, **TOOLS, tool_choice=other)

    assert (raised.value.status, raised.value.param) == (400, "tool_choice.function.name")


# --- forcing and thinking --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("forcing", FORCING)
@pytest.mark.parametrize(
    ("effort", "ignored"),
    [(None, ()), ("none", ()), ("minimal", ("reasoning_effort",)), ("high", ("reasoning_effort",))],
)
def test_a_forced_call_switches_thinking_off_and_a_wish_to_think_is_reported(
    forcing: dict[str, Any], effort: str | None, ignored: tuple[str, ...]
) -> None:
    question = to_question(**TOOLS, **forcing, reasoning_effort=effort)

    assert (question.run.effort, question.ignored) == ("none", ignored)


@pytest.mark.parametrize("choice", [None, "auto", "none"])
def test_a_call_that_is_not_forced_leaves_thinking_alone(choice: str | None) -> None:
    question = to_question(**TOOLS, tool_choice=choice, reasoning_effort="high")

    assert (question.run.effort, question.ignored) == ("high", ())


@pytest.mark.parametrize("forcing", FORCING[:2])
def test_an_agent_that_cannot_be_forced_may_think(forcing: dict[str, Any]) -> None:
    assert to_question(model="sonnet:agent", **TOOLS, **forcing, reasoning_effort="high").run.effort == "high"


def test_a_forced_call_leaves_a_choice_of_words_alone() -> None:
    question = to_question(**TOOLS, tool_choice="required", temperature=0.5)

    assert (question.run.sampling, question.ignored) == (Sampling(temperature=0.5), ())


def test_a_choice_of_words_is_not_lost_for_thinking_that_a_forced_call_switches_off() -> None:
    question = to_question(**TOOLS, tool_choice="required", temperature=0.5, reasoning_effort="high")

    assert question.ignored == ("reasoning_effort",)
    assert question.run.sampling == Sampling(temperature=0.5)


def test_a_strict_relay_refuses_a_forced_call_and_a_wish_to_think_together() -> None:
    with pytest.raises(InvalidRequestError) as raised:
        to_question(strict=True, **TOOLS, tool_choice="required", reasoning_effort="high")

    assert raised.value.param == "reasoning_effort"


# --- rounds ----------------------------------------------------------------------------------------------------------


def looped(*results: dict[str, Any], calls: tuple[str, ...] = ("a", "b"), **fields: Any) -> Question:
    """Return what a request in the middle of a tool loop comes to."""
    made = [
        {"id": call_id, "type": "function", "function": {"name": "weather", "arguments": '{"x":1}'}}
        for call_id in calls
    ]
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None, "tool_calls": made}, *results]
    return to_question(messages=messages, **TOOLS, **fields)


def result(call_id: str, content: Any = "mild") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def test_results_in_any_order_are_one_turn_of_the_user() -> None:
    run = looped(result("b"), result("a", [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}])).run

    assert [turn.role for turn in run.turns] == ["user", "assistant", "user"]
    assert run.turns[1].content == (ToolCall("a", "weather", {"x": 1}), ToolCall("b", "weather", {"x": 1}))
    assert run.turns[2].content == (
        ToolResult("b", (Text("mild"),)),
        ToolResult("a", (Text("one"), Text("two"))),
    )


@pytest.mark.parametrize("content", [None, "", []])
def test_a_result_may_be_empty(content: Any) -> None:
    run = looped(result("a", content), calls=("a",)).run

    assert run.turns[-1].content == (ToolResult("a", ()),)


def test_the_user_may_go_on_after_the_results() -> None:
    run = looped(result("a"), {"role": "user", "content": "And?"}, calls=("a",)).run

    assert run.turns[-1].content == (ToolResult("a", (Text("mild"),)), Text("And?"))


def test_a_result_of_a_call_that_was_not_made_is_refused_and_named() -> None:
    with pytest.raises(InvalidRequestError, match="'nobody'") as raised:
        looped(result("a"), result("nobody"), calls=("a",))

    assert (raised.value.status, raised.value.param) == (400, "messages[3].tool_call_id")


@pytest.mark.parametrize("results", [(), (result("a"),)])
def test_calls_without_results_are_refused_and_named(results: tuple[dict[str, Any], ...]) -> None:
    with pytest.raises(InvalidRequestError, match="b") as raised:
        looped(*results, {"role": "user", "content": "Well?"})

    assert raised.value.param == f"messages[{2 + len(results)}]"


def test_the_legacy_form_goes_round_too() -> None:
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": "{}"}},
        {"role": "function", "name": "weather", "content": "mild"},
    ]

    turns = to_question(messages=messages, **FUNCTIONS).run.turns

    (call,) = turns[1].content
    (returned,) = turns[2].content
    assert isinstance(call, ToolCall)
    assert returned == ToolResult(call.id, (Text("mild"),))
