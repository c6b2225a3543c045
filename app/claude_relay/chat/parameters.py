"""What happens to each parameter of a chat request: the one list that the code, the tests and the docs share."""

from collections.abc import Collection
from typing import Any, Literal

from msgspec import Struct

from claude_relay.chat.schemas import ChatCompletionRequest
from claude_relay.errors import InvalidRequestError
from claude_relay.settings import Personality

Support = Literal["supported", "ignored", "refused"]


class Parameter(Struct, frozen=True):
    """One parameter.

    Attributes:
        name: OpenAI's name.
        chat: What happens to it in ``chat``.
        agent: What happens to it in ``agent``.
        meaning: What it does, or why not, for the docs.
        no_op_values: Values that ask for nothing, so that nothing has to be said about them.
    """

    name: str
    chat: Support
    agent: Support
    meaning: str
    no_op_values: tuple[Any, ...] = ()


def _supported(name: str, meaning: str) -> Parameter:
    return Parameter(name, "supported", "supported", meaning)


def _sampling(name: str, meaning: str, *no_op_values: object) -> Parameter:
    return Parameter(name, "supported", "ignored", meaning, no_op_values)


def _ignored(name: str, meaning: str, *no_op_values: object) -> Parameter:
    return Parameter(name, "ignored", "ignored", meaning, no_op_values)


def _refused(name: str, meaning: str, *no_op_values: object) -> Parameter:
    return Parameter(name, "refused", "refused", meaning, no_op_values)


_AFFECTS = "In `agent` it would affect the model calls inside the agent's work."

PARAMETERS = (
    _supported("messages", "All roles, texts, images and files, in order."),
    _supported("model", "Any name; `:chat` and `:agent` choose the personality; the operator's aliases."),
    _supported("stream", "Server-sent events, each delta as it is written."),
    _supported("stream_options", "`include_usage`: one chunk with the usage, at the end."),
    _supported("n", "1 to 8 answers, asked for at the same time; the usage is their sum."),
    _sampling("max_tokens", f"Most tokens of the answer; `finish_reason` is then `length`. {_AFFECTS}", 0),
    _sampling("max_completion_tokens", "The newer name of `max_tokens`, and the stronger one.", 0),
    _sampling("temperature", f"Above 1 counts as 1. Without a `reasoning_effort` it switches thinking off. {_AFFECTS}"),
    _sampling("top_p", "As `temperature`."),
    _sampling("top_k", "As `temperature`; not OpenAI's, but many clients send it."),
    _supported("stop", "Up to 64 sequences of 1,000 characters, white space too; none is ever shown."),
    _supported("reasoning_effort", "`none` switches thinking off; `minimal` counts as `low`."),
    _supported("response_format", "`json_schema` and `json_object`: bare JSON that was checked against the schema."),
    _supported("tools", "Functions and custom tools of the client, in `agent` beside Claude Code's own."),
    _supported("functions", "The legacy form of `tools`; answered with `function_call`."),
    _sampling(
        "tool_choice",
        "`auto`, `none`, `required`, a name, `allowed_tools`. Forcing switches thinking off.",
        "none",
        "auto",
    ),
    _sampling("function_call", "The legacy form of `tool_choice`.", "none", "auto"),
    _sampling("parallel_tool_calls", "`false`: at most one call. In `agent` the model decides.", True),
    _refused("modalities", "Only text can be answered.", ["text"], []),
    _refused("audio", "Only text can be answered."),
    _ignored("seed", "The upstream has no seed."),
    _ignored("presence_penalty", "The upstream has no penalties.", 0),
    _ignored("frequency_penalty", "The upstream has no penalties.", 0),
    _ignored("logit_bias", "The upstream has no token biases.", {}),
    _ignored("logprobs", "The upstream tells no probabilities.", False),
    _ignored("top_logprobs", "The upstream tells no probabilities.", 0),
    _ignored("verbosity", "The upstream has no such control; say it in the system message.", "medium"),
    _ignored("prediction", "The upstream takes no predicted output."),
    _ignored("web_search_options", "In `agent` Claude Code decides by itself when to search."),
    _ignored("moderation", "The upstream moderates by itself."),
    _ignored("service_tier", "The upstream's account decides.", "auto", "default"),
    _ignored("store", "Nothing is stored.", False),
    _ignored("metadata", "Nothing is stored, so there is nothing to label.", {}),
    _ignored("user", "The upstream is not told who asks."),
    _ignored("safety_identifier", "The upstream is not told who asks."),
    _ignored("prompt_cache_key", "The upstream caches by the prompt itself."),
    _ignored("prompt_cache_retention", "The upstream decides how long it caches."),
    _ignored("prompt_cache_options", "The upstream decides what it caches."),
)  # fmt: skip


def unsupported(request: ChatCompletionRequest, personality: Personality, unknown: Collection[str]) -> tuple[str, ...]:
    """Name what was asked for and has no effect.

    Args:
        request: What the client sent.
        personality: What answers.
        unknown: Fields of the body that no parameter has the name of.

    Raises:
        InvalidRequestError: A parameter was given that must not be passed over.
    """
    given = [parameter for parameter in PARAMETERS if _asks(getattr(request, parameter.name), parameter)]
    for parameter in given:
        if _support(parameter, personality) == "refused":
            raise InvalidRequestError(
                f"'{parameter.name}' is not supported: {parameter.meaning}",
                param=parameter.name,
                code="unsupported_parameter",
            )
    names = [parameter.name for parameter in given if _support(parameter, personality) == "ignored"]
    return (*names, *sorted(unknown))


KNOWN = frozenset(parameter.name for parameter in PARAMETERS)
"""The names of all parameters."""


def _asks(value: object, parameter: Parameter) -> bool:
    return value is not None and value not in parameter.no_op_values


def _support(parameter: Parameter, personality: Personality) -> Support:
    return parameter.chat if personality == "chat" else parameter.agent
