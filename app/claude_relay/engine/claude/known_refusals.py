"""What models are publicly known to refuse, so that they need not refuse it first. Pure.

Anthropic's pages on its models tell it ("Migration guide" and "What's new in Claude ..." at platform.claude.com/docs),
and users quote the refusals: sampling of opus-4-7 and later in RooCodeInc/Roo-Code#12162 and earendil-works/pi#7961,
``temperature`` beside ``top_p`` since opus-4-1 in BerriAI/litellm#15097 and open-webui/pipelines#546, budgets in
can1357/oh-my-pi#341. The table ends with the newest models that these are about: what later ones refuse is learned.
"""

import re
from collections.abc import Mapping

from claude_relay.engine.claude.fallback import Kind

_NAME = re.compile(r"claude-(?:(opus|sonnet|haiku|fable)-(\d{1,2})(?:-(\d{1,2}))?(?!\d)|(3)-)")

_Version = tuple[int, int]
_Range = tuple[_Version, _Version]
"""The first and the last version of a family of models."""

_KNOWN: tuple[tuple[frozenset[Kind], Mapping[str, _Range]], ...] = (
    (
        frozenset({"budget"}),
        {"": ((3, 0), (3, 0)), **dict.fromkeys(("opus", "sonnet", "haiku"), ((3, 0), (4, 5)))},
    ),
    (
        # without thinking the CLI itself sets a temperature, so there is no room for the other
        frozenset({"both", "top_p"}),
        {"opus": ((4, 1), (4, 6)), "sonnet": ((4, 5), (4, 6)), "haiku": ((4, 5), (4, 5))},
    ),
    (
        frozenset({"temperature", "top_p", "top_k"}),
        {"opus": ((4, 7), (5, 5)), "sonnet": ((5, 0), (5, 5)), "haiku": ((5, 0), (5, 5)), "fable": ((5, 0), (5, 2))},
    ),
    (
        frozenset({"tool_choice"}),
        {"opus": ((5, 5), (5, 5)), "sonnet": ((5, 5), (5, 5)), "fable": ((5, 1), (5, 2))},
    ),
)


def refused_kinds(model: str) -> frozenset[Kind]:
    """Return what a model is known to refuse, by its full id."""
    found = _NAME.search(model)
    if found is None:
        return frozenset()
    family, version = found[1] or "", (int(found[2] or found[4]), int(found[3] or 0))
    refused = [kinds for kinds, ranges in _KNOWN if family in ranges and _is_within(version, ranges[family])]
    return frozenset().union(*refused)


def _is_within(version: _Version, bounds: _Range) -> bool:
    first, last = bounds
    return first <= version <= last
