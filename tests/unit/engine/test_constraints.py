"""What a request asks for and cannot have together."""

from typing import Any

import pytest

from claude_relay.engine.constraints import Option, constrained, excludes_budget
from claude_relay.engine.vocabulary import (
    Effort,
    RedactedThinking,
    RunRequest,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from claude_relay.settings import Personality

TOOLS = (Tool("weather", "", {"type": "object"}),)
TURNS = (Turn("user", (Text("?"),)),)
WORDING = Sampling(temperature=0.5, top_p=0.4, top_k=3, max_tokens=9, stop=("END",))
FORCING = [ToolChoice("required"), ToolChoice("required", "weather", parallel=False)]


def asked(personality: Personality = "chat", **fields: Any) -> RunRequest:
    return RunRequest("sonnet", personality, "system", TURNS, **fields)


@pytest.mark.parametrize("personality", ["chat", "agent"])
@pytest.mark.parametrize("effort", [None, "none", "high"])
def test_what_asks_for_nothing_special_is_run_as_it_is(personality: Personality, effort: Effort | None) -> None:
    request = asked(personality, effort=effort, tools=TOOLS, sampling=Sampling(stop=("END",)))

    assert constrained(request) == (request, ())


# --- thinking and words ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("temperature", "run"), [(None, None), (0.0, 0.0), (0.3, 0.3), (1.0, 1.0), (1.5, 1.0), (2, 1)])
def test_a_temperature_ends_where_the_upstreams_scale_does(temperature: float | None, run: float | None) -> None:
    assert constrained(asked(sampling=Sampling(temperature=temperature)))[0].sampling == Sampling(temperature=run)


@pytest.mark.parametrize("wording", [Sampling(temperature=0.0), Sampling(top_p=0.0), Sampling(top_k=0)])
@pytest.mark.parametrize("effort", [None, "none"])
def test_a_choice_of_words_switches_thinking_off(wording: Sampling, effort: Effort | None) -> None:
    request = asked(sampling=wording, effort=effort)

    assert constrained(request) == (asked(sampling=wording, effort="none"), ())


@pytest.mark.parametrize(
    ("wording", "left_out"),
    [(WORDING, ("temperature", "top_p", "top_k")), (Sampling(top_k=3), ("top_k",)), (Sampling(max_tokens=9), ())],
)
def test_a_choice_of_words_is_left_out_where_an_effort_is_asked_for(
    wording: Sampling, left_out: tuple[Option, ...]
) -> None:
    limits = Sampling(max_tokens=wording.max_tokens, stop=wording.stop)

    assert constrained(asked(sampling=wording, effort="low")) == (asked(sampling=limits, effort="low"), left_out)


# --- forced calls ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("choice", FORCING)
@pytest.mark.parametrize(("effort", "left_out"), [(None, ()), ("none", ()), ("low", ("effort",))])
def test_a_forced_call_switches_thinking_off_and_leaves_a_choice_of_words_alone(
    choice: ToolChoice, effort: Effort | None, left_out: tuple[Option, ...]
) -> None:
    request = asked(tools=TOOLS, tool_choice=choice, sampling=WORDING, effort=effort)

    expected = asked(tools=TOOLS, tool_choice=choice, sampling=WORDING, effort="none")
    assert constrained(request) == (expected, left_out)


@pytest.mark.parametrize("personality", ["chat", "agent"])
def test_without_tools_there_is_no_choice(personality: Personality) -> None:
    assert constrained(asked(personality, tool_choice=ToolChoice("none")))[0] == asked(personality)


def test_a_model_that_must_not_call_knows_the_tools_all_the_same() -> None:
    request = asked(tools=TOOLS, tool_choice=ToolChoice("none"), effort="high")

    assert constrained(request) == (request, ())


# --- agents ----------------------------------------------------------------------------------------------------------


def test_the_model_calls_of_an_agent_are_its_own_business() -> None:
    run, left_out = constrained(asked("agent", sampling=WORDING, effort="high"))

    assert run == asked("agent", sampling=Sampling(stop=("END",)), effort="high")
    assert left_out == ("temperature", "top_p", "top_k", "max_tokens")


@pytest.mark.parametrize(
    ("choice", "left_out"),
    [
        (ToolChoice(), ()),
        (ToolChoice(parallel=False), ("parallel",)),
        (ToolChoice("required"), ("tool_choice",)),
        (ToolChoice("required", "weather", parallel=False), ("tool_choice", "parallel")),
    ],
)
def test_an_agent_chooses_by_itself(choice: ToolChoice, left_out: tuple[Option, ...]) -> None:
    request = asked("agent", tools=TOOLS, tool_choice=choice, effort="high")

    assert constrained(request) == (asked("agent", tools=TOOLS, effort="high"), left_out)


def test_an_agent_that_must_not_call_does_not_know_the_tools() -> None:
    assert constrained(asked("agent", tools=TOOLS, tool_choice=ToolChoice("none"))) == (asked("agent"), ())


# --- strict tools ----------------------------------------------------------------------------------------------------

CITY = {"type": "object", "properties": {"city": {"type": "string", "minLength": 2}}, "required": ["city"]}
CLOSED = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "{minLength: 2}"}},
    "required": ["city"],
    "additionalProperties": False,
}
MAP = {"type": "object", "additionalProperties": {"type": "string"}}


