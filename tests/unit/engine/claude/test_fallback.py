"""A request that was refused for one of its options is asked again without that option, and for nothing else."""

from typing import Any

import pytest

from claude_relay.engine.claude.fallback import Refusable, refusables, refused, without
from claude_relay.engine.claude.refusals import Refusals
from claude_relay.engine.vocabulary import (
    Effort,
    JsonOutput,
    RedactedThinking,
    RunRequest,
    Sampling,
    Text,
    Thinking,
    ThinkingBlock,
    Tool,
    ToolChoice,
    Turn,
)
from claude_relay.errors import InvalidRequestError, NotFoundError, RelayError, UpstreamError
from tests.unit.factories import RunRequestFactory, conversation

SAMPLING = Sampling(temperature=0.5, top_p=0.5, top_k=5, max_tokens=5000, stop=("END",))
SCHEMA = {"type": "object"}
TOOLS = (Tool("a", "", SCHEMA, strict=True, format=SCHEMA), Tool("b", "", SCHEMA))
FORCED = ToolChoice("required", "a", parallel=False)


def request(**fields: Any) -> RunRequest:
    return RunRequestFactory.build(**fields)


def everything() -> RunRequest:
    output = JsonOutput(SCHEMA, SCHEMA)
    return request(sampling=SAMPLING, effort="high", tools=TOOLS, tool_choice=FORCED, output=output)


def blamed(asked: RunRequest, words: str) -> str | None:
    found = refused(asked, InvalidRequestError(words))
    return None if found is None else found.kind


def test_an_answer_that_may_not_be_begun_is_gone_on_with_in_a_turn_of_its_own() -> None:
    begun = request(turns=(*conversation("Count."), Turn("assistant", (Text("One,"),))))
    assert blamed(begun, "This model does not support assistant message prefill.") == "prefill"

    asked, missing = without(begun, Refusable("prefill"))

    assert (asked.turns[:-1], asked.turns[-1].role, missing) == (begun.turns, "user", ())
    assert blamed(asked, "This model does not support assistant message prefill.") is None


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("400 temperature: not supported by this model", "temperature"),
        ("`top_p` is deprecated for this model.", "top_p"),
        ("top_k: Extra inputs are not permitted", "top_k"),
        ("temperature must be 1 if top_k is set", "top_k"),
        ("`temperature` and `top_p` cannot both be specified for this model. Please use only one.", "both"),
        ("`temperature` may only be set to 1 when thinking is enabled or in adaptive mode.", "temperature"),
        ('tool_choice: type "tool" and "any" are not supported for this model', "tool_choice"),
        ("Thinking may not be enabled when tool_choice forces tool use.", "tool_choice"),
        ('"thinking.type.enabled" is not supported for this model. Use "output_config.effort"', "thinking"),
        ("adaptive thinking is not supported on this model", "thinking"),
        ("This model does not support the effort parameter.", "effort"),
        ("output_config.effort: Input should be 'low', 'medium' or 'high'", "effort"),
        ("Too many strict tools (21). The maximum number of strict tools supported is 20.", "strict"),
        ("tools.0.custom: For 'integer' type, property 'minimum' is not supported", "strict"),
        ("tools.0.custom.strict: Extra inputs are not permitted", "strict"),
        ("The compiled grammar is too large", "strict"),
        ("output_config.format.schema: For 'string' type, property 'minLength' is not supported", "format"),
        ("output_format: Extra inputs are not permitted", "format"),
        ("structured outputs are not available", "format"),
    ],
)
def test_a_refusal_names_what_is_to_blame_the_least_important_option_first(words: str, kind: str) -> None:
    assert blamed(everything(), words) == kind


