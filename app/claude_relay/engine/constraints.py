"""Options that exclude each other: a client's request -> the request that is run. Pure."""

from typing import Literal

from msgspec.structs import replace

from claude_relay.engine.closed_schemas import closed
from claude_relay.engine.vocabulary import JsonOutput, RunRequest, Sampling, ToolChoice

Option = Literal["temperature", "top_p", "top_k", "max_tokens", "effort", "tool_choice", "parallel"]
"""An option of a request, by its name in the vocabulary."""

_SAMPLING: tuple[Option, ...] = ("temperature", "top_p", "top_k")
_HIGHEST_TEMPERATURE = 1.0
"""Where the upstream's scale ends; OpenAI's ends at 2."""


def constrained(request: RunRequest) -> tuple[RunRequest, tuple[Option, ...]]:
    """Return the request that is run, and which options it leaves out that were asked for.

    Upstream, thinking excludes sampling options and a forced call. A forced call always switches thinking off. A
    sampling option does too, unless an effort is asked for: then the option is left out. An agent makes several model
    calls, which the options of a single one would affect.
    """
    run, left_out = _agents(request) if request.personality == "agent" else _models(request)
    choice = run.tool_choice if run.tools else ToolChoice()
    return replace(run, tool_choice=choice, output=_formatted(run)), left_out


def _formatted(request: RunRequest) -> JsonOutput | None:
    """An agent answers in many turns, which the upstream's own format would all be held to."""
    output = request.output
    return output if output is None or request.personality == "agent" else replace(output, format=closed(output.schema))


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
