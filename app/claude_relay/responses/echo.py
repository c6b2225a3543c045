"""What a response says again of its request, with what OpenAI's own answers add where it was left out. Pure."""

from collections.abc import Iterable
from typing import Any

from claude_relay.responses.answer import TextEcho
from claude_relay.responses.schemas import TextFormat, TextOptions

_OF_FUNCTIONS: dict[str, Any] = {"description": None, "parameters": None, "strict": None}
"""Fields that a function has in a response, whether it was given them or not."""


def echoed_tools(tools: Iterable[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """Return the tools of a request."""
    return [{**_OF_FUNCTIONS, **tool} if tool.get("type") == "function" else tool for tool in tools or ()]


def text_echo(text: TextOptions | None) -> TextEcho:
    """Return what was asked for of the text."""
    asked = text or TextOptions()
    return TextEcho(asked.format or TextFormat(), asked.verbosity or "medium")
