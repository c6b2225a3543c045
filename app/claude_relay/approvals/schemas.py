"""What waits for permission, and a decision, as they go over the wire."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct


class Answer(Struct, frozen=True, forbid_unknown_fields=True):
    """A decision.

    Attributes:
        approve: Whether the tool may be used.
        reason: Why, for the model.
    """

    approve: bool
    reason: Annotated[str, Meta(max_length=10_000)] | None = None


class Approval(Struct, frozen=True, kw_only=True):
    """A tool that waits for permission.

    Attributes:
        id: Its id.
        name: The tool.
        arguments: What it is called with.
        model: The model that calls it.
        created_at: Since when it waits, in seconds since the epoch.
        request_id: The request it belongs to.
    """

    id: str
    object: Literal["approval"] = "approval"
    name: str
    arguments: dict[str, Any]
    model: str
    created_at: int
    request_id: str


class ApprovalList(Struct, frozen=True):
    """What waits for permission, the oldest first."""

    data: list[Approval]
    object: Literal["list"] = "list"


class Decided(Struct, frozen=True):
    """What was decided."""

    id: str
    approve: bool
    object: Literal["approval.decision"] = "approval.decision"
