"""What a request sets on a process."""

from typing import Any

import msgspec
import pytest

from claude_relay.engine.claude.configuration import defaults, initial, settings
from claude_relay.engine.claude.history import Plan
from claude_relay.engine.profiles import Profile
from claude_relay.engine.vocabulary import Effort, JsonOutput, RunRequest, Sampling, Tool, ToolChoice
from claude_relay.settings import Personality
from tests.unit.factories import RunRequestFactory

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
PLAN = Plan((), (), {})


def request(**fields: Any) -> RunRequest:
    return RunRequestFactory.build(**fields)


def set_by(plan: Plan = PLAN, **fields: Any) -> dict[str, Any]:
    return settings(request(**fields), plan)


def body(plan: Plan = PLAN, **fields: Any) -> Any:
    """Return what is added to the upstream's request, or None."""
    text = set_by(plan, **fields)["env"]["CLAUDE_CODE_EXTRA_BODY"]
    return msgspec.json.decode(text) if text else None


# --- initialize ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("personality", "system", "expected"),
    [
        ("chat", "Be brief.", {"systemPrompt": ["Be brief."]}),
        ("chat", None, {"systemPrompt": [""]}),
        ("agent", "Be brief.", {"appendSystemPrompt": "Be brief."}),
        ("agent", None, {}),
    ],
)
def test_the_callers_words_are_the_whole_prompt_of_a_chat_and_follow_that_of_an_agent(
    personality: Personality, system: str | None, expected: dict[str, Any]
) -> None:
    assert initial(request(personality=personality, system=system)) == {"title": "claude-relay", **expected}


@pytest.mark.parametrize(
    ("personality", "system", "expected"),
    [
        ("chat", "Be brief.", {"systemPrompt": ["Speak of documents.\n\nBe brief."]}),
        ("chat", None, {"systemPrompt": ["Speak of documents."]}),
        ("agent", "Be brief.", {"appendSystemPrompt": "Speak of documents.\n\nBe brief."}),
        ("agent", None, {"appendSystemPrompt": "Speak of documents."}),
    ],
)
def test_a_profiles_instructions_stand_before_the_callers_words(
    personality: Personality, system: str | None, expected: dict[str, Any]
) -> None:
    docs = Profile(name="docs", target="x", model="x", personality=personality, system="Speak of documents.")
    silent = Profile(name="silent", target="x", model="x", personality=personality)

    assert initial(request(personality=personality, system=system, profile=docs)) == {
        "title": "claude-relay",
        **expected,
    }
    assert initial(request(personality=personality, system=system, profile=silent)) == initial(
        request(personality=personality, system=system)
    )


def test_a_tool_takes_the_answer_only_where_the_upstream_does_not_constrain_it() -> None:
    assert initial(request(output=JsonOutput({}, tool_schema=SCHEMA)))["jsonSchema"] == SCHEMA
    assert "jsonSchema" not in initial(request(output=JsonOutput(SCHEMA, SCHEMA)))
    assert "jsonSchema" not in initial(request())


# --- flag settings ---------------------------------------------------------------------------------------------------


FULL: list[dict[str, Any]] = [
    {},
    {"model": "opus"},
    {"effort": "none"},
    {"effort": "max"},
    {"sampling": Sampling(0.5, 0.5, 5, 50, ("a",))},
    {"output": JsonOutput(SCHEMA, SCHEMA)},
    {"personality": "agent", "sampling": Sampling(0.5, 0.5, 5, 50, ("a",))},
]


@pytest.mark.parametrize("fields", FULL)
def test_all_keys_are_set_each_time_for_they_last_until_they_are_changed(fields: dict[str, Any]) -> None:
    found, plain = set_by(**fields), defaults("sonnet", fields.get("personality", "chat"))

    assert found.keys() == plain.keys()
    assert found["env"].keys() == plain["env"].keys()
    assert all(isinstance(value, str) for value in found["env"].values()), "null would reach an agent's tools as a word"


def test_a_request_without_wishes_sets_what_is_set_from_the_beginning() -> None:
    assert set_by(model="sonnet") == defaults("sonnet", "chat")


@pytest.mark.parametrize(
    ("effort", "level", "disabled"),
    [(None, None, ""), ("none", None, "1"), ("low", "low", ""), ("xhigh", "xhigh", ""), ("max", "max", "")],
)
def test_an_effort_is_a_level_and_none_switches_thinking_off(
    effort: Effort | None, level: str | None, disabled: str
) -> None:
    found = set_by(effort=effort)

    assert (found["effortLevel"], found["env"]["CLAUDE_CODE_DISABLE_THINKING"]) == (level, disabled)


