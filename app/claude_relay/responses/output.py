"""Engine events -> the items of an answer, and the events that tell of them. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec
from msgspec.structs import replace

from claude_relay.engine.structured_output import JsonStart
from claude_relay.engine.vocabulary import (
    ApprovalRequested,
    Event,
    RedactedThinking,
    RunEnd,
    TextDelta,
    ThinkingBlock,
    ThinkingDelta,
    ThinkingEnd,
    ToolActivity,
    ToolCallDelta,
    ToolCallStart,
    ToolOutcome,
)
from claude_relay.responses.answer import McpApprovalRequestItem, OutputItem, Phase, unsigned
from claude_relay.responses.events import StreamEvent
from claude_relay.responses.functions import ClientTool
from claude_relay.responses.open_items import (
    Ending,
    OpenCustomToolCall,
    OpenFunctionCall,
    OpenItem,
    OpenMcpCall,
    OpenMessage,
    OpenReasoning,
    OpenToolSearch,
    OpenWebSearch,
    OpenWork,
    Place,
)

_DECLINED = "The model declined to answer."
_SEPARATOR = "\n\n"
_WEB_SEARCH = "WebSearch"
"""Claude Code's tool that searches the web."""


class Output:
    """The items of one answer: one is written at a time, and ends where something else begins.

    Tools of Claude Code's own go on while others are written, until their outcomes come.

    Args:
        token: Makes the items' ids unique.
        number: Returns the number of the next event.
        tools: The client's tools, by the names that the model knows.
        structured: Whether the answer is JSON, so that a refusal must not stand where JSON is expected.
        reasoning: Whether the model's thinking is shown.
        signed: Whether the client gets it with its signatures.
    """

    def __init__(
        self,
        token: str,
        number: Callable[[], int],
        tools: Mapping[str, ClientTool],
        *,
        structured: bool,
        reasoning: bool,
        signed: bool,
    ) -> None:
        self._token = token
        self._number = number
        self._tools = tools
        self._start = JsonStart() if structured else None
        self._reasoning = reasoning
        self._signed = signed
        self._done: dict[int, OutputItem] = {}
        self._open: OpenItem | None = None
        self._working: dict[str, OpenWork] = {}
        self._begun = 0
        self._spoke = self._is_separated = False

    @property
    def items(self) -> list[OutputItem]:
        """The items as the client sees them, as far as they are written."""
        return self.kept if self._signed else [unsigned(item) for item in self.kept]

    @property
    def kept(self) -> list[OutputItem]:
        """The items with all that the conversation goes on with."""
        found = {**self._done, **{work.place.index: work.whole(None) for work in self._working.values()}}
        if self._open is not None:
            found[self._open.place.index] = self._open.whole("incomplete", "commentary")
        return [found[index] for index in sorted(found)]

    def feed(self, event: Event) -> Iterable[StreamEvent]:
        """Return what an event of the engine adds, most often one event."""
        if isinstance(event, TextDelta):
            text = event.text if self._start is None else self._start.feed(event.text)
            return self._text(text) if text else ()
        return self._others(event)

    def _others(self, event: Event) -> Iterator[StreamEvent]:
        match event:
            case ThinkingDelta(piece) if self._reasoning:
                if not isinstance(self._open, OpenReasoning):
                    yield from self._begin(self._new_reasoning())
                yield from self._add(piece)
            case ThinkingEnd(signature) if self._reasoning and signature:
                item = self._open if isinstance(self._open, OpenReasoning) else self._new_reasoning()
                yield from self._end_reasoning(item, item.signed_by(signature))
            case RedactedThinking() if self._reasoning:
                yield from self._end_reasoning(self._new_reasoning(), event)
            case ToolCallStart(call_id, name):
                yield from self._begin(self._call(call_id, name))
            case ToolCallDelta(piece):
                yield from self._add(piece)
            case ToolActivity() | ToolOutcome() | ApprovalRequested():
                yield from self._agents_work(event)
            case RunEnd():
                yield from self._end_all(event)

    def _agents_work(self, event: ToolActivity | ToolOutcome | ApprovalRequested) -> Iterator[StreamEvent]:
        match event:
            case ToolActivity():
                yield from self._separate()
                yield from self._end("completed", "commentary")
                work = self._working[event.id] = self._work(event)
                yield from work.begin()
            case ToolOutcome(call_id) if call_id in self._working:
                yield from self._end_work(call_id, event)
            case ApprovalRequested():
                yield from self._approval(event)

    def _new_reasoning(self) -> OpenReasoning:
        return OpenReasoning(self._place("rs"), signed=self._signed)

    def _end_reasoning(self, item: OpenReasoning, block: ThinkingBlock) -> Iterator[StreamEvent]:
        if item is not self._open:
            yield from self._begin(item)
        item.hold(block)
        yield from self._end("completed", "commentary")

    def _text(self, text: str) -> Iterator[StreamEvent]:
        self._spoke = True
        if self._is_separated:
            self._is_separated, text = False, text.removeprefix(_SEPARATOR)
        if not isinstance(self._open, OpenMessage):
            yield from self._begin(OpenMessage(self._place("msg")))
        yield from self._add(text)

    def _separate(self) -> Iterator[StreamEvent]:
        """Set a text apart from what follows the agent's work: SDKs join the texts of all messages.

        The engine does it at the beginning of the later one, which would not look well where that stands alone.
        """
        if isinstance(self._open, OpenMessage) and not self._open.ends_line:
            self._is_separated = True
            yield from self._open.add(_SEPARATOR)

    def _end_all(self, end: RunEnd) -> Iterator[StreamEvent]:
        held = "" if self._start is None else self._start.flush()
        if end.stop == "refusal" and (self._start is not None or not self._spoke):
            yield from self._refusal(held or _DECLINED)
        elif end.stop == "refusal":
            yield from self._refusal(_DECLINED)
        elif held:
            yield from self._text(held)
        yield from self._end("incomplete" if end.stop in {"length", "context_window"} else "completed", "final_answer")
        for call_id in tuple(self._working):
            yield from self._end_work(call_id, None)

    def _refusal(self, text: str) -> Iterator[StreamEvent]:
        message = self._open
        if not isinstance(message, OpenMessage):
            message = OpenMessage(self._place("msg"))
            yield from self._begin(message)
        yield from message.refuse(text)

    def _call(self, call_id: str, name: str) -> OpenItem:
        tool = self._tools.get(name, ClientTool("function", name))
        match tool.kind:
            case "custom":
                return OpenCustomToolCall(self._place("ctc"), call_id, tool)
            case "tool_search":
                return OpenToolSearch(self._place("tsc"), call_id)
        return OpenFunctionCall(self._place("fc"), call_id, tool)

    def _work(self, activity: ToolActivity) -> OpenWork:
        if activity.tool == _WEB_SEARCH:
            return OpenWebSearch(self._place("ws"), activity)
        return OpenMcpCall(self._place("mcp"), activity)

    def _approval(self, asked: ApprovalRequested) -> Iterator[StreamEvent]:
        """What waits is no call yet; if it was taken for one, that is not complete."""
        yield from self._end("completed", "commentary")
        if asked.call_id in self._working:
            yield from self._end_work(asked.call_id, None)
        place = replace(self._place("mcpr"), id=asked.id)
        arguments = msgspec.json.encode(asked.arguments).decode()
        item = self._done[place.index] = McpApprovalRequestItem(id=asked.id, name=asked.tool, arguments=arguments)
        yield place.added(item)
        yield place.done(item)

    def _end_work(self, call_id: str, outcome: ToolOutcome | None) -> Iterator[StreamEvent]:
        work = self._working.pop(call_id)
        yield from work.end(outcome)
        self._done[work.place.index] = work.whole(outcome)

    def _place(self, kind: str) -> Place:
        """Return the place of the next item."""
        index, self._begun = self._begun, self._begun + 1
        return Place(index, f"{kind}_{self._token}{index:04x}", self._number)

    def _begin(self, item: OpenItem) -> Iterator[StreamEvent]:
        yield from self._end("completed", "commentary")
        self._open = item
        yield from item.begin()

    def _add(self, piece: str) -> Iterator[StreamEvent]:
        if self._open is not None:
            yield from self._open.add(piece)

    def _end(self, status: Ending, phase: Phase) -> Iterator[StreamEvent]:
        if self._open is None:
            return
        item, self._open = self._open, None
        self._done[item.place.index] = item.whole(status, phase)
        yield from item.end(status, phase)
