"""The request of the responses API, in OpenAI's own names; what its items and tools are stands in ``items``."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from claude_relay.web.validation_errors import RULE

SchemaName = Annotated[
    str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}$(?!\n)", extra={RULE: "1 to 64 of a-z, A-Z, 0-9, '_' and '-'"})
]
"""Letters, digits, underscores and dashes; OpenAI's pattern."""
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Count = Annotated[int, Meta(ge=0)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]


class TextFormat(Struct, frozen=True, tag_field="type", tag="text"):
    """The answer is text."""


class JsonObjectFormat(Struct, frozen=True, tag_field="type", tag="json_object"):
    """The answer is any JSON object."""


class JsonSchemaFormat(Struct, frozen=True, tag_field="type", tag="json_schema"):
    """The answer is JSON that fits a schema."""

    name: SchemaName
    schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


Format = TextFormat | JsonObjectFormat | JsonSchemaFormat


class TextOptions(Struct, frozen=True):
    """What the text of the answer is to be."""

    format: Format | None = None
    verbosity: str | None = None


class Reasoning(Struct, frozen=True):
    """How much the model may think, and what of it is shown."""

    effort: Effort | None = None
    summary: str | None = None
    generate_summary: str | None = None
    context: str | None = None
    mode: str | None = None


SIGNED_THINKING = "reasoning.encrypted_content"
"""What can be included in a response."""


class StreamOptions(Struct, frozen=True):
    """How a stream is sent.

    Attributes:
        include_obfuscation: Whether pieces of different lengths are to look alike.
        include_usage: Whether the stream of a chat completion ends with its usage; a response always does.
    """

    include_obfuscation: bool | None = None
    include_usage: bool | None = None


class CompactRequest(Struct, frozen=True, kw_only=True):
    """A request to make a conversation shorter; parameters are those of a request for a response."""

    model: str | None
    input: str | list[dict[str, Any]] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    conversation: str | dict[str, Any] | None = None
    reasoning: Reasoning | None = None
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    prompt_cache_options: dict[str, Any] | None = None


class ResponsesRequest(Struct, frozen=True, kw_only=True):
    """A request for a response. What each parameter does stands in ``parameters``, and in the docs."""

    input: Annotated[
        str | list[dict[str, Any]] | None,
        Meta(description="The question, or the items of the whole conversation: messages, calls and their outputs."),
    ] = None
    model: Annotated[
        str | None, Meta(description="`sonnet`, `opus`, `haiku`, an alias, or any name Claude Code takes.")
    ] = None
    instructions: Annotated[str | None, Meta(description="The system prompt.")] = None
    stream: Annotated[bool | None, Meta(description="Send the answer as server-sent events, as it is written.")] = None
    stream_options: StreamOptions | None = None
    tools: Annotated[list[dict[str, Any]] | None, Meta(description="Tools of the client, which it runs itself.")] = None
    tool_choice: Literal["auto", "none", "required"] | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: int | None = None
    text: TextOptions | None = None
    reasoning: Reasoning | None = None
    max_output_tokens: Count | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    include: list[str] | None = None
    truncation: str | None = None
    store: bool | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    conversation: str | dict[str, Any] | None = None
    prompt: dict[str, Any] | None = None
    metadata: dict[str, str] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    context_management: list[dict[str, Any]] | dict[str, Any] | None = None
    moderation: dict[str, Any] | None = None
    client_metadata: dict[str, Any] | None = None
    access_programs: Any = None
    background_options: dict[str, Any] | None = None
    image: dict[str, Any] | None = None
