"""Request for a message -> neutral request. Pure; what cannot be served is refused with the parameter's name."""

from collections.abc import Mapping

from msgspec.structs import replace

from claude_relay.access.policy import Caller
from claude_relay.engine import model_names
from claude_relay.engine.constraints import Option, constrained
from claude_relay.engine.structured_output import held_to_schema
from claude_relay.engine.token_estimate import prompt_tokens
from claude_relay.engine.vocabulary import Effort, JsonOutput, RunRequest, Sampling
from claude_relay.messages import functions, schemas, state
from claude_relay.messages.conversation import (
    Conversation,
    conversation,
    has_calls,
    is_of_claude_code,
    system_prompt,
)
from claude_relay.messages.parameters import PARAMETERS
from claude_relay.settings import Settings
from claude_relay.web.bodies import Body
from claude_relay.web.parameters import Question, named, unsupported

_NAMES: Mapping[Option, str] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "effort": "thinking",
    "strict": "tools.strict",
}
"""Parameters that give way to others; the table tells which an agent ignores."""
_DROPPED = {
    "reasoning_effort": "output_config.effort",
    "tools.function.strict": "tools.strict",
    "thinking": "messages.content.thinking",
}
"""Options that the upstream has refused; the last one is what the model thought before."""
_BUDGETS: tuple[tuple[int, Effort], ...] = ((4_096, "low"), (16_384, "medium"))
"""Budgets of thinking below which an effort stands for them."""


def to_question(body: Body[schemas.MessagesRequest], settings: Settings, caller: Caller) -> Question:
    """Return the neutral request, and which of the client's options it leaves out.

    Args:
        body: What the client sent.
        settings: The operator's choices.
        caller: Who asks.

    Raises:
        RelayError: The request asks for what the relay cannot do.
    """
    request, earlier = state.expanded(body.request, body.stored)
    offer = functions.offer(request)
    name = model_names.resolve(request.model or settings.model, settings.aliases)
    # who brings tools wants a model that uses them, to the conversation's end, unless the model's name says otherwise;
    # and Claude Code is an agent itself
    brings_own = bool(offer.tools) or has_calls(request.messages) or is_of_claude_code(request.system)
    personality = name.personality or ("chat" if brings_own else settings.personality_of(caller.name))
    found = conversation(request.messages, earlier)
    asked = RunRequest(
        name.model,
        personality,
        system=None,
        turns=(),
        sampling=_sampling(request),
        effort=_effort(request, found),
        # a call that is forced has its own schema
        output=None if offer.choice.mode == "required" else _output(request),
        tools=offer.tools,
        tool_choice=offer.choice,
        caller=caller.identity,
        account=caller.account,
    )
    run, left_out = constrained(asked)
    without_effect = (
        *unsupported(PARAMETERS, body.request, personality, body.unknown),
        *(_NAMES[option] for option in left_out if option in _NAMES),
        *offer.ignored,
        *found.ignored,
    )
    ignored = named(without_effect, strict=settings.strict)
    system = "\n\n".join((*system_prompt(request.system), *found.system)) or None
    return Question(replace(run, system=system, turns=found.turns), ignored, state.kept(request, earlier))


def to_count(body: Body[schemas.MessagesRequest], settings: Settings, caller: Caller) -> Question:
    """Return the neutral request, and as what is known of it, about how many tokens its prompt has.

    Args:
        body: What the client sent.
        settings: The operator's choices.
        caller: Who asks.

    Raises:
        RelayError: The request asks for what the relay cannot do.
    """
    question = to_question(body, settings, caller)
    return replace(question, known=prompt_tokens(question.run))


def option_name(option: str) -> str:
    """Return what this family calls an option that the upstream has refused."""
    return _DROPPED.get(option, option)


def _sampling(request: schemas.MessagesRequest) -> Sampling:
    stops = tuple(stop for stop in request.stop_sequences or () if stop)
    return Sampling(request.temperature, request.top_p, request.top_k, request.max_tokens or None, stops)


def _effort(request: schemas.MessagesRequest, found: Conversation) -> Effort | None:
    """Return how much the model may think; without a word about it that is up to Claude Code."""
    thinking = request.thinking
    if thinking is not None and thinking.type == "disabled":
        return "none"
    given = found.effort or (request.output_config.effort if request.output_config else None)
    if given is not None or thinking is None or thinking.budget_tokens is None:
        return given
    budget = thinking.budget_tokens
    return next((effort for most, effort in _BUDGETS if budget < most), "high")


def _output(request: schemas.MessagesRequest) -> JsonOutput | None:
    if request.output_config is not None and request.output_config.format is not None:
        return held_to_schema("format", request.output_config.format.schema, "output_config.format.schema")
    if request.output_format is not None:
        return held_to_schema("format", request.output_format.schema, "output_format.schema")
    return None
