"""Options that exclude each other: a client's request -> the request that is run. Pure."""

from collections.abc import Sequence
from typing import Any, Literal

from msgspec.structs import replace

from claude_relay.engine.closed_schemas import closed
from claude_relay.engine.json_schema import SchemaError, check_schema
from claude_relay.engine.property_names import with_upstream_names
from claude_relay.engine.structured_output import tool_schema
from claude_relay.engine.vocabulary import (
    JsonOutput,
    Piece,
    RunRequest,
    Sampling,
    ThinkingBlock,
    Tool,
    ToolChoice,
    ToolResult,
    Turn,
)

Option = Literal["temperature", "top_p", "top_k", "max_tokens", "effort", "tool_choice", "parallel", "strict"]
"""An option of a request, by its name in the vocabulary."""

_SAMPLING: tuple[Option, ...] = ("temperature", "top_p", "top_k")
_HIGHEST_TEMPERATURE = 1.0
"""Where the upstream's scale ends; OpenAI's ends at 2."""
_MOST_STRICT = 20
"""Tools of a request that the upstream can hold the model to."""
_SMALLEST_BUDGET = 1_024
"""Tokens of the smallest thinking budget that there is."""


def constrained(request: RunRequest) -> tuple[RunRequest, tuple[Option, ...]]:
    """Return the request that is run, and which options it leaves out that were asked for.

    Upstream, thinking excludes sampling options and a forced call. A forced call always switches thinking off. A
    sampling option does too, unless an effort is asked for: then the option is left out. An agent makes several model
    calls, which the options of a single one would affect. The upstream holds the model to the schemas of some tools
    only.
    """
    run, left_out = _agents(request) if request.personality == "agent" else _models(request)
    choice = run.tool_choice if run.tools else ToolChoice()
    tools = tuple(map(with_upstream_names, _held(run)))
    if any(tool.strict and tool.format is None for tool in tools):
        left_out = (*left_out, "strict")
    return replace(run, tool_choice=choice, output=_formatted(run), tools=tools), left_out


def excludes_budget(request: RunRequest) -> bool:
    """Whether a model with a thinking budget cannot think about a request.

    The answer has to be longer than the smallest budget. What is gone on with must have begun with thinking, which
    few clients send back: rounds of tools with the first of them, or the beginning of an answer.
    """
    limit = request.sampling.max_tokens
    is_short = limit is not None and limit <= _SMALLEST_BUDGET
    return is_short or not isinstance(_begin_of_open_answer(request.turns), ThinkingBlock | None)


def _begin_of_open_answer(turns: Sequence[Turn]) -> Piece | None:
    """Return the first piece of what the assistant has said and done since the user last spoke without results."""
    begin: Piece | None = None
    for turn in reversed(turns):
        if turn.role == "assistant":
            begin = turn.content[0]
        elif not any(isinstance(piece, ToolResult) for piece in turn.content):
            break
    return begin


def _held(request: RunRequest) -> tuple[Tool, ...]:
    """An agent's tools are listed to the CLI, which knows no strict ones."""
    if request.personality == "agent":
        return request.tools
    held: list[Tool] = []
    room = _MOST_STRICT
    for tool in request.tools:
        form = _form(tool.schema) if tool.strict and room else None
        held.append(tool if form is None else replace(tool, format=form))
        room -= form is not None
    return tuple(held)


def _form(schema: dict[str, Any]) -> dict[str, Any] | None:
    """The schema of a tool may be anything that a client takes for one."""
    try:
        check_schema(schema)
    except SchemaError:
        return None
    return closed(schema)


def _formatted(request: RunRequest) -> JsonOutput | None:
    """An agent answers in many turns, which the upstream's own format would all be held to."""
    if request.output is None:
        return None
    schema = request.output.schema
    form = None if request.personality == "agent" else closed(schema)
    # also where there is a format, which the upstream may refuse: later a large schema would hold the event loop
    return replace(request.output, format=form, tool_schema=tool_schema(schema))


def _models(request: RunRequest) -> tuple[RunRequest, tuple[Option, ...]]:
    sampling, effort = request.sampling, request.effort
    given = _given(sampling, _SAMPLING)
    is_thinking = effort not in {None, "none"}
    left_out: tuple[Option, ...] = ()
    if request.tool_choice.mode == "required":
        effort, left_out = "none", ("effort",) if is_thinking else ()
    elif is_thinking:
        sampling, left_out = Sampling(max_tokens=sampling.max_tokens, stop=sampling.stop), given
    elif given:
        effort = "none"
    if sampling.temperature is not None:
        sampling = replace(sampling, temperature=min(sampling.temperature, _HIGHEST_TEMPERATURE))
    return replace(request, sampling=sampling, effort=effort), left_out


def _agents(request: RunRequest) -> tuple[RunRequest, tuple[Option, ...]]:
    """Tools that must not be called are the one choice that an agent can be given: it does not know of them."""
    choice = request.tool_choice
    run = replace(
        request,
        sampling=Sampling(stop=request.sampling.stop),
        tools=() if choice.mode == "none" else request.tools,
        tool_choice=ToolChoice(),
    )
    left_out = _given(request.sampling, (*_SAMPLING, "max_tokens"))
    if choice.mode == "required":
        left_out = (*left_out, "tool_choice")
    return run, left_out if choice.parallel else (*left_out, "parallel")


def _given(sampling: Sampling, options: tuple[Option, ...]) -> tuple[Option, ...]:
    return tuple(option for option in options if getattr(sampling, option) is not None)
