"""The request of the Messages API, in Anthropic's own names; what its blocks and tools are stands in ``blocks``."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Effort = Literal["low", "medium", "high", "xhigh", "max"]
Count = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Thinking(Struct, frozen=True):
    """Whether the model thinks, and what of that is shown.

    Attributes:
        type: Whether it may.
        budget_tokens: How many tokens at most, where ``enabled``.
        display: Whether the text of its thoughts is shown.
    """

    type: Literal["enabled", "adaptive", "between_tools", "disabled"]
    budget_tokens: Count | None = None
    display: str | None = None


class JsonFormat(Struct, frozen=True):
    """The answer is JSON that fits a schema."""

    type: Literal["json_schema"]
    schema: dict[str, Any]


class OutputConfig(Struct, frozen=True):
    """How much the model does for its answer, and the form of that."""

    effort: Effort | None = None
    format: JsonFormat | None = None


class AutoChoice(Struct, frozen=True, tag_field="type", tag="auto"):
    """The model may call tools."""

    disable_parallel_tool_use: bool | None = None


class AnyChoice(Struct, frozen=True, tag_field="type", tag="any"):
    """The model must call a tool."""

    disable_parallel_tool_use: bool | None = None


class ToolChoice(Struct, frozen=True, tag_field="type", tag="tool"):
    """The model must call this tool."""

    name: str
    disable_parallel_tool_use: bool | None = None


class NoChoice(Struct, frozen=True, tag_field="type", tag="none"):
    """The model must not call a tool."""


Choice = AutoChoice | AnyChoice | ToolChoice | NoChoice


class NewThread(Struct, frozen=True, tag_field="type", tag="create"):
    """The conversation is to be kept, so that it can be gone on with."""


class ContinuedThread(Struct, frozen=True, tag_field="type", tag="continue"):
    """The conversation is that of an earlier message, and goes on with this request's."""

    previous_message_id: str


class MessagesRequest(Struct, frozen=True, kw_only=True):
    """A request for a message. What each parameter does stands in ``parameters``, and in the docs."""

    messages: Annotated[list[dict[str, Any]], Meta(description="The conversation, in order.")]
    model: Annotated[
        str | None, Meta(description="`sonnet`, `opus`, `haiku`, an alias, or any name Claude Code takes.")
    ] = None
    system: Annotated[str | list[dict[str, Any]] | None, Meta(description="The system prompt.")] = None
    max_tokens: Annotated[Count | None, Meta(description="Most tokens of the answer.")] = None
    stream: Annotated[bool | None, Meta(description="Send the answer as server-sent events, as it is written.")] = None
    tools: Annotated[list[dict[str, Any]] | None, Meta(description="Tools of the client, which it runs itself.")] = None
    tool_choice: Choice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    output_format: JsonFormat | None = None
    stop_sequences: list[str] | None = None
    temperature: Share | None = None
    top_p: Share | None = None
    top_k: Count | None = None
    thread: NewThread | ContinuedThread | None = None
    cache_control: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    service_tier: str | None = None
    context_management: dict[str, Any] | None = None
    mcp_servers: list[dict[str, Any]] | None = None
    container: str | dict[str, Any] | None = None
    compaction: dict[str, Any] | None = None
    fallbacks: Any = None
    fallback_credit_token: Any = None
    billing_policy: Any = None
    diagnostics: dict[str, Any] | None = None
    inference_geo: str | None = None
    speed: str | None = None
