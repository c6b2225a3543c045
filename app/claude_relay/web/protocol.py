"""HTTP/1.1 for uvicorn: one request after the other, each with its own answer, and bounds for all that clients do."""

import asyncio
import contextvars
from collections import deque
from enum import Enum, auto
from typing import Any
from urllib.parse import unquote

import uvicorn
from uvicorn.protocols.utils import get_local_addr, get_remote_addr
from uvicorn.server import ServerState

from claude_relay.access.peers import unix_client
from claude_relay.errors import RelayError, RequestTimeoutError
from claude_relay.web.connections import EXTENSION, Connection, Connections
from claude_relay.web.dialect import dialect_at
from claude_relay.web.exchange import Exchange, refusal
from claude_relay.web.framing import LONGEST_HEAD, Boundary, Event, Head, RequestReader

LONGEST_WAIT = 60.0
"""Seconds that a request's head may take to come, and after it each piece of its body."""
LONGEST_STALL = 300.0
"""Seconds for which a client may take nothing of what waits for it."""

_HIGH_WATER = 64 * 1024
"""Bytes of an answer that wait to be sent together."""
_FIRST_PROBE, _LONGEST_PAUSE = 0.05, 10.0
"""Seconds between the looks whether a client that says nothing more is still there: each pause is twice the last."""
_LAST_CHANCE = 0.5
"""Seconds that an answer in HTTP/1.0 gets when its client says nothing more. Nothing can be sent to find out whether it
is gone, and a proxy that speaks HTTP/1.0 hangs up when its own client has left."""


class _Next(Enum):
    """What is due next on a connection."""

    FIRST = auto()
    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    REQUEST = auto()


