"""A request that was refused for one of its options is asked again without that option, and for nothing else."""

from typing import Any

import pytest

from claude_relay.engine.claude.fallback import without_refused
from claude_relay.engine.vocabulary import JsonOutput, RunRequest, Sampling
from claude_relay.errors import InvalidRequestError, NotFoundError, RelayError, UpstreamError
from tests.unit.factories import RunRequestFactory

SAMPLING = Sampling(temperature=0.5, top_p=0.5, top_k=5, max_tokens=50, stop=("END",))
SCHEMA = {"type": "object"}


def request(**fields: Any) -> RunRequest:
    return RunRequestFactory.build(**fields)


@pytest.mark.parametrize(
    ("words", "field", "left"),
    [
        ("temperature: not supported by this model", "temperature", Sampling(None, 0.5, 5, 50, ("END",))),
        ("`top_p` is deprecated for this model", "top_p", Sampling(0.5, None, 5, 50, ("END",))),
        ("top_k: Extra inputs are not permitted", "top_k", Sampling(0.5, 0.5, None, 50, ("END",))),
        ("`temperature` and `top_p` cannot both be specified", "top_p", Sampling(0.5, None, 5, 50, ("END",))),
        ("temperature must be 1 if top_k is set", "top_k", Sampling(0.5, 0.5, None, 50, ("END",))),
    ],
)
def test_the_field_that_was_refused_is_left_out_the_least_important_one_first(
    words: str, field: str, left: Sampling
) -> None:
    asked = request(sampling=SAMPLING)

    name, instead = without_refused(asked, InvalidRequestError(words))

    assert name == field
    assert instead is not None
    assert instead.sampling == left
    assert (instead.model, instead.turns, instead.personality) == (asked.model, asked.turns, asked.personality)


@pytest.mark.parametrize(
    "words", ["temperature is bad", "top_p is bad", "messages.0: bad thing", "max_tokens: 50 > 32"]
)
def test_a_field_that_was_not_sent_is_not_to_blame(words: str) -> None:
    assert without_refused(request(sampling=Sampling(max_tokens=50)), InvalidRequestError(words)) == (None, None)


@pytest.mark.parametrize(
    "words",
    [
        "output_config.format: not supported",
        "output_format: Extra inputs are not permitted",
        "Schema is too complex",
        "structured outputs are not available",
    ],
)
def test_a_constrained_answer_that_was_refused_is_asked_for_by_another_way_so_that_nothing_is_missing(
    words: str,
) -> None:
    asked = request(output=JsonOutput(SCHEMA, SCHEMA), sampling=Sampling(temperature=0.5))

    field, instead = without_refused(asked, InvalidRequestError(words))

    assert field is None
    assert instead is not None
    assert instead.output == JsonOutput(SCHEMA)
    assert instead.sampling == asked.sampling


@pytest.mark.parametrize("output", [None, JsonOutput(SCHEMA)])
def test_there_is_no_third_way(output: JsonOutput | None) -> None:
    assert without_refused(request(output=output), InvalidRequestError("schema is too complex")) == (None, None)


@pytest.mark.parametrize(
    "error",
    [
        UpstreamError("temperature is broken"),
        NotFoundError("no model for temperature"),
        InvalidRequestError("temperature: prompt is too long", code="context_length_exceeded"),
        RelayError("temperature"),
    ],
)
def test_another_failure_is_a_failure(error: RelayError) -> None:
    assert without_refused(request(sampling=SAMPLING), error) == (None, None)
