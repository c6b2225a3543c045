"""A response on its way to its client: from who writes it, or from the log of what is written elsewhere."""

from collections.abc import AsyncIterator, Iterable, Iterator

from claude_relay.engine.fanout import Indexed
from claude_relay.errors import RelayError, UnavailableError
from claude_relay.responses import answer, failures
from claude_relay.responses.archive import Archive
from claude_relay.responses.events import KeepAliveEvent, ResponseEvent, StreamEvent
from claude_relay.responses.outbound import ResponseInProgress
from claude_relay.responses.recording import Recording
from claude_relay.responses.replay import ENDS
from claude_relay.store.protocol import Event
from claude_relay.web.frames import frame


class Telling:
    """A response that is written here. It is kept before its client learns that it is complete.

    Args:
        response: The response.
        recording: What keeps it; None if it is not kept.
        resume_timeout: Seconds for which it is worked on after the client of its stream has left.
    """

    def __init__(self, response: ResponseInProgress, recording: Recording | None, resume_timeout: float) -> None:
        self._response = response
        self._recording = recording
        self._resume_timeout = resume_timeout
        self._failure: tuple[StreamEvent, ...] = ()

    async def whole(self, events: AsyncIterator[Indexed]) -> answer.Response:
        """Return the whole response."""
        response = await self._response.whole(events)
        return response if self._recording is None else await self._recording.keep(response)

    async def queue(self) -> None:
        """Keep the response as one in the background, that is about to be worked on.

        Raises:
            UnavailableError: The store cannot be used.
        """
        if self._recording is not None:
            for event in self._response.queued():
                self._sent(event)
            await self._recording.open()

    def first(self) -> Iterator[bytes]:
        """Yield the events that a stream begins with; what is in the background has begun before."""
        if self._response.begun.background:
            return
        if self._recording is not None:
            self._recording.attend()
        for event in self._response.first():
            yield self._sent(event)

    async def frames(self, events: AsyncIterator[Indexed]) -> AsyncIterator[bytes]:
        """Yield the other events; the last one has the whole response, which from then on can be gone on from."""
        if self._response.begun.background:
            yield self._sent(self._response.in_progress())
        async for event in self._response.events(events):
            if isinstance(event, ResponseEvent) and event.type in ENDS and self._recording is not None:
                event = await self._recording.finish(event)  # noqa: PLW2901
                yield frame(event, event.type)
            else:
                yield self._sent(event)

    def keep_alive(self) -> bytes:
        """Return an event that says that the stream goes on; it is not kept."""
        event = self._response.keep_alive()
        return frame(event, event.type)

    async def keep_failure(self, error: RelayError) -> None:
        """Keep a response that has failed."""
        if self._recording is not None:
            told, end = self._response.failed(error)
            self._sent(told)
            self._failure = (told, await self._recording.finish(end))

    def failed(self, error: RelayError) -> Iterable[bytes]:
        """Yield the events that end a stream that has failed."""
        for event in self._failure or self._response.failed(error):
            yield frame(event, event.type)

    async def departed(self) -> None:
        """Wait for as long as the work goes on though the client of the stream has left."""
        if self._recording is not None:
            await self._recording.departed(self._resume_timeout)

    async def closed(self) -> None:
        """Keep a response as it is, when the work on it has ended before its end."""
        if self._recording is None:
            return
        self._recording.close()
        if self._recording.is_left_open and self._recording.is_unwanted:
            await self._recording.finish(self._response.cancelled())
        elif self._recording.is_left_open:
            stopped = UnavailableError("The relay was stopped before the answer was complete.", code="shutting_down")
            await self.keep_failure(stopped)

    def _sent(self, event: StreamEvent) -> bytes:
        data = frame(event, event.type)
        if self._recording is not None:
            self._recording.add(Event(event.sequence_number, data))
        return data


class Follower:
    """A response that is written elsewhere, or was, as its log tells it.

    Args:
        archive: Where it is kept.
        response_id: Its id.
        after: The number of the event to go on behind.
    """

    def __init__(self, archive: Archive, response_id: str, after: int) -> None:
        self._archive = archive
        self._response_id = response_id
        self._last = after

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield the events, until the last."""
        async for event in self._archive.events(self._response_id, self._last):
            self._last = event.sequence_number
            yield event.data

    def keep_alive(self) -> bytes:
        """Return an event that says that the stream goes on; its number moves nobody's place in it."""
        event = KeepAliveEvent(max(self._last, 0))
        return frame(event, event.type)

    def failed(self, error: RelayError) -> Iterable[bytes]:
        """Yield what ends a stream that cannot be read to its end."""
        event = failures.error_event(error, self._last + 1)
        yield frame(event, event.type)
