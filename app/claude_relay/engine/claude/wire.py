"""The lines of NDJSON that the CLI writes: Structs and their decoder, no I/O.

Only the fields that the relay uses are named; everything else is skipped by the decoder. What the CLI may say that
is not named here decodes to ``Other``: new versions add lines, and none of them may stop an answer.
"""

import json
from typing import Any

import msgspec
from msgspec import Struct, field

from claude_relay.engine import surrogates


class TokenDetails(Struct, frozen=True):
    """What output tokens were used for."""

    thinking_tokens: int | None = None


class Tokens(Struct, frozen=True):
    """Token counts of one model call, or of a whole run."""

    input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: TokenDetails | None = None


class StartedMessage(Struct, frozen=True):
    """The message a ``message_start`` announces."""

    usage: Tokens = Tokens()


class MessageStart(Struct, frozen=True, tag="message_start"):
    """A model call begins to answer."""

    message: StartedMessage


class TextPiece(Struct, frozen=True, tag="text_delta"):
    """More text."""

    text: str


class ThinkingPiece(Struct, frozen=True, tag="thinking_delta"):
    """More reasoning."""

    thinking: str


class SignaturePiece(Struct, frozen=True, tag="signature_delta"):
    """The signature of the reasoning before it, whole."""

    signature: str


class ArgumentsPiece(Struct, frozen=True, tag="input_json_delta"):
    """More of a tool call's arguments."""

    partial_json: str


class StartedBlock(Struct, frozen=True):
    """The kind of a block, and all of it where it is a tool call or reasoning that nobody can read."""

    type: str
    id: str = ""
    name: str = ""
    data: str = ""


class ContentBlockStart(Struct, frozen=True, tag="content_block_start"):
    """A block of the answer begins."""

    content_block: StartedBlock


Delta = TextPiece | ThinkingPiece | SignaturePiece | ArgumentsPiece


class ContentBlockDelta(Struct, frozen=True, tag="content_block_delta"):
    """More of the current block."""

    delta: Delta


class MessageEnd(Struct, frozen=True):
    """Why a model call stopped."""

    stop_reason: str | None = None
    stop_sequence: str | None = None


class MessageDelta(Struct, frozen=True, tag="message_delta"):
    """A model call says why it stops, and its final counts."""

    delta: MessageEnd
    usage: Tokens = Tokens()


Streamed = MessageStart | ContentBlockStart | ContentBlockDelta | MessageDelta


class StreamEvent(Struct, frozen=True, tag="stream_event"):
    """An event of the upstream's stream, passed on as it came.

    Attributes:
        event: The event.
        parent_tool_use_id: Set when it belongs to a subagent, not to the answer.
    """

    event: Streamed
    parent_tool_use_id: str | None = None


class ContentBlock(Struct, frozen=True):
    """A complete block; a tool call if it has a name."""

    type: str
    name: str = ""
    input: dict[str, Any] = field(default_factory=dict)
    id: str = ""


class AssistantMessage(Struct, frozen=True):
    """The message inside an ``assistant`` line: one block of the answer."""

    content: list[ContentBlock] = field(default_factory=list)


class Assistant(Struct, frozen=True, tag="assistant"):
    """A complete block of the answer. Its text was in the stream already.

    Attributes:
        message: The block.
        error: The CLI's code of an error, on a message it made up to tell of it.
        parent_tool_use_id: Set when it belongs to a subagent.
    """

    message: AssistantMessage = AssistantMessage()
    error: str | None = None
    parent_tool_use_id: str | None = None


class ResultPart(Struct, frozen=True):
    """A part of what a tool returned; a text if it has one."""

    type: str = ""
    text: str = ""


class ResultBlock(Struct, frozen=True):
    """A block of a user's turn; what a tool returned if it has the id of a call."""

    type: str
    tool_use_id: str = ""
    content: str | list[ResultPart] | None = None
    is_error: bool | None = None


