"""The client's functions, in both of their forms, and what the model may do with them."""

from typing import Any

import pytest

from claude_relay.chat.functions import choice, legacy, offered_tools, require_offered
from claude_relay.engine.vocabulary import Tool, ToolChoice
from claude_relay.errors import InvalidRequestError
from tests.unit.chat.bodies import request

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"name": "weather", "description": "Tells the weather.", "parameters": SCHEMA}
TIME = {"name": "get-Time_2"}
NAMED = {"type": "function", "function": {"name": "weather"}}
EMPTY = {"type": "object", "properties": {}}


def tools(*functions: dict[str, Any]) -> dict[str, Any]:
    """Write functions in the present form."""
    return {"tools": [{"type": "function", "function": function} for function in functions]}


def functions(*given: dict[str, Any]) -> dict[str, Any]:
    """Write functions in the legacy form."""
    return {"functions": list(given)}


def chosen(**fields: Any) -> ToolChoice:
    asked = request(**fields)
    require_offered(asked, offered_tools(asked))
    return choice(asked)


def refused(**fields: Any) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as raised:
        chosen(**fields)
    return raised.value


# --- what is offered -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [tools, functions])
def test_functions_are_offered_in_order_as_they_are_described(form: Any) -> None:
    assert offered_tools(request(**form(WEATHER, TIME))) == (
        Tool("weather", "Tells the weather.", SCHEMA),
        Tool("get-Time_2", "", EMPTY),
    )


@pytest.mark.parametrize("fields", [{}, {"tools": None}, {"tools": []}, {"functions": []}, {"functions": None}])
def test_without_functions_none_are_offered(fields: dict[str, Any]) -> None:
    assert offered_tools(request(**fields)) == ()
    assert chosen(**fields) == ToolChoice()


@pytest.mark.parametrize(
    ("parameters", "schema"),
    [
        (None, EMPTY),
        ({}, EMPTY),
        (EMPTY, EMPTY),
        (SCHEMA, SCHEMA),
        ({"properties": {"a": {}}}, {"type": "object", "properties": {"a": {}}}),
        ({"$ref": "#/$defs/a", "$defs": {"a": {}}}, {"type": "object", "$ref": "#/$defs/a", "$defs": {"a": {}}}),
        ({"type": "object", "x-odd": [1, None]}, {"type": "object", "x-odd": [1, None]}),
    ],
)
def test_arguments_are_always_an_object_and_otherwise_as_described(parameters: Any, schema: dict[str, Any]) -> None:
    (tool,) = offered_tools(request(**tools({"name": "a", "parameters": parameters})))

    assert tool.schema == schema


@pytest.mark.parametrize(("strict", "expected"), [(True, True), (False, False), (None, False)])
def test_strict_is_a_wish(strict: bool | None, expected: bool) -> None:
    (tool,) = offered_tools(request(**tools({"name": "a", "strict": strict})))

    assert tool.strict is expected


def test_the_legacy_form_gives_way_to_the_present_one() -> None:
    fields = {**tools(WEATHER), **functions(TIME)}

    assert [tool.name for tool in offered_tools(request(**fields))] == ["weather"]
    assert not legacy(request(**fields))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [({}, False), (tools(TIME), False), (functions(TIME), True), ({"tools": [], **functions(TIME)}, True)],
)
def test_who_offers_functions_in_the_legacy_form_is_answered_in_it(fields: dict[str, Any], expected: bool) -> None:
    assert legacy(request(**fields)) is expected


@pytest.mark.parametrize(("form", "field"), [(tools, "tools"), (functions, "functions")])
def test_two_functions_with_one_name_are_refused_with_the_place_of_the_second(form: Any, field: str) -> None:
    with pytest.raises(InvalidRequestError, match="weather") as raised:
        offered_tools(request(**form(WEATHER, TIME, {"name": "weather"})))

    assert (raised.value.status, raised.value.param) == (400, f"{field}[2]")


