"""Rules about sampling and thinking."""

from .blocks import Json
from .models import refuses_sampling, takes_one_of_temperature_and_top_p

_SMALLEST_BUDGET = 1024
_SMALLEST_TOP_P = 0.95
_DOCUMENTATION = (
    "Please consult our documentation at https://platform.claude.com/docs/en/build-with-claude/extended-thinking"
)


def fits_thinking(body: Json) -> str | None:
    """What cannot be had beside thinking: forced calls, sampling, and less tokens than the budget.

    Seen in can1357/oh-my-pi#341, mnfst/modelparams.dev#214, quarkiverse/quarkus-langchain4j#1812 and
    themaximalist/llm.js#30.
    """
    thinking = body.get("thinking", {})
    if thinking.get("type") not in {"enabled", "adaptive"}:
        return None
    budget = thinking.get("budget_tokens")
    if budget is not None and budget < _SMALLEST_BUDGET:
        return f"thinking.enabled.budget_tokens: Input should be greater than or equal to {_SMALLEST_BUDGET}"
    if budget is not None and body["max_tokens"] <= budget:
        return f"`max_tokens` must be greater than `thinking.budget_tokens`. {_DOCUMENTATION}"
    if body.get("tool_choice", {}).get("type") in {"any", "tool"}:
        return "Thinking may not be enabled when tool_choice forces tool use."
    when = f"when thinking is enabled or in adaptive mode. {_DOCUMENTATION}"
    if body.get("temperature", 1) != 1:
        return f"`temperature` may only be set to 1 {when}"
    if body.get("top_p", 1) < _SMALLEST_TOP_P:
        return f"`top_p` must be greater than or equal to {_SMALLEST_TOP_P} or unset {when}"
    return f"`top_k` must be unset {when}" if "top_k" in body else None


def has_sampling(body: Json) -> str | None:
    """New models take the default only; those before take temperature or ``top_p``.

    Seen in earendil-works/pi#7961, simstudioai/sim#5328 and skydiscover-ai/skydiscover#15.
    """
    if refuses_sampling(body["model"]):
        given = [name for name in ("top_p", "top_k") if name in body]
        refused = ["temperature", *given] if body.get("temperature", 1) != 1 else given
        return f"`{refused[0]}` is deprecated for this model." if refused else None
    if {"temperature", "top_p"} <= body.keys() and takes_one_of_temperature_and_top_p(body["model"]):
        return "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
    return None