class UserMessage(Struct, frozen=True):
    """The message inside a ``user`` line."""

    content: str | list[ResultBlock] = ""


class ToolResults(Struct, frozen=True, tag="user"):
    """What tools of the agent's own returned, as the model gets it.

    Attributes:
        message: The results.
        parent_tool_use_id: Set when it belongs to a subagent.
    """

    message: UserMessage = UserMessage()
    parent_tool_use_id: str | None = None


class ModelUsage(Struct, frozen=True, rename="camel"):
    """What the CLI knows of a model that was asked.

    Attributes:
        context_window: Most tokens of prompt and answer together.
    """

    context_window: int | None = None


class ListedModel(Struct, frozen=True, rename="camel"):
    """A model that the CLI offers.

    Attributes:
        value: The name by which it is asked for.
        resolved_model: The full id of what that name stands for now.
    """

    value: str
    resolved_model: str


class Result(Struct, frozen=True, tag="result"):
    """The end of a turn.

    Success and failure are told by ``is_error`` and ``api_error_status``, never by ``subtype``.

    Attributes:
        total_cost_usd: Estimated cost of all turns of the process so far.
        structured_output: The answer, where the CLI's tool took it.
        modelUsage: Which models were asked.
        user_message_uuids: The lines of ours that the turn was for, if the CLI tells.
    """

    subtype: str
    is_error: bool = False
    api_error_status: int | None = None
    terminal_reason: str | None = None
    stop_reason: str | None = None
    result: str = ""
    usage: Tokens = Tokens()
    total_cost_usd: float | None = None
    structured_output: Any = msgspec.UNSET
    modelUsage: dict[str, ModelUsage] = field(default_factory=dict)  # noqa: N815 - the CLI's own name
    user_message_uuids: tuple[str, ...] = ()


class System(Struct, frozen=True, tag="system"):
    """News of the CLI itself, such as ``api_retry``.

    Attributes:
        subtype: The kind of news; ``init`` begins a turn.
        error_status: HTTP status of a model call that is tried again.
        status: What the CLI does now; ``requesting`` is a model call.
        user_message_uuids: The lines of ours that the turn is for, if the CLI tells; none for a turn of its own.
        tools: Names of the tools that the model gets, at the beginning of a turn.
    """

    subtype: str
    error_status: int | None = None
    status: str | None = None
    user_message_uuids: tuple[str, ...] = ()
    tools: tuple[str, ...] | None = None


class RateLimitInfo(Struct, frozen=True, rename="camel"):
    """A subscription's limits.

    Attributes:
        status: ``allowed``, ``allowed_warning`` or ``rejected``.
        resets_at: When the limit is lifted, in seconds since the epoch.
    """

    status: str = ""
    resets_at: float | None = None


class RateLimitEvent(Struct, frozen=True, tag="rate_limit_event"):
    """The state of a subscription's limits changed."""

    rate_limit_info: RateLimitInfo


class Rewound(Struct, frozen=True):
    """What the CLI says of a ``rewind_conversation``.

    Attributes:
        rewound: Whether it has forgotten the line that was named, and all after it.
        precedingAssistantUuid: The answer that stands before that line; None if nothing does.
    """

    rewound: bool
    precedingAssistantUuid: str | None  # noqa: N815 - the CLI's own name


class ControlReply(Struct, frozen=True):
    """The CLI's answer to one of our control requests."""

    request_id: str
    subtype: str
    error: str | None = None
    response: msgspec.Raw = msgspec.Raw(b"null")


class ControlResponse(Struct, frozen=True, tag="control_response"):
    """Envelope of a ``ControlReply``."""

    response: ControlReply


class _Listing(Struct, frozen=True):
    models: tuple[ListedModel, ...] = ()


class HookInput(Struct, frozen=True):
    """What a hook is asked about."""

    tool_name: str = ""