@pytest.mark.parametrize(("most", "text"), [(None, ""), (1, "1"), (64_000, "64000")])
def test_the_limit_of_an_answer_is_a_variable(most: int | None, text: str) -> None:
    assert set_by(sampling=Sampling(max_tokens=most))["env"]["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] == text


def test_a_choice_of_words_goes_into_the_body_of_the_request() -> None:
    sampling = Sampling(temperature=0.0, top_p=0.5, top_k=5, stop=("END",))

    assert body(sampling=sampling) == {"temperature": 0.0, "top_p": 0.5, "top_k": 5, "stop_sequences": ["END"]}


@pytest.mark.parametrize("stop", [(), (" ",), ("\n\n", "\t")])
def test_stop_sequences_that_the_upstream_refuses_stay_here(stop: tuple[str, ...]) -> None:
    assert body(sampling=Sampling(stop=stop)) is None


def test_stop_sequences_that_the_upstream_takes_go_there_without_the_others() -> None:
    assert body(sampling=Sampling(stop=(" ", "END", "\n", " x "))) == {"stop_sequences": ["END", " x "]}


def test_an_agents_inner_calls_are_not_bent() -> None:
    assert body(personality="agent", sampling=Sampling(0.5, 0.5, 5, None, ("END",))) is None


def test_a_constrained_answer_has_the_upstreams_own_format() -> None:
    assert body(output=JsonOutput(SCHEMA, SCHEMA)) == {
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}
    }
    assert body(output=JsonOutput(SCHEMA)) is None


def test_a_plan_adds_to_the_body() -> None:
    plan = Plan((), (), {"messages": [{"role": "user", "content": "äöü"}]})

    assert body(plan, sampling=Sampling(temperature=1.0)) == {"temperature": 1.0, **plan.body}


# --- tools of the client ---------------------------------------------------------------------------------------------

TOOLS = (Tool("b", "d" * 5000, SCHEMA), Tool("a", "", {}, strict=True, format={"type": "object"}))


def test_tools_are_made_known_once_and_only_if_there_are_any() -> None:
    found = initial(request(tools=TOOLS))

    assert found["sdkMcpServers"] == ["relay"]
    assert [hook["matcher"] for hook in found["hooks"]["PreToolUse"]] == ["*"]
    assert not {"sdkMcpServers", "hooks"} & initial(request()).keys()


def test_tools_are_made_known_beside_everything_else() -> None:
    output = JsonOutput(SCHEMA)

    for personality, prompt in (("chat", "systemPrompt"), ("agent", "appendSystemPrompt")):
        found = initial(request(tools=TOOLS, output=output, system="Be brief.", personality=personality))
        assert found.keys() == {"title", prompt, "jsonSchema", "sdkMcpServers", "hooks"}


def test_the_upstream_gets_tools_as_they_are_in_the_order_they_came() -> None:
    assert body(tools=TOOLS) == {
        "tools": [
            {"name": "b", "description": "d" * 5000, "input_schema": SCHEMA},
            {"name": "a", "description": "", "input_schema": {"type": "object"}, "strict": True},
        ]
    }


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice(), None),
        (ToolChoice(parallel=False), {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice("none"), {"type": "none"}),
        (ToolChoice("none", parallel=False), {"type": "none"}),
        (ToolChoice("required"), {"type": "any"}),
        (ToolChoice("required", parallel=False), {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice("required", "a"), {"type": "tool", "name": "a"}),
        (
            ToolChoice("required", "a", parallel=False),
            {"type": "tool", "name": "a", "disable_parallel_tool_use": True},
        ),
    ],
)
def test_what_the_model_may_do_with_tools_is_the_upstreams_to_enforce(
    choice: ToolChoice, expected: dict[str, Any] | None
) -> None:
    assert body(tools=TOOLS, tool_choice=choice).get("tool_choice") == expected


def test_an_agents_tools_are_not_replaced_and_its_choice_is_its_own() -> None:
    assert body(personality="agent", tools=TOOLS, tool_choice=ToolChoice("required", "a")) is None


@pytest.mark.parametrize("choice", [ToolChoice(), ToolChoice("none"), ToolChoice("required")])
def test_without_tools_there_is_no_choice(choice: ToolChoice) -> None:
    assert body(tool_choice=choice) is None


def test_tools_stand_beside_a_choice_of_words_a_format_and_a_plan() -> None:
    found = body(
        Plan((), (), {"messages": []}),
        tools=TOOLS,
        sampling=Sampling(temperature=0.5),
        output=JsonOutput(SCHEMA, SCHEMA),
    )

    assert found.keys() == {"tools", "temperature", "output_config", "messages"}


def test_the_tool_that_takes_an_answer_is_not_lost_beside_the_clients_tools() -> None:
    output = JsonOutput({"type": "object"})
    found = body(tools=TOOLS, tool_choice=ToolChoice("required"), output=output)

    assert [tool["name"] for tool in found["tools"]] == ["b", "a", "StructuredOutput"]
    assert found["tools"][2]["input_schema"] == {"type": "object"}