@pytest.mark.parametrize("name", ["", "a b", "a.b", "a/b", "ä", "x" * 129, "a\n"])
@pytest.mark.parametrize("form", [tools, functions])
def test_names_that_the_upstream_does_not_take_are_refused(form: Any, name: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        request(**form({"name": name}))

    assert raised.value.status == 400


def test_the_longest_name_is_taken() -> None:
    assert offered_tools(request(**tools({"name": "x" * 128})))[0].name == "x" * 128


def test_many_functions_are_offered() -> None:
    many = [{"name": f"f{number}", "description": "d" * 5000} for number in range(70)]

    assert [len(tool.description) for tool in offered_tools(request(**tools(*many)))] == [5000] * 70


# --- what the model may do with them ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ToolChoice()),
        ({"tool_choice": None}, ToolChoice()),
        ({"tool_choice": "auto"}, ToolChoice()),
        ({"tool_choice": "none"}, ToolChoice("none")),
        ({"tool_choice": "required"}, ToolChoice("required")),
        ({"tool_choice": NAMED}, ToolChoice("required", "weather")),
        ({"parallel_tool_calls": True}, ToolChoice()),
        ({"parallel_tool_calls": None}, ToolChoice()),
        ({"parallel_tool_calls": False}, ToolChoice(parallel=False)),
        ({"tool_choice": "required", "parallel_tool_calls": False}, ToolChoice("required", parallel=False)),
        ({"tool_choice": NAMED, "parallel_tool_calls": False}, ToolChoice("required", "weather", parallel=False)),
        ({"function_call": {"name": "weather"}}, ToolChoice("required", "weather")),
        ({"function_call": "none"}, ToolChoice("none")),
        ({"function_call": "none", "tool_choice": "required"}, ToolChoice("required")),
    ],
)
def test_every_choice_is_understood(fields: dict[str, Any], expected: ToolChoice) -> None:
    assert chosen(**tools(WEATHER, TIME), **fields) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ToolChoice(parallel=False)),
        ({"function_call": "auto"}, ToolChoice(parallel=False)),
        ({"function_call": "none"}, ToolChoice("none")),
        ({"function_call": {"name": "weather"}}, ToolChoice("required", "weather", parallel=False)),
        ({"tool_choice": "required"}, ToolChoice("required", parallel=False)),
        ({"parallel_tool_calls": True}, ToolChoice(parallel=False)),
    ],
)
def test_the_legacy_form_knows_one_call_for_each_answer(fields: dict[str, Any], expected: ToolChoice) -> None:
    assert chosen(**functions(WEATHER, TIME), **fields) == expected


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({**tools(TIME), "tool_choice": NAMED}, "tool_choice.function.name"),
        ({**functions(TIME), "function_call": {"name": "weather"}}, "function_call.name"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": NAMED}, "tool_choice"),
        ({"tools": [], "tool_choice": "required"}, "tool_choice"),
        pytest.param(
            {"function_call": {"name": "weather"}},
            "function_call",
        ),
    ],
)
def test_what_must_be_called_must_be_offered(fields: dict[str, Any], param: str) -> None:
    error = refused(**fields)

    assert (error.status, error.code, error.param) == (400, "invalid_value", param)


@pytest.mark.parametrize("fields", [{"tool_choice": "none"}, {"tool_choice": "auto"}, {"function_call": "none"}])
def test_a_choice_that_forces_nothing_needs_no_functions(fields: dict[str, Any]) -> None:
    assert chosen(**fields).mode != "required"


@pytest.mark.parametrize(
    ("fields", "mode"),
    [
        ({"function_call": "auto"}, "auto"),
        ({"function_call": "none", "tool_choice": "auto"}, "auto"),
        ({"function_call": {"name": "weather"}, "tool_choice": "none"}, "none"),
    ],
)
def test_the_legacy_choice_gives_way_to_the_present_one(fields: dict[str, Any], mode: str) -> None:
    assert chosen(**tools(WEATHER), **fields) == ToolChoice(mode)  # type: ignore[arg-type]