class ControlQuestion(Struct, frozen=True):
    """What the CLI wants of us.

    Attributes:
        subtype: The kind of question.
        message: A JSON-RPC message for an MCP server of ours.
        input: What a hook of ours is asked about, or what a tool is to be called with.
        tool_name: The tool that needs permission.
        tool_use_id: The call that needs permission.
    """

    subtype: str
    message: dict[str, Any] = field(default_factory=dict)
    input: msgspec.Raw = msgspec.Raw(b"{}")
    tool_name: str = ""
    tool_use_id: str = ""


class ControlRequest(Struct, frozen=True, tag="control_request"):
    """The CLI asks us, and waits for an answer."""

    request_id: str
    request: ControlQuestion


class ControlCancel(Struct, frozen=True, tag="control_cancel_request"):
    """The CLI no longer waits for an answer to something that it asked."""

    request_id: str


class Other(Struct, frozen=True):
    """A line the relay does not use, or does not understand.

    Attributes:
        kind: The line's ``type``.
        reason: Why it was not read as one of the known lines.
    """

    kind: str
    reason: str


Known = (
    StreamEvent
    | Assistant
    | ToolResults
    | Result
    | System
    | RateLimitEvent
    | ControlResponse
    | ControlRequest
    | ControlCancel
)
Line = Known | Other


class _Kind(Struct, frozen=True):
    type: str = ""


PERMISSION = "can_use_tool"
"""What a control request is that asks whether a tool may be used."""
_HEAD = 200
"""Bytes of a line within which it says what it is."""
_known = msgspec.json.Decoder(Known)
_kind = msgspec.json.Decoder(_Kind)


def decode(line: bytes) -> Line:
    """Read one line of the CLI's output.

    Lone surrogates stay what they are in what is streamed, since the next line may bring the other half.

    Raises:
        msgspec.DecodeError: The line is not a JSON object.
    """
    try:
        try:
            return _known_or_other(line)
        except msgspec.DecodeError:
            if (mended := surrogates.without_lone(line)) == line:
                raise
            found = _known_or_other(mended)
            return msgspec.convert(json.loads(line), StreamEvent) if isinstance(found, StreamEvent) else found
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from None


def must_be_read(line: bytes) -> bool:
    """Whether a line that is no JSON looks like one on which an answer depends."""
    return any(kind in line[:_HEAD] for kind in (b'"type":"control_request"', b'"type":"result"'))


def is_empty_before(reply: ControlReply) -> bool:
    """Whether a reply to ``rewind_conversation`` says that the line is forgotten, and that nothing stands before it."""
    try:
        return reply.subtype == "success" and msgspec.json.decode(reply.response, type=Rewound) == Rewound(True, None)
    except msgspec.DecodeError:
        return False


def hook_input(given: msgspec.Raw) -> HookInput:
    """Read what a hook is asked about; a tool without a name is none of the client's."""
    try:
        return msgspec.json.decode(given, type=HookInput)
    except msgspec.DecodeError:
        return HookInput()


def tool_input(given: msgspec.Raw) -> dict[str, Any]:
    """Read what a tool is to be called with."""
    found = msgspec.json.decode(given)
    return found if isinstance(found, dict) else {}


def listed_models(response: msgspec.Raw) -> tuple[ListedModel, ...]:
    """Read the models that a reply lists; most replies list none."""
    try:
        return msgspec.json.decode(response, type=_Listing).models
    except msgspec.DecodeError:
        return ()


class _Effective(Struct, frozen=True):
    env: dict[str, Any] = field(default_factory=dict)


class _SettingsReply(Struct, frozen=True):
    effective: _Effective


def settings_env(response: msgspec.Raw) -> dict[str, Any]:
    """Read which variables the user's settings set, from the reply that tells the settings; others set none."""
    try:
        return msgspec.json.decode(response, type=_SettingsReply).effective.env
    except msgspec.DecodeError:
        return {}


def _known_or_other(line: bytes) -> Line:
    try:
        known: Line = _known.decode(line)
    except msgspec.ValidationError as error:
        return Other(_kind.decode(line).type, str(error))
    return known
