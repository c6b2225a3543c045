"""The response object and the items of its output, in OpenAI's own names."""

from typing import Any, Literal

from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import replace

ItemStatus = Literal["in_progress", "completed", "incomplete"]
WorkStatus = Literal["in_progress", "completed", "incomplete", "failed"]
SearchStatus = Literal["in_progress", "searching", "completed", "failed"]
Phase = Literal["commentary", "final_answer"]
Status = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]

# --- parts -----------------------------------------------------------------------------------------------------------


class OutputText(Struct, frozen=True, tag_field="type", tag="output_text"):
    """Text of the answer."""

    text: str
    annotations: list[dict[str, Any]] = []
    logprobs: list[dict[str, Any]] = []


class Refusal(Struct, frozen=True, tag_field="type", tag="refusal"):
    """What the model said when it declined."""

    refusal: str


class SummaryText(Struct, frozen=True, tag_field="type", tag="summary_text"):
    """What the model thought."""

    text: str


# --- items -----------------------------------------------------------------------------------------------------------


class OutputMessage(Struct, frozen=True, kw_only=True, tag_field="type", tag="message"):
    """What the model said.

    Attributes:
        phase: Whether more follows, calls or thinking, or this is the answer. Known when the message is complete.
    """

    id: str
    status: ItemStatus
    role: Literal["assistant"] = "assistant"
    content: list[OutputText | Refusal]
    phase: Phase | UnsetType = UNSET


class ReasoningItem(Struct, frozen=True, kw_only=True, tag_field="type", tag="reasoning"):
    """What the model thought before it went on.

    Attributes:
        encrypted_content: All of it with the upstream's signature, as ``signed_thinking`` writes it down.
    """

    id: str
    summary: list[SummaryText]
    status: ItemStatus
    encrypted_content: str | UnsetType = UNSET


class FunctionCallItem(Struct, frozen=True, kw_only=True, tag_field="type", tag="function_call"):
    """A call of a function of the client: JSON in a string."""

    id: str
    call_id: str
    name: str
    arguments: str
    status: ItemStatus
    namespace: str | UnsetType = UNSET


class CustomToolCallItem(Struct, frozen=True, kw_only=True, tag_field="type", tag="custom_tool_call"):
    """A call of a tool of the client that takes text."""

    id: str
    call_id: str
    name: str
    input: str
    status: ItemStatus
    namespace: str | UnsetType = UNSET


class ToolSearchCallItem(Struct, frozen=True, kw_only=True, tag_field="type", tag="tool_search_call"):
    """The client is to search for tools."""

    id: str
    call_id: str
    execution: Literal["client"] = "client"
    arguments: dict[str, Any]
    status: ItemStatus


class ErrorText(Struct, frozen=True, tag_field="type", tag="text"):
    """What a tool returned when it failed."""

    text: str


class McpToolError(Struct, frozen=True, tag_field="type", tag="mcp_tool_execution_error"):
    """A tool has failed, or was not permitted."""

    content: list[ErrorText]


class McpCallItem(Struct, frozen=True, kw_only=True, tag_field="type", tag="mcp_call"):
    """Claude Code uses a tool of its own; nothing is left for the client to do.

    Attributes:
        output: What the tool returned, as text; None if it failed, or has not returned.
        error: What it returned if it failed, or was not permitted.
    """

    id: str
    server_label: Literal["claude_code"] = "claude_code"
    name: str
    arguments: str
    output: str | None = None
    error: McpToolError | None = None
    approval_request_id: str | None = None
    status: WorkStatus


class McpApprovalRequestItem(Struct, frozen=True, kw_only=True, tag_field="type", tag="mcp_approval_request"):
    """Claude Code waits for permission to use a tool of its own."""

    id: str
    server_label: Literal["claude_code"] = "claude_code"
    name: str
    arguments: str


class SearchAction(Struct, frozen=True, tag_field="type", tag="search"):
    """What is searched for."""

    query: str
    queries: list[str]


class WebSearchCallItem(Struct, frozen=True, kw_only=True, tag_field="type", tag="web_search_call"):
    """Claude Code searches the web."""

    id: str
    status: SearchStatus
    action: SearchAction


OutputItem = (
    OutputMessage
    | ReasoningItem
    | FunctionCallItem
    | CustomToolCallItem
    | ToolSearchCallItem
    | McpCallItem
    | McpApprovalRequestItem
    | WebSearchCallItem
)


def unsigned(item: OutputItem) -> OutputItem:
    """Return an item as a client sees it who does not ask for ``encrypted_content``."""
    return replace(item, encrypted_content=UNSET) if isinstance(item, ReasoningItem) else item


# --- the response ----------------------------------------------------------------------------------------------------


class InputTokensDetails(Struct, frozen=True):
    """How many of the prompt's tokens a cache held, or holds from now on."""

    cached_tokens: int
    cache_write_tokens: int


class OutputTokensDetails(Struct, frozen=True):
    """How many tokens were thinking."""

    reasoning_tokens: int


class ResponseUsage(Struct, frozen=True):
    """Token counts; cached prompt tokens are part of ``input_tokens``."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class ResponseFailure(Struct, frozen=True):
    """Why there is no complete answer."""

    code: str
    message: str


class IncompleteDetails(Struct, frozen=True):
    """Why an answer ended before its end."""

    reason: Literal["max_output_tokens"]


class ReasoningEcho(Struct, frozen=True):
    """What was asked for of thinking."""

    effort: str | None = None
    summary: str | None = None


class ConversationEcho(Struct, frozen=True):
    """The conversation that a response belongs to."""

    id: str


class DeletedResponse(Struct, frozen=True):
    """A response is gone."""

    id: str
    object: Literal["response"] = "response"
    deleted: bool = True


class InputTokens(Struct, frozen=True):
    """How many tokens the prompt of a request would have."""

    input_tokens: int
    object: Literal["response.input_tokens"] = "response.input_tokens"


class CompactionItem(Struct, frozen=True, tag_field="type", tag="compaction"):
    """What a conversation came to, in a form that only the relay reads."""

    id: str
    encrypted_content: str


class CompactedResponse(Struct, frozen=True, kw_only=True):
    """A conversation that was made shorter: what the user said, and a compaction item for everything else."""

    id: str
    object: Literal["response.compaction"] = "response.compaction"
    created_at: int
    output: list[Raw]
    usage: ResponseUsage


class ItemList(Struct, frozen=True, kw_only=True):
    """Some of the items of a response's request."""

    object: Literal["list"] = "list"
    data: list[Raw]
    first_id: str | None
    last_id: str | None
    has_more: bool


class Response(Struct, frozen=True, kw_only=True):
    """An answer, whole or as far as it is known, and what it was asked with."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    completed_at: int | None = None
    status: Status
    background: bool = False
    error: ResponseFailure | None = None
    incomplete_details: IncompleteDetails | None = None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    model: str
    output: list[OutputItem]
    parallel_tool_calls: bool
    previous_response_id: str | None = None
    conversation: ConversationEcho | UnsetType = UNSET
    prompt_cache_key: str | None
    reasoning: ReasoningEcho
    safety_identifier: str | None
    service_tier: str = "default"
    store: bool = False
    temperature: float
    text: Raw
    tool_choice: Raw
    tools: Raw
    top_logprobs: int
    top_p: float
    presence_penalty: float
    frequency_penalty: float
    truncation: str = "disabled"
    usage: ResponseUsage | None = None
    user: str | None
    metadata: Raw
