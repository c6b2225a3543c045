"""Every parameter of OpenAI's chat request has a fate, and it is the one that is documented."""

from typing import Any

import msgspec
import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsBase

from claude_relay.chat import controller
from claude_relay.chat.parameters import KNOWN, PARAMETERS
from claude_relay.chat.schemas import ChatCompletionRequest
from claude_relay.errors import InvalidRequestError
from claude_relay.settings import Personality, Settings
from claude_relay.web.bodies import unknown_fields
from claude_relay.web.parameters import Parameter, Support
from tests.unit.chat.bodies import HELLO, request, to_question

OPENAIS = sorted({*CompletionCreateParamsBase.__annotations__, "stream", "top_k"})
BY_NAME = {parameter.name: parameter for parameter in PARAMETERS}
FUNCTION = {"name": "f", "parameters": {}}
TYPICAL: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Something else"}],
    "model": "opus",
    "stream": True,
    "stream_options": {"include_usage": True},
    "n": 2,
    "max_tokens": 100,
    "max_completion_tokens": 100,
    "temperature": 0.7,
    "top_p": 0.9,
    "top_k": 40,
    "stop": ["END"],
    "reasoning_effort": "high",
    "response_format": {"type": "json_object"},
    "tools": [{"type": "function", "function": FUNCTION}],
    "functions": [FUNCTION],
    "tool_choice": "required",
    "function_call": {"name": "f"},
    "parallel_tool_calls": False,
    "modalities": ["text", "audio"],
    "audio": {"voice": "alloy", "format": "wav"},
    "seed": -9007199254740991,
    "presence_penalty": 0.5,
    "frequency_penalty": -2,
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "top_logprobs": 20,
    "verbosity": "low",
    "prediction": {"type": "content", "content": "x"},
    "web_search_options": {},
    "moderation": {"model": "omni-moderation-latest"},
    "service_tier": "flex",
    "store": True,
    "metadata": {"a": "b"},
    "user": "someone",
    "safety_identifier": "someone",
    "prompt_cache_key": "key",
    "prompt_cache_retention": "24h",
    "prompt_cache_options": {"mode": "explicit"},
}
OFFLOAD: dict[str, list[str]] = {
    "tool_choice": ["tools"],
    "parallel_tool_calls": ["tools"],
    "function_call": ["functions"],
}
"""What means nothing without something else."""
PERSONALITIES: list[Personality] = ["chat", "agent"]


def fate(name: str, personality: Personality) -> Support:
    parameter = BY_NAME[name]
    return parameter.chat if personality == "chat" else parameter.agent


def having(wanted: Support, personality: Personality) -> list[str]:
    return [name for name in OPENAIS if fate(name, personality) == wanted]


def pairs(wanted: Support) -> list[tuple[str, Personality]]:
    return [(name, personality) for personality in PERSONALITIES for name in having(wanted, personality)]


def without(name: str, personality: Personality) -> dict[str, Any]:
    """Return the body that a parameter is added to."""
    return {"model": f"sonnet:{personality}", **{other: TYPICAL[other] for other in OFFLOAD.get(name, ())}}


def having_it(name: str, personality: Personality) -> dict[str, Any]:
    """Return the body with a parameter."""
    value = f"opus:{personality}" if name == "model" else TYPICAL[name]
    return {**without(name, personality), name: value}


@pytest.mark.parametrize("name", OPENAIS)
def test_every_parameter_that_openai_has_is_in_the_list(name: str) -> None:
    assert name in BY_NAME


def test_every_field_that_is_read_is_in_the_list_and_every_entry_is_read() -> None:
    fields = [field.encode_name for field in msgspec.structs.fields(ChatCompletionRequest)]

    assert sorted(fields) == sorted(BY_NAME)
    assert len(PARAMETERS) == len(BY_NAME)


def test_these_tests_know_a_typical_value_for_every_parameter() -> None:
    assert set(TYPICAL) == set(BY_NAME)


@pytest.mark.parametrize(("name", "personality"), pairs("supported"))
def test_what_is_honoured_changes_what_is_asked_or_shown_and_is_not_reported(
    name: str, personality: Personality
) -> None:
    body, body_before = having_it(name, personality), without(name, personality)
    before, after = to_question(**body_before), to_question(**body)
    plain = controller._render_options(request(**body_before), Settings())
    shown = controller._render_options(request(**body), Settings())
    shown = msgspec.structs.replace(shown, id=plain.id, created=plain.created)

    assert after.ignored == ()
    assert after.run != before.run or shown != plain or name == "stream"


