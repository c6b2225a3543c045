"""Items of a conversation, their parts, and tools, as clients send them: what each must be, by its type.

There are more types than the relay knows, and there will be others, so a request is read without them; each is read by
its type where it is used.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from claude_relay.responses.schemas import Reasoning
from claude_relay.web.validation_errors import RULE

Parts = str | list[dict[str, Any]] | None

# --- items -----------------------------------------------------------------------------------------------------------


class Message(Struct, frozen=True):
    """What somebody said."""

    role: Literal["user", "assistant", "system", "developer"]
    content: Parts = None


class FunctionCall(Struct, frozen=True):
    """The assistant called a function of the client."""

    call_id: str
    name: str
    arguments: str | dict[str, Any] = "{}"
    namespace: str | None = None


class CustomToolCall(Struct, frozen=True):
    """The assistant called a tool of the client that takes text."""

    call_id: str
    name: str
    input: str = ""
    namespace: str | None = None


class ToolSearchCall(Struct, frozen=True):
    """The assistant looked for tools; the client searches if the call has an id."""

    call_id: str | None = None
    arguments: dict[str, Any] | str | None = None


class McpCall(Struct, frozen=True):
    """The assistant used a tool of Claude Code's own.

    Attributes:
        error: What it returned if it failed: a text, or an object with parts.
    """

    name: str
    arguments: str = "{}"
    output: str | None = None
    error: str | dict[str, Any] | None = None
    id: str = ""


class McpApprovalResponse(Struct, frozen=True):
    """The user has decided whether a tool of Claude Code's own may be used."""

    approval_request_id: str
    approve: bool
    reason: str | None = None


class CallOutput(Struct, frozen=True):
    """What a tool of the client returned."""

    call_id: str
    output: Parts = None


class ToolSearchOutput(Struct, frozen=True):
    """The tools that a search has found."""

    call_id: str | None = None
    tools: list[dict[str, Any]] = []


class AdditionalTools(Struct, frozen=True):
    """Tools that may be called from here on."""

    tools: list[dict[str, Any]]


class ConfigurationUpdate(Struct, frozen=True):
    """What holds from here on."""

    reasoning: Reasoning | None = None


class Compaction(Struct, frozen=True):
    """What a conversation came to until here."""

    encrypted_content: str | None = None


class ConversationReference(Struct, frozen=True):
    """Names a conversation."""

    id: str


class ItemReference(Struct, frozen=True):
    """Stands for an item that was stored."""

    id: str


# --- parts of messages and outputs -----------------------------------------------------------------------------------


class TextPart(Struct, frozen=True):
    """A piece of text."""

    text: str


class RefusalPart(Struct, frozen=True):
    """What an assistant said when it declined."""

    refusal: str


class ImagePart(Struct, frozen=True):
    """An image by its address or as a data URL."""

    image_url: str | None = None
    file_id: str | None = None
    detail: str | None = None


class FilePart(Struct, frozen=True):
    """A file as a data URL, or by its address."""

    filename: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    file_id: str | None = None
    detail: str | None = None


# --- tools -----------------------------------------------------------------------------------------------------------

ToolName = Annotated[
    str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,128}$(?!\n)", extra={RULE: "1 to 128 of a-z, A-Z, 0-9, '_' and '-'"})
]
"""Letters, digits, underscores and dashes."""


class FunctionTool(Struct, frozen=True):
    """A function of the client.

    Attributes:
        parameters: JSON schema of its arguments; without one it has none.
    """

    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class CustomTool(Struct, frozen=True):
    """A tool of the client that takes text.

    Attributes:
        format: What the text looks like: ``text``, or a ``grammar``.
    """

    name: ToolName
    description: str | None = None
    format: dict[str, Any] | None = None


class NamespaceTool(Struct, frozen=True):
    """Tools of the client that belong together."""

    name: str
    tools: list[dict[str, Any]]
    description: str | None = None


class ToolSearchTool(Struct, frozen=True):
    """A search for tools; the client's own if it says so."""

    execution: str | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None


class NamedChoice(Struct, frozen=True):
    """Names a tool."""

    name: str
    namespace: str | None = None


class AllowedTools(Struct, frozen=True):
    """Some of the tools, and whether one of them must be called."""

    mode: Literal["auto", "required"]
    tools: list[dict[str, Any]]
