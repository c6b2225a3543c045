"""What a chat request adds to its line in the log. Pure."""

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET

from claude_relay.chat.outbound import Presentation, completion_usage
from claude_relay.engine.vocabulary import Begun, RunEnd


def account(show: Presentation, begun: Sequence[Begun], ends: Sequence[RunEnd]) -> dict[str, Any]:
    """Return how the answers began and how they ended, as far as they did.

    Args:
        show: How the answers are shown.
        begun: How each began.
        ends: How each ended.
    """
    return {**_beginning(begun), **_ending(show, ends)}


def _beginning(begun: Sequence[Begun]) -> dict[str, Any]:
    if not begun:
        return {}
    return {
        "how": ",".join(one.how for one in begun),
        "queue_ms": round(1000 * max(one.waited for one in begun)),
    }


def _ending(show: Presentation, ends: Sequence[RunEnd]) -> dict[str, Any]:
    if not ends:
        return {}
    usage = completion_usage(ends)
    return {
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.prompt_tokens_details.cached_tokens,
        "completion_tokens": usage.completion_tokens,
        **({"cost_usd": usage.cost} if usage.cost is not UNSET else {}),
        "finish": ",".join(show.finish(end.stop) for end in ends),
    }
