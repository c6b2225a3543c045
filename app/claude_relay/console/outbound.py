"""What is known -> what the page is told. Pure."""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw

from claude_relay.console.activity import Running
from claude_relay.console.schemas import State, StoredResponse, Waiting, WholeResponse
from claude_relay.engine.approvals import Approval
from claude_relay.engine.runner import RunnerHealth
from claude_relay.store.protocol import Page, Record

_STATES = ("starting", "spare", "idle", "busy", "ending")
_TITLE = 120
"""Characters."""


class _Part(msgspec.Struct):
    text: str = ""


class _Item(msgspec.Struct):
    type: str
    content: list[_Part] = []


class _Body(msgspec.Struct):
    id: str
    created_at: int
    status: str
    model: str
    output: list[_Item] = []


def state(health: RunnerHealth, running: list[Running], approvals: list[Waiting]) -> State:
    """Return what is true now.

    Args:
        health: How the engine is.
        running: The viewer's requests that are being answered.
        approvals: What waits for the viewer's permission.
    """
    detail = health.detail
    processes: dict[str, Any] | None = detail.get("processes")
    return State(
        status=health.status,
        reason=health.reason,
        remedy=health.remedy,
        claude_version=detail.get("claude_version"),
        waiting=detail.get("waiting", 0),
        processes=processes and {name: processes[name] for name in _STATES},
        limits=detail.get("limits"),
        running=running,
        approvals=approvals,
    )


def waiting(approval: Approval, *, is_held: bool) -> Waiting:
    """Return a tool that waits for permission.

    Args:
        approval: What waits.
        is_held: Whether only its client can decide.
    """
    return Waiting(
        id=approval.id,
        name=approval.tool,
        arguments=approval.arguments,
        model=approval.model,
        created_at=approval.created_at,
        is_held=is_held,
    )


def stored(records: Iterable[Record]) -> list[StoredResponse]:
    """Return records of responses for a list, the newest first."""
    bodies = [(msgspec.json.decode(record.body, type=_Body), record.previous) for record in records]
    newest = sorted(bodies, key=lambda found: found[0].created_at, reverse=True)
    return [
        StoredResponse(
            id=body.id,
            created_at=body.created_at,
            status=body.status,
            model=body.model,
            previous_response_id=previous,
            title=_title(body),
        )
        for body, previous in newest
    ]


def whole(record: Record, page: Page | None) -> WholeResponse:
    """Return one response with the items of its request.

    Args:
        record: The response.
        page: The first of these items.
    """
    items = page.items if page else ()
    return WholeResponse(
        response=Raw(record.body),
        input=[Raw(item.body) for item in items],
        has_more=page is not None and page.has_more,
    )


def _title(body: _Body) -> str:
    texts = (part.text for item in body.output if item.type == "message" for part in item.content)
    return " ".join(next(filter(None, texts), "").split())[:_TITLE]
