"""What the real API refuses with 400, as its users have reported it publicly. Pure.

Nobody here can ask the real API. A rule stands for a refusal that several people have seen, in the words that they
quote; the docstring of a rule says where words are ours. Where reports disagree, the rule accepts.
"""

from collections.abc import Callable
from typing import Any

from .conversation import (
    ends_where_the_model_can_go_on,
    has_content,
    has_known_roles,
    has_thinking_in_tool_loops,
    has_tool_ids,
    has_tool_pairs,
)
from .images import has_images
from .json_text import json_refusal
from .options import fits_thinking, has_sampling, suits_model
from .tools import has_schemas, has_strict_tools, has_tools

__all__ = ["RULES", "Rule", "json_refusal", "refusal"]

Rule = Callable[[dict[str, Any]], str | None]
"""A body of ``POST /v1/messages`` -> the API's sentence if it breaks the rule."""

RULES: tuple[Rule, ...] = (
    has_known_roles,
    has_content,
    has_tools,
    has_tool_ids,
    has_images,
    has_tool_pairs,
    suits_model,
    fits_thinking,
    has_sampling,
    has_thinking_in_tool_loops,
    ends_where_the_model_can_go_on,
    has_strict_tools,
    has_schemas,
)
"""The rules in the order in which they are applied: the first that is broken is the answer."""


def refusal(body: dict[str, Any]) -> str | None:
    """Return why the real API would refuse this body, or None."""
    return next((reason for rule in RULES if (reason := rule(body)) is not None), None)
