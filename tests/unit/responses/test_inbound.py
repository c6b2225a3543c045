"""A request becomes a question, and what has no effect is named."""

from typing import Any

import pytest

from claude_relay.engine.turns import SILENCE
from claude_relay.engine.vocabulary import AgentToolUse, Decision, JsonOutput, Text, Turn
from claude_relay.responses.inbound import option_name
from claude_relay.settings import Personality, Settings
from tests.unit.responses.bodies import asked, refusal

FUNCTION = {"type": "function", "name": "f"}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
CALLED = [
    {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "a", "output": "x"},
]
AGENT = Settings(personality="agent")


def form(**fields: Any) -> dict[str, Any]:
    return {"format": {"type": "json_schema", "name": "N", "schema": SCHEMA, **fields}}


def test_a_question_has_the_caller_and_the_model() -> None:
    run = asked(model="opus:chat").run

    assert (run.model, run.personality, run.caller, run.account) == ("opus", "chat", "ada", "ada")
    assert run.turns == (Turn("user", (Text("Hello"),)),)


def test_instructions_stand_before_the_systems_messages() -> None:
    given = [{"role": "system", "content": "b"}, {"role": "user", "content": "?"}]

    assert asked(instructions="a", input=given).run.system == "a\n\nb"


@pytest.mark.parametrize("given", [None, "", [], " ", [{"role": "system", "content": " "}]])
def test_a_request_that_says_nothing_is_served(given: Any) -> None:
    assert asked(input=given).run.turns == (SILENCE,)


def test_lone_instructions_are_the_question() -> None:
    assert asked(input=None, instructions="Hi").run.turns == (Turn("user", (Text("Hi"),)),)
    assert asked(input=[{"role": "developer", "content": "Hi"}]).run.turns == (Turn("user", (Text("Hi"),)),)


@pytest.mark.parametrize(
    ("fields", "personality"),
    [
        ({}, "agent"),
        ({"tools": [FUNCTION]}, "chat"),
        ({"tools": [{"type": "web_search"}]}, "agent"),
        ({"input": CALLED}, "chat"),
        ({"tools": [FUNCTION], "model": "sonnet:agent"}, "agent"),
    ],
)
def test_who_brings_tools_gets_a_model_that_uses_them(fields: dict[str, Any], personality: Personality) -> None:
    assert asked(AGENT, **fields).run.personality == personality


@pytest.mark.parametrize(
    ("effort", "expected"), [("none", "none"), ("minimal", "low"), ("low", "low"), ("xhigh", "xhigh"), (None, None)]
)
def test_an_effort_is_one_that_the_cli_knows(effort: str | None, expected: str | None) -> None:
    assert asked(reasoning={"effort": effort}).run.effort == expected


def test_an_update_of_the_configuration_wins() -> None:
    update = {"type": "configuration_update", "reasoning": {"effort": "high"}}

    assert asked(reasoning={"effort": "low"}, input=[update, {"role": "user", "content": "?"}]).run.effort == "high"


def test_the_form_of_an_answer_is_its_schema() -> None:
    output = asked(text=form()).run.output

    assert output is not None
    assert output.schema == SCHEMA
    assert output.format is not None
    assert isinstance(asked(text={"format": {"type": "json_object"}}).run.output, JsonOutput)
    assert asked(text={"format": {"type": "text"}, "verbosity": "medium"}).run.output is None


def test_a_schema_that_is_none_is_refused() -> None:
    error = refusal(text=form(schema={"type": "nothing"}))

    assert (error.param, error.code) == ("text.format.schema", "invalid_json_schema")


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"temperature": 0.5, "reasoning": {"effort": "low"}}, ["temperature"]),
        ({"tools": [FUNCTION], "tool_choice": "required", "reasoning": {"effort": "low"}}, ["reasoning.effort"]),
        ({"text": {"verbosity": "low"}}, ["text.verbosity"]),
        ({"reasoning": {"context": "all_turns", "mode": "x"}}, ["reasoning.context", "reasoning.mode"]),
        ({"include": ["reasoning.encrypted_content"]}, []),
        ({"include": ["reasoning.encrypted_content", "web_search_call.results", "x"]}, ["include"]),
        ({"stream_options": {"include_obfuscation": True}}, ["stream_options.include_obfuscation"]),
        ({"never_heard_of": 1, "another": 2}, ["another", "never_heard_of"]),
        ({"tools": [{"type": "web_search"}, {"type": "web_search"}]}, ["tools.web_search"]),
        ({"tools": [{**FUNCTION, "strict": True, "parameters": {"additionalProperties": {}}}]}, ["tools.strict"]),
        ({"store": True, "background": False, "include": [], "metadata": {"a": "b"}, "truncation": "disabled"}, []),
    ],
)
def test_what_has_no_effect_is_named_once(fields: dict[str, Any], names: list[str]) -> None:
    assert list(asked(**fields).ignored) == names


