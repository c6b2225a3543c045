"""Messages -> a system prompt and turns. Pure."""

import itertools
from collections.abc import Collection, Iterable, Iterator

from claude_relay.chat import schemas
from claude_relay.chat.content import function_call, pieces, tool_call
from claude_relay.engine.vocabulary import Image, Piece, Role, Text, ToolCall, ToolResult, Turn
from claude_relay.errors import InvalidRequestError

_NAMED = 5
"""Calls that an error names; there may be many."""
_OPENING = Turn("user", (Text("."),))
"""A conversation begins with the user, but many clients begin with a greeting of the assistant."""


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
    """Return what was said, turn by turn; messages of one role in a row are one turn.

    Args:
        messages: The messages.
        custom_tools: Tools that take text.

    Raises:
        InvalidRequestError: A message cannot be understood, or answers a call that was not made.
    """
    joined: list[tuple[Role, list[Piece]]] = []
    for role, content in _contents(messages, custom_tools):
        if joined and joined[-1][0] == role:
            joined[-1][1].extend(content)
        elif content:
            joined.append((role, list(content)))
    made = tuple(Turn(role, tuple(content)) for role, content in joined)
    return (_OPENING, *made) if made and made[0].role == "assistant" else made


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


def _contents(
    messages: Iterable[schemas.Message], custom_tools: Collection[str]
) -> Iterator[tuple[Role, tuple[Piece, ...]]]:
    waiting: dict[str, str] = {}
    where = "messages"
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if isinstance(message, schemas.UserMessage | schemas.AssistantMessage):
            _require_results(waiting, where)
        match message:
            case schemas.UserMessage(content):
                yield "user", pieces(content, f"{where}.content")
            case schemas.AssistantMessage():
                calls = _calls(message, where, custom_tools)
                waiting = {call.id: call.name for call in calls}
                yield "assistant", (*pieces(message.content or message.refusal, f"{where}.content"), *calls)
            case schemas.ToolMessage(call_id):
                if waiting.pop(call_id, None) is None:
                    raise _unknown_call(call_id, f"{where}.tool_call_id")
                yield "user", (ToolResult(call_id, _returned(message.content, where)),)
            case schemas.FunctionMessage(name, content):
                call_id = next((known for known, called in waiting.items() if called == name), "")
                if waiting.pop(call_id, None) is None:
                    raise _unknown_call(name, f"{where}.name")
                yield "user", (ToolResult(call_id, _returned(content, where)),)
    _require_results(waiting, where)


def _require_results(waiting: dict[str, str], where: str) -> None:
    """Every call must have its result before the conversation goes on; the upstream would be told of an error."""
    if waiting:
        raise InvalidRequestError(
            f"Invalid value for '{where}': {len(waiting)} calls of tools have no result before it, such as "
            f"{', '.join(itertools.islice(waiting, _NAMED))}.",
            param=where,
            code="invalid_value",
        )


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


def _returned(content: str | list[schemas.TextPart | schemas.ImagePart] | None, where: str) -> tuple[Text | Image, ...]:
    found = pieces(content, f"{where}.content")
    return tuple(piece for piece in found if isinstance(piece, Text | Image))


def _unknown_call(name: str, param: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"Invalid value for '{param}': no earlier message of the assistant makes the call {name!r}.",
        param=param,
        code="invalid_value",
    )
