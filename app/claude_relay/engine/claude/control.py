"""The control channel of one Claude Code process: writes and reads lines, and answers the CLI's control requests.

Lines are read by whoever waits for them, so there is never more than one reader and no queue in between.
"""

import itertools
import logging
from collections.abc import Collection
from typing import Any

import msgspec

from claude_relay.engine.claude import outgoing, tools, wire
from claude_relay.engine.claude.causes import causes
from claude_relay.engine.claude.process import ChildProcess
from claude_relay.engine.vocabulary import Tool
from claude_relay.errors import UpstreamError

_log = logging.getLogger(__name__)

_MOST_NOISE = 100
"""Lines in a row that may be no JSON; somebody's hook may print a few."""


class ProcessGoneError(UpstreamError):
    """The process has ended unexpectedly.

    Attributes:
        last_words: What it said last, for the operator.
    """

    last_words = ""
    default_code = "claude_exited"


class ControlChannel:
    """Writes lines to a process and reads its lines.

    Args:
        process: The child.
        asks: Whether its questions about permissions are passed on; otherwise they are refused.

    Attributes:
        tools: The client's tools of the present request; calls of them are left to the client.
        is_bound: Whether it was told anything of a client's, which it may then repeat.
    """

    def __init__(self, process: ChildProcess, *, asks: bool = False) -> None:
        self.tools: Collection[Tool] = ()
        self.is_bound = False
        self._process = process
        self._asks = asks
        self._end_logged = False
        self._ids = (f"relay-{number}" for number in itertools.count(1))

    def request(self, subtype: str, **fields: Any) -> outgoing.ControlLine:
        """Return a control request with an id of its own."""
        return outgoing.control(next(self._ids), subtype, **fields)

    async def write(self, *lines: outgoing.Line) -> None:
        """Write lines.

        Raises:
            ProcessGoneError: The process no longer reads.
        """
        try:
            await self._process.write(outgoing.encode(lines))
        except ConnectionError:
            raise await self._gone() from None

    async def read(self) -> wire.Line:
        """Return the next line; control requests of the CLI are answered, but for those that are passed on.

        Raises:
            ProcessGoneError: The process has ended.
            UpstreamError: It writes what cannot be read.
        """
        while isinstance(line := await self._line(), wire.ControlRequest) and not self._is_passed_on(line):
            await self.write(self._answer(line.request_id, line.request))
        return line

    def _is_passed_on(self, line: wire.ControlRequest) -> bool:
        return self._asks and line.request.subtype == wire.PERMISSION

    async def _line(self) -> wire.Line:
        for _ in range(_MOST_NOISE):
            raw = await self._process.read_line()
            if raw is None:
                raise await self._gone()
            try:
                return wire.decode(raw)
            except msgspec.DecodeError:
                _log.warning("claude[%d] wrote %d bytes that are no JSON line", self._process.pid, len(raw))
                if wire.must_be_read(raw):
                    break
        raise UpstreamError("Claude Code writes lines that are not JSON.", code="claude_unreadable")

    def _answer(self, request_id: str, question: wire.ControlQuestion) -> outgoing.Line:
        """The CLI waits for an answer to whatever it asks, so everything gets one."""
        match question.subtype:
            case "mcp_message":
                return outgoing.answer(request_id, tools.mcp_reply(question.message, self.tools))
            case "hook_callback":
                return outgoing.answer(
                    request_id, tools.hook_reply(wire.hook_input(question.input).tool_name, self.tools)
                )
            case unknown:
                _log.warning("claude[%d] asked for %r, which is unknown", self._process.pid, unknown)
                return outgoing.refusal(request_id, f"claude-relay does not know {unknown!r}")

    async def _gone(self) -> ProcessGoneError:
        last_words = await self._process.last_words()
        shown = causes(last_words) if self.is_bound else last_words or "-"
        pid, code = self._process.pid, self._process.returncode
        if not self._process.dismissed and not self._end_logged:
            _log.error("claude[%d] ended unexpectedly, with code %s; its last output: %s", pid, code, shown)
            self._end_logged = True
        gone = ProcessGoneError("Claude Code ended before its answer was complete; the relay's log has the details.")
        gone.last_words = shown
        return gone
