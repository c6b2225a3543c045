"""A chat request becomes a question in the engine's own words."""

from typing import Any

import pytest

from claude_relay.engine.turns import SILENCE
from claude_relay.engine.vocabulary import JsonOutput, RunRequest, Sampling, Text, Turn
from claude_relay.errors import InvalidRequestError
from claude_relay.settings import Personality, Settings
from tests.unit.chat.bodies import HELLO, asked, to_question

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


def refused(**fields: Any) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as raised:
        to_question(**fields)
    return raised.value


def sampling(personality: Personality = "chat", **fields: Any) -> Sampling:
    return to_question(personality, **fields).run.sampling


def schema_format(schema: Any = None) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "thing", "strict": True, "schema": schema}}


def test_a_request_that_asks_for_nothing_special_is_just_the_conversation() -> None:
    question = to_question()

    turns = (Turn("user", (Text("Hello"),)),)
    assert question.run == RunRequest("sonnet", "chat", None, turns, caller="ann", account="ann")
    assert question.ignored == ()


# --- models and personalities ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sonnet", ("sonnet", "chat")),
        ("sonnet:agent", ("sonnet", "agent")),
        ("gpt-4o", ("opus", "chat")),
        ("worker", ("haiku", "agent")),
        ("worker:chat", ("haiku", "chat")),
    ],
)
def test_a_name_says_what_answers_or_the_operator_does(name: str, expected: tuple[str, Personality]) -> None:
    settings = Settings(personality="chat", alias=("gpt-4o=opus", "worker=haiku:agent"))

    run = asked(settings, model=name).run

    assert (run.model, run.personality) == expected


@pytest.mark.parametrize("model", [None, ""])
def test_without_a_model_the_operators_is_asked(model: str | None) -> None:
    assert to_question(model=model).run.model == "sonnet"


# --- what is said ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["system", "developer"])
def test_a_lone_instruction_is_a_question(role: str) -> None:
    run = to_question(messages=[{"role": role, "content": "Say hi"}]).run

    assert (run.system, run.turns) == (None, (Turn("user", (Text("Say hi"),)),))


def test_instructions_beside_a_question_are_the_system_prompt() -> None:
    run = to_question(messages=[{"role": "developer", "content": "Be brief."}, *HELLO]).run

    assert (run.system, run.turns) == ("Be brief.", (Turn("user", (Text("Hello"),)),))


@pytest.mark.parametrize("content", [None, "", " ", []])
def test_instructions_beside_an_empty_message_stay_the_system_prompt(content: Any) -> None:
    run = to_question(messages=[{"role": "system", "content": "Begin."}, {"role": "user", "content": content}]).run

    assert (run.system, run.turns) == ("Begin.", (SILENCE,))


@pytest.mark.parametrize("content", [None, "", " ", []])
def test_lone_instructions_that_say_nothing_are_refused(content: Any) -> None:
    error = refused(messages=[{"role": "developer", "content": content}, {"role": "system", "content": content}])

    assert (error.status, error.param) == (400, "messages")


def test_what_messages_carry_in_vain_is_reported_once() -> None:
    named = [{"role": "system", "content": "a", "name": "x"}, {"role": "developer", "content": "b", "name": "y"}]

    assert to_question(messages=named, seed=1).ignored == ("seed", "messages.name")
    with pytest.raises(InvalidRequestError, match=r"messages\.name"):
        to_question(strict=True, messages=named)


# --- sampling --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "given"), [(0, 0.0), (0.3, 0.3), (1, 1.0), (1.5, 1.0), (2, 1.0)])
def test_openais_temperature_ends_where_the_upstreams_does(asked: float, given: float) -> None:
    assert sampling(temperature=asked) == Sampling(temperature=given)


def test_choices_of_words_are_passed_on() -> None:
    assert sampling(temperature=0.5, top_p=0, top_k=3) == Sampling(temperature=0.5, top_p=0.0, top_k=3)


@pytest.mark.parametrize(
    ("fields", "most"),
    [
        ({}, None),
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 6}, 6),
        ({"max_tokens": 5, "max_completion_tokens": 6}, 6),
        ({"max_tokens": 5, "max_completion_tokens": None}, 5),
        ({"max_tokens": 0}, None),
        ({"max_completion_tokens": 0}, None),
    ],
)
def test_the_newer_name_of_the_limit_is_the_stronger_and_zero_is_no_limit(
    fields: dict[str, Any], most: int | None
) -> None:
    assert sampling(**fields) == Sampling(max_tokens=most)


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (None, ()),
        ("", ()),
        ([], ()),
        (["", ""], ()),
        ("END", ("END",)),
        (" ", (" ",)),
        (["a", "", "\n\n"], ("a", "\n\n")),
        (list("abcdef"), tuple("abcdef")),
    ],
)
@pytest.mark.parametrize("personality", ["chat", "agent"])
def test_stop_is_one_text_or_any_number_and_an_empty_one_is_none(
    personality: Personality, asked: Any, given: tuple[str, ...]
) -> None:
    assert sampling(personality, stop=asked).stop == given


