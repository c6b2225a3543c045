"""What a chat request adds to its line in the log. Pure."""

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET

from claude_relay.chat.outbound import RenderOptions, completion_usage
from claude_relay.engine.vocabulary import RunEnd, RunStarted


def log_fields(options: RenderOptions, begun: Sequence[RunStarted], ends: Sequence[RunEnd]) -> dict[str, Any]:
    """Return how the answers began and how they ended, as far as they did.

    Args:
        options: How the answers are shown.
        begun: How each began.
        ends: How each ended.
    """
    return {**_beginning(begun), **_ending(options, ends)}


def _beginning(begun: Sequence[RunStarted]) -> dict[str, Any]:
    if not begun:
        return {}
    return {
        "origin": ",".join(one.origin for one in begun),
        "queue_ms": round(1000 * max(one.waited for one in begun)),
    }


def _ending(options: RenderOptions, ends: Sequence[RunEnd]) -> dict[str, Any]:
    if not ends:
        return {}
    usage = completion_usage(ends)
    return {
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.prompt_tokens_details.cached_tokens,
        "completion_tokens": usage.completion_tokens,
        **({"cost_usd": usage.cost} if usage.cost is not UNSET else {}),
        "finish": ",".join(options.finish(end.stop) for end in ends),
    }