def test_a_strict_tool_is_held_to_a_copy_that_the_upstream_takes_and_another_to_none() -> None:
    request = asked(tools=(Tool("a", "", CITY, strict=True), Tool("b", "", CITY)))

    run, left_out = constrained(request)

    assert run.tools == (Tool("a", "", CITY, strict=True, format=CLOSED), Tool("b", "", CITY))
    assert left_out == ()


NESTED: dict[str, Any] = {"type": "string"}
for _ in range(400):
    NESTED = {"type": "array", "items": NESTED}


@pytest.mark.parametrize(
    "schema",
    [MAP, {"type": 7}, {"type": "object", "properties": []}, {"enum": 5}, {"$ref": "#/$defs/none"}, NESTED],
    ids=["a map", "a number as type", "a list of properties", "a number as enum", "a reference to nothing", "nested"],
)
def test_a_strict_tool_whose_schema_has_no_such_copy_is_offered_without(schema: dict[str, Any]) -> None:
    request = asked(tools=(Tool("a", "", schema, strict=True), Tool("b", "", CITY, strict=True)))

    run, left_out = constrained(request)

    assert [tool.format for tool in run.tools] == [None, CLOSED]
    assert left_out == ("strict",)


@pytest.mark.parametrize(("count", "held", "left_out"), [(20, 20, ()), (21, 20, ("strict",))])
def test_the_upstream_holds_the_model_to_twenty_tools(count: int, held: int, left_out: tuple[Option, ...]) -> None:
    tools = tuple(Tool(f"tool_{number}", "", CITY, strict=True) for number in range(count))

    run, found = constrained(asked(tools=(TOOLS[0], *tools)))

    assert [tool.format is not None for tool in run.tools] == [False] + [True] * held + [False] * (count - held)
    assert found == left_out


def test_an_agents_tools_are_not_strict() -> None:
    request = asked("agent", tools=(Tool("a", "", CITY, strict=True),))

    assert constrained(request) == (request, ("strict",))


# --- thinking budgets ------------------------------------------------------------------------------------------------


CALLS = (
    *TURNS,
    Turn("assistant", (Text("Let me see."),)),
    Turn("user", (ToolResult("call_1", (Text("rain"),)), Text("And tomorrow?"))),
)
THOUGHT, HIDDEN, CALL = Thinking("hm", "U1"), RedactedThinking("ZGF0YQ=="), ToolCall("call_1", "weather", {})
RESULTS = Turn("user", (ToolResult("call_1", (Text("rain"),)),))


@pytest.mark.parametrize(
    ("fields", "turns", "expected"),
    [
        ({}, TURNS, False),
        ({"sampling": Sampling(max_tokens=1)}, TURNS, True),
        ({"sampling": Sampling(max_tokens=1024)}, TURNS, True),
        ({"sampling": Sampling(max_tokens=1025)}, TURNS, False),
        ({}, CALLS, True),
        ({}, (*CALLS, Turn("assistant", (Text("Rain."),)), *TURNS), False),
        ({}, (*TURNS, Turn("assistant", (Text("It is"),))), True),
        ({}, (), False),
        ({}, (*TURNS, Turn("assistant", (THOUGHT, CALL)), RESULTS), False),
        ({}, (*TURNS, Turn("assistant", (HIDDEN, CALL)), RESULTS, Turn("assistant", (CALL,)), RESULTS), False),
        ({}, (*TURNS, Turn("assistant", (CALL,)), RESULTS, Turn("assistant", (THOUGHT, CALL)), RESULTS), True),
        ({}, (*TURNS, Turn("assistant", (THOUGHT, Text("a"))), *TURNS, Turn("assistant", (CALL,)), RESULTS), True),
    ],
    ids=[
        "a question",
        "one token",
        "the budget",
        "one more",
        "a tool loop",
        "its end",
        "the begin of an answer",
        "none",
        "a tool loop after thinking",
        "two rounds after thinking",
        "thinking in the second round",
        "thinking before another question",
    ],
)
def test_a_budget_needs_room_and_a_beginning(fields: dict[str, Any], turns: tuple[Turn, ...], expected: bool) -> None:
    assert excludes_budget(RunRequest("haiku", "chat", None, turns, **fields)) is expected
