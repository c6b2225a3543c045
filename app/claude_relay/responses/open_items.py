"""Items of an answer while they are written: the events that begin, continue and end each. Pure."""

from collections.abc import Callable, Iterator
from typing import Literal, Protocol

import msgspec
from msgspec import UNSET, Struct, UnsetType

from claude_relay.engine.custom_tools import arguments_of
from claude_relay.engine.vocabulary import Thinking, ThinkingBlock, ToolActivity, ToolOutcome
from claude_relay.responses import answer, events
from claude_relay.responses.events import StreamEvent
from claude_relay.responses.functions import ClientTool
from claude_relay.responses.signed_thinking import packed

Ending = Literal["completed", "incomplete"]


class Place(Struct, frozen=True):
    """Where an item stands.

    Attributes:
        index: Its place in the output.
        id: Its id.
        number: Returns the number of the next event.
    """

    index: int
    id: str
    number: Callable[[], int]

    def added(self, item: answer.OutputItem) -> StreamEvent:
        """Return the event that begins an item."""
        return events.ItemEvent("response.output_item.added", self.number(), self.index, item)

    def done(self, item: answer.OutputItem) -> StreamEvent:
        """Return the event that ends an item."""
        return events.ItemEvent("response.output_item.done", self.number(), self.index, item)


class OpenItem(Protocol):
    """An item that is being written.

    Attributes:
        place: Where it stands.
    """

    place: Place

    def begin(self) -> Iterator[StreamEvent]:
        """Yield the events that begin it."""

    def add(self, piece: str) -> Iterator[StreamEvent]:
        """Yield the events of the next piece."""

    def end(self, status: Ending, phase: answer.Phase) -> Iterator[StreamEvent]:
        """Yield the events that end it.

        Args:
            status: Whether it is complete.
            phase: Whether more follows.
        """

    def whole(self, status: Ending, phase: answer.Phase) -> answer.OutputItem:
        """Return the item as far as it is written."""


class OpenWork(Protocol):
    """A use of a tool of Claude Code's own, which goes on while other items are written.

    Attributes:
        place: Where it stands.
    """

    place: Place

    def begin(self) -> Iterator[StreamEvent]:
        """Yield the events that begin it."""

    def end(self, outcome: ToolOutcome | None) -> Iterator[StreamEvent]:
        """Yield the events that end it.

        Args:
            outcome: How it ended; None if that is not known, since the answer has ended before.
        """

    def whole(self, outcome: ToolOutcome | None) -> answer.OutputItem:
        """Return the item as it ends with an outcome."""


