"""Messages -> a system prompt and turns. Pure."""

from collections.abc import Collection, Iterable, Iterator

from claude_relay.chat import schemas
from claude_relay.chat.content import function_call, pieces, tool_call
from claude_relay.engine.turns import MissingResultError, Turns, UnknownCallError
from claude_relay.engine.vocabulary import Image, Text, ToolCall, ToolResult, Turn
from claude_relay.errors import InvalidRequestError

_RESULT_OF: dict[type[schemas.Message], str] = {
    schemas.ToolMessage: ".tool_call_id",
    schemas.FunctionMessage: ".name",
}
"""What names the call that a message is the result of."""
_NO_RESULT = (
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The "
    "following tool_call_ids did not have response messages:"
)
_NO_CALL = (
    # OpenAI's spelling, which people search for
    "Invalid parameter: messages with role '{role}' must be a response to a preceeding message with '{field}'. The "
    "following call was not made before, or has a result already:"
)


def system_prompt(messages: Iterable[schemas.Message]) -> str | None:
    """Join the texts of all system and developer messages, wherever they stand."""
    texts = [
        piece.text
        for index, message in enumerate(messages)
        if isinstance(message, schemas.SystemMessage | schemas.DeveloperMessage)
        for piece in pieces(message.content, f"messages[{index}].content")
        if isinstance(piece, Text)
    ]
    return "\n\n".join(texts) or None


def turns(messages: Iterable[schemas.Message], text_tools: Collection[str] = ()) -> tuple[Turn, ...]:
    """Return the turns of a conversation.

    Args:
        messages: The messages.
        text_tools: Tools that take text.

    Raises:
        InvalidRequestError: A message cannot be understood, or answers a call that was not made.
    """
    conversation = Turns()
    param = "messages"
    try:
        for index, message in enumerate(messages):
            where = f"messages[{index}]"
            param = where + _RESULT_OF.get(type(message), "")
            _add(conversation, message, where, text_tools)
            param = where
        return conversation.joined()
    except MissingResultError as error:
        raise InvalidRequestError(f"{_NO_RESULT} {error}", param=param, code="invalid_value") from None
    except UnknownCallError as error:
        role, field = ("function", "function_call") if param.endswith(".name") else ("tool", "tool_calls")
        text = _NO_CALL.format(role=role, field=field)
        raise InvalidRequestError(f"{text} {error}", param=param, code="invalid_value") from None


def unsupported_fields(messages: Iterable[schemas.Message]) -> Iterator[str]:
    """Yield the names of fields in messages that the upstream does not support."""
    for message in messages:
        if not isinstance(message, schemas.ToolMessage | schemas.FunctionMessage) and message.name:
            yield "messages.name"
        parts = message.content if isinstance(message.content, list) else ()
        for part in parts:
            image = part.image_url if isinstance(part, schemas.ImagePart) else None
            if isinstance(image, schemas.ImageURL) and image.detail not in {None, "auto"}:
                yield "messages.content.image_url.detail"


def _add(conversation: Turns, message: schemas.Message, where: str, text_tools: Collection[str]) -> None:
    match message:
        case schemas.UserMessage(content):
            conversation.go_on()
            conversation.add("user", pieces(content, f"{where}.content"))
        case schemas.AssistantMessage():
            conversation.go_on()
            calls = _calls(message, where, text_tools)
            answer = pieces(message.content or message.refusal, f"{where}.content")
            conversation.add("assistant", (*answer, *calls))
        case schemas.ToolMessage(call_id):
            found = conversation.take_call(call_id)
            conversation.add("user", (_result(found, message, where),))
        case schemas.FunctionMessage(name):
            found = conversation.take_call_of(name)
            conversation.add("user", (_result(found, message, where),))


def _calls(message: schemas.AssistantMessage, where: str, text_tools: Collection[str]) -> tuple[ToolCall, ...]:
    calls = [
        tool_call(call, f"{where}.tool_calls[{index}]", text_tools)
        for index, call in enumerate(message.tool_calls or ())
    ]
    if message.function_call is not None:
        # the legacy form has no ids
        calls.append(function_call("", message.function_call))
    return tuple(calls)


def _result(call_id: str, message: schemas.ToolMessage | schemas.FunctionMessage, where: str) -> ToolResult:
    found = pieces(message.content, f"{where}.content")
    return ToolResult(call_id, tuple(piece for piece in found if isinstance(piece, Text | Image)))
