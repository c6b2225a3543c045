"""What is known of a request while it is served: one object for each, which all that serves it shares."""

import os
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

from litestar.types import Scope
from msgspec import Struct

from claude_relay import logs
from claude_relay.access.policy import Caller
from claude_relay.engine.vocabulary import RunEnd, RunRequest, RunStarted
from claude_relay.errors import RelayError
from claude_relay.web.parameters import Question

_KEY = "claude_relay"
_SANE = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


class Asked(Struct):
    """What the engine was asked for a request, and what came of it.

    Attributes:
        model: The model, as the engine takes it.
        answers: How many answers were asked for.
        at: When, by ``time.perf_counter``.
        begun: How each answer began, of those that have.
        ends: How each answer ended, of those that have.
        seconds_to_first_event: From the request's beginning to the first of an answer; None if there was none.
    """

    model: str
    answers: int
    at: float
    begun: Sequence[RunStarted] = ()
    ends: Sequence[RunEnd] = ()
    seconds_to_first_event: float | None = None


class RequestContext(Struct):
    """What is known of a request so far.

    Attributes:
        id: Its id, in log lines and in its response.
        began: When it came, by ``time.perf_counter``.
        caller: Who calls; None for a stranger, whom open paths answer too.
        request: What the client sent, once its body was read.
        question: What that asks.
        asked: What the engine was asked, once it was.
        traced: Returns a run that belongs to the trace of the request, if that has one.
        fields: What the access log tells of it.
        is_draining: Whether the server was about to stop when it came.
        is_answered: Whether its response has begun.
        is_background: Whether it is not the request itself, but work that goes on after its response.
        note_asked: Takes note that the engine is asked.
        log_end: Writes the line in the access log when it is over.
        report_error: Returns what reports an error inside that response; None if it is complete and only being sent.
    """

    id: str
    began: float
    caller: Caller | None = None
    request: Any = None
    question: Question | None = None
    asked: Asked | None = None
    traced: Callable[[RunRequest], RunRequest] = lambda run: run
    fields: dict[str, Any] = {}
    is_draining: bool = False
    is_answered: bool = False
    is_background: bool = False
    note_asked: Callable[["RequestContext"], None] = lambda _: None
    log_end: Callable[["RequestContext"], None] = lambda _: None
    report_error: Callable[[RelayError], bytes] | None = None

    @property
    def elapsed_ms(self) -> int:
        """Milliseconds since the request came."""
        return round(1000 * (time.perf_counter() - self.began))


def begin(scope: Scope) -> RequestContext:
    """Return the context of a request, which begins with the first call.

    The request's id is the client's own if it sent a sane one. It is in a ``ContextVar`` too, for log records: they are
    made where no scope is known, in the engine and in libraries.
    """
    state = scope["state"]
    if _KEY not in state:
        state[_KEY] = RequestContext(_id(scope), time.perf_counter())
        logs.request_id.set(state[_KEY].id)
    return context_of(scope)


def in_background(context: RequestContext) -> RequestContext:
    """Return the context of work that goes on after the response to a request."""
    named = ("method", "path", "caller")
    return RequestContext(
        context.id,
        time.perf_counter(),
        context.caller,
        fields={name: context.fields[name] for name in named if name in context.fields},
        is_background=True,
        note_asked=context.note_asked,
        log_end=context.log_end,
    )


def has_begun(scope: Scope) -> bool:
    """Whether a request has a context: those for routes of others, in somebody else's application, have none."""
    return _KEY in scope["state"]


def context_of(scope: Scope) -> RequestContext:
    """Return the context of a request that has begun."""
    context: RequestContext = scope["state"][_KEY]
    return context


def _id(scope: Scope) -> str:
    sent = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return sent.decode() if _SANE.fullmatch(sent) else f"req_{os.urandom(16).hex()}"
