"""Every parameter of OpenAI's completion request is known, and what happens to it is what is documented."""

from typing import Any

import msgspec
import pytest
from openai.types.completion_create_params import CompletionCreateParamsBase

from claude_relay.completions.controller import _render_options
from claude_relay.completions.outbound import RenderOptions
from claude_relay.completions.parameters import KNOWN, PARAMETERS
from claude_relay.completions.schemas import CompletionRequest
from claude_relay.settings import Personality, Settings
from claude_relay.web.parameters import Support
from tests.unit.completions.bodies import asked, body, refusal

TYPICAL: dict[str, Any] = {
    "prompt": ["Something else", "And more"],
    "model": "opus",
    "suffix": "The end.",
    "max_tokens": 100,
    "temperature": 0.7,
    "top_p": 0.9,
    "top_k": 40,
    "n": 2,
    "best_of": 3,
    "echo": True,
    "stop": ["END"],
    "stream": True,
    "stream_options": {"include_usage": True},
    "logprobs": 0,
    "seed": 1,
    "presence_penalty": 0.5,
    "frequency_penalty": -2,
    "logit_bias": {"50256": -100},
    "user": "someone",
}
PERSONALITIES: list[Personality] = ["chat", "agent"]


def pairs(wanted: Support) -> list[tuple[str, Personality]]:
    return [
        (parameter.name, personality)
        for personality in PERSONALITIES
        for parameter in PARAMETERS
        if getattr(parameter, personality) == wanted
    ]


def having(name: str, personality: Personality) -> dict[str, Any]:
    value = TYPICAL[name]
    return {"model": f"sonnet:{personality}", name: f"{value}:{personality}" if name == "model" else value}


def shown(fields: dict[str, Any]) -> RenderOptions:
    return msgspec.structs.replace(_render_options(body(**fields).request, Settings()), id="", created=0)


def test_each_parameter_of_openais_has_a_row() -> None:
    assert {*CompletionCreateParamsBase.__annotations__, "stream"} <= KNOWN


def test_the_table_has_the_fields_of_the_request_and_a_typical_value_of_each_is_tried() -> None:
    assert {field.name for field in msgspec.structs.fields(CompletionRequest)} == KNOWN == set(TYPICAL)
    assert len(PARAMETERS) == len(KNOWN)


@pytest.mark.parametrize(("name", "personality"), pairs("supported"))
def test_what_is_supported_changes_what_is_asked_or_shown_and_is_not_named(name: str, personality: Personality) -> None:
    before, after = {"model": f"sonnet:{personality}"}, having(name, personality)

    assert asked(**after).ignored == ()
    assert asked(**after).run != asked(**before).run or shown(after) != shown(before) or name == "stream"


@pytest.mark.parametrize(("name", "personality"), pairs("ignored"))
def test_what_is_ignored_is_named_and_has_no_effect(name: str, personality: Personality) -> None:
    before, after = asked(model=f"sonnet:{personality}"), asked(**having(name, personality))

    assert after.ignored == (name,)
    assert after.run == before.run


@pytest.mark.parametrize(("name", "personality"), pairs("refused"))
def test_what_is_refused_is_named(name: str, personality: Personality) -> None:
    error = refusal(**having(name, personality))

    assert (error.status, error.param, error.code) == (400, name, "unsupported_parameter")


@pytest.mark.parametrize(("name", "personality"), pairs("ignored"))
def test_a_strict_relay_refuses_what_it_would_ignore(name: str, personality: Personality) -> None:
    assert refusal(Settings(strict=True), **having(name, personality)).code == "unsupported_parameter"


@pytest.mark.parametrize(
    ("name", "value"), [(parameter.name, value) for parameter in PARAMETERS for value in parameter.no_op_values]
)
def test_a_value_that_asks_for_nothing_is_not_named(name: str, value: object) -> None:
    assert asked(Settings(strict=True), **{name: value}) == asked()


@pytest.mark.parametrize("name", sorted(KNOWN - {"prompt"}))
def test_null_is_a_parameter_that_was_not_given(name: str) -> None:
    assert asked(Settings(strict=True), **{name: None}) == asked()


@pytest.mark.parametrize(("n", "best_of", "ignored"), [(None, 1, ()), (2, 2, ()), (2, 3, ("best_of",))])
def test_the_best_of_as_many_as_are_returned_asks_for_nothing(
    n: int | None, best_of: int, ignored: tuple[str, ...]
) -> None:
    assert asked(n=n, best_of=best_of).ignored == ignored


def test_fields_that_nobody_knows_are_named() -> None:
    assert asked(zzz=1, stream_options={"include_obfuscation": True}).ignored == (
        "zzz",
        "stream_options.include_obfuscation",
    )
