"""Every parameter of OpenAI's request is known, and what happens to it is what is documented."""

from typing import Any

import msgspec
import pytest
from openai.types.responses.response_create_params import ResponseCreateParamsBase

from claude_relay.errors import RelayError
from claude_relay.responses.answer import Response
from claude_relay.responses.echo import echo
from claude_relay.responses.outbound import RenderOptions, begun
from claude_relay.responses.parameters import KNOWN, PARAMETERS
from claude_relay.responses.schemas import ResponsesRequest
from claude_relay.responses.state import Stored
from claude_relay.settings import Personality, Settings
from claude_relay.web.parameters import Parameter, Support
from tests.unit.responses.bodies import asked, refusal, request

TYPICAL: dict[str, Any] = {
    "input": "Something else",
    "model": "opus",
    "instructions": "Be brief.",
    "stream": True,
    "stream_options": {"include_obfuscation": False},
    "tools": [{"type": "function", "name": "f"}],
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "text": {"format": {"type": "json_object"}},
    "reasoning": {"effort": "high"},
    "max_output_tokens": 100,
    "temperature": 0.7,
    "top_p": 0.9,
    "background": True,
    "previous_response_id": "resp_1",
    "conversation": "conv_1",
    "store": True,
    "metadata": {"a": "b"},
    "prompt_cache_key": "key",
    "safety_identifier": "someone",
    "user": "someone",
    "include": ["reasoning.encrypted_content"],
    "truncation": "auto",
    "max_tool_calls": 3,
    "top_logprobs": 20,
    "presence_penalty": 0.5,
    "frequency_penalty": -2,
    "prompt": {"id": "pmpt_1"},
    "service_tier": "flex",
    "prompt_cache_retention": "24h",
    "prompt_cache_options": {"mode": "explicit"},
    "context_management": [{"type": "compaction"}],
    "moderation": {"model": "omni-moderation-latest"},
    "client_metadata": {"session_id": "1"},
    "access_programs": ["x"],
    "background_options": {"a": 1},
    "image": {"a": 1},
}
PERSONALITIES: list[Personality] = ["chat", "agent"]
SILENT = {"stream", "stream_options", "store", "include"}
"""Parameters that decide how an answer is sent, or are accepted as they are."""


def support(parameter: Parameter, personality: Personality) -> Support:
    return parameter.chat if personality == "chat" else parameter.agent


def pairs(wanted: Support) -> list[tuple[str, Personality]]:
    every = [(parameter, personality) for personality in PERSONALITIES for parameter in PARAMETERS]
    return [
        (parameter.name, personality) for parameter, personality in every if support(parameter, personality) == wanted
    ]


def without(name: str, personality: Personality) -> dict[str, Any]:
    """Return the body that a parameter is added to."""
    needed = {"tools": TYPICAL["tools"]} if name in {"tool_choice", "parallel_tool_calls"} else {}
    return {"model": f"sonnet:{personality}", **needed}


def having(name: str, personality: Personality) -> dict[str, Any]:
    """Return the body with a parameter."""
    value = f"opus:{personality}" if name == "model" else TYPICAL[name]
    return {**without(name, personality), name: value}


def answered(body: dict[str, Any]) -> Response:
    """Return the response that says again what was asked."""
    return begun(request(**body), RenderOptions("00", 0, "sonnet", int, {}, echo(request(**body))))


def test_each_parameter_of_openais_has_a_row() -> None:
    assert {*ResponseCreateParamsBase.__annotations__, "stream"} <= KNOWN


def test_the_table_has_the_fields_of_the_request_and_a_typical_value_of_each_is_tried() -> None:
    assert {field.name for field in msgspec.structs.fields(ResponsesRequest)} == KNOWN == set(TYPICAL)
    assert len(PARAMETERS) == len(KNOWN)


@pytest.mark.parametrize(("name", "personality"), pairs("supported"))
def test_what_is_supported_changes_what_is_asked_or_answered_and_is_not_named(
    name: str, personality: Personality
) -> None:
    before, after = without(name, personality), having(name, personality)

    found = asked(None, Stored("00"), **after)
    assert found.ignored == ()
    is_seen = answered(after) != answered(before)
    assert is_seen or found.run != asked(**before).run or name in SILENT


@pytest.mark.parametrize(("name", "personality"), pairs("ignored"))
def test_what_is_ignored_is_named_and_has_no_effect(name: str, personality: Personality) -> None:
    before, after = asked(**without(name, personality)), asked(**having(name, personality))

    assert after.ignored == (name,)
    assert after.run == before.run


@pytest.mark.parametrize(("name", "personality"), pairs("ignored"))
def test_a_strict_relay_refuses_what_it_would_ignore(name: str, personality: Personality) -> None:
    assert refusal(Settings(strict=True), **having(name, personality)).code == "unsupported_parameter"


@pytest.mark.parametrize(
    ("name", "value"), [(parameter.name, value) for parameter in PARAMETERS for value in parameter.no_op_values]
)
def test_a_value_that_asks_for_nothing_is_not_named(name: str, value: object) -> None:
    given = asked(Settings(strict=True, personality="chat"), **{name: value})

    assert (given.run, given.ignored) == (asked().run, ())


@pytest.mark.parametrize("name", sorted(KNOWN - {"input"}))
def test_null_is_a_parameter_that_was_not_given(name: str) -> None:
    assert asked(Settings(strict=True, personality="chat"), **{name: None}) == asked()


def test_a_value_of_a_wrong_type_is_refused_with_its_name() -> None:
    with pytest.raises(RelayError) as raised:
        request(reasoning={"effort": "much"})

    assert raised.value.param == "reasoning.effort"
