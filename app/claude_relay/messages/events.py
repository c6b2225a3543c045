"""The events of a stream, in Anthropic's own names."""

from typing import Literal

from msgspec import Struct

from claude_relay.messages.answer import Block, Message, StopReason, Usage


class TextDelta(Struct, frozen=True, tag_field="type", tag="text_delta"):
    """The next piece of a text."""

    text: str


class InputJsonDelta(Struct, frozen=True, tag_field="type", tag="input_json_delta"):
    """The next piece of a call's arguments."""

    partial_json: str


class ThinkingDelta(Struct, frozen=True, tag_field="type", tag="thinking_delta"):
    """The next piece of a thought."""

    thinking: str


class SignatureDelta(Struct, frozen=True, tag_field="type", tag="signature_delta"):
    """The upstream's proof that a thought is its own; the last piece of its block."""

    signature: str


class MessageStart(Struct, frozen=True):
    """The message begins."""

    message: Message
    type: Literal["message_start"] = "message_start"


class BlockStart(Struct, frozen=True):
    """A block begins."""

    index: int
    content_block: Block
    type: Literal["content_block_start"] = "content_block_start"


class BlockDelta(Struct, frozen=True):
    """A block goes on."""

    index: int
    delta: TextDelta | InputJsonDelta | ThinkingDelta | SignatureDelta
    type: Literal["content_block_delta"] = "content_block_delta"


class BlockStop(Struct, frozen=True):
    """A block is whole."""

    index: int
    type: Literal["content_block_stop"] = "content_block_stop"


class Stopped(Struct, frozen=True):
    """Why the message ended."""

    stop_reason: StopReason
    stop_sequence: str | None


class MessageDelta(Struct, frozen=True):
    """The message is whole."""

    delta: Stopped
    usage: Usage
    type: Literal["message_delta"] = "message_delta"


class MessageStop(Struct, frozen=True):
    """Nothing more comes."""

    type: Literal["message_stop"] = "message_stop"


class Ping(Struct, frozen=True):
    """The stream goes on."""

    type: Literal["ping"] = "ping"


StreamEvent = MessageStart | BlockStart | BlockDelta | BlockStop | MessageDelta | MessageStop | Ping
