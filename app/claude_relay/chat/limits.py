"""Limits of a chat request, checked before anything iterates over it. Pure.

OpenAI's own limits are lower; these keep the time bounded in which one request has the server to itself.
"""

from collections.abc import Iterator

from claude_relay.chat import schemas
from claude_relay.errors import text_too_long, too_long
from claude_relay.web import bodies

MOST_MESSAGES = 20_000
MOST_TOOLS = 1_024
MOST_CALLS = 1_024
"""Calls of tools in one message."""
MOST_STOPS = 64
LONGEST_STOP = 1_000
"""Characters."""
LONGEST_MODEL = 5_000
"""Characters. Every chunk of an answer tells the model's name."""


def require_few(request: schemas.ChatCompletionRequest) -> None:
    """Check the lengths of a request's lists and texts.

    Raises:
        InvalidRequestError: One is too long.
    """
    for param, found, most in _lengths(request):
        if found > most:
            raise too_long(param, most, found)
    for param, text, longest in _texts(request):
        if len(text) > longest:
            raise text_too_long(param, longest, len(text))
    _require_readable_arguments(request)


def _lengths(request: schemas.ChatCompletionRequest) -> Iterator[tuple[str, int, int]]:
    yield "messages", len(request.messages), MOST_MESSAGES
    yield "tools", len(request.tools or ()), MOST_TOOLS
    yield "functions", len(request.functions or ()), MOST_TOOLS
    yield "stop", 0 if isinstance(request.stop, str) else len(request.stop or ()), MOST_STOPS
    if isinstance(request.tool_choice, schemas.AllowedToolsChoice):
        yield "tool_choice.allowed_tools.tools", len(request.tool_choice.allowed_tools.tools), MOST_TOOLS
    for index, message in enumerate(request.messages):
        if isinstance(message, schemas.AssistantMessage) and message.tool_calls:
            yield f"messages[{index}].tool_calls", len(message.tool_calls), MOST_CALLS


def _texts(request: schemas.ChatCompletionRequest) -> Iterator[tuple[str, str, int]]:
    yield "model", request.model or "", LONGEST_MODEL
    if isinstance(request.stop, str):
        yield "stop", request.stop, LONGEST_STOP
        return
    for index, stop in enumerate(request.stop or ()):
        yield f"stop[{index}]", stop, LONGEST_STOP


def _require_readable_arguments(request: schemas.ChatCompletionRequest) -> None:
    """Check the arguments of past calls, which are JSON inside strings and were not counted with the body."""
    written = [call.arguments for call in _called(request)]
    if sum(map(len, written)) <= bodies.LARGE:
        return
    bodies.look_over(
        [arguments.encode() for arguments in written], "'messages'", "values in the arguments of calls", "messages"
    )


def _called(request: schemas.ChatCompletionRequest) -> Iterator[schemas.FunctionCall]:
    for message in request.messages:
        if isinstance(message, schemas.AssistantMessage):
            yield from (call.function for call in message.tool_calls or () if call.function)
            if message.function_call is not None:
                yield message.function_call
