"""The chat request and its answers, in OpenAI's own names (OpenAPI document of the chat completions API)."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from claude_relay.web.usage import CompletionUsage
from claude_relay.web.validation_errors import RULE

# --- messages --------------------------------------------------------------------------------------------------------


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


class FileData(Struct, frozen=True):
    """A file: its data as a data URL, or the id of an upload."""

    file_data: str | None = None
    filename: str | None = None
    file_id: str | None = None


class FilePart(Struct, frozen=True, tag_field="type", tag="file"):
    """A file."""

    file: FileData


Instructions = str | list[TextPart] | None


class SystemMessage(Struct, frozen=True, tag_field="role", tag="system"):
    """Instructions for the whole conversation."""

    content: Instructions = None
    name: str | None = None


class DeveloperMessage(Struct, frozen=True, tag_field="role", tag="developer"):
    """The newer name of a system message."""

    content: Instructions = None
    name: str | None = None


class UserMessage(Struct, frozen=True, tag_field="role", tag="user"):
    """What the user said."""

    content: str | list[TextPart | ImagePart | AudioPart | FilePart] | None = None
    name: str | None = None


class FunctionCall(Struct, frozen=True):
    """A function of the client, and what it was called with: JSON in a string."""

    name: str
    arguments: str = "{}"


class CustomCall(Struct, frozen=True):
    """A tool of the client that takes text, and the text it was called with."""

    name: str
    input: str = ""


class ToolCall(Struct, frozen=True):
    """A call of a tool of the client: of a function, or of a tool that takes text.

    Clients may send the one that it is not as null.
    """

    id: str
    function: FunctionCall | UnsetType | None = UNSET
    type: str = "function"
    custom: CustomCall | UnsetType | None = UNSET


class AssistantMessage(Struct, frozen=True, tag_field="role", tag="assistant"):
    """What the assistant answered earlier."""

    content: str | list[TextPart | RefusalPart] | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: FunctionCall | None = None
    name: str | None = None


class ToolMessage(Struct, frozen=True, tag_field="role", tag="tool"):
    """What a tool of the client returned."""

    tool_call_id: str
    content: str | list[TextPart | ImagePart] | None = None


class FunctionMessage(Struct, frozen=True, tag_field="role", tag="function"):
    """The legacy form of a tool message."""

    name: str
    content: str | None = None


Message = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage

# --- the request -----------------------------------------------------------------------------------------------------


class StreamOptions(Struct, frozen=True):
    """How a stream is sent."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


SchemaName = Annotated[
    str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}$(?!\n)", extra={RULE: "1 to 64 of a-z, A-Z, 0-9, '_' and '-'"})
]
"""Letters, digits, underscores and dashes; OpenAI's pattern."""


class JsonSchema(Struct, frozen=True):
    """The schema of a structured answer."""

    name: SchemaName
    schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


class TextFormat(Struct, frozen=True, tag_field="type", tag="text"):
    """The answer is text."""


class JsonObjectFormat(Struct, frozen=True, tag_field="type", tag="json_object"):
    """The answer is any JSON object."""


class JsonSchemaFormat(Struct, frozen=True, tag_field="type", tag="json_schema"):
    """The answer is JSON that fits a schema."""

    json_schema: JsonSchema


ToolName = Annotated[
    str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,128}$(?!\n)", extra={RULE: "1 to 128 of a-z, A-Z, 0-9, '_' and '-'"})
]
"""Letters, digits, underscores and dashes."""


class FunctionDefinition(Struct, frozen=True):
    """A function of the client.

    Attributes:
        parameters: JSON schema of its arguments; without one it has none.
    """

    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionTool(Struct, frozen=True, tag_field="type", tag="function"):
    """A function of the client, as a tool."""

    function: FunctionDefinition


class CustomDefinition(Struct, frozen=True):
    """A tool of the client that takes text.

    Attributes:
        format: What the text looks like: ``text``, or a ``grammar``.
    """

    name: ToolName
    description: str | None = None
    format: dict[str, Any] | None = None


class CustomTool(Struct, frozen=True, tag_field="type", tag="custom"):
    """A tool of the client that takes text.

    Cursor sends its fields without ``custom`` around them, as the responses API has them.
    """

    custom: CustomDefinition | None = None
    name: ToolName | None = None
    description: str | None = None
    format: dict[str, Any] | None = None


class FunctionName(Struct, frozen=True):
    """Names a function, or a tool that takes text."""

    name: str


