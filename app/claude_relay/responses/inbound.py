"""Request for a response -> neutral request. Pure; what cannot be served is refused with the parameter's name."""

from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from claude_relay.access.policy import Caller
from claude_relay.engine import model_names
from claude_relay.engine.constraints import Option, constrained
from claude_relay.engine.structured_output import held_to_schema
from claude_relay.engine.turns import SILENCE
from claude_relay.engine.vocabulary import ANY_OBJECT, Effort, JsonOutput, RunRequest, Sampling, Text, Turn
from claude_relay.responses import functions, schemas, state
from claude_relay.responses.conversation import (
    Conversation,
    conversation,
    decisions,
    has_calls,
    has_unheard_decisions,
    requested_approvals,
)
from claude_relay.responses.echo import Echo, echo
from claude_relay.responses.parameters import PARAMETERS
from claude_relay.settings import ASK, Settings
from claude_relay.store.protocol import Item
from claude_relay.web.bodies import Body
from claude_relay.web.parameters import Question, named, unsupported

_NAMES: Mapping[Option, str] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "effort": "reasoning.effort",
    "strict": "tools.strict",
}
"""Parameters that give way to others; the table tells which an agent ignores."""
_DROPPED = {
    "reasoning_effort": "reasoning.effort",
    "tools.function.strict": "tools.strict",
    "thinking": "input.reasoning.encrypted_content",
}


class Known(Struct, frozen=True):
    """What the response has to know of its request.

    Attributes:
        tools: The client's tools, by the names that the model knows.
        echo: What is said again.
        inputs: Its items, to be kept with the response.
    """

    tools: Mapping[str, functions.ClientTool]
    echo: Echo
    inputs: tuple[Item, ...] = ()


def to_question(body: Body[schemas.ResponsesRequest], settings: Settings, caller: Caller) -> Question:
    """Return the neutral request, and which of the client's options it leaves out.

    Args:
        body: What the client sent.
        settings: The operator's choices.
        caller: Who asks.

    Raises:
        RelayError: The request asks for what the relay cannot do.
    """
    if body.request.background:
        state.require_kept(body.request, body.stored)
    expanded = state.expanded(body.request, body.stored)
    request = expanded.request
    offer = functions.offer(request, expanded.place)
    name = model_names.resolve(request.model or settings.model, settings.aliases)
    # who brings tools wants a model that uses them, to the conversation's end, unless the model's name says otherwise
    uses_tools = bool(offer.tools) or has_calls(request.input)
    personality = name.personality or ("chat" if uses_tools else settings.personality_of(caller.name))
    found = conversation(request.input, expanded.place, for_agent=personality == "agent")
    asked = RunRequest(
        name.model,
        personality,
        system=None,
        turns=(),
        sampling=Sampling(request.temperature, request.top_p, max_tokens=request.max_output_tokens or None),
        effort=_effort(request, found),
        # a call that is forced has its own schema
        output=None if offer.choice.mode == "required" else _output(request),
        tools=offer.tools,
        tool_choice=offer.choice,
        caller=caller.identity,
        account=caller.account,
        pauses=personality == "agent" and settings.permission_mode == ASK,
        decisions=decisions(request.input, expanded.place),
    )
    if not asked.decisions:
        asked = replace(asked, undecided=requested_approvals(request.input))
    run, left_out = constrained(asked)
    without_effect = (
        *unsupported(PARAMETERS, request, personality, body.unknown),
        *(_NAMES[option] for option in left_out if option in _NAMES),
        *offer.ignored,
        *found.ignored,
        *_inside(request, settings),
    )
    ignored = named(without_effect, strict=settings.strict)
    system, turns = _prompted(request, found)
    return Question(
        replace(run, system=system, turns=turns), ignored, Known(offer.clients, echo(request), expanded.inputs)
    )


def option_name(option: str) -> str:
    """Return what this family calls an option that the upstream has refused."""
    return _DROPPED.get(option, option)


def _prompted(request: schemas.ResponsesRequest, found: Conversation) -> tuple[str | None, tuple[Turn, ...]]:
    system = "\n\n".join(filter(None, (request.instructions, *found.system))) or None
    if found.turns:
        return system, found.turns
    # lone instructions are a question all the same, and so is nothing
    return None, (Turn("user", (Text(system),)) if system and system.strip() else SILENCE,)


def _effort(request: schemas.ResponsesRequest, found: Conversation) -> Effort | None:
    given = found.effort or (request.reasoning.effort if request.reasoning else None)
    return "low" if given == "minimal" else given


def _output(request: schemas.ResponsesRequest) -> JsonOutput | None:
    match request.text and request.text.format:
        case schemas.JsonObjectFormat():
            return JsonOutput(dict(ANY_OBJECT))
        case schemas.JsonSchemaFormat(name=name, schema=schema):
            return held_to_schema(name, schema or dict(ANY_OBJECT), "text.format.schema")
    return None


def _inside(request: schemas.ResponsesRequest, settings: Settings) -> Iterator[str]:
    """Yield the names of fields inside of parameters that have no effect."""
    if has_unheard_decisions(request.input):
        yield "input.mcp_approval_response"
    if request.stream_options is not None and request.stream_options.include_obfuscation:
        yield "stream_options.include_obfuscation"
    if request.text is not None and request.text.verbosity not in {None, "medium"}:
        yield "text.verbosity"
    can_include = {schemas.SIGNED_THINKING} if settings.reasoning else set[str]()
    if not can_include.issuperset(request.include or ()):
        yield "include"
    if request.reasoning is not None:
        yield from (f"reasoning.{name}" for name in ("context", "mode") if getattr(request.reasoning, name))
