"""Messages, their blocks, and tools, as clients send them: what each must be, by its type.

There are more types than the relay knows, and there will be others, so a request is read without them; each is read by
its type where it is used.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from claude_relay.messages.schemas import OutputConfig
from claude_relay.web.validation_errors import RULE

Blocks = str | list[dict[str, Any]] | None


class Message(Struct, frozen=True):
    """What somebody said.

    Attributes:
        role: Who.
        content: A text, or blocks.
        output_config: What holds from here on; only system messages have it.
    """

    role: Literal["user", "assistant", "system"]
    content: Blocks = None
    output_config: OutputConfig | None = None


# --- blocks ----------------------------------------------------------------------------------------------------------


class TextBlock(Struct, frozen=True):
    """A piece of text."""

    text: str


class Source(Struct, frozen=True):
    """Where the data of an image or a document is.

    Attributes:
        type: ``base64``, ``url``, ``text``, ``content`` or ``file``.
        media_type: Its MIME type, where it stands in the request.
        data: The data: base64, or the text itself.
        url: Its address.
        content: A text, or the blocks that it consists of.
        file_id: The id of a file that was uploaded.
    """

    type: str
    media_type: str = ""
    data: str | None = None
    url: str | None = None
    content: Blocks = None
    file_id: str | None = None


class ImageBlock(Struct, frozen=True):
    """An image."""

    source: Source


class Citations(Struct, frozen=True):
    """Whether the model is to cite."""

    enabled: bool | None = None


class DocumentBlock(Struct, frozen=True):
    """A file."""

    source: Source
    title: str | None = None
    context: str | None = None
    citations: Citations | None = None


class SearchResultBlock(Struct, frozen=True):
    """Something that the client has found."""

    source: str
    title: str
    content: list[dict[str, Any]]
    citations: Citations | None = None


class ToolReferenceBlock(Struct, frozen=True):
    """A tool that was found, and can be called from here on."""

    tool_name: str


class ToolUseBlock(Struct, frozen=True):
    """The assistant called a tool of the client."""

    id: str
    name: str
    input: dict[str, Any] | str | None = None


class ToolResultBlock(Struct, frozen=True):
    """What a tool of the client returned."""

    tool_use_id: str
    content: Blocks = None
    is_error: bool | None = None


class ThinkingBlock(Struct, frozen=True):
    """What the model thought, with the upstream's proof that it is its own."""

    thinking: str
    signature: str | None = None


class RedactedThinkingBlock(Struct, frozen=True):
    """What the model thought, which only the upstream can read."""

    data: str


# --- tools -----------------------------------------------------------------------------------------------------------

ToolName = Annotated[
    str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,128}$(?!\n)", extra={RULE: "1 to 128 of a-z, A-Z, 0-9, '_' and '-'"})
]
"""Letters, digits, underscores and dashes."""


class ClientTool(Struct, frozen=True):
    """A tool of the client.

    Attributes:
        input_schema: JSON schema of its arguments.
    """

    name: ToolName
    input_schema: dict[str, Any]
    description: str | None = None
    strict: bool | None = None
