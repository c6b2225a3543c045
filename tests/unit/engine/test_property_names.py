"""Names of parameters that the upstream refuses have others there."""

from typing import Any

import pytest

from claude_relay.engine.custom_tools import ClientsNames
from claude_relay.engine.property_names import with_names, with_upstream_arguments, with_upstream_names
from claude_relay.engine.vocabulary import Tool, ToolCall, Turn
from tests.unit.factories import RunRequestFactory, conversation

TEXT = {"type": "string"}


def offering(*names: str, **more: Any) -> Tool:
    return Tool("search", "", {"type": "object", "properties": dict.fromkeys(names, TEXT), **more})


@pytest.mark.parametrize(
    ("names", "made"),
    [
        (("a", "b.c-d_e"), {}),
        (("$filter", "$top"), {"$filter": "_filter", "$top": "_top"}),
        (("a b", "a_b", "a/b"), {"a b": "a_b_2", "a/b": "a_b_2_3"}),
        (("", "\N{SNOWMAN}"), {"": "_", "\N{SNOWMAN}": "__2"}),
        (("x" * 65, "x" * 66), {"x" * 65: "x" * 64, "x" * 66: "x" * 59 + "_2"}),
    ],
)
def test_each_name_that_is_refused_has_one_of_its_own(names: tuple[str, ...], made: dict[str, str]) -> None:
    assert with_upstream_names(offering(*names)).client_names == {new: old for old, new in made.items()}


@pytest.mark.parametrize("schema", [{"type": "object"}, {}, {"properties": True}])
def test_a_schema_without_parameters_has_no_names(schema: dict[str, Any]) -> None:
    tool = Tool("f", "", schema)

    assert with_upstream_names(tool) is tool


@pytest.mark.parametrize(
    ("reference", "moved"),
    [
        ("#/properties/a~1b", "#/properties/a_b"),
        ("#/properties/a~1b/items/properties/$c", "#/properties/a_b/items/properties/$c"),
        ("#/properties/%24d~0", "#/properties/_d_"),
        ("#/properties/e", "#/properties/e"),
        ("#/$defs/a~1b", "#/$defs/a~1b"),
        ("#", "#"),
        ("https://example.com/a/b", "https://example.com/a/b"),
    ],
)
def test_references_to_a_parameter_follow_its_name(reference: str, moved: str) -> None:
    tool = offering("a/b", "$d~", "e", allOf=[{"$ref": reference}], const={"$ref": reference})

    asked = with_upstream_names(tool)

    assert (asked.schema["allOf"], asked.schema["const"]) == ([{"$ref": moved}], {"$ref": reference})


def test_a_schema_that_is_nested_too_deeply_to_be_looked_at_has_its_names_all_the_same() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5_000):
        deep = {"not": deep}

    asked = with_upstream_names(offering("$a", allOf=[deep]))

    assert list(asked.schema["properties"]) == ["_a"]


def test_past_calls_have_the_names_of_their_tool_and_others_their_own() -> None:
    calls = (ToolCall("1", "search", {"$filter": 1, "x": 2}), ToolCall("2", "other", {"$filter": 1}))
    turns = (*conversation("?"), Turn("assistant", calls))
    tool = with_upstream_names(offering("$filter", "x", required=["$filter"]))

    asked = with_upstream_arguments(RunRequestFactory.build(tools=(tool,), turns=turns))

    assert asked.tools == (tool,)
    assert list(tool.schema["properties"]) == ["_filter", "x"]
    assert tool.schema["required"] == ["_filter"]
    assert [call.arguments for call in asked.turns[-1].content if isinstance(call, ToolCall)] == [
        {"_filter": 1, "x": 2},
        {"$filter": 1},
    ]


def test_a_request_without_such_names_is_asked_as_it_is() -> None:
    request = RunRequestFactory.build(tools=(offering("a"),))

    assert with_upstream_arguments(request) is request


def test_the_client_gets_its_own_names_back() -> None:
    names = with_upstream_names(offering("$filter", "x")).client_names
    whole, cut = ClientsNames(names), ClientsNames(names)

    assert with_names({"_filter": 1, "y": 2}, names) == {"$filter": 1, "y": 2}
    assert [whole.feed('{"_fil'), whole.feed('ter":"a"}'), whole.flush()] == ["", "", '{"$filter":"a"}']
    assert [cut.feed('{"_fil'), cut.flush()] == ["", '{"_fil']
