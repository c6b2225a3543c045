"""What a request sets on a process, over the control protocol. Pure."""

from typing import Any

import msgspec

from claude_relay.engine.claude import tools
from claude_relay.engine.claude.history import Plan
from claude_relay.engine.vocabulary import Effort, JsonOutput, RunRequest, Sampling, ToolChoice
from claude_relay.settings import Personality

TITLE = "claude-relay"
"""What every process is called where other sessions of the same user list it."""
_LIMIT = "CLAUDE_CODE_BLOCKING_LIMIT_OVERRIDE"
"""Tokens of a prompt from which on the CLI, its compaction switched off, does not ask the upstream at all."""
UNLIMITED = "1000000000"
"""A limit that nothing meets: the upstream knows best what it takes."""
BLOCKED = {_LIMIT: "1"}
"""A limit that everything meets."""
_UNSET = ""
"""Unsets a variable. ``null`` would too, but leaves the word ``null`` in the environment of an agent's tools."""
_EVERYTHING_UNSET = dict.fromkeys(
    ("CLAUDE_CODE_EXTRA_BODY", "CLAUDE_CODE_MAX_OUTPUT_TOKENS", "CLAUDE_CODE_DISABLE_THINKING"), _UNSET
)

Options = tuple[str, Effort | None, Sampling, ToolChoice, JsonOutput | None]


def initial(request: RunRequest) -> dict[str, Any]:
    """Return the fields of ``initialize``, of which only the first one in a process's life has an effect.

    In ``chat`` the instructions are the whole system prompt, in ``agent`` they follow Claude Code's own.
    """
    fields: dict[str, Any] = {"title": TITLE}
    if request.personality == "chat":
        fields["systemPrompt"] = [request.instructions or ""]
    elif request.instructions:
        fields["appendSystemPrompt"] = request.instructions
    if request.output is not None and request.answers_by_tool:
        fields["jsonSchema"] = request.output.tool_schema
    return {**fields, **tools.registration()} if request.tools else fields


def options(request: RunRequest) -> Options:
    """Return what the settings of a request depend on, beside what its process is bound to."""
    return request.model, request.effort, request.sampling, request.tool_choice, request.output


def settings(request: RunRequest, plan: Plan) -> dict[str, Any]:
    """Return the flag settings of a request. All keys are there each time, since they last until they are changed."""
    body = {**_sampled(request), **_formatted(request), **_tooled(request), **plan.body}
    sampling = request.sampling
    return {
        "model": request.model,
        "effortLevel": None if request.effort == "none" else request.effort,
        "env": {
            "CLAUDE_CODE_EXTRA_BODY": msgspec.json.encode(body).decode() if body else _UNSET,
            "CLAUDE_CODE_MAX_OUTPUT_TOKENS": _UNSET if sampling.max_tokens is None else str(sampling.max_tokens),
            "CLAUDE_CODE_DISABLE_THINKING": "1" if request.effort == "none" else _UNSET,
            **_limit(request.personality),
            # whoever traces requests traces all of them, so that none keeps the span of another
            **({"TRACEPARENT": request.traceparent} if request.traceparent else {}),
        },
    }


def defaults(model: str, personality: Personality) -> dict[str, Any]:
    """Return the flag settings of a process on which nothing was set."""
    return {"model": model, "effortLevel": None, "env": {**_EVERYTHING_UNSET, **_limit(personality)}}


def blocked(settings: dict[str, Any]) -> dict[str, Any]:
    """Return flag settings with which the CLI sends no further upstream request."""
    return {**settings, "env": {**settings["env"], **BLOCKED}}


def _limit(personality: Personality) -> dict[str, str]:
    """Only ``chat`` is started without compaction, where the limit counts."""
    return {_LIMIT: UNLIMITED} if personality == "chat" else {}


def _sampled(request: RunRequest) -> dict[str, Any]:
    """White space alone is refused upstream as a stop sequence; in ``agent`` all this would affect its inner calls."""
    if request.personality == "agent":
        return {}
    sampling = request.sampling
    stops = [stop for stop in sampling.stop if stop.strip()]
    fields = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "stop_sequences": stops or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _tooled(request: RunRequest) -> dict[str, Any]:
    """The CLI abridges and sorts what its server lists; the upstream gets the client's tools as they are.

    An agent has tools of its own beside them, so there the CLI's list has to do.
    """
    if not request.tools or request.personality == "agent":
        return {}
    choice = _chosen(request.tool_choice)
    listed = [tools.definition(tool) for tool in request.tools]
    if request.output is not None and request.answers_by_tool:
        listed.append(tools.answer_definition(request.output.tool_schema))
    return {"tools": listed, **({"tool_choice": choice} if choice else {})}


def _chosen(choice: ToolChoice) -> dict[str, Any]:
    single = {} if choice.parallel else {"disable_parallel_tool_use": True}
    match choice:
        case ToolChoice("none"):
            return {"type": "none"}
        case ToolChoice("required", None):
            return {"type": "any", **single}
        case ToolChoice("required", name):
            return {"type": "tool", "name": name, **single}
    return {"type": "auto", **single} if single else {}


def _formatted(request: RunRequest) -> dict[str, Any]:
    if request.output is None or request.output.format is None:
        return {}
    return {"output_config": {"format": {"type": "json_schema", "schema": request.output.format}}}
