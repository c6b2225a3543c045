"""Chat request -> neutral request. Pure; what cannot be served is refused with the parameter's name."""

from collections.abc import Collection, Mapping

from msgspec.structs import replace

from claude_relay.access.policy import Caller
from claude_relay.chat import conversation, functions, schemas
from claude_relay.chat.parameters import PARAMETERS
from claude_relay.engine import model_names
from claude_relay.engine.constraints import Option, constrained
from claude_relay.engine.structured_output import held_to_schema
from claude_relay.engine.vocabulary import ANY_OBJECT, JsonOutput, RunRequest, Sampling, Text, Turn
from claude_relay.errors import InvalidRequestError
from claude_relay.settings import Settings
from claude_relay.web.bodies import Body
from claude_relay.web.parameters import Question, named, unsupported

_NAMES: Mapping[Option, str] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "effort": "reasoning_effort",
    "strict": "tools.function.strict",
}
"""Parameters that give way to others; the table tells which an agent ignores."""


def to_question(body: Body[schemas.ChatCompletionRequest], settings: Settings, caller: Caller) -> Question:
    """Return the neutral request, and which of the client's options it leaves out.

    Args:
        body: What the client sent.
        settings: The operator's choices.
        caller: Who asks.

    Raises:
        InvalidRequestError: The request asks for what the relay cannot do.
    """
    request = body.request
    tools = functions.offered_tools(request)
    name = model_names.resolve(request.model or settings.model, settings.aliases)
    # who brings tools wants a model that uses them, to the conversation's end, unless the model's name says otherwise
    uses_tools = bool(tools) or functions.were_called(request)
    personality = name.personality or ("chat" if uses_tools else settings.personality_of(caller.name))
    # the messages are read last: a strict relay refuses before that
    asked = RunRequest(
        name.model,
        personality,
        system=None,
        turns=(),
        sampling=_sampling(request),
        effort="low" if request.reasoning_effort == "minimal" else request.reasoning_effort,
        output=_output(request),
        tools=tools,
        tool_choice=functions.choice(request),
        caller=caller.identity,
        account=caller.account,
    )
    run, left_out = constrained(asked)
    without_effect = (
        *unsupported(PARAMETERS, request, personality, body.unknown),
        *(_NAMES[option] for option in left_out if option in _NAMES),
        *conversation.unsupported_fields(request.messages),
        *functions.unenforced(request),
        *_obfuscation(request),
    )
    ignored = named(without_effect, strict=settings.strict)
    system, turns = _conversation(request, {tool.name for tool in tools if tool.takes_text})
    functions.require_offered(request, tools)
    return Question(replace(run, system=system, turns=turns), ignored)


def _conversation(
    request: schemas.ChatCompletionRequest, text_tools: Collection[str]
) -> tuple[str | None, tuple[Turn, ...]]:
    system = conversation.system_prompt(request.messages)
    turns = conversation.turns(request.messages, text_tools)
    if turns:
        return system, turns
    if system:
        # a lone system message is a question all the same
        return None, (Turn("user", (Text(system),)),)
    raise InvalidRequestError(
        "Invalid value for 'messages': at least one message must have text, an image, a file, or a tool call.",
        param="messages",
        code="invalid_value",
    )


def _obfuscation(request: schemas.ChatCompletionRequest) -> tuple[str, ...]:
    asked = request.stream_options is not None and request.stream_options.include_obfuscation
    return ("stream_options.include_obfuscation",) if asked else ()


def _sampling(request: schemas.ChatCompletionRequest) -> Sampling:
    stop = (request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ())
    most = request.max_tokens if request.max_completion_tokens is None else request.max_completion_tokens
    return Sampling(
        request.temperature, request.top_p, request.top_k, most or None, tuple(text for text in stop if text)
    )


def _output(request: schemas.ChatCompletionRequest) -> JsonOutput | None:
    match request.response_format:
        case schemas.JsonObjectFormat():
            return JsonOutput(dict(ANY_OBJECT))
        case schemas.JsonSchemaFormat(schemas.JsonSchema(name=name, schema=schema)):
            return held_to_schema(name, schema or dict(ANY_OBJECT), "response_format.json_schema.schema")
    return None
