"""The completion request and its answers, in OpenAI's own names (OpenAPI document of the completions API)."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from claude_relay.web.usage import CompletionUsage


class StreamOptions(Struct, frozen=True):
    """How a stream is sent."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


Count = Annotated[int, Meta(ge=1)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]


class CompletionRequest(Struct, frozen=True, kw_only=True):
    """A completion request. What each parameter does stands in ``parameters``, and in the docs."""

    prompt: Annotated[
        str | Annotated[list[str | int | list[int]], Meta(min_length=1)],
        Meta(description="The text to continue, or several; not tokens."),
    ]
    model: Annotated[
        str | None, Meta(description="`sonnet`, `opus`, `haiku`, an alias, or any name Claude Code takes.")
    ] = None
    suffix: Annotated[str | None, Meta(description="What comes after the text that is asked for.")] = None
    max_tokens: Count | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=1)] | None = None
    n: Annotated[int, Meta(ge=1, le=8)] | None = None
    best_of: Annotated[int, Meta(ge=1, le=20)] | None = None
    echo: bool | None = None
    stop: str | list[str] | None = None
    stream: Annotated[bool | None, Meta(description="Send the answer as server-sent events, as it is written.")] = None
    stream_options: StreamOptions | None = None
    logprobs: Annotated[int, Meta(ge=0)] | None = None
    seed: int | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: dict[str, float] | None = None
    user: str | None = None


# --- the answer ------------------------------------------------------------------------------------------------------

FinishReason = Literal["stop", "length", "content_filter"]


class CompletionChoice(Struct, frozen=True, kw_only=True):
    """A continuation or, in a stream, more of one.

    Attributes:
        text: Its text.
        index: Which one it is: those of the first prompt come first.
        finish_reason: Why it ended; null as long as it goes on.
    """

    text: str
    index: int
    logprobs: None = None
    finish_reason: FinishReason | None = None


class Completion(Struct, frozen=True, kw_only=True):
    """All continuations or, in a stream, more of one.

    Attributes:
        usage: In a stream that tells it: the usage in the last chunk, and null in the others.
    """

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: CompletionUsage | UnsetType | None = UNSET