class NamedToolChoice(Struct, frozen=True, tag_field="type", tag="function"):
    """The one function that must be called."""

    function: FunctionName


class NamedCustomToolChoice(Struct, frozen=True, tag_field="type", tag="custom"):
    """The one tool that must be called, which takes text."""

    custom: FunctionName


class AllowedTools(Struct, frozen=True):
    """Some of the tools, and whether one of them must be called."""

    mode: Literal["auto", "required"]
    tools: Annotated[list[NamedToolChoice | NamedCustomToolChoice], Meta(min_length=1)]


class AllowedToolsChoice(Struct, frozen=True, tag_field="type", tag="allowed_tools"):
    """The tools that may be called in this turn."""

    allowed_tools: AllowedTools


ChoiceMode = Literal["auto", "none", "required"]
Count = Annotated[int, Meta(ge=0)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]


class ChatCompletionRequest(Struct, frozen=True, kw_only=True):
    """A chat request. What each parameter does stands in ``parameters``, and in the docs."""

    messages: Annotated[list[Message], Meta(min_length=1, description="The conversation so far.")]
    model: Annotated[
        str | None, Meta(description="`sonnet`, `opus`, `haiku`, an alias, or any name Claude Code takes.")
    ] = None
    stream: Annotated[bool | None, Meta(description="Send the answer as server-sent events, as it is written.")] = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Meta(ge=1, le=8)] | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=1)] | None = None
    stop: str | list[str] | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    response_format: TextFormat | JsonObjectFormat | JsonSchemaFormat | None = None
    tools: Annotated[
        list[FunctionTool | CustomTool] | None, Meta(description="Tools of the client, which it runs itself.")
    ] = None
    tool_choice: ChoiceMode | NamedToolChoice | NamedCustomToolChoice | AllowedToolsChoice | None = None
    parallel_tool_calls: bool | None = None
    functions: Annotated[list[FunctionDefinition] | None, Meta(description="The legacy form of `tools`.")] = None
    function_call: Literal["auto", "none"] | FunctionName | None = None
    modalities: list[str] | None = None
    audio: dict[str, Any] | None = None
    seed: int | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    verbosity: str | None = None
    prediction: dict[str, Any] | None = None
    web_search_options: dict[str, Any] | None = None
    moderation: dict[str, Any] | None = None
    service_tier: str | None = None
    store: bool | None = None
    metadata: dict[str, Any] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    prompt_cache_options: dict[str, Any] | None = None


# --- the answer ------------------------------------------------------------------------------------------------------

FinishReason = Literal["stop", "length", "content_filter", "tool_calls", "function_call"]


class AnswerMessage(Struct, frozen=True, kw_only=True):
    """The assistant's answer.

    Attributes:
        content: Its text; null where there is nothing but calls.
        tool_calls: Tools of the client that the model calls.
        function_call: The legacy form of the first call.
    """

    role: Literal["assistant"] = "assistant"
    content: str | None
    reasoning_content: str | UnsetType = UNSET
    refusal: str | None = None
    tool_calls: list[ToolCall] | UnsetType = UNSET
    function_call: FunctionCall | UnsetType = UNSET


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


class FunctionDelta(Struct, frozen=True, omit_defaults=True):
    """More of a call: the name first, then pieces of the arguments."""

    name: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET


class CustomDelta(Struct, frozen=True, omit_defaults=True):
    """More of a call with text: the name first, then pieces of the text."""

    name: str | UnsetType = UNSET
    input: str | UnsetType = UNSET


class ToolCallDelta(Struct, frozen=True, omit_defaults=True):
    """More of one of several calls; id and type come with its first piece."""

    index: int
    id: str | UnsetType = UNSET
    type: str | UnsetType = UNSET
    function: FunctionDelta | UnsetType = UNSET
    custom: CustomDelta | UnsetType = UNSET


class ChoiceDelta(Struct, frozen=True, omit_defaults=True):
    """What is new."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET
    refusal: str | UnsetType = UNSET
    tool_calls: list[ToolCallDelta] | UnsetType = UNSET
    function_call: FunctionDelta | UnsetType = UNSET


class ChunkChoice(Struct, frozen=True, kw_only=True):
    """What is new in one answer."""

    index: int = 0
    delta: ChoiceDelta
    finish_reason: FinishReason | None = None


class ChatCompletionChunk(Struct, frozen=True, kw_only=True):
    """One event of a stream.

    Attributes:
        usage: In a stream that tells it: the usage in the last chunk, and null in the others.
    """

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: CompletionUsage | UnsetType | None = UNSET
