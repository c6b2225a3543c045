"""Messages -> a system prompt and turns. Pure."""

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence

from claude_relay.chat import schemas
from claude_relay.chat.content import function_call, pieces, result_pieces, tool_call
from claude_relay.engine.turns import SILENCE, MissingResultError, Turns, UnknownCallError, instruction
from claude_relay.engine.vocabulary import Piece, Text, ToolCall, ToolResult, Turn
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
    """Join the texts of the system and developer messages that stand before all others."""
    leading = itertools.takewhile(_instructs, messages)
    texts = [text for index, message in enumerate(leading) for text in _texts(message, f"messages[{index}]")]
    return "\n\n".join(texts) or None


def turns(messages: Sequence[schemas.Message], text_tools: Collection[str] = ()) -> tuple[Turn, ...]:
    """Return the turns of a conversation. If it has only a system prompt there are none.

    Args:
        messages: The messages.
        text_tools: Tools that take text.

    Raises:
        InvalidRequestError: A message cannot be understood, or answers a call that was not made.
    """
    leading = sum(1 for _ in itertools.takewhile(_instructs, messages))
    if leading == len(messages):
        return ()
    names = {message.name for message in messages if isinstance(message, schemas.UserMessage) and message.name}
    shown = names if len(names) > 1 else frozenset[str]()
    conversation = Turns()
    param = "messages"
    try:
        for index, message in enumerate(messages[leading:], leading):
            where = f"messages[{index}]"
            param = where + _RESULT_OF.get(type(message), "")
            _add(conversation, message, where, text_tools, shown)
            param = where
        if _ends_with_the_user(messages[leading:]):
            conversation.add_silence()
        return conversation.joined() or (SILENCE,)
    except MissingResultError as error:
        raise InvalidRequestError(f"{_NO_RESULT} {error}", param=param, code="invalid_value") from None
    except UnknownCallError as error:
        role, field = ("function", "function_call") if param.endswith(".name") else ("tool", "tool_calls")
        text = _NO_CALL.format(role=role, field=field)
        raise InvalidRequestError(f"{text} {error}", param=param, code="invalid_value") from None


def unsupported_fields(messages: Collection[schemas.Message]) -> Iterator[str]:
    """Yield the names of fields in messages that the upstream does not support.

    The only name among the instructions tells nothing, and its sender misses nothing.
    """
    instructions = [one for one in messages if isinstance(one, schemas.SystemMessage | schemas.DeveloperMessage)]
    if len({one.name for one in instructions if one.name}) > 1:
        yield "messages.name"
    for message in messages:
        parts = message.content if isinstance(message.content, list) else ()
        for part in parts:
            image = part.image_url if isinstance(part, schemas.ImagePart) else None
            if isinstance(image, schemas.ImageURL) and image.detail not in {None, "auto"}:
                yield "messages.content.image_url.detail"


def _instructs(message: schemas.Message) -> bool:
    return isinstance(message, schemas.SystemMessage | schemas.DeveloperMessage)


def _ends_with_the_user(messages: Iterable[schemas.Message]) -> bool:
    """Whether the user spoke after the assistant, even if without a word."""
    speakers = [message for message in messages if isinstance(message, schemas.UserMessage | schemas.AssistantMessage)]
    return bool(speakers) and isinstance(speakers[-1], schemas.UserMessage)


def _add(
    conversation: Turns, message: schemas.Message, where: str, text_tools: Collection[str], shown: Collection[str]
) -> None:
    match message:
        case schemas.SystemMessage() | schemas.DeveloperMessage():
            conversation.add("user", map(instruction, _texts(message, where)))
        case schemas.UserMessage(content, name):
            conversation.go_on()
            found = pieces(content, f"{where}.content")
            conversation.add("user", _named(name, found) if name and name in shown else found)
        case schemas.AssistantMessage():
            conversation.go_on()
            calls = _calls(message, where, text_tools)
            answer = pieces(message.content or message.refusal, f"{where}.content")
            conversation.add("assistant", (*answer, *calls))
        case schemas.ToolMessage(call_id):
            call = conversation.take_call(call_id)
            conversation.add("user", (ToolResult(call, result_pieces(message.content, f"{where}.content")),))
        case schemas.FunctionMessage(tool):
            call = conversation.take_call_of(tool)
            conversation.add("user", (ToolResult(call, result_pieces(message.content, f"{where}.content")),))


def _texts(message: schemas.Message, where: str) -> list[str]:
    return [piece.text for piece in pieces(message.content, f"{where}.content") if isinstance(piece, Text)]


def _named(name: str, content: tuple[Piece, ...]) -> tuple[Piece, ...]:
    """Put a participant's name before what they say, if they say anything."""
    match content:
        case (Text(text), *others):
            return (Text(f"{name}: {text}"), *others)
        case ():
            return ()
    return (Text(f"{name}:"), *content)


def _calls(message: schemas.AssistantMessage, where: str, text_tools: Collection[str]) -> tuple[ToolCall, ...]:
    calls = [
        tool_call(call, f"{where}.tool_calls[{index}]", text_tools)
        for index, call in enumerate(message.tool_calls or ())
    ]
    if message.function_call is not None:
        # the legacy form has no ids
        calls.append(function_call("", message.function_call))
    return tuple(calls)
