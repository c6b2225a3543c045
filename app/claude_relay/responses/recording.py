"""A response that is kept while it is written: its record, the log of its events, and whether it is still wanted.

What is streamed to a client costs one write, at its end, if that comes soon. A longer answer is written down now and
then, so that it can be found when the relay is lost; and more often from when on nobody listens, as others may follow
it then.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from msgspec.structs import replace

from claude_relay.errors import ClientDisconnectedError, UnavailableError
from claude_relay.responses import answer
from claude_relay.responses.archive import LEASE, Archive
from claude_relay.responses.events import ResponseEvent
from claude_relay.responses.replay import logged
from claude_relay.store.protocol import Event, Item, Lease
from claude_relay.web.disconnects import cancel_after

FIRST_WRITE = 1.0
"""Seconds after which an answer with a client is written down for the first time."""
ATTENDED = LEASE / 4
"""Seconds from one time to the next."""
UNATTENDED = 0.25
"""The same where nobody listens: how late others learn what is written, and the worker that it is to cancel."""
_log = logging.getLogger(__name__)


class Recording:
    """The record of one response, for its one worker.

    Args:
        archive: Where it is kept.
        begun: The response of which nothing but the request is known yet.
        inputs: The items of its request.
        outputs: Returns the items of the answer so far, with more than the response may tell.

    Attributes:
        is_unwanted: Whether the work on it was to end before it was complete.
    """

    def __init__(
        self,
        archive: Archive,
        begun: answer.Response,
        inputs: tuple[Item, ...],
        outputs: Callable[[], Sequence[answer.OutputItem]],
    ) -> None:
        self._archive = archive
        self._begun = begun
        self._inputs = inputs
        self._outputs = outputs
        self._unwritten: list[Event] = []
        self._writing = asyncio.Lock()
        self._is_open = self._is_over = False
        self._timer: asyncio.TimerHandle | None = None
        self._attending: asyncio.Task[None] | None = None
        self.is_unwanted = False

    @property
    def is_left_open(self) -> bool:
        """Whether others take the response for one that is being worked on."""
        return self._is_open and not self._is_over

    def attend(self) -> None:
        """Write the response down now and then, while its client listens."""
        self._timer = asyncio.get_running_loop().call_later(FIRST_WRITE, self._attend)

    def add(self, event: Event) -> None:
        """Add an event to the log, with the next write."""
        self._unwritten.append(event)

    async def open(self) -> None:
        """Make the record, so that others find it.

        Raises:
            UnavailableError: The store cannot be used.
        """
        # also where this is cancelled in the middle: then it may be there
        self._is_open = True
        try:
            await self._archive.begin(self._begun, self._inputs)
        except UnavailableError:
            self._is_open = False
            raise
        await self._flush()

    async def until_unwanted(self) -> None:
        """Keep a response that nobody listens to, until it is cancelled, deleted, or given up by who reads this."""
        await self._write_each(UNATTENDED)
        self.is_unwanted = True

    async def while_wanted(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work on a response that nobody listens to, until it is complete or unwanted."""
        with contextlib.suppress(ClientDisconnectedError):
            await cancel_after(self.until_unwanted(), work)

    async def departed(self, seconds: float) -> None:
        """Let a response whose client has left go on in the background, and return when the work on it is to end.

        Args:
            seconds: How long it goes on if nobody asks for it.
        """
        async with self._writing:
            self._stop_attending()
        if seconds > 0:
            self._begun = replace(self._begun, background=True)
            try:
                await self._go_on(seconds)
            except UnavailableError as error:
                _log.warning("a response whose client has left is given up. %s", error.message)
        self.is_unwanted = True

    async def _go_on(self, seconds: float) -> None:
        if self._is_open:
            await self._archive.update(self._begun)
        try:
            async with asyncio.timeout(seconds):
                return await self.until_unwanted()
        except TimeoutError:
            if await self._archive.is_wanted(self._begun.id):
                await self.until_unwanted()

    async def keep(self, response: answer.Response) -> answer.Response:
        """Keep a response that is complete before anybody has heard of it, and return it as the client gets it."""
        return await self._archive.keep(response, self._inputs, self._outputs())

    async def finish(self, event: ResponseEvent) -> ResponseEvent:
        """Keep a response that is complete, and return its last event as the client gets it.

        Args:
            event: The last event, which has the whole response.
        """
        async with self._writing:
            self._stop_attending()
            self._is_over = True
            if not self._is_open:
                return replace(event, response=await self.keep(event.response))
            event = replace(event, response=replace(event.response, background=self._begun.background))
            self.add(logged(event))
            try:
                await self._flush()
                await self._archive.complete(event.response, self._outputs())
            except UnavailableError as error:
                _log.warning("a response was not kept. %s", error.message)
                return replace(event, response=replace(event.response, store=False))
            return event

    def close(self) -> None:
        """Write nothing more now and then."""
        self._stop_attending()

    def _attend(self) -> None:
        self._attending = asyncio.create_task(self._write_each(ATTENDED))

    async def _write_each(self, seconds: float) -> None:
        """Write down what is new, again and again, until somebody asks to cancel or the record is lost."""
        while True:
            if await self._write() != "held":
                return
            await asyncio.sleep(seconds)

    def _stop_attending(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._attending is not None:
            self._attending.cancel()

    async def _write(self) -> Lease:
        """Write down what is new, and tell whether to go on."""
        async with self._writing:
            if self._is_over:
                return "held"
            try:
                if not self._is_open:
                    await self.open()
                await self._flush()
                return await self._archive.renew(self._begun.id)
            except UnavailableError as error:
                # the answer is worth more than its record
                _log.warning("a response is not kept for now. %s", error.message)
                return "held"

    async def _flush(self) -> None:
        """Write events down; cancelled in the middle, it may write some again, which changes nothing."""
        if events := tuple(self._unwritten):
            await self._archive.append(self._begun.id, events)
            del self._unwritten[: len(events)]
