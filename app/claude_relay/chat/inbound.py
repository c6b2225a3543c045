"""Chat request -> neutral request. Pure; what cannot be served is refused with the parameter's name."""

from collections.abc import Iterable, Iterator

from claude_relay.chat import schemas
from claude_relay.engine.vocabulary import RunRequest, Text, Turn
from claude_relay.errors import InvalidRequestError
from claude_relay.settings import Personality

_PERSONALITIES: dict[str, Personality] = {"agent": "agent", "chat": "chat"}
_REFUSED = ("tools", "functions", "response_format")
_IGNORED = (
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "stop",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "reasoning_effort",
)


def to_run_request(
    request: schemas.ChatCompletionRequest, default_model: str, default_personality: Personality
) -> RunRequest:
    """Return the neutral request.

    Args:
        request: What the client sent.
        default_model: The model when the client names none.
        default_personality: What answers when the model's name does not say.

    Raises:
        InvalidRequestError: The request asks for what the relay cannot do.
    """
    _refuse(request)
    model, personality = split_model(request.model or default_model, default_personality)
    system = "\n\n".join(_instructions(request.messages)) or None
    turns = tuple(_turns(request.messages))
    if system and not turns:
        # a lone system message is a question all the same
        return RunRequest(model, personality, None, (Turn("user", (Text(system),)),))
    return RunRequest(model, personality, system, _checked(turns))


def split_model(name: str, default: Personality) -> tuple[str, Personality]:
    """Split ``sonnet:chat`` into the CLI's model and a personality."""
    model, _, suffix = name.rpartition(":")
    if model and suffix in _PERSONALITIES:
        return model, _PERSONALITIES[suffix]
    return name, default


def ignored(request: schemas.ChatCompletionRequest) -> list[str]:
    """Name the parameters that were given and have no effect."""
    return [name for name in _IGNORED if getattr(request, name) is not None]


def _refuse(request: schemas.ChatCompletionRequest) -> None:
    for name in _REFUSED:
        value = getattr(request, name)
        if value and value != {"type": "text"}:
            raise _unsupported(f"'{name}' is not supported yet.", name)
    if (request.n or 1) > 1:
        raise _unsupported("Only one answer for each request is supported yet: 'n' must be 1.", "n")


def _instructions(messages: Iterable[schemas.Message]) -> Iterator[str]:
    for message in messages:
        if isinstance(message, schemas.SystemMessage | schemas.DeveloperMessage):
            yield from (piece.text for piece in _texts(message.content, ""))


def _turns(messages: Iterable[schemas.Message]) -> Iterator[Turn]:
    """Yield the turns, those of one role in a row joined: the upstream wants the roles to alternate."""
    open_turn: Turn | None = None
    for turn in _said(messages):
        if open_turn is None or open_turn.role != turn.role:
            if open_turn is not None:
                yield open_turn
            open_turn = turn
        else:
            open_turn = Turn(turn.role, open_turn.content + turn.content)
    if open_turn is not None:
        yield open_turn


def _said(messages: Iterable[schemas.Message]) -> Iterator[Turn]:
    """Yield what each message says, if it says anything: an empty text is refused by the upstream."""
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        match message:
            case schemas.UserMessage(content):
                pieces = _texts(content, f"{where}.content")
                role = "user"
            case schemas.AssistantMessage(content, refusal, tool_calls, function_call):
                if tool_calls or function_call:
                    raise _unsupported("Tool calls are not supported yet.", f"{where}.tool_calls")
                pieces = _texts(content or refusal, f"{where}.content")
                role = "assistant"
            case schemas.ToolMessage() | schemas.FunctionMessage():
                raise _unsupported("Tool results are not supported yet.", f"{where}.role")
            case _:
                continue
        if pieces:
            yield Turn("user" if role == "user" else "assistant", pieces)


def _texts(content: str | Iterable[object] | None, where: str) -> tuple[Text, ...]:
    parts = [schemas.TextPart(content)] if isinstance(content, str) else list(content or ())
    return tuple(Text(text) for index, part in enumerate(parts) if (text := _text(part, f"{where}[{index}]")).strip())


def _text(part: object, where: str) -> str:
    match part:
        case schemas.TextPart(text) | schemas.RefusalPart(text):
            return text
    raise _unsupported("Only text is supported yet.", f"{where}.type")


def _checked(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    if not turns:
        raise InvalidRequestError("The messages hold no text.", param="messages")
    if turns[-1].role == "assistant":
        raise _unsupported(
            "The last message must not be the assistant's: continuing it is not supported yet.", "messages"
        )
    if turns[0].role == "assistant":
        # a conversation begins with the user; many clients begin with a greeting of the assistant
        return (Turn("user", (Text("."),)), *turns)
    return turns


def _unsupported(message: str, param: str) -> InvalidRequestError:
    return InvalidRequestError(message, param=param, code="unsupported_parameter")