@pytest.mark.parametrize(
    "words",
    [
        "`max_tokens` must be greater than `thinking.budget_tokens`.",
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`.",
    ],
)
def test_a_budget_is_to_blame_only_where_it_does_not_fit(words: str) -> None:
    assert blamed(request(sampling=Sampling(max_tokens=50)), words) == "budget"
    assert blamed(request(sampling=Sampling(max_tokens=5000)), words) is None
    assert blamed(request(sampling=Sampling(max_tokens=50), effort="none"), words) is None


@pytest.mark.parametrize(
    "words",
    [
        "temperature",
        "top_p",
        "top_k",
        "both",
        "tool_choice",
        "strict tools",
        "effort",
        "a schema",
        "max_tokens: 50 > 32",
    ],
)
def test_an_option_that_was_not_sent_is_not_to_blame(words: str) -> None:
    assert blamed(request(sampling=Sampling(max_tokens=5000), tools=TOOLS[1:]), words) is None


@pytest.mark.parametrize("output", [None, JsonOutput(SCHEMA)])
def test_a_tool_that_takes_the_answer_has_no_other_way(output: JsonOutput | None) -> None:
    assert blamed(request(output=output), "Schema is too complex") is None


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
    assert refused(everything(), error) is None


@pytest.mark.parametrize(
    ("kind", "left", "missing"),
    [
        ("top_k", Sampling(0.5, 0.5, None, 5000, ("END",)), ("top_k",)),
        ("top_p", Sampling(0.5, None, 5, 5000, ("END",)), ("top_p",)),
        ("temperature", Sampling(None, 0.5, 5, 5000, ("END",)), ("temperature",)),
        ("both", Sampling(0.5, None, 5, 5000, ("END",)), ("top_p",)),
    ],
)
def test_a_sampling_option_is_left_out_alone(kind: Any, left: Sampling, missing: tuple[str, ...]) -> None:
    asked = everything()

    instead, named = without(asked, Refusable(kind))

    assert (instead.sampling, named) == (left, missing)
    assert (instead.effort, instead.tools, instead.tool_choice, instead.output) == (
        asked.effort,
        asked.tools,
        asked.tool_choice,
        asked.output,
    )


@pytest.mark.parametrize(
    ("kind", "sampling", "left"),
    [
        ("temperature", Sampling(temperature=1), Sampling()),
        ("top_p", Sampling(top_p=1), Sampling()),
        ("both", Sampling(temperature=1, top_p=0.5), Sampling(top_p=0.5)),
        ("both", Sampling(temperature=0.5, top_p=1), Sampling(temperature=0.5)),
    ],
)
def test_a_value_that_asks_for_nothing_is_not_missing(kind: Any, sampling: Sampling, left: Sampling) -> None:
    instead, missing = without(request(sampling=sampling), Refusable(kind))

    assert (instead.sampling, missing) == (left, ())


def test_a_forced_call_becomes_a_wish_and_one_call_stays_one() -> None:
    instead, missing = without(everything(), Refusable("tool_choice"))

    assert (instead.tool_choice, instead.tools, missing) == (ToolChoice(parallel=False), TOOLS, ("tool_choice",))


@pytest.mark.parametrize("kind", ["budget", "thinking"])
@pytest.mark.parametrize(("effort", "missing"), [(None, ()), ("high", ("reasoning_effort",))])
def test_thinking_is_missing_only_if_it_was_asked_for(
    kind: Any, effort: Effort | None, missing: tuple[str, ...]
) -> None:
    instead, named = without(request(effort=effort), Refusable(kind))

    assert (instead.effort, named) == ("none", missing)


def test_without_an_effort_the_model_thinks_as_it_likes() -> None:
    instead, missing = without(request(effort="max"), Refusable("effort", "max"))

    assert (instead.effort, missing) == (None, ("reasoning_effort",))


def test_strict_tools_are_offered_as_others_are() -> None:
    instead, missing = without(everything(), Refusable("strict"))

    assert instead.tools == (Tool("a", "", SCHEMA, strict=True), Tool("b", "", SCHEMA))
    assert missing == ("tools.function.strict",)


def test_a_constrained_answer_is_asked_for_by_another_way_so_that_nothing_is_missing() -> None:
    instead, missing = without(everything(), Refusable("format"))

    assert (instead.output, missing) == (JsonOutput(SCHEMA), ())


def test_whatever_is_left_out_is_not_there_any_more() -> None:
    asked = everything()
    for found in list(refusables(asked)):
        instead, _ = without(asked, found)
        assert found not in list(refusables(instead)), found


def test_schemas_are_told_apart_and_efforts_too() -> None:
    def found(**fields: Any) -> set[Refusable]:
        return set(refusables(request(**fields)))

    other = {"type": "object", "title": "other"}
    assert found(output=JsonOutput(SCHEMA, SCHEMA)) != found(output=JsonOutput(SCHEMA, other))
    assert found(tools=TOOLS) != found(tools=(Tool("a", "", SCHEMA, strict=True, format=other),))
    assert found(tools=TOOLS) == found(tools=TOOLS[:1])
    assert found(effort="low") != found(effort="max")
    assert found(sampling=Sampling(temperature=0.5)) == found(sampling=Sampling(temperature=0.7))


FIRST, SECOND, THIRD = Thinking("a", "U1"), RedactedThinking("U2"), Thinking("", "U3")
BAD = "messages.1.content.0: Invalid `signature` in `thinking` block"


def thoughtful(*thoughts: ThinkingBlock, **fields: Any) -> RunRequest:
    """Return a request with a turn for each thought."""
    turns = [turn for thought in thoughts for turn in (ASKED, Turn("assistant", (thought, Text("So."))))]
    return request(turns=(*turns, ASKED), **fields)


ASKED = Turn("user", (Text("?"),))


@pytest.mark.parametrize(
    "words",
    [
        BAD,
        "messages.1.content.0: Invalid `data` in `redacted_thinking` block",
        "3: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified.",
        "messages.1.content.0.thinking.signature: Field required",
        "messages.1.content.0.thinking: each thinking block must contain thinking",
        "messages.1: The final block in an assistant message cannot be `thinking`.",
        "If an assistant message contains any thinking blocks, the first block must be thinking. Found `text`.",
        "When thinking is disabled, an `assistant` message in the final position cannot contain `thinking`.",
    ],
)
def test_past_reasoning_that_is_refused_is_left_out_with_all_before_it(words: str) -> None:
    asked = thoughtful(FIRST, SECOND, THIRD)
    found = refused(asked, InvalidRequestError(words))
    assert found is not None

    left, missing = without(asked, found)

    assert missing == ("thinking",)
    assert [turn.content for turn in left.turns] == [(piece,) for piece in (*(Text("?"), Text("So.")) * 3, Text("?"))]
    assert blamed(left, words) is None


def test_past_reasoning_is_not_to_blame_for_what_a_budget_wants() -> None:
    words = "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When "
    words += "`thinking` is enabled, a final `assistant` message must start with a thinking block."

    assert blamed(thoughtful(FIRST, sampling=Sampling(max_tokens=50)), words) == "budget"


def test_reasoning_that_came_after_what_was_refused_is_sent_all_the_same() -> None:
    found = refused(thoughtful(FIRST, SECOND), InvalidRequestError(BAD))
    assert found is not None
    known = Refusals()
    known.learn("sonnet", [found])

    left, missing = known.without_known(thoughtful(FIRST, SECOND, THIRD))

    assert [turn.content[0] for turn in left.turns if turn.role == "assistant"] == [Text("So."), Text("So."), THIRD]
    assert missing == ("thinking",)
    assert known.without_known(thoughtful(THIRD)) == (thoughtful(THIRD), ())
