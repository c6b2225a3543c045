"""What a request asks for, and what answers it."""

from typing import Any

import pytest

from claude_relay.engine.vocabulary import Effort, ToolChoice
from claude_relay.messages.inbound import option_name, to_count
from claude_relay.messages.outbound import shown_thinking
from claude_relay.messages.output import ShownThinking
from claude_relay.settings import Personality, Settings
from claude_relay.web.bodies import Body
from tests.unit.messages.bodies import CALLER, HELLO, TOOL, asked, refusal, request

AGENT = Settings(personality="agent")
BILLING = [{"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.332.1c9;"}]
CALL = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
SERVER_TOOL = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}


@pytest.mark.parametrize(
    ("fields", "effort"),
    [
        ({}, None),
        ({"thinking": {"type": "disabled"}}, "none"),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, "none"),
        ({"thinking": {"type": "adaptive"}}, None),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}}, "xhigh"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1_024}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 4_096}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 16_384}}, "high"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1_024}, "output_config": {"effort": "max"}}, "max"),
        ({"thinking": {"type": "enabled"}}, None),
        ({"output_config": {"effort": "low"}}, "low"),
    ],
)
def test_how_much_the_model_may_think(fields: dict[str, Any], effort: Effort | None) -> None:
    assert asked(**fields).run.effort == effort


@pytest.mark.parametrize(
    ("thinking", "shown"),
    [
        (None, ShownThinking(blocks=False)),
        ({"type": "disabled"}, ShownThinking(blocks=False)),
        ({"type": "adaptive"}, ShownThinking(blocks=True)),
        ({"type": "adaptive", "display": "summarized"}, ShownThinking(blocks=True)),
        ({"type": "adaptive", "display": "omitted"}, ShownThinking(blocks=True, text=False)),
        ({"type": "enabled", "budget_tokens": 1_024}, ShownThinking(blocks=True)),
        ({"type": "between_tools"}, ShownThinking(blocks=True)),
    ],
)
def test_thinking_is_shown_only_where_it_is_asked_for(thinking: object, shown: ShownThinking) -> None:
    assert shown_thinking(request(thinking=thinking).thinking, reasoning=True) == shown
    assert not shown_thinking(request(thinking=thinking).thinking, reasoning=False).blocks


@pytest.mark.parametrize(
    ("fields", "personality"),
    [
        ({}, "agent"),
        ({"model": "sonnet:chat"}, "chat"),
        ({"tools": [TOOL]}, "chat"),
        ({"tools": [TOOL], "model": "sonnet:agent"}, "agent"),
        ({"tools": [SERVER_TOOL]}, "agent"),
        ({"system": BILLING}, "chat"),
        (
            {
                "messages": [
                    HELLO,
                    {"role": "assistant", "content": [CALL]},
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a"}]},
                ]
            },
            "chat",
        ),
    ],
)
def test_who_brings_tools_or_is_an_agent_gets_the_plain_model(fields: dict[str, Any], personality: Personality) -> None:
    assert asked(AGENT, **fields).run.personality == personality


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        (None, ToolChoice()),
        ({"type": "auto"}, ToolChoice()),
        ({"type": "auto", "disable_parallel_tool_use": True}, ToolChoice(parallel=False)),
        ({"type": "any"}, ToolChoice("required")),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice("required", parallel=False)),
        ({"type": "tool", "name": "get_weather"}, ToolChoice("required", "get_weather")),
        ({"type": "none"}, ToolChoice("none")),
    ],
)
def test_what_the_model_may_do_with_the_tools(choice: object, found: ToolChoice) -> None:
    assert asked(tools=[TOOL], tool_choice=choice).run.tool_choice == found


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "web_search"}])
def test_a_tool_that_nobody_here_can_call_is_not_forced(choice: dict[str, Any]) -> None:
    question = asked(tools=[SERVER_TOOL], tool_choice=choice)

    assert question.run.tool_choice == ToolChoice()
    assert question.ignored == ("tools.web_search_20250305", "tool_choice")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tool_choice": {"type": "tool", "name": "g"}, "tools": [TOOL]}, "tool_choice.name"),
        ({"tools": [TOOL, TOOL]}, "tools[1].name"),
        ({"tools": [{**TOOL, "name": "a b"}]}, "tools[0].name"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({"tools": [{**TOOL, "type": 1}]}, "tools[0].type"),
        ({"output_config": {"format": {"type": "json_schema", "schema": {"type": 1}}}}, "output_config.format.schema"),
        ({"output_format": {"type": "json_schema", "schema": {"type": 1}}}, "output_format.schema"),
        ({"temperature": 1.5}, "temperature"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], param: str) -> None:
    assert (refusal(**fields).status, refusal(**fields).param) == (400, param)


def test_tools_have_all_that_they_need_and_what_others_add_does_no_harm() -> None:
    more = {"defer_loading": True, "cache_control": {"type": "ephemeral"}, "eager_input_streaming": True}
    bare = {"name": "f", "input_schema": {}, "type": "custom", "strict": True, **more}

    first, second = asked(tools=[{**TOOL, **more}, bare]).run.tools

    assert (first.name, first.description, first.schema) == ("get_weather", "weather", TOOL["input_schema"])
    assert (second.schema, second.strict) == ({"type": "object"}, True)


def test_a_form_of_the_answer_gives_way_to_a_forced_call() -> None:
    form = {"format": {"type": "json_schema", "schema": {"type": "object"}}}

    assert asked(output_config=form).run.output is not None
    assert asked(output_format=form["format"]).run.output == asked(output_config=form).run.output
    assert asked(output_config=form, tools=[TOOL], tool_choice={"type": "any"}).run.output is None


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"temperature": 0.5, "output_config": {"effort": "high"}}, "temperature"),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2_000}, "tools": [TOOL], "tool_choice": {"type": "any"}},
            "thinking",
        ),
    ],
)
def test_what_gives_way_is_named(fields: dict[str, Any], name: str) -> None:
    assert asked(**fields).ignored == (name,)


def test_what_the_upstream_has_refused_is_called_as_the_client_calls_it() -> None:
    assert option_name("reasoning_effort") == "output_config.effort"
    assert option_name("thinking") == "messages.content.thinking"
    assert option_name("top_k") == "top_k"


def test_a_request_is_counted_as_it_is_asked() -> None:
    def count(**fields: Any) -> int:
        found: int = to_count(Body(request(**fields), frozenset()), Settings(), CALLER).known
        return found

    assert 0 < count() < count(system="Be brief.") < count(system="Be brief.", tools=[TOOL])