class OpenMessage:
    """A message: text, or a refusal, or a refusal after text."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._pieces: list[str] = []
        self._content: list[answer.OutputText | answer.Refusal] = []

    def begin(self) -> Iterator[StreamEvent]:
        """Yield the events that begin it."""
        yield self.place.added(answer.OutputMessage(id=self.place.id, status="in_progress", content=[]))

    def add(self, piece: str) -> Iterator[StreamEvent]:
        """Yield the events of the next piece of text."""
        place = self.place
        if not self._pieces:
            yield self._part("response.content_part.added", answer.OutputText(""))
        self._pieces.append(piece)
        yield events.TextDeltaEvent(place.number(), place.id, place.index, 0, piece)

    @property
    def ends_line(self) -> bool:
        """Whether what comes next begins a line of its own."""
        return not self._pieces or self._pieces[-1].endswith("\n")

    def refuse(self, refusal: str) -> Iterator[StreamEvent]:
        """Yield the events of a refusal, all of it."""
        place = self.place
        yield from self._end_text()
        index = len(self._content)
        yield self._part("response.content_part.added", answer.Refusal(""))
        yield events.RefusalDeltaEvent(place.number(), place.id, place.index, index, refusal)
        yield events.RefusalDoneEvent(place.number(), place.id, place.index, index, refusal)
        yield self._part("response.content_part.done", answer.Refusal(refusal))
        self._content.append(answer.Refusal(refusal))

    def end(self, status: Ending, phase: answer.Phase) -> Iterator[StreamEvent]:
        """Yield the events that end it."""
        yield from self._end_text()
        yield self.place.done(self.whole(status, phase))

    def whole(self, status: Ending, phase: answer.Phase) -> answer.OutputMessage:
        """Return the message as far as it is written."""
        text = "".join(self._pieces)
        content = [*self._content, answer.OutputText(text)] if text else self._content
        return answer.OutputMessage(id=self.place.id, status=status, content=content, phase=phase)

    def _end_text(self) -> Iterator[StreamEvent]:
        if not self._pieces:
            return
        place, part = self.place, answer.OutputText("".join(self._pieces))
        yield events.TextDoneEvent(place.number(), place.id, place.index, 0, part.text)
        yield self._part("response.content_part.done", part)
        self._content.append(part)
        self._pieces.clear()

    def _part(
        self,
        kind: Literal["response.content_part.added", "response.content_part.done"],
        part: answer.OutputText | answer.Refusal,
    ) -> StreamEvent:
        place = self.place
        return events.PartEvent(kind, place.number(), place.id, place.index, len(self._content), part)


class OpenReasoning:
    """What the model thinks; its text may be hidden.

    Args:
        place: Where it stands.
        signed: Whether the client is told more than a summary. What is kept has it in any case.
    """

    def __init__(self, place: Place, *, signed: bool) -> None:
        self.place = place
        self._signed = signed
        self._pieces: list[str] = []
        self._content: str | UnsetType = UNSET

    def begin(self) -> Iterator[StreamEvent]:
        """Yield the event that begins it."""
        yield self.place.added(answer.ReasoningItem(id=self.place.id, summary=[], status="in_progress"))

    def add(self, piece: str) -> Iterator[StreamEvent]:
        """Yield the events of the next piece."""
        place = self.place
        if not self._pieces:
            yield self._part("response.reasoning_summary_part.added", answer.SummaryText(""))
        self._pieces.append(piece)
        yield events.SummaryDeltaEvent(place.number(), place.id, place.index, piece)

    def signed_by(self, signature: str) -> Thinking:
        """Return what the model has thought, with its signature."""
        return Thinking("".join(self._pieces), signature)

    def hold(self, block: ThinkingBlock) -> None:
        """Learn what the model gets back of it, now that it is whole."""
        self._content = packed(block)

    def end(self, status: Ending, phase: answer.Phase) -> Iterator[StreamEvent]:
        """Yield the events that end it."""
        place, item = self.place, self.whole(status, phase)
        for part in item.summary:
            yield events.SummaryDoneEvent(place.number(), place.id, place.index, part.text)
            yield self._part("response.reasoning_summary_part.done", part)
        yield place.done(item if self._signed else answer.unsigned(item))

    def whole(self, status: Ending, phase: answer.Phase) -> answer.ReasoningItem:  # noqa: ARG002 - for messages
        """Return the item as far as it is written."""
        summary = [answer.SummaryText("".join(self._pieces))] if self._pieces else []
        return answer.ReasoningItem(id=self.place.id, summary=summary, status=status, encrypted_content=self._content)

    def _part(
        self,
        kind: Literal["response.reasoning_summary_part.added", "response.reasoning_summary_part.done"],
        part: answer.SummaryText,
    ) -> StreamEvent:
        place = self.place
        return events.SummaryPartEvent(kind, place.number(), place.id, place.index, part)


class OpenFunctionCall:
    """A call of a function of the client."""

    def __init__(self, place: Place, call_id: str, tool: ClientTool) -> None:
        self.place = place
        self._call_id = call_id
        self._tool = tool
        self._pieces: list[str] = []

    def begin(self) -> Iterator[StreamEvent]:
        """Yield the events that begin it."""
        yield self.place.added(self._item("", "in_progress"))

    def add(self, piece: str) -> Iterator[StreamEvent]:
        """Yield the events of the next piece of the arguments."""
        place = self.place
        self._pieces.append(piece)
        yield events.ArgumentsDeltaEvent(
            "response.function_call_arguments.delta", place.number(), place.id, place.index, piece
        )

    def end(self, status: Ending, phase: answer.Phase) -> Iterator[StreamEvent]:
        """Yield the events that end it."""
        place, item = self.place, self.whole(status, phase)
        yield events.ArgumentsDoneEvent(
            "response.function_call_arguments.done",
            place.number(),
            place.id,
            place.index,
            name=item.name,
            arguments=item.arguments,
        )
        yield place.done(item)

    def whole(self, status: Ending, phase: answer.Phase) -> answer.FunctionCallItem:  # noqa: ARG002 - for messages
        """Return the item as far as it is written."""
        return self._item("".join(self._pieces), status)

    def _item(self, arguments: str, status: answer.ItemStatus) -> answer.FunctionCallItem:
        return answer.FunctionCallItem(
            id=self.place.id,
            call_id=self._call_id,
            name=self._tool.name,
            arguments=arguments,
            status=status,
            namespace=self._tool.namespace or UNSET,
        )


class OpenCustomToolCall:
    """A call of a tool of the client that takes text."""

    def __init__(self, place: Place, call_id: str, tool: ClientTool) -> None:
        self.place = place
        self._call_id = call_id
        self._tool = tool
        self._pieces: list[str] = []

    def begin(self) -> Iterator[StreamEvent]:
        """Yield the events that begin it."""
        yield self.place.added(self._item("", "in_progress"))

    def add(self, piece: str) -> Iterator[StreamEvent]:
        """Yield the events of the next piece of the text."""
        place = self.place
        self._pieces.append(piece)
        yield events.ArgumentsDeltaEvent(
            "response.custom_tool_call_input.delta", place.number(), place.id, place.index, piece
        )

    def end(self, status: Ending, phase: answer.Phase) -> Iterator[StreamEvent]:
        """Yield the events that end it."""
        place, item = self.place, self.whole(status, phase)
        yield events.ArgumentsDoneEvent(
            "response.custom_tool_call_input.done", place.number(), place.id, place.index, input=item.input
        )
        yield place.done(item)

    def whole(self, status: Ending, phase: answer.Phase) -> answer.CustomToolCallItem:  # noqa: ARG002 - for messages
        """Return the item as far as it is written."""
        return self._item("".join(self._pieces), status)

    def _item(self, text: str, status: answer.ItemStatus) -> answer.CustomToolCallItem:
        return answer.CustomToolCallItem(
            id=self.place.id,
            call_id=self._call_id,
            name=self._tool.name,
            input=text,
            status=status,
            namespace=self._tool.namespace or UNSET,
        )


class OpenToolSearch:
    """A search of the client for tools, whose arguments are an object and come as a whole."""

    def __init__(self, place: Place, call_id: str) -> None:
        self.place = place
        self._call_id = call_id
        self._pieces: list[str] = []

    def begin(self) -> Iterator[StreamEvent]:
        """Yield the events that begin it."""
        yield self.place.added(
            answer.ToolSearchCallItem(id=self.place.id, call_id=self._call_id, arguments={}, status="in_progress")
        )

    def add(self, piece: str) -> Iterator[StreamEvent]:
        """Keep the next piece of the arguments."""
        self._pieces.append(piece)
        yield from ()

    def end(self, status: Ending, phase: answer.Phase) -> Iterator[StreamEvent]:
        """Yield the events that end it."""
        yield self.place.done(self.whole(status, phase))

    def whole(self, status: Ending, phase: answer.Phase) -> answer.ToolSearchCallItem:  # noqa: ARG002 - for messages
        """Return the item as far as it is written."""
        found = arguments_of("".join(self._pieces))
        arguments = {"query": found} if isinstance(found, str) else found
        return answer.ToolSearchCallItem(id=self.place.id, call_id=self._call_id, arguments=arguments, status=status)


class OpenMcpCall:
    """A tool of Claude Code's own at work."""

    def __init__(self, place: Place, activity: ToolActivity) -> None:
        self.place = place
        self._activity = activity
        self._arguments = msgspec.json.encode(activity.arguments).decode()

    def begin(self) -> Iterator[StreamEvent]:
        """Yield the events that begin it; what it is called with is known at once."""
        place = self.place
        yield place.added(self._item("in_progress", arguments=""))
        yield events.WorkEvent("response.mcp_call.in_progress", place.number(), place.id, place.index)
        yield events.ArgumentsDeltaEvent(
            "response.mcp_call_arguments.delta", place.number(), place.id, place.index, self._arguments
        )
        yield events.ArgumentsDoneEvent(
            "response.mcp_call_arguments.done", place.number(), place.id, place.index, arguments=self._arguments
        )

    def end(self, outcome: ToolOutcome | None) -> Iterator[StreamEvent]:
        """Yield the events that end it."""
        place = self.place
        if outcome is not None and outcome.is_error:
            yield events.WorkEvent("response.mcp_call.failed", place.number(), place.id, place.index)
        elif outcome is not None:
            yield events.WorkEvent("response.mcp_call.completed", place.number(), place.id, place.index)
        yield place.done(self.whole(outcome))

    def whole(self, outcome: ToolOutcome | None) -> answer.McpCallItem:
        """Return the item as it ends with an outcome."""
        if outcome is None:
            return self._item("incomplete", arguments=self._arguments)
        if outcome.is_error:
            error = answer.McpToolError([answer.ErrorText(outcome.output)])
            return self._item("failed", arguments=self._arguments, error=error)
        return self._item("completed", arguments=self._arguments, output=outcome.output)

    def _item(
        self,
        status: answer.WorkStatus,
        *,
        arguments: str,
        output: str | None = None,
        error: answer.McpToolError | None = None,
    ) -> answer.McpCallItem:
        return answer.McpCallItem(
            id=self.place.id,
            name=self._activity.tool,
            arguments=arguments,
            output=output,
            error=error,
            approval_request_id=self._activity.approval_id,
            status=status,
        )