@pytest.mark.parametrize(("name", "personality"), pairs("ignored"))
def test_what_is_ignored_is_reported_and_has_no_effect(name: str, personality: Personality) -> None:
    before, after = to_question(**without(name, personality)), to_question(**having_it(name, personality))

    assert after.ignored == (name,)
    assert after.run == before.run


@pytest.mark.parametrize(("name", "personality"), pairs("refused"))
def test_what_is_refused_is_named(name: str, personality: Personality) -> None:
    with pytest.raises(InvalidRequestError, match=f"'{name}'") as raised:
        to_question(**having_it(name, personality))

    assert (raised.value.status, raised.value.param, raised.value.code) == (400, name, "unsupported_parameter")


@pytest.mark.parametrize(("name", "personality"), pairs("ignored"))
def test_a_strict_relay_refuses_what_it_would_ignore(name: str, personality: Personality) -> None:
    with pytest.raises(InvalidRequestError, match=name) as raised:
        to_question(strict=True, **having_it(name, personality))

    assert (raised.value.param, raised.value.code) == (name, "unsupported_parameter")


@pytest.mark.parametrize(("name", "personality"), pairs("supported"))
def test_a_strict_relay_takes_what_it_honours(name: str, personality: Personality) -> None:
    assert to_question(strict=True, **having_it(name, personality)).ignored == ()


@pytest.mark.parametrize(
    ("name", "value"), [(parameter.name, value) for parameter in PARAMETERS for value in parameter.no_op_values]
)
@pytest.mark.parametrize("personality", PERSONALITIES)
def test_a_value_that_asks_for_nothing_is_not_worth_a_word_even_to_a_strict_relay(
    name: str, value: object, personality: Personality
) -> None:
    given = to_question(personality, strict=True, **{name: value})

    assert given == to_question(personality)


@pytest.mark.parametrize("name", [name for name in BY_NAME if name != "messages"])
def test_null_is_a_parameter_that_was_not_given(name: str) -> None:
    assert to_question(strict=True, **{name: None}) == to_question()


@pytest.mark.parametrize("modalities", [None, ["text"], []])
def test_how_sound_is_to_be_is_no_wish_for_sound(modalities: list[str] | None) -> None:
    question = to_question(modalities=modalities, audio={"voice": "alloy", "format": "wav"})

    assert question == msgspec.structs.replace(to_question(), ignored=("audio",))


@pytest.mark.parametrize("modalities", [["text", "audio"], ["audio"], ["image"]])
def test_an_answer_that_is_no_text_is_refused(modalities: list[str]) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        to_question(modalities=modalities, audio={"voice": "alloy", "format": "wav"})

    assert raised.value.param == "modalities"


def test_everything_ignored_is_named_once_each_in_a_stable_order() -> None:
    given = to_question(seed=1, user="x", zzz=1, aaa=2, logprobs=True)

    assert given.ignored == ("seed", "logprobs", "user", "aaa", "zzz")


def test_a_strict_relay_refuses_fields_that_nobody_knows() -> None:
    with pytest.raises(InvalidRequestError, match="new_thing") as raised:
        to_question(strict=True, new_thing=1)

    assert raised.value.param == "new_thing"


def test_unknown_fields_are_those_at_the_top_of_the_body() -> None:
    body = {"messages": [{**HELLO[0], "inner": 1}], "extra": {"seed": 1}, "model": "x", "top_k": 1}

    assert unknown_fields(msgspec.json.encode(body), KNOWN) == {"extra"}


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda parameter: parameter.name)
def test_every_parameter_says_what_it_means(parameter: Parameter) -> None:
    assert parameter.meaning.endswith(".")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": -0.1}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"top_k": 0}, "top_k"),
        ({"n": 0}, "n"),
        ({"n": 9}, "n"),
        ({"n": "2"}, "n"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens"),
        ({"stop": 5}, "stop"),
        ({"stop": ["a", None]}, "stop[1]"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format.json_schema.name"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": True}}},
            "response_format.json_schema.schema",
        ),
        ({"presence_penalty": 3}, "presence_penalty"),
        ({"frequency_penalty": -2.5}, "frequency_penalty"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"seed": 1.5}, "seed"),
        ({"stream_options": {"include_usage": "yes"}}, "stream_options.include_usage"),
        ({"tools": {}}, "tools"),
    ],
)
def test_a_value_of_the_wrong_kind_or_range_is_refused_by_its_path(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        request(**fields)

    assert (raised.value.status, raised.value.param) == (400, param)
