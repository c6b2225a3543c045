"""Limits of a chat request, checked before anything iterates over it. Pure."""

from collections.abc import Iterator

from claude_relay.chat import schemas
from claude_relay.web import body_limits

MOST_MESSAGES = 20_000
MOST_CALLS = 1_024
"""Calls of tools in one message."""


def require_few(request: schemas.ChatCompletionRequest) -> None:
    """Check the lengths of a request's lists and texts.

    Raises:
        InvalidRequestError: One is too long.
    """
    body_limits.require_few("messages", request.messages, MOST_MESSAGES)
    body_limits.require_few("tools", request.tools, body_limits.MOST_TOOLS)
    body_limits.require_few("functions", request.functions, body_limits.MOST_TOOLS)
    if isinstance(request.tool_choice, schemas.AllowedToolsChoice):
        allowed = request.tool_choice.allowed_tools.tools
        body_limits.require_few("tool_choice.allowed_tools.tools", allowed, body_limits.MOST_TOOLS)
    for index, message in enumerate(request.messages):
        if isinstance(message, schemas.AssistantMessage):
            body_limits.require_few(f"messages[{index}].tool_calls", message.tool_calls, MOST_CALLS)
    body_limits.require_short("model", request.model, body_limits.LONGEST_MODEL)
    body_limits.require_few_stops("stop", request.stop)
    body_limits.require_readable_arguments("messages", [call.arguments for call in _called(request)])


def _called(request: schemas.ChatCompletionRequest) -> Iterator[schemas.FunctionCall]:
    for message in request.messages:
        if isinstance(message, schemas.AssistantMessage):
            yield from (call.function for call in message.tool_calls or () if call.function)
            if message.function_call is not None:
                yield message.function_call
