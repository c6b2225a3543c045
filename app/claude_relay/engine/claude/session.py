"""One Claude Code process as a conversation partner: get it ready, configure it, ask it, interrupt it."""

import asyncio
import contextlib
import itertools
import logging
from typing import Any

import msgspec

from claude_relay.engine.claude import configuration, history, wire
from claude_relay.engine.claude.process import ChildProcess
from claude_relay.engine.vocabulary import RunRequest
from claude_relay.errors import UpstreamError
from claude_relay.settings import Personality

_log = logging.getLogger(__name__)

_PATIENCE = 0.2
"""Seconds that a process gets to take notice of an interrupt."""


class Session:
    """A child process that takes one question.

    Lines are read by whoever waits for them, so there is never more than one reader and no queue in between.

    Args:
        process: The child, just started.
        personality: What it was started as.
        model: The model it was started with.
        client_composed: Whether it takes lines marked as plain text.
    """

    def __init__(self, process: ChildProcess, personality: Personality, model: str, *, client_composed: bool) -> None:
        self.process = process
        self.personality: Personality = personality
        self.asking = False
        self._settings = configuration.defaults(model)
        self._texts = history.Texts(client_composed)
        self._ids = (f"relay-{number}" for number in itertools.count(1))

    @property
    def alive(self) -> bool:
        """Whether the process still runs, as far as is known."""
        return self.process.returncode is None

    async def ready(self) -> None:
        """Wait until the CLI answers at all, which is when its start-up is over.

        Raises:
            UpstreamError: It ended instead.
        """
        await self._write(self._control("get_binary_version"))
        while not isinstance(await self._next(), wire.ControlResponse):
            pass

    async def ask(self, request: RunRequest, hand_over: history.Strategy) -> None:
        """Configure the process for a request, put the history in place, and ask.

        The answer is what ``receive`` returns from here on, up to a ``Result``.

        Args:
            request: What to ask.
            hand_over: How the conversation gets into the process.

        Raises:
            InvalidRequestError: The strategy cannot hand this conversation over.
            UpstreamError: The process refused, or ended.
        """
        plan = hand_over(request, self._texts)
        await self._write(*self._configuration(request, plan))
        for batch in plan.past:
            await self._write(*batch)
            await self._turn_over()
        self.asking = True
        await self._write(*plan.question)

    async def receive(self) -> wire.Line:
        """Return the next line of the CLI; what it asks of the relay is answered on the way.

        Raises:
            UpstreamError: The process ended, or refused its configuration.
        """
        match line := await self._next():
            case wire.ControlResponse(wire.ControlReply(subtype="error", error=error)):
                raise UpstreamError(f"Claude Code refused its configuration: {error}", code="claude_refused")
            case wire.Other("result", reason):
                raise UpstreamError(f"Claude Code's result could not be read: {reason}", code="claude_unreadable")
            case wire.Result():
                self.asking = False
        return line

    async def cut_short(self) -> None:
        """See to it that nothing more is asked upstream, where the answer ended before the CLI's own turn did.

        Only a kill is quick enough to be sure; an agent, which may have tools running, is interrupted instead.
        """
        if self.asking and self.personality == "chat":
            self.process.kill()
        elif self.asking:
            await self.interrupt()

    async def interrupt(self) -> None:
        """Ask the CLI to stop its work, upstream and in tools; nothing happens if it is gone already."""
        with contextlib.suppress(UpstreamError, TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self._write(self._control("interrupt"))

    def _configuration(self, request: RunRequest, plan: history.Plan) -> list[wire.Outgoing]:
        """Only what differs from what is set already is set: it costs the CLI some 20 ms."""
        lines: list[wire.Outgoing] = [self._control("initialize", **configuration.initial(request))]
        wanted = configuration.settings(request, plan)
        if wanted != self._settings:
            self._settings = wanted
            lines += [self._control("apply_flag_settings", settings=wanted), wire.boundary()]
        return lines

    def _control(self, subtype: str, **fields: Any) -> wire.ControlLine:
        return wire.control(next(self._ids), subtype, **fields)

    async def _next(self) -> wire.Line:
        while True:
            match line := await self._read():
                case wire.ControlRequest(request_id, question):
                    _log.warning("claude[%d] asked for %r, which is unknown", self.process.pid, question.subtype)
                    await self._write(wire.refusal(request_id, f"claude-relay does not know {question.subtype!r}"))
                case _:
                    return line

    async def _turn_over(self) -> None:
        while not isinstance(await self.receive(), wire.Result):
            pass

    async def _write(self, *lines: wire.Outgoing) -> None:
        try:
            await self.process.write(wire.encode(lines))
        except ConnectionError:
            raise await self._gone() from None

    async def _read(self) -> wire.Line:
        while True:
            raw = await self.process.read_line()
            if raw is None:
                raise await self._gone()
            try:
                return wire.decode(raw)
            except msgspec.DecodeError:
                _log.warning("claude[%d] wrote %d bytes that are no JSON line", self.process.pid, len(raw))

    async def _gone(self) -> UpstreamError:
        last_words = await self.process.last_words()
        _log.error("claude[%d] ended unexpectedly; it last said: %s", self.process.pid, last_words or "-")
        return UpstreamError(
            "Claude Code ended before its answer was complete; the relay's log tells more.", code="claude_exited"
        )
