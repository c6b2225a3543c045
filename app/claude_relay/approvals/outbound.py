"""What waits for permission -> as clients see it. Pure."""

from collections.abc import Iterable

from claude_relay.approvals import schemas
from claude_relay.engine.approvals import Approval


def listed(approvals: Iterable[Approval]) -> schemas.ApprovalList:
    """Return a list of what waits."""
    return schemas.ApprovalList([shown(approval) for approval in approvals])


def shown(approval: Approval) -> schemas.Approval:
    """Return something that waits, without whose it is."""
    return schemas.Approval(
        id=approval.id,
        name=approval.tool,
        arguments=approval.arguments,
        model=approval.model,
        created_at=approval.created_at,
        request_id=approval.request_id,
    )
