"""The chat request and its answers, in OpenAI's own names (OpenAPI document of the chat completions API)."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

# --- the request -----------------------------------------------------------------------------------------------------


class TextPart(Struct, frozen=True, tag_field="type", tag="text"):
    """A piece of text."""

    text: str


class RefusalPart(Struct, frozen=True, tag_field="type", tag="refusal"):
    """What an assistant said when it declined."""

    refusal: str


class ImageURL(Struct, frozen=True):
    """An image by its address or as a data URL."""

    url: str
    detail: str | None = None


class ImagePart(Struct, frozen=True, tag_field="type", tag="image_url"):
    """An image."""

    image_url: ImageURL | str


class AudioPart(Struct, frozen=True, tag_field="type", tag="input_audio"):
    """Sound."""

    input_audio: dict[str, Any]


class FilePart(Struct, frozen=True, tag_field="type", tag="file"):
    """A file."""

    file: dict[str, Any]


Instructions = str | list[TextPart] | None


class SystemMessage(Struct, frozen=True, tag_field="role", tag="system"):
    """Instructions for the whole conversation."""

    content: Instructions = None


class DeveloperMessage(Struct, frozen=True, tag_field="role", tag="developer"):
    """The newer name of a system message."""

    content: Instructions = None


class UserMessage(Struct, frozen=True, tag_field="role", tag="user"):
    """What the user said."""

    content: str | list[TextPart | ImagePart | AudioPart | FilePart] | None = None


class AssistantMessage(Struct, frozen=True, tag_field="role", tag="assistant"):
    """What the assistant answered earlier."""

    content: str | list[TextPart | RefusalPart] | None = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    function_call: dict[str, Any] | None = None


class ToolMessage(Struct, frozen=True, tag_field="role", tag="tool"):
    """What a tool of the client returned."""

    tool_call_id: str
    content: str | list[TextPart | ImagePart] | None = None


class FunctionMessage(Struct, frozen=True, tag_field="role", tag="function"):
    """The legacy form of a tool message."""

    name: str
    content: str | None = None


Message = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage


class StreamOptions(Struct, frozen=True):
    """How a stream is sent."""

    include_usage: bool | None = None


class ChatCompletionRequest(Struct, frozen=True, kw_only=True):
    """A chat request. Parameters that are not named here are accepted and passed over."""

    messages: Annotated[list[Message], Meta(min_length=1, description="The conversation so far.")]
    model: Annotated[str | None, Meta(description="`sonnet`, `opus`, `haiku`, or any name Claude Code takes.")] = None
    stream: Annotated[bool | None, Meta(description="Send the answer as server-sent events, as it is written.")] = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    max_tokens: Annotated[int, Meta(ge=0)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=0)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    reasoning_effort: str | None = None
    response_format: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    functions: list[dict[str, Any]] | None = None


# --- the answer ------------------------------------------------------------------------------------------------------

FinishReason = Literal["stop", "length", "content_filter"]


class PromptTokensDetails(Struct, frozen=True):
    """Where prompt tokens came from."""

    cached_tokens: int


class CompletionUsage(Struct, frozen=True):
    """Token counts; cached prompt tokens are part of ``prompt_tokens``."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails


class AnswerMessage(Struct, frozen=True, kw_only=True):
    """The assistant's answer."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    reasoning_content: str | UnsetType = UNSET
    refusal: str | None = None


class Choice(Struct, frozen=True, kw_only=True):
    """One answer, and why it ended."""

    index: int = 0
    message: AnswerMessage
    finish_reason: FinishReason
    logprobs: None = None


class ChatCompletion(Struct, frozen=True, kw_only=True):
    """A whole answer."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: CompletionUsage


class ChoiceDelta(Struct, frozen=True, omit_defaults=True):
    """What is new."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET


class ChunkChoice(Struct, frozen=True, kw_only=True):
    """What is new in one answer."""

    index: int = 0
    delta: ChoiceDelta
    finish_reason: FinishReason | None = None


class ChatCompletionChunk(Struct, frozen=True, kw_only=True):
    """One event of a stream."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: CompletionUsage | UnsetType = UNSET
