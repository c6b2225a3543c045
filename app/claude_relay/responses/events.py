"""The events of a stream, in OpenAI's own names. Each has its number in the stream."""

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from claude_relay.responses.answer import OutputItem, OutputText, Refusal, Response, SummaryText
from claude_relay.web.dialect import ErrorDetail


class ResponseEvent(Struct, frozen=True):
    """What the response is at a moment: ``created``, ``queued``, ``in_progress``, or how it has ended."""

    type: Literal[
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.completed",
        "response.incomplete",
        "response.failed",
    ]
    sequence_number: int
    response: Response


class ItemEvent(Struct, frozen=True):
    """An item has begun, or is complete."""

    type: Literal["response.output_item.added", "response.output_item.done"]
    sequence_number: int
    output_index: int
    item: OutputItem


class PartEvent(Struct, frozen=True):
    """A part of a message has begun, or is complete."""

    type: Literal["response.content_part.added", "response.content_part.done"]
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    part: OutputText | Refusal


class TextDeltaEvent(Struct, frozen=True):
    """The next piece of a text."""

    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    delta: str
    type: Literal["response.output_text.delta"] = "response.output_text.delta"
    logprobs: list[dict[str, Any]] = []


class TextDoneEvent(Struct, frozen=True):
    """A whole text."""

    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    text: str
    type: Literal["response.output_text.done"] = "response.output_text.done"
    logprobs: list[dict[str, Any]] = []


class RefusalDeltaEvent(Struct, frozen=True):
    """The next piece of a refusal."""

    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    delta: str
    type: Literal["response.refusal.delta"] = "response.refusal.delta"


class RefusalDoneEvent(Struct, frozen=True):
    """A whole refusal."""

    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    refusal: str
    type: Literal["response.refusal.done"] = "response.refusal.done"


class ArgumentsDeltaEvent(Struct, frozen=True):
    """The next piece of what a tool is called with."""

    type: Literal[
        "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
        "response.mcp_call_arguments.delta",
    ]
    sequence_number: int
    item_id: str
    output_index: int
    delta: str


class ArgumentsDoneEvent(Struct, frozen=True, omit_defaults=True):
    """All that a tool is called with: the arguments of a function, or the input of one that takes text."""

    type: Literal[
        "response.function_call_arguments.done",
        "response.custom_tool_call_input.done",
        "response.mcp_call_arguments.done",
    ]
    sequence_number: int
    item_id: str
    output_index: int
    name: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET
    input: str | UnsetType = UNSET


class SummaryPartEvent(Struct, frozen=True):
    """A part of what the model thought has begun, or is complete."""

    type: Literal["response.reasoning_summary_part.added", "response.reasoning_summary_part.done"]
    sequence_number: int
    item_id: str
    output_index: int
    part: SummaryText
    summary_index: int = 0


class SummaryDeltaEvent(Struct, frozen=True):
    """The next piece of what the model thinks."""

    sequence_number: int
    item_id: str
    output_index: int
    delta: str
    type: Literal["response.reasoning_summary_text.delta"] = "response.reasoning_summary_text.delta"
    summary_index: int = 0


class SummaryDoneEvent(Struct, frozen=True):
    """All of a part of what the model thought."""

    sequence_number: int
    item_id: str
    output_index: int
    text: str
    type: Literal["response.reasoning_summary_text.done"] = "response.reasoning_summary_text.done"
    summary_index: int = 0


class WorkEvent(Struct, frozen=True):
    """A tool of Claude Code's own is being used, or was."""

    type: Literal[
        "response.mcp_call.in_progress",
        "response.mcp_call.completed",
        "response.mcp_call.failed",
        "response.web_search_call.in_progress",
        "response.web_search_call.searching",
        "response.web_search_call.completed",
    ]
    sequence_number: int
    item_id: str
    output_index: int


class KeepAliveEvent(Struct, frozen=True):
    """Nothing has happened; comments would not keep every client waiting."""

    sequence_number: int
    type: Literal["keepalive"] = "keepalive"


class ErrorEvent(Struct, frozen=True):
    """The answer has failed, in both forms that clients know."""

    sequence_number: int
    code: str | None
    message: str
    param: str | None
    error: ErrorDetail
    type: Literal["error"] = "error"


StreamEvent = (
    ResponseEvent
    | ItemEvent
    | PartEvent
    | TextDeltaEvent
    | TextDoneEvent
    | RefusalDeltaEvent
    | RefusalDoneEvent
    | ArgumentsDeltaEvent
    | ArgumentsDoneEvent
    | SummaryPartEvent
    | SummaryDeltaEvent
    | SummaryDoneEvent
    | WorkEvent
    | KeepAliveEvent
    | ErrorEvent
)
