"""The tools of one run that wait for permission: what the CLI asks, and how it is told what was decided."""

import os
import time
from collections.abc import Iterable, Iterator
from functools import partial

from claude_relay import logs
from claude_relay.engine.approvals import Approval, Approvals
from claude_relay.engine.claude import wire
from claude_relay.engine.claude.session import Session
from claude_relay.engine.claude.translate import Translator
from claude_relay.engine.vocabulary import ApprovalRequested, RunPaused, RunRequest


class Permissions:
    """What one run asks.

    Args:
        approvals: Where it waits for decisions.
        session: The session that asks.
        request: What it answers.
    """

    def __init__(self, approvals: Approvals, session: Session, request: RunRequest) -> None:
        self._approvals = approvals
        self._session = session
        self._request = request
        self._asked: dict[str, str] = {}
        self._is_new = False

    def feed(self, line: wire.Line, translator: Translator) -> Iterable[ApprovalRequested | RunPaused]:
        """Take a line of the CLI, and return what it asks for, and whether the run waits from here on.

        It does not wait while the model still writes: what it writes may be further calls.

        Args:
            line: The line.
            translator: Has translated it.
        """
        if not self._is_new and isinstance(line, wire.StreamEvent):
            # by far the most
            return ()
        return self._news(line, translator)

    def _news(self, line: wire.Line, translator: Translator) -> Iterator[ApprovalRequested | RunPaused]:
        match line:
            case wire.ControlRequest():
                yield self._ask(line)
            case wire.ControlCancel(request_id) if request_id in self._asked:
                self._approvals.cancel(self._asked.pop(request_id))
        if self._is_new and not translator.in_message:
            self._is_new = False
            if any(map(self._approvals.is_waiting, self._asked.values())):
                yield RunPaused(translator.usage)

    def _ask(self, line: wire.ControlRequest) -> ApprovalRequested:
        question = line.request
        approval = Approval(
            id=f"mcpr_{os.urandom(16).hex()}",
            caller=self._request.caller,
            tool=question.tool_name,
            arguments=wire.tool_input(question.input),
            model=self._request.model,
            created_at=int(time.time()),
            request_id=logs.request_id.get(),
        )
        self._approvals.ask(approval, partial(self._session.permit, line))
        self._asked[line.request_id] = approval.id
        self._is_new = True
        return ApprovalRequested(approval.id, question.tool_use_id, approval.tool, approval.arguments)

    def close(self) -> None:
        """Wait no more."""
        self._approvals.withdraw(self._asked.values())