def test_a_relay_that_hides_thinking_has_none_to_include() -> None:
    assert asked(Settings(reasoning=False), include=["reasoning.encrypted_content"]).ignored == ("include",)


def test_a_strict_relay_refuses_what_has_no_effect() -> None:
    error = refusal(Settings(strict=True), tools=[{"type": "web_search"}])

    assert (error.param, error.code) == ("tools.web_search", "unsupported_parameter")


@pytest.mark.parametrize(
    ("fields", "status", "param", "code"),
    [
        ({"background": True}, 400, "background", "unsupported_parameter"),
        ({"background": True, "store": False}, 400, "background", "unsupported_parameter"),
        ({"previous_response_id": "resp_1"}, 400, "previous_response_id", "previous_response_not_found"),
        ({"conversation": "conv_1"}, 404, "conversation", "not_found"),
        ({"conversation": {"id": "conv_1"}}, 404, "conversation", "not_found"),
    ],
)
def test_what_needs_a_store_is_refused(fields: dict[str, Any], status: int, param: str, code: str) -> None:
    error = refusal(**fields)

    assert (error.status, error.param, error.code) == (status, param, code)


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("reasoning_effort", "reasoning.effort"),
        ("tools.function.strict", "tools.strict"),
        ("thinking", "input.reasoning.encrypted_content"),
        ("top_p", "top_p"),
    ],
)
def test_what_the_upstream_refuses_is_named_as_this_api_calls_it(option: str, name: str) -> None:
    assert option_name(option) == name


@pytest.mark.parametrize(
    ("settings", "model", "pauses"),
    [
        (Settings(permission_mode="ask"), "sonnet", True),
        (Settings(permission_mode="ask"), "sonnet:chat", False),
        (Settings(permission_mode="default"), "sonnet", False),
        (Settings(), "sonnet", False),
    ],
)
def test_an_answer_may_end_for_a_permission_where_callers_are_asked(
    settings: Settings, model: str, pauses: bool
) -> None:
    assert asked(settings, model=model).run.pauses == pauses


def test_decisions_are_those_of_the_caller() -> None:
    answer = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": False, "reason": "No."}

    run = asked(input=[answer]).run

    assert (run.decisions, run.caller) == ((Decision("mcpr_1", approve=False, reason="No."),), "ada")


def test_a_decision_that_nobody_goes_on_with_is_named() -> None:
    answer = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}

    question = asked(input=[answer, {"role": "user", "content": "And more."}])

    assert (question.run.decisions, question.ignored) == ((), ("input.mcp_approval_response",))


def test_only_an_agent_is_told_what_it_did() -> None:
    used = {"type": "mcp_call", "server_label": "claude_code", "id": "mcp_1", "name": "Bash", "output": "a.txt"}
    given = [{"role": "user", "content": "Hi"}, used, {"role": "user", "content": "Thanks"}]

    assert asked(input=given, model="sonnet:agent").run.turns[1].content == (
        AgentToolUse("mcp_1", "Bash", {}, "a.txt"),
    )
    assert len(asked(input=given, model="sonnet:chat").run.turns) == 1


def test_a_request_that_goes_on_without_a_decision_tells_what_is_not_waited_for() -> None:
    question = {"type": "mcp_approval_request", "id": "mcpr_1", "name": "Bash", "arguments": "{}", "server_label": "x"}
    decision = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}
    further = {"role": "user", "content": "Never mind."}

    assert asked(input=[further, question, further]).run.undecided == ("mcpr_1",)
    assert asked(input=[further, question, decision]).run.undecided == ()
