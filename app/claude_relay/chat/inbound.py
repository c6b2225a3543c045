"""Chat request -> neutral request. Pure; what cannot be served is refused with the parameter's name."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from claude_relay.chat import conversation, functions, schemas
from claude_relay.chat.parameters import PARAMETERS
from claude_relay.engine import model_names
from claude_relay.engine.json_schema import SchemaError, examine
from claude_relay.engine.vocabulary import Effort, JsonOutput, RunRequest, Sampling, Text, ToolChoice, Turn
from claude_relay.errors import InvalidRequestError
from claude_relay.settings import Personality
from claude_relay.web.parameters import Question, unsupported

_SAMPLING = ("temperature", "top_p", "top_k")
_ANY_OBJECT: dict[str, Any] = {"type": "object"}


class Defaults(Struct, frozen=True):
    """What the operator chose for requests that do not say.

    Attributes:
        model: The model when the client names none.
        personality: What answers when the model's name does not say.
        aliases: Models by the names that clients use for them.
        strict: Whether a parameter without effect is an error.
    """

    model: str
    personality: Personality
    aliases: Mapping[str, str]
    strict: bool = False


def to_run_request(
    request: schemas.ChatCompletionRequest,
    defaults: Defaults,
    unknown: frozenset[str] = frozenset(),
    caller: str = "",
    account: str = "",
) -> Question:
    """Return the neutral request, and which of the client's options it leaves out.

    Args:
        request: What the client sent.
        defaults: The operator's choices.
        unknown: Fields of the body that are no parameters.
        caller: Who asks.
        account: Whose use it is.

    Raises:
        InvalidRequestError: The request asks for what the relay cannot do.
    """
    tools = functions.offered_tools(request)
    name = model_names.resolve(request.model or defaults.model, defaults.aliases)
    # who brings tools wants a model that uses them, unless the model's name says otherwise
    personality = name.personality or ("chat" if tools else defaults.personality)
    if personality == "agent" and functions.forbids_tools(request):
        tools = ()
    forced = personality == "chat" and functions.requires_tool(request)
    ignored = (
        *unsupported(PARAMETERS, request, personality, unknown),
        *(_excluded(request) if not forced else _thoughts(request)),
        *conversation.unsupported_fields(request.messages),
        *functions.unenforced(request),
        *_obfuscation(request),
    )
    if ignored and defaults.strict:
        raise InvalidRequestError(
            f"These have no effect here: {', '.join(dict.fromkeys(ignored))}.",
            param=ignored[0],
            code="unsupported_parameter",
        )
    system, turns = _conversation(request)
    run = RunRequest(
        name.model,
        personality,
        system,
        turns,
        _sampling(request, personality, forced=forced),
        _effort(request, personality, forced=forced),
        _output(request, personality),
        tools,
        ToolChoice() if personality == "agent" else functions.choice(request, tools),
        caller,
        account,
    )
    return Question(run, tuple(dict.fromkeys(ignored)))


def _conversation(request: schemas.ChatCompletionRequest) -> tuple[str | None, tuple[Turn, ...]]:
    system = conversation.system_prompt(request.messages)
    turns = conversation.turns(request.messages, functions.custom_tools(request))
    if turns:
        return system, turns
    if system:
        # a lone system message is a question all the same
        return None, (Turn("user", (Text(system),)),)
    raise InvalidRequestError("The messages say nothing.", param="messages", code="invalid_value")


def _effort(request: schemas.ChatCompletionRequest, personality: Personality, *, forced: bool) -> Effort | None:
    """Thinking excludes a choice of words upstream, and a forced call: then there is none, unless asked for."""
    if forced:
        return "none"
    if request.reasoning_effort is None:
        return "none" if personality == "chat" and _chooses_words(request) else None
    return "low" if request.reasoning_effort == "minimal" else request.reasoning_effort


def _excluded(request: schemas.ChatCompletionRequest) -> tuple[str, ...]:
    """Name the choices of words that give way to an explicit request to think."""
    if request.reasoning_effort in {None, "none"}:
        return ()
    return tuple(name for name in _SAMPLING if getattr(request, name) is not None)


def _thoughts(request: schemas.ChatCompletionRequest) -> tuple[str, ...]:
    """Name the request to think that gives way to a forced call."""
    return ("reasoning_effort",) if request.reasoning_effort not in {None, "none"} else ()


def _obfuscation(request: schemas.ChatCompletionRequest) -> tuple[str, ...]:
    asked = request.stream_options is not None and request.stream_options.include_obfuscation
    return ("stream_options.include_obfuscation",) if asked else ()


def _chooses_words(request: schemas.ChatCompletionRequest) -> bool:
    return any(getattr(request, name) is not None for name in _SAMPLING)


def _sampling(request: schemas.ChatCompletionRequest, personality: Personality, *, forced: bool) -> Sampling:
    stop = (request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ())
    stop = tuple(text for text in stop if text)
    if personality == "agent":
        return Sampling(stop=stop)
    most = request.max_tokens if request.max_completion_tokens is None else request.max_completion_tokens
    limits = Sampling(max_tokens=most or None, stop=stop)
    if _excluded(request) and not forced:
        return limits
    return replace(limits, temperature=_clamped(request.temperature), top_p=request.top_p, top_k=request.top_k)


def _clamped(temperature: float | None) -> float | None:
    """OpenAI's scale ends at 2, the upstream's at 1."""
    return None if temperature is None else min(temperature, 1.0)


def _output(request: schemas.ChatCompletionRequest, personality: Personality) -> JsonOutput | None:
    match request.response_format:
        case schemas.JsonObjectFormat():
            # the upstream's own format wants every field named, which "any object" cannot
            return JsonOutput(_ANY_OBJECT, constrained=False)
        case schemas.JsonSchemaFormat(schemas.JsonSchema(schema=schema)):
            return JsonOutput(_valid(schema or _ANY_OBJECT), constrained=bool(schema) and personality == "chat")
    return None


def _valid(schema: dict[str, Any]) -> dict[str, Any]:
    param = "response_format.json_schema.schema"
    try:
        examine(schema)
    except SchemaError as error:
        raise InvalidRequestError(
            f"Invalid value for '{param}': {error}.", param=param, code="invalid_json_schema"
        ) from None
    return schema
