"""Token counts as OpenAI's completions have them, for chat and legacy ones alike. Pure."""

from collections.abc import Iterable

from msgspec import UNSET, Struct, UnsetType

from claude_relay.engine.vocabulary import RunEnd, Usage


class PromptTokensDetails(Struct, frozen=True):
    """Where prompt tokens came from."""

    cached_tokens: int


class CompletionTokensDetails(Struct, frozen=True):
    """What completion tokens were used for."""

    reasoning_tokens: int


class CompletionUsage(Struct, frozen=True, omit_defaults=True):
    """Token counts; cached prompt tokens are part of ``prompt_tokens``.

    Attributes:
        cost: US dollars for this request, by Claude Code's own estimate (the name is OpenRouter's).
    """

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails | UnsetType = UNSET
    cost: float | UnsetType = UNSET


def completion_usage(ends: Iterable[RunEnd]) -> CompletionUsage:
    """Return the sum of token counts as OpenAI counts them: what a cache held is part of the prompt."""
    ends = tuple(ends)
    usage = sum((end.usage for end in ends), Usage())
    thinking = [end.thinking_tokens for end in ends if end.thinking_tokens is not None]
    costs = [end.cost for end in ends if end.cost is not None]
    all_think, all_cost = len(thinking) == len(ends), len(costs) == len(ends)
    return CompletionUsage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.output_tokens,
        total_tokens=usage.prompt_tokens + usage.output_tokens,
        prompt_tokens_details=PromptTokensDetails(usage.cache_read_tokens),
        completion_tokens_details=CompletionTokensDetails(sum(thinking)) if all_think else UNSET,
        cost=sum(costs) if all_cost else UNSET,
    )
