"""What models are known to refuse by their names."""

import pytest

from claude_relay.engine.claude.known_refusals import refused_kinds

SAMPLING = {"temperature", "top_p", "top_k"}


@pytest.mark.parametrize(
    ("model", "kinds"),
    [
        ("claude-3-7-sonnet-20250219", {"budget"}),
        ("claude-opus-4-20250514", {"budget"}),
        ("claude-sonnet-4-20250514", {"budget"}),
        ("claude-opus-4-1-20250805", {"budget", "both", "top_p"}),
        ("claude-haiku-4-5", {"budget", "both", "top_p"}),
        ("claude-sonnet-4-5-20250929", {"budget", "both", "top_p"}),
        ("claude-sonnet-4-5[1m]", {"budget", "both", "top_p"}),
        ("us.anthropic.claude-opus-4-5-20251101-v1:0", {"budget", "both", "top_p"}),
        ("claude-opus-4-6", {"both", "top_p"}),
        ("claude-sonnet-4-6-20260101", {"both", "top_p"}),
        ("claude-opus-4-7", SAMPLING),
        ("claude-opus-4-8[1m]", SAMPLING),
        ("claude-sonnet-5", SAMPLING),
        ("claude-fable-5", SAMPLING),
        ("claude-haiku-5-5", SAMPLING),
        ("claude-fable-5-1", {*SAMPLING, "tool_choice"}),
        ("claude-opus-5-5", {*SAMPLING, "tool_choice"}),
        ("claude-sonnet-5-5", {*SAMPLING, "tool_choice"}),
    ],
)
def test_models_are_known_to_refuse_what_their_makers_pages_tell(model: str, kinds: set[str]) -> None:
    assert refused_kinds(model) == kinds


@pytest.mark.parametrize(
    "model",
    ["claude-opus-10-1", "claude-sonnet-5-6", "claude-fable-6", "claude-2.1", "sonnet", "my-own-model-4-5", "gpt-4-5"],
)
def test_nothing_is_guessed_of_newer_models_and_of_others(model: str) -> None:
    assert refused_kinds(model) == frozenset()
