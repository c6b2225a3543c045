"""Checks a run's events: reads calls, cuts off stop sequences, and checks JSON against its schema."""

from collections.abc import Callable, Collection, Iterable, Iterator

from claude_relay.engine.custom_tools import ToolCalls
from claude_relay.engine.schema_checks import check
from claude_relay.engine.stop_sequences import StopSequences
from claude_relay.engine.vocabulary import Event, RunEnd, RunRequest, TextDelta, Tool, Usage


class OutputChecks:
    """Checks the events of one run against its request.

    Args:
        request: What was asked.
        tools: The client's tools, as the client offers them.
        usage: Tells the token counts so far, for an answer that ends before its run does.
    """

    def __init__(self, request: RunRequest, tools: Collection[Tool], usage: Callable[[], Usage]) -> None:
        self._stops = StopSequences(request.sampling.stop)
        self._output = request.output
        self._calls = ToolCalls(tools)
        self._changes_text = bool(request.sampling.stop) or request.output is not None
        self._changes = self._changes_text or bool(tools)
        self._usage = usage
        self._text: list[str] = []

    def feed(self, event: Event) -> Iterable[Event]:
        """Return what remains of an event. After a ``RunEnd`` there is nothing more to feed."""
        return self._finished(event) if self._changes else (event,)

    def _finished(self, event: Event) -> Iterator[Event]:
        match event:
            case TextDelta(text) if self._changes_text:
                yield from self._emit(self._stops.feed(text))
                if self._stops.found is not None:
                    yield RunEnd("stop_sequence", self._usage(), stop_sequence=self._stops.found)
            case RunEnd():
                yield from self._emit(self._stops.flush())
                yield from self._calls.feed(event)
            case _:
                yield from self._calls.feed(event)

    async def check(self, end: RunEnd) -> None:
        """Check a whole answer against its schema, if there is one. Await it before the end is passed on.

        What was cut off, also at the client's own stop sequence, need not be JSON.

        Raises:
            UpstreamError: The answer had to be JSON that fits a schema, and is not.
        """
        if self._output is not None and end.stop == "end":
            await check("".join(self._text), self._output)

    def _emit(self, text: str) -> Iterator[Event]:
        if text:
            if self._output is not None:
                self._text.append(text)
            yield TextDelta(text)
