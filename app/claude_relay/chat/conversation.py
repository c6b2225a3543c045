"""Messages -> a system prompt and turns. Pure."""

from collections.abc import Collection, Iterable, Iterator

from claude_relay.chat import schemas
from claude_relay.chat.content import function_call, invalid, pieces, tool_call
from claude_relay.engine.turns import TurnError, Turns
from claude_relay.engine.vocabulary import Image, Text, ToolCall, ToolResult, Turn

_RESULT_OF: dict[type[schemas.Message], str] = {
    schemas.ToolMessage: ".tool_call_id",
    schemas.FunctionMessage: ".name",
}
"""What names the call that a message is the result of."""


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


def turns(messages: Iterable[schemas.Message], custom_tools: Collection[str] = ()) -> tuple[Turn, ...]:
    """Return what was said, turn by turn.

    Args:
        messages: The messages.
        custom_tools: Tools that take text.

    Raises:
        InvalidRequestError: A message cannot be understood, or answers a call that was not made.
    """
    conversation = Turns()
    param = "messages"
    try:
        for index, message in enumerate(messages):
            where = f"messages[{index}]"
            param = where + _RESULT_OF.get(type(message), "")
            _add(conversation, message, where, custom_tools)
            param = where
        return conversation.joined()
    except TurnError as error:
        raise invalid(str(error), param) from None


def unsupported_fields(messages: Iterable[schemas.Message]) -> Iterator[str]:
    """Name what messages carry that the upstream has no place for."""
    for message in messages:
        if not isinstance(message, schemas.ToolMessage | schemas.FunctionMessage) and message.name:
            yield "messages.name"
        parts = message.content if isinstance(message.content, list) else ()
        for part in parts:
            image = part.image_url if isinstance(part, schemas.ImagePart) else None
            if isinstance(image, schemas.ImageURL) and image.detail not in {None, "auto"}:
                yield "messages.content.image_url.detail"


def _add(conversation: Turns, message: schemas.Message, where: str, custom_tools: Collection[str]) -> None:
    match message:
        case schemas.UserMessage(content):
            conversation.go_on()
            conversation.add("user", pieces(content, f"{where}.content"))
        case schemas.AssistantMessage():
            conversation.go_on()
            calls = _calls(message, where, custom_tools)
            answer = pieces(message.content or message.refusal, f"{where}.content")
            conversation.add("assistant", (*answer, *calls))
        case schemas.ToolMessage(call_id):
            conversation.take_call(call_id)
            conversation.add("user", (_result(call_id, message, where),))
        case schemas.FunctionMessage(name):
            call_id = conversation.take_call_of(name)
            conversation.add("user", (_result(call_id, message, where),))


def _calls(message: schemas.AssistantMessage, where: str, custom_tools: Collection[str]) -> tuple[ToolCall, ...]:
    calls = [
        tool_call(call, f"{where}.tool_calls[{index}]", custom_tools)
        for index, call in enumerate(message.tool_calls or ())
    ]
    if message.function_call is not None:
        # the legacy form has no ids; the message's place is one
        calls.append(function_call(_id_of(where), message.function_call, f"{where}.function_call"))
    return tuple(calls)


def _id_of(where: str) -> str:
    return "call_" + "".join(filter(str.isdigit, where))


def _result(call_id: str, message: schemas.ToolMessage | schemas.FunctionMessage, where: str) -> ToolResult:
    found = pieces(message.content, f"{where}.content")
    return ToolResult(call_id, tuple(piece for piece in found if isinstance(piece, Text | Image)))
