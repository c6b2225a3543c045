"""The lines of NDJSON that the CLI reads: Structs and their encoder, no I/O."""

import os
from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from claude_relay.engine.claude.wire import Tokens


class Say(Struct, frozen=True):
    """The message inside a ``UserLine``."""

    content: list[dict[str, Any]]
    role: Literal["user"] = "user"


class UserLine(Struct, frozen=True, tag="user", omit_defaults=True):
    """A turn of the user.

    Attributes:
        message: The turn.
        shouldQuery: False for a turn of the past: it is put into the history and nothing is asked.
        client_composed: Takes the text as it is: no ``@path``, no ``/command``.
        uuid: New for each line; the CLI ignores a line whose uuid it has seen.
    """

    message: Say
    uuid: str
    shouldQuery: bool = True  # noqa: N815 - the CLI's own name
    client_composed: bool = False
    session_id: str = field(default_factory=str)
    parent_tool_use_id: str | None = None


class PastAnswer(Struct, frozen=True):
    """The message inside an ``AssistantLine``."""

    id: str
    model: str
    content: list[dict[str, Any]]
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    stop_reason: str = "end_turn"
    usage: Tokens = Tokens(input_tokens=1, output_tokens=1)


class AssistantLine(Struct, frozen=True, tag="assistant"):
    """A turn of the assistant in the past."""

    message: PastAnswer
    uuid: str
    session_id: str = ""
    parent_tool_use_id: str | None = None


class ControlLine(Struct, frozen=True, tag="control_request"):
    """A control request of ours."""

    request_id: str
    request: dict[str, Any]


class BoundaryLine(Struct, frozen=True, tag="system"):
    """Makes the CLI forget what its next request would otherwise carry along."""

    uuid: str
    subtype: Literal["compact_boundary"] = "compact_boundary"
    compact_metadata: dict[str, Any] = field(default_factory=lambda: {"trigger": "manual", "pre_tokens": 1})
    session_id: str = ""


class Answer(Struct, frozen=True):
    """The message inside an ``AnswerLine``."""

    request_id: str
    response: dict[str, Any]
    subtype: Literal["success"] = "success"


class AnswerLine(Struct, frozen=True, tag="control_response"):
    """Our answer to a control request."""

    response: Answer


class RefusalReply(Struct, frozen=True):
    """The message inside a ``RefusalLine``."""

    request_id: str
    error: str
    subtype: Literal["error"] = "error"


class RefusalLine(Struct, frozen=True, tag="control_response"):
    """Our answer to a control request we cannot serve."""

    response: RefusalReply


Line = UserLine | AssistantLine | ControlLine | BoundaryLine | AnswerLine | RefusalLine

_encoder = msgspec.json.Encoder()


def encode(lines: Iterable[Line]) -> bytes:
    """Write lines as the CLI reads them: one JSON object each, and a newline."""
    return b"".join(_encoder.encode(line) + b"\n" for line in lines)


def unique() -> str:
    """Return a UUID of version 4; a long conversation needs hundreds, and ``uuid4`` takes many times longer."""
    digits = os.urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def boundary() -> BoundaryLine:
    """Return a boundary with an id of its own."""
    return BoundaryLine(uuid=unique())


def control(request_id: str, subtype: str, **fields: Any) -> ControlLine:
    """Return a control request, such as ``initialize`` or ``interrupt``."""
    return ControlLine(request_id, {"subtype": subtype, **fields})


def user(content: list[dict[str, Any]], *, asks: bool, client_composed: bool) -> UserLine:
    """Return a turn of the user that asks, or one of the past."""
    return UserLine(Say(content), uuid=unique(), shouldQuery=asks, client_composed=client_composed)


def assistant(content: list[dict[str, Any]], model: str) -> AssistantLine:
    """Return a past turn of the assistant; without ids of their own the CLI would merge turns."""
    return AssistantLine(PastAnswer(id=f"msg_{os.urandom(16).hex()}", model=model, content=content), uuid=unique())


def answer(request_id: str, response: dict[str, Any]) -> AnswerLine:
    """Return the answer to a control request."""
    return AnswerLine(Answer(request_id, response))


def refusal(request_id: str, error: str) -> RefusalLine:
    """Return the answer to a control request that cannot be served."""
    return RefusalLine(RefusalReply(request_id, error))
