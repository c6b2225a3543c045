"""The routes of ``/approvals``."""

from typing import Any

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, SkipValidation

from claude_relay.approvals import outbound, schemas
from claude_relay.engine.approvals import Approvals
from claude_relay.engine.vocabulary import Decision
from claude_relay.web.auth_middleware import require_caller
from claude_relay.web.controller import WireController, failures


class ApprovalsController(WireController):
    """Tools of agents that wait for their caller's permission."""

    path = "/approvals"
    tags = ("Approvals",)

    @get(
        operation_id="listApprovals",
        summary="List what waits for permission",
        response_description="What waits, the oldest first.",
        responses=failures(s401="The caller has no key."),
    )
    async def list_approvals(
        self, request: Request[Any, Any, Any], approvals: NamedDependency[SkipValidation[Approvals]]
    ) -> schemas.ApprovalList:
        """Return the tools that wait in answers to the caller's own requests."""
        return outbound.listed(approvals.of(require_caller(request.scope).identity))

    @post(
        "/{approval_id:str}",
        status_code=200,
        operation_id="decideApproval",
        summary="Permit or deny the use of a tool",
        response_description="What was decided.",
        responses=failures(
            s400="It is no decision, or belongs to a response that has ended.",
            s401="The caller has no key.",
            s404="Nothing like that waits in an answer to a request of the caller's.",
        ),
    )
    async def decide_approval(
        self,
        request: Request[Any, Any, Any],
        approval_id: FromPath[str],
        data: JSONBody[schemas.Answer],
        approvals: NamedDependency[SkipValidation[Approvals]],
    ) -> schemas.Decided:
        """Decide once. The answer that waits goes on at once."""
        decision = Decision(approval_id, data.approve, data.reason or "")
        await approvals.decide(require_caller(request.scope).identity, decision)
        return schemas.Decided(approval_id, data.approve)