class OpenWebSearch:
    """A search of Claude Code's for something on the web."""

    def __init__(self, place: Place, activity: ToolActivity) -> None:
        self.place = place
        query = activity.arguments.get("query")
        self._query = query if isinstance(query, str) else ""

    def begin(self) -> Iterator[StreamEvent]:
        """Yield the events that begin it."""
        place = self.place
        yield place.added(self._item("in_progress"))
        yield events.WorkEvent("response.web_search_call.in_progress", place.number(), place.id, place.index)
        yield events.WorkEvent("response.web_search_call.searching", place.number(), place.id, place.index)

    def end(self, outcome: ToolOutcome | None) -> Iterator[StreamEvent]:
        """Yield the events that end it; there is none for one that failed."""
        place = self.place
        if outcome is not None and not outcome.is_error:
            yield events.WorkEvent("response.web_search_call.completed", place.number(), place.id, place.index)
        yield place.done(self.whole(outcome))

    def whole(self, outcome: ToolOutcome | None) -> answer.WebSearchCallItem:
        """Return the item as it ends with an outcome."""
        return self._item("failed" if outcome is None or outcome.is_error else "completed")

    def _item(self, status: answer.SearchStatus) -> answer.WebSearchCallItem:
        return answer.WebSearchCallItem(
            id=self.place.id, status=status, action=answer.SearchAction(self._query, [self._query])
        )
