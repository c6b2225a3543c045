"""What a response says again of its request, with what OpenAI's own answers add where it was left out. Pure."""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from claude_relay.errors import InvalidRequestError
from claude_relay.responses.schemas import ResponsesRequest, TextFormat, TextOptions

_OF_FUNCTIONS: dict[str, Any] = {"description": None, "parameters": None, "strict": None}
"""Fields that a function has in a response, whether it was given them or not."""


class TextEcho(Struct, frozen=True):
    """What was asked for of the text."""

    format: Any
    verbosity: str


class Echo(Struct, frozen=True):
    """What may be large, as JSON: each response of a stream says it again.

    Attributes:
        tools: The tools of the request.
        tool_choice: What the model may do with them.
        text: What was asked for of the text.
        metadata: What the client wants back.
    """

    tools: Raw
    tool_choice: Raw
    text: Raw
    metadata: Raw


def echo(request: ResponsesRequest) -> Echo:
    """Return what a response says again.

    Raises:
        InvalidRequestError: It is nested more deeply than can be written.
    """
    text = request.text or TextOptions()
    tools = [_tool(tool) for tool in request.tools or ()]
    try:
        return Echo(
            _json(tools),
            _json(request.tool_choice or "auto"),
            _json(TextEcho(text.format or TextFormat(), text.verbosity or "medium")),
            _json(request.metadata or {}),
        )
    except RecursionError:
        raise nested_too_deeply() from None


def nested_too_deeply() -> InvalidRequestError:
    """Return the error for a request that can be read, but not be written again."""
    return InvalidRequestError(
        "We could not parse the JSON body of your request: it is nested too deeply.", code="invalid_json"
    )


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    return {**_OF_FUNCTIONS, **tool} if tool.get("type") == "function" else tool


def _json(value: Any) -> Raw:
    return Raw(msgspec.json.encode(value))
