"""Rules about sampling and thinking."""

from .blocks import Json
from .models import refuses_forced_calls, refuses_sampling, refuses_thinking, takes_one_of_temperature_and_top_p

_SMALLEST_BUDGET = 1024
_SMALLEST_TOP_P = 0.95
_DEFAULT_TOP_P = 0.99
_FORCED = frozenset({"any", "tool"})
_DOCUMENTATION = (
    "Please consult our documentation at https://platform.claude.com/docs/en/build-with-claude/extended-thinking"
)


def suits_model(body: Json) -> str | None:
    """Newest models think as they like, and choose by themselves whether to call.

    Seen in the API's migration guide for sonnet-5-5 and in zhukunpenglinyutong/jetbrains-cc-gui#1003.
    """
    kind = body.get("thinking", {}).get("type", "adaptive")
    if refuses_thinking(body["model"], kind):
        return (
            f'"thinking.type.{kind}" is not supported for this model. Use "thinking.type.adaptive" and '
            '"output_config.effort" to control thinking behavior.'
        )
    if body.get("tool_choice", {}).get("type") in _FORCED and refuses_forced_calls(body["model"]):
        return 'tool_choice: type "tool" and "any" are not supported for this model'
    return None


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
    if body.get("tool_choice", {}).get("type") in _FORCED:
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
        defaults = {"temperature": 1, "top_p": _DEFAULT_TOP_P, "top_k": None}
        refused = [name for name, default in defaults.items() if body.get(name, default) != default]
        if refused:
            return f"`{refused[0]}` is deprecated for this model."
    if {"temperature", "top_p"} <= body.keys() and takes_one_of_temperature_and_top_p(body["model"]):
        return "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
    return None
