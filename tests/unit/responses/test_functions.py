"""Tools of a request are offered to the model by names that it can call, and known by those of the client."""

from typing import Any

import pytest

from claude_relay.errors import RelayError
from claude_relay.responses.functions import ClientTool, Offer, offer, upstream_name
from tests.unit.responses.bodies import request

ONE: dict[str, Any] = {"type": "function", "name": "one", "parameters": {"type": "object", "properties": {}}}
TWO: dict[str, Any] = {"type": "function", "name": "two", "description": "Two.", "strict": True}
PATCH: dict[str, Any] = {"type": "custom", "name": "patch"}
SPACE: dict[str, Any] = {"type": "namespace", "name": "space", "description": "Room.", "tools": [ONE, TWO, PATCH]}
SEARCH: dict[str, Any] = {"type": "tool_search", "execution": "client"}
HOSTED = (
    "web_search",
    "web_search_preview",
    "file_search",
    "code_interpreter",
    "image_generation",
    "mcp",
    "computer_use_preview",
    "local_shell",
    "shell",
    "apply_patch",
    "tool_search",
    "never_heard_of",
)


def offered(*tools: Any, **fields: Any) -> Offer:
    return offer(request(tools=list(tools), **fields))


def refused(*tools: Any, **fields: Any) -> RelayError:
    with pytest.raises(RelayError) as raised:
        offered(*tools, **fields)
    return raised.value


def names(found: Offer) -> list[str]:
    return [tool.name for tool in found.tools]


def test_a_function_is_offered_as_it_is() -> None:
    one, two = offered(ONE, TWO).tools

    assert (one.name, one.description, one.schema, one.strict) == ("one", "", ONE["parameters"], False)
    assert (two.description, two.schema, two.strict) == ("Two.", {"type": "object", "properties": {}}, True)


def test_a_custom_tool_takes_text_and_its_grammar_is_told_but_not_enforced() -> None:
    form = {"type": "grammar", "syntax": "regex", "definition": "a+"}

    found = offered({**PATCH, "format": form})

    (tool,) = found.tools
    assert tool.takes_text
    assert "a+" in str(tool.schema)
    assert found.ignored == ("tools.format",)
    assert found.clients == {"patch": ClientTool("custom", "patch")}


def test_a_namespace_is_in_the_names_and_what_it_is_for_is_told_once() -> None:
    found = offered(SPACE)

    assert names(found) == ["space__one", "space__two", "space__patch"]
    assert [("Room." in tool.description) for tool in found.tools] == [True, False, False]
    assert found.clients["space__patch"] == ClientTool("custom", "patch", "space")


@pytest.mark.parametrize(
    ("name", "namespace", "known"),
    [
        ("go", None, "go"),
        ("go", "functions", "go"),
        ("go", "mcp.server one", "mcp_server_one__go"),
        ("go", "é", "___go"),
    ],
)
def test_the_model_knows_names_of_letters_digits_underscores_and_dashes(
    name: str, namespace: str | None, known: str
) -> None:
    assert upstream_name(name, namespace) == known


def test_names_that_are_too_long_stay_apart() -> None:
    long = [upstream_name(f"{'x' * 120}{end}", "space" * 5) for end in "ab"]

    assert [len(name) for name in long] == [128, 128]
    assert long[0] != long[1]
    assert long[0] == upstream_name(f"{'x' * 120}a", "space" * 5)


@pytest.mark.parametrize("kind", HOSTED)
def test_a_tool_that_nobody_here_runs_is_named_and_never_refused(kind: str) -> None:
    found = offered({"type": kind, "name": "x", "anything": {"a": 1}}, ONE)

    assert names(found) == ["one"]
    assert found.ignored == (f"tools.{kind}",)


def test_tools_that_items_bring_are_offered_and_may_come_again() -> None:
    given = [
        {"role": "user", "content": "?"},
        {"type": "additional_tools", "role": "developer", "tools": [SPACE]},
        {"type": "tool_search_call", "call_id": "1", "arguments": {}},
        {"type": "tool_search_output", "call_id": "1", "tools": [SPACE, {**TWO, "description": "New."}]},
    ]

    found = offered(TWO, SEARCH, input=given)

    assert names(found) == ["two", "tool_search", "space__one", "space__two", "space__patch"]
    assert found.tools[0].description == "New."
    assert found.clients["tool_search"].kind == "tool_search"


@pytest.mark.parametrize(
    ("choice", "mode", "name"),
    [
        (None, "auto", None),
        ("auto", "auto", None),
        ("none", "none", None),
        ("required", "required", None),
        ({"type": "function", "name": "two"}, "required", "two"),
        ({"type": "custom", "name": "patch"}, "required", "space__patch"),
        ({"type": "function", "name": "one", "namespace": "space"}, "required", "space__one"),
        ({"type": "tool_search"}, "required", "tool_search"),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "two"}]},
            "required",
            None,
        ),
    ],
)
def test_each_form_of_tool_choice_is_understood(choice: Any, mode: str, name: str | None) -> None:
    found = offered(TWO, SPACE, SEARCH, tool_choice=choice)

    assert (found.choice.mode, found.choice.name, found.ignored) == (mode, name, ())


def test_only_allowed_tools_are_offered() -> None:
    allowed = {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [{"type": "function", "name": "two"}, {"type": "tool_search"}, {"type": "image_generation"}],
    }

    assert names(offered(ONE, TWO, SEARCH, tool_choice=allowed)) == ["two", "tool_search"]


def test_a_hosted_tool_cannot_be_forced_and_that_is_named() -> None:
    assert offered(ONE, tool_choice={"type": "web_search"}).ignored == ("tool_choice",)
    hosted = offered({"type": "web_search"}, tool_choice="required")
    assert (hosted.choice.mode, hosted.ignored) == ("auto", ("tools.web_search", "tool_choice"))


@pytest.mark.parametrize(
    ("tools", "fields", "param"),
    [
        ([ONE, ONE], {}, "tools"),
        ([{"type": "function"}], {}, "tools[0].name"),
        ([{"type": "function", "name": "a b"}], {}, "tools[0].name"),
        ([{"name": "one"}], {}, "tools[0].type"),
        ([{"type": 1}], {}, "tools[0].type"),
        ([{**SPACE, "tools": [{"type": "custom"}]}], {}, "tools[0].tools[0].name"),
        ([ONE], {"tool_choice": {"type": "function", "name": "x"}}, "tool_choice"),
        ([ONE], {"tool_choice": {"name": "x"}}, "tool_choice.type"),
        ([], {"tool_choice": "required"}, "tool_choice"),
        ([ONE], {"input": [{"type": "additional_tools", "tools": [{}]}]}, "input[0].tools[0].type"),
    ],
)
def test_a_tool_that_cannot_be_offered_is_refused_with_its_place(
    tools: list[Any], fields: dict[str, Any], param: str
) -> None:
    error = refused(*tools, **fields)

    assert (error.status, error.param) == (400, param)


def test_several_calls_at_once_can_be_forbidden() -> None:
    assert offered(ONE, parallel_tool_calls=False).choice.parallel is False
    assert offered(ONE).choice.parallel is True