class BoundedProtocol(asyncio.Protocol):
    """One connection.

    Requests may come one upon the other; the next is looked at when the last is answered. Heads, pauses and what is not
    yet answered are bounded, for a client may send for ever, send nothing, or read nothing.

    Args:
        config: The server's configuration, with the application.
        server_state: What the server's connections share.
        app_state: What the application has put into the state of its lifespan.
        connections: Counts connections, and says which is one too many.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        connections: Connections | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self._config = config
        self._server = server_state
        self._app_state = app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._connections = connections or Connections()
        self._context = contextvars.copy_context()
        self._shared = Connection()
        self._reader = RequestReader()
        self._ahead: deque[Event] = deque()
        self._exchange: Exchange | None = None
        self._ahead_size = 0
        self._unsent = bytearray()
        self._has_asked = self._says_no_more = self._is_paused = self._gathers = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._waits_for = _Next.ANSWER
        self._wait: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._probe: asyncio.TimerHandle | None = None

    # what the server's loop calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request, or tell that this is a connection too many."""
        self.transport = transport
        self._client = unix_client(transport) or get_remote_addr(transport)
        self._host = get_local_addr(transport)
        self._address = self._client[0] if self._client else None
        self._server.connections.add(self)  # type: ignore[arg-type] # it has what is asked of it
        if (error := self._connections.add(self._address)) is not None:
            self._refuse(error)
        else:
            self._expect_more()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Tell the running answer that the client is gone."""
        self._server.connections.discard(self)
        self._connections.remove(self._address)
        for timer in (self._stall, self._wait, self._probe):
            if timer is not None:
                timer.cancel()
        self._ahead.clear()
        self._writable.set()
        if self._exchange is not None:
            self._exchange.leave()

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        if self.transport.is_closing():
            return
        events = self._reader.feed(data)
        self._ahead.extend(events)
        self._advance()
        self._ahead_size = self._ahead_size + len(data) if self._ahead else 0
        if self._has_enough:
            self.pause()
        self._expect_more(has_come=bool(events))

    def eof_received(self) -> bool:
        """Keep the connection while an answer is due, although the client sends nothing more and may be gone."""
        if self._exchange is None or not self._exchange.is_whole:
            self._flush()
            return False
        self._says_no_more = True
        if self._exchange.may_be_probed:
            self._look_for_the_client(_FIRST_PROBE)
        else:
            self._probe = self._loop.call_later(_LAST_CHANCE, self._give_up_on_the_answer)
        return True

    def pause_writing(self) -> None:
        """Hold the answer back until the client has read what it got."""
        self._writable.clear()
        self._stall = self._loop.call_later(LONGEST_STALL, self._look_for_reads, self._untaken)

    def resume_writing(self) -> None:
        """Let the answer go on."""
        if self._stall is not None:
            self._stall.cancel()
        self._writable.set()

    def shutdown(self) -> None:
        """Serve nothing more than what is being answered; the server calls this when it stops."""
        if self._exchange is None:
            self.close()
        else:
            self._exchange.keeps_alive = False

    # what an exchange calls

    def write(self, data: bytes) -> None:
        """Send bytes of the answer at once, and what else is written until the loop's next turn together.

        Not all together: where a thread holds the interpreter, a turn of the loop may be a tenth of a second away.
        """
        if not self._gathers:
            self._gathers = True
            self._loop.call_soon(self._end_gathering)
            self.transport.write(data)
            return
        self._unsent += data
        if len(self._unsent) > _HIGH_WATER:
            self._flush()

    def write_soon(self, data: bytes) -> None:
        """Send bytes of the answer in the loop's next turn, together with what is written until then."""
        if not self._gathers:
            self._gathers = True
            self._loop.call_soon(self._end_gathering)
        self._unsent += data

    async def writable(self) -> None:
        """Wait until the client has taken enough of what was sent."""
        await self._writable.wait()

    def pause(self) -> None:
        """Read nothing more for now."""
        if not self._is_paused and not self.transport.is_closing():
            self._is_paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read on, unless more than enough came for later."""
        if self._is_paused and not self._has_enough and not self.transport.is_closing():
            self._is_paused = False
            self.transport.resume_reading()

    def close(self) -> None:
        """Hang up when everything is sent."""
        self._flush()
        self.transport.close()

    def _end_gathering(self) -> None:
        self._gathers = False
        self._flush()

    def _flush(self) -> None:
        if self._unsent and not self.transport.is_closing():
            self.transport.write(bytes(self._unsent))
        self._unsent.clear()

    def answered(self) -> None:
        """Go on with what comes next."""
        self._server.total_requests += 1
        self._flush()
        self._advance()
        self._ahead_size = self._ahead_size if self._ahead else 0
        self.resume()
        self._expect_more()

    # one request after the other

    @property
    def _has_enough(self) -> bool:
        return self._ahead_size > LONGEST_HEAD

    @property
    def _untaken(self) -> int:
        return len(self._unsent) + self.transport.get_write_buffer_size()

    def _advance(self) -> None:
        """Hand on what came, up to the end of the request that is being answered."""
        while not self.transport.is_closing():
            if self._exchange is not None and self._exchange.is_complete:
                if not self._exchange.keeps_alive:
                    self.close()
                    return
                if self._exchange.is_whole:
                    self._exchange = None
            if self._exchange is None and self._says_no_more and not self._is_owed:
                self.close()
            elif self._ahead and (self._exchange is None or not self._exchange.is_whole):
                self._hand_on(self._ahead.popleft())
            else:
                return

    @property
    def _is_owed(self) -> bool:
        """Whether a request that has arrived still needs an answer."""
        return any(isinstance(event, Boundary | RelayError) for event in self._ahead)

    def _hand_on(self, event: Event) -> None:
        match event:
            case Head():
                self._begin(event)
            case RelayError():
                self._refuse(event)
            case Boundary():
                self._current.end()
            case bytearray():
                self._current.take(event)

    @property
    def _current(self) -> Exchange:
        assert self._exchange is not None  # noqa: S101 - a body comes after a head
        return self._exchange

    def _begin(self, head: Head) -> None:
        path = head.path.decode("ascii")
        scope: Any = {
            "type": "http",
            "asgi": {"version": self._config.asgi_version, "spec_version": "2.3"},
            "http_version": head.version,
            "method": head.method,
            "scheme": "http",
            "root_path": "",
            "path": unquote(path) if "%" in path else path,
            "raw_path": head.path,
            "query_string": head.query,
            "headers": head.headers,
            "server": self._host,
            "client": self._client,
            "state": self._app_state.copy(),
            "extensions": {EXTENSION: self._shared},
        }
        self._has_asked = True
        app: Any = self._config.loaded_app
        dialect = dialect_at(app, scope["path"])
        self._exchange = Exchange(head, scope, self, self._server.default_headers, dialect)
        # not the context of the request before, whose task may be what leads here
        task = self._loop.create_task(self._exchange.run(app), context=self._context.copy())
        task.add_done_callback(self._server.tasks.discard)
        self._server.tasks.add(task)

    def _refuse(self, error: RelayError) -> None:
        """Send an error, unless it could be read as part of an answer or as the answer to another request."""
        if self._exchange is None or not self._exchange.has_begun:
            self.write(refusal(error, dialect_at(self._config.loaded_app, self._reader.path)))
        self.close()
        if self._exchange is not None:
            self._exchange.leave()

    # how long clients are waited for

    def _expect_more(self, *, has_come: bool = False) -> None:
        due, seconds = self._due()
        if due is self._waits_for and not has_come:
            return
        self._waits_for = due
        if self._wait is not None:
            self._wait.cancel()
        self._wait = None if seconds is None else self._loop.call_later(seconds, self._give_up)

    def _due(self) -> tuple[_Next, float | None]:
        """Return what is due next, and the seconds that it may take where it is the client who is waited for."""
        if self._exchange is not None:
            return (_Next.ANSWER, None) if self._exchange.is_whole else (_Next.BODY, LONGEST_WAIT)
        if self._reader.is_within_request:
            return _Next.HEAD, LONGEST_WAIT
        return (_Next.REQUEST, self._config.timeout_keep_alive) if self._has_asked else (_Next.FIRST, LONGEST_WAIT)

    def _give_up(self) -> None:
        if self._waits_for in {_Next.FIRST, _Next.REQUEST}:
            # a browser opens connections that it may need, and is not told anything on them
            self.close()
        else:
            self._refuse(
                RequestTimeoutError(f"The rest of the request did not arrive within {LONGEST_WAIT:g} seconds.")
            )

    def _give_up_on_the_answer(self) -> None:
        if self._exchange is not None and not self._exchange.is_complete:
            self.transport.abort()

    def _look_for_the_client(self, pause: float) -> None:
        """Send something now and then: a client that is gone refuses it, and then nothing can be sent any more."""
        if self._exchange is not None and not self.transport.is_closing():
            if not self._untaken:
                self._exchange.probe()
            self._probe = self._loop.call_later(pause, self._look_for_the_client, min(2 * pause, _LONGEST_PAUSE))

    def _look_for_reads(self, untaken: int) -> None:
        if self._untaken < untaken:
            self._stall = self._loop.call_later(LONGEST_STALL, self._look_for_reads, self._untaken)
        else:
            self.transport.abort()
