"""A message as the client gets it, in Anthropic's own names."""

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

StopReason = Literal[
    "end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded"
]


class TextBlock(Struct, frozen=True, tag_field="type", tag="text"):
    """What the model said."""

    text: str


class ThinkingBlock(Struct, frozen=True, tag_field="type", tag="thinking"):
    """What the model thought, with the upstream's proof that it is its own."""

    thinking: str
    signature: str


class RedactedThinkingBlock(Struct, frozen=True, tag_field="type", tag="redacted_thinking"):
    """What the model thought, which only the upstream can read."""

    data: str


class ToolUseBlock(Struct, frozen=True, tag_field="type", tag="tool_use"):
    """A call of a tool of the client."""

    id: str
    name: str
    input: dict[str, Any]


Block = TextBlock | ThinkingBlock | RedactedThinkingBlock | ToolUseBlock


class UsageDetails(Struct, frozen=True):
    """What output tokens were used for."""

    thinking_tokens: int


class Usage(Struct, frozen=True, kw_only=True):
    """Token counts. Those of the prompt that a cache held, or holds from now on, are not part of the first.

    Attributes:
        input_tokens: Tokens of the prompt that no cache held.
        cache_creation_input_tokens: Those that were written to the cache.
        cache_read_input_tokens: Those that the cache held.
        output_tokens: Tokens that the model wrote, thinking included.
        output_tokens_details: What those were used for, if that is known.
    """

    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int
    output_tokens_details: UsageDetails | UnsetType = UNSET


class Message(Struct, frozen=True, kw_only=True):
    """An answer."""

    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    model: str
    content: list[Block]
    stop_reason: StopReason | None
    stop_sequence: str | None
    usage: Usage


class TokenCount(Struct, frozen=True):
    """How many tokens a request's prompt has."""

    input_tokens: int