def test_an_agents_inner_calls_are_not_bent() -> None:
    asked = {"temperature": 0.5, "top_p": 0.5, "top_k": 3, "max_tokens": 9, "stop": "END"}

    assert sampling("agent", **asked) == Sampling(stop=("END",))


# --- thinking --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "effort"),
    [
        (None, None),
        ("none", "none"),
        ("minimal", "low"),
        ("low", "low"),
        ("medium", "medium"),
        ("high", "high"),
        ("xhigh", "xhigh"),
        ("max", "max"),
    ],
)
@pytest.mark.parametrize("personality", ["chat", "agent"])
def test_an_effort_is_passed_on(personality: Personality, asked: str | None, effort: str | None) -> None:
    assert to_question(personality, reasoning_effort=asked).run.effort == effort


@pytest.mark.parametrize("wording", [{"temperature": 0}, {"top_p": 0.5}, {"top_k": 3}])
def test_who_chooses_words_and_asks_for_no_thinking_gets_none(wording: dict[str, Any]) -> None:
    question = to_question(**wording)

    assert question.run.effort == "none"
    assert question.ignored == ()


def test_an_explicit_wish_to_think_wins_over_a_choice_of_words_which_is_then_reported() -> None:
    question = to_question(reasoning_effort="low", temperature=0.1, top_k=3, max_tokens=9)

    assert question.run.effort == "low"
    assert question.run.sampling == Sampling(max_tokens=9)
    assert question.ignored == ("temperature", "top_k")


def test_an_explicit_wish_not_to_think_leaves_the_choice_of_words_alone() -> None:
    question = to_question(reasoning_effort="none", temperature=0.1)

    assert (question.run.effort, question.run.sampling, question.ignored) == ("none", Sampling(temperature=0.1), ())


def test_a_strict_relay_refuses_a_wish_to_think_and_a_choice_of_words_together() -> None:
    assert refused(strict=True, reasoning_effort="low", top_p=0.1).param == "top_p"


# --- structured output -----------------------------------------------------------------------------------------------


def output(response_format: Any, personality: Personality = "chat") -> JsonOutput | None:
    return to_question(personality, response_format=response_format).run.output


@pytest.mark.parametrize("plain", [None, {"type": "text"}])
def test_text_has_no_form(plain: Any) -> None:
    assert output(plain) is None


@pytest.mark.parametrize("personality", ["chat", "agent"])
def test_any_object_is_taken_by_a_tool(personality: Personality) -> None:
    assert output({"type": "json_object"}, personality) == JsonOutput({"type": "object"})


@pytest.mark.parametrize(("personality", "constrained"), [("chat", True), ("agent", False)])
def test_a_schema_constrains_the_upstream_where_there_is_only_one_call(
    personality: Personality, constrained: bool
) -> None:
    found = output(schema_format(SCHEMA), personality)

    assert found is not None
    assert (found.schema, found.format is not None) == (SCHEMA, constrained)


@pytest.mark.parametrize("name", ["", "a b", "a.b", "Größe", "x" * 65, "a\n", "list[int]"])
def test_a_name_of_a_schema_that_openai_does_not_take_is_refused(name: str) -> None:
    error = refused(response_format={"type": "json_schema", "json_schema": {"name": name, "schema": SCHEMA}})

    assert (error.status, error.param) == (400, "response_format.json_schema.name")


@pytest.mark.parametrize("name", ["a", "A-b_3", "x" * 64])
def test_a_name_of_a_schema_that_openai_takes_is_taken(name: str) -> None:
    assert output({"type": "json_schema", "json_schema": {"name": name, "schema": SCHEMA}}) is not None


@pytest.mark.parametrize("schema", [None, {}])
def test_a_format_without_a_schema_is_any_object(schema: Any) -> None:
    assert output(schema_format(schema)) == JsonOutput({"type": "object"})


@pytest.mark.parametrize(
    "schema",
    [
        {"$schema": "https://json-schema.org/draft/2020-12/schema", **SCHEMA},
        {"$defs": {"a": {"type": "string"}}, "$ref": "#/$defs/a"},
        {"anyOf": [{"type": "string"}, {"type": "null"}]},
        {"type": "array", "items": {"$ref": "#"}},
        {"type": "integer", "minimum": -9007199254740991},
        pytest.param(
            {"$schema": "http://json-schema.org/draft-07/schema#", "type": "array", "items": [{"type": "string"}]},
        ),
    ],
)
def test_a_schema_that_clients_send_is_taken_as_it_is(schema: dict[str, Any]) -> None:
    found = output(schema_format(schema))

    assert found is not None
    assert found.schema == schema


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strin"},
        {"type": "object", "properties": []},
        {"type": "object", "required": "a"},
        pytest.param(
            nested(200),
            id="deeply nested",
        ),
        pytest.param(
            {"$ref": "#/$defs/missing"},
            id="dangling reference",
        ),
        pytest.param(
            {"$ref": "https://schemas.example/a.json"},
            id="reference to another host",
        ),
        pytest.param(
            {"$ref": "file:///etc/passwd"},
            id="reference to a file",
        ),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_before_anything_is_asked(schema: dict[str, Any]) -> None:
    error = refused(response_format=schema_format(schema))

    assert (error.status, error.param) == (400, "response_format.json_schema.schema")
