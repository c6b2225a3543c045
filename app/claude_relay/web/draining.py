"""Graceful shutdown: running answers get a grace period, then an error, and then the server stops.

uvicorn closes its port as soon as it hears a signal. So its signal handlers are put off: until all answers are over,
new requests are still taken, and told to go elsewhere.
"""

import asyncio
import contextlib
import logging
import multiprocessing
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from litestar import Request
from litestar.config.app import AppConfig
from litestar.datastructures import MutableScopeHeaders
from litestar.plugins import InitPlugin
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from claude_relay.errors import UnavailableError
from claude_relay.web.context import RequestContext, begin, context_of, has_begun
from claude_relay.web.jobs import Jobs

SERVE_WHILE_DRAINING = "serve_while_draining"
"""Key of a route's ``opt``: it is served to the very end."""

_RETRY_AFTER = 1.0
"""Seconds after which another relay, or this one started anew, is worth a try."""
_FLUSH_TIMEOUT = 1.0
"""Seconds that clients get to take their last frame."""
_ENDS = signal.SIGTERM
_SIGNALS = (signal.SIGINT, _ENDS)
_HANGUP = getattr(signal, "SIGHUP", None)
"""Ends the server as ``_ENDS`` does; servers themselves leave it alone."""
_log = logging.getLogger(__name__)

Handler = Callable[[int, FrameType | None], Any]


def is_draining(request: Request[Any, Any, Any]) -> bool:
    """Whether the server is about to stop."""
    return context_of(request.scope).is_draining


class Draining(InitPlugin):
    """Delays the server's end until its answers are complete.

    Args:
        grace_period: Seconds that running answers get.
        jobs: Work without requests, which gets as long.
    """

    def __init__(self, grace_period: float, jobs: Jobs) -> None:
        self._grace_period = grace_period
        self._jobs = jobs
        jobs.on_idle = self._end_if_idle
        self._answers: set[_Answer] = set()
        self._handlers: dict[int, Handler] = {}
        self._replaced: dict[int, signal.Handlers | Handler | int | None] = {}
        self._heard: set[int] = set()
        self._force = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def has_begun(self) -> bool:
        """Whether the server is about to stop."""
        return self._task is not None

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Watch signals while the application runs."""
        app_config.before_send.append(self._note)
        app_config.on_startup.append(self._listen)
        app_config.on_shutdown.append(self._stop_listening)
        return app_config

    def begin(self, number: int = signal.SIGTERM) -> None:
        """Begin to drain; the same signal a second time is the end of all grace.

        It has to be the same: a Ctrl-C reaches every worker, and their supervisor then sends each a SIGTERM.
        """
        if number in self._heard:
            self._force.set()
        self._heard.add(number)
        if self._task is None:
            self._task = asyncio.create_task(self._drain(number))

    async def _drain(self, number: int) -> None:
        if running := len(self._answers) + len(self._jobs):
            _log.info("stopping: %d answers get up to %g seconds", running, self._grace_period)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._grace_period):
                    await self._force.wait()
        told: list[asyncio.Task[Any]] = [answer.interrupt() for answer in self._answers]
        if unfinished := len(told) + len(self._jobs):
            _log.warning("stopping: %d answers were not complete", unfinished)
            await asyncio.wait([*told, asyncio.create_task(self._jobs.stop())], timeout=2 * _FLUSH_TIMEOUT)
        if handler := self._handlers.get(number):
            handler(number, None)

    def _listen(self) -> None:
        """Stand before the server's own handlers, if it is a server that has any and signals come here at all."""
        if threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            if callable(handler := signal.getsignal(number)):
                self._stand_before(number, handler, loop)
        if _HANGUP is not None and _ENDS in self._handlers and signal.getsignal(_HANGUP) != signal.SIG_IGN:
            self._stand_before(_HANGUP, self._handlers[_ENDS], loop)
        supervisor = multiprocessing.parent_process()
        if supervisor is not None and self._handlers:
            loop.add_reader(supervisor.sentinel, self._orphaned, supervisor.sentinel)

    def _stand_before(self, number: int, handler: Handler, loop: asyncio.AbstractEventLoop) -> None:
        self._handlers[number] = handler
        self._replaced[number] = signal.getsignal(number)
        signal.signal(number, lambda heard, _: loop.call_soon_threadsafe(self.begin, heard))

    def _orphaned(self, sentinel: int) -> None:
        _log.warning("the server's supervisor is gone")
        asyncio.get_running_loop().remove_reader(sentinel)
        self.begin()

    def _stop_listening(self) -> None:
        for number, handler in self._replaced.items():
            signal.signal(number, handler)

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """Watch the requests of a route."""

        async def drained(scope: Scope, receive: Receive, send: Send) -> None:
            context = begin(scope)
            context.is_draining = self._task is not None
            if context.is_draining and SERVE_WHILE_DRAINING not in scope["route_handler"].opt:
                raise _refusal()
            answer = _Answer(context, asyncio.current_task())
            self._answers.add(answer)
            try:
                await app(scope, receive, send)
            except asyncio.CancelledError:
                if not answer.interrupted:
                    raise
                await answer.send_error(send)
            finally:
                self._answers.discard(answer)
                self._end_if_idle()

        return drained

    def _end_if_idle(self) -> None:
        if self._task is not None and not self._answers and not self._jobs:
            self._force.set()

    async def _note(self, message: Message, scope: Scope) -> None:
        """See what becomes of an answer, and keep no connection whose next request could only be refused."""
        if message["type"] != "http.response.start":
            return
        headers = MutableScopeHeaders.from_message(message)
        if has_begun(scope):
            context_of(scope).is_answered = True
        if self._task is not None:
            headers["connection"] = "close"


class _Answer:
    """An answer that is being given.

    Attributes:
        interrupted: Whether it was stopped because the server stops.
    """

    def __init__(self, context: RequestContext, task: asyncio.Task[Any] | None) -> None:
        self._context = context
        self._task = task
        self.interrupted = False

    def interrupt(self) -> asyncio.Task[Any]:
        """Stop the answer, unless it is complete and only being sent."""
        assert self._task is not None  # noqa: S101 - a request is always served by a task
        is_complete = self._context.is_answered and self._context.report_error is None
        if not is_complete and not self.interrupted:
            self.interrupted = True
            self._task.cancel()
        return self._task

    async def send_error(self, send: Send) -> None:
        """Report the error to the client: as a response, or inside its stream.

        Raises:
            UnavailableError: Nothing has been sent, so that this can be the answer.
        """
        assert self._task is not None  # noqa: S101 - as above
        self._task.uncancel()
        broken = UnavailableError("The relay was stopped before the answer was complete.", code="shutting_down")
        report_error = self._context.report_error
        if not self._context.is_answered or report_error is None:
            raise broken
        self._context.fields["error"] = broken.code
        # a client that reads nothing any more keeps nobody waiting
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_TIMEOUT):
                await send({"type": "http.response.body", "body": report_error(broken), "more_body": False})


def _refusal() -> UnavailableError:
    return UnavailableError(
        "The relay is shutting down. Please try again.",
        code="shutting_down",
        retry_after=_RETRY_AFTER,
        should_retry=True,
    )
