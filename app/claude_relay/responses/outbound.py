"""Engine events -> a response, whole or as a stream. Pure."""

import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

from msgspec import UNSET, Raw, Struct
from msgspec.structs import replace

from claude_relay.engine.fanout import Indexed
from claude_relay.engine.vocabulary import RunEnd, StopReason
from claude_relay.errors import RelayError
from claude_relay.responses import answer, failures, schemas, state
from claude_relay.responses.echo import Echo
from claude_relay.responses.events import KeepAliveEvent, ResponseEvent, StreamEvent
from claude_relay.responses.functions import ClientTool
from claude_relay.responses.output import Output
from claude_relay.store.protocol import Page

_FINISH: Mapping[StopReason, str] = {
    "end": "completed",
    "stop_sequence": "completed",
    "tool_calls": "completed",
    "approval": "approval",
    "refusal": "refusal",
    "length": "max_output_tokens",
    "context_window": "max_output_tokens",
}


class RenderOptions(Struct, frozen=True):
    """How an answer is rendered.

    Attributes:
        token: What makes the ids of the response and of its items unique.
        created: When it was asked for, in seconds since the epoch.
        model: The model's name, as the client wrote it.
        now: Returns the time, in seconds since the epoch.
        tools: The client's tools, by the names that the model knows.
        echo: What the response says again of the request.
        reasoning: Whether the model's thinking is shown.
        signed: Whether it is shown with its signatures.
        is_stored: Whether the response is kept.
    """

    token: str
    created: int
    model: str
    now: Callable[[], int]
    tools: Mapping[str, ClientTool]
    echo: Echo
    reasoning: bool = True
    signed: bool = False
    is_stored: bool = False


class ResponseInProgress:
    """One response, from its first event to its last.

    Args:
        request: What the client sent, much of which the response says again.
        options: How it is rendered.

    Attributes:
        begun: The response of which nothing but the request is known yet.
    """

    def __init__(self, request: schemas.ResponsesRequest, options: RenderOptions) -> None:
        self._number = itertools.count().__next__
        self._now = options.now
        structured = request.text is not None and isinstance(
            request.text.format, schemas.JsonObjectFormat | schemas.JsonSchemaFormat
        )
        self._output = Output(
            options.token,
            self._number,
            options.tools,
            structured=structured,
            reasoning=options.reasoning,
            signed=options.signed,
        )
        self.begun = begun(request, options)

    @property
    def kept(self) -> list[answer.OutputItem]:
        """The items of the answer with all that the conversation goes on with, to be kept."""
        return self._output.kept

    def first(self) -> Iterator[StreamEvent]:
        """Yield the events that a stream begins with."""
        yield ResponseEvent("response.created", self._number(), self.begun)
        yield self.in_progress()

    def queued(self) -> Iterator[StreamEvent]:
        """Yield the events that a stream in the background begins with, before it is worked on."""
        yield ResponseEvent("response.created", self._number(), self.begun)
        yield ResponseEvent("response.queued", self._number(), self.begun)

    def in_progress(self) -> StreamEvent:
        """Return the event that says that the response is worked on."""
        return ResponseEvent("response.in_progress", self._number(), replace(self.begun, status="in_progress"))

    async def events(self, events: AsyncIterator[Indexed]) -> AsyncIterator[StreamEvent]:
        """Yield the other events of a stream; the last one has the whole response."""
        async for _, event in events:
            for told in self._output.feed(event):
                yield told
            if isinstance(event, RunEnd):
                yield self._last(self._ended(event))

    async def whole(self, events: AsyncIterator[Indexed]) -> answer.Response:
        """Return the whole response."""
        response = self.begun
        async for _, event in events:
            for _ in self._output.feed(event):
                pass
            if isinstance(event, RunEnd):
                response = self._ended(event)
        return response

    def keep_alive(self) -> StreamEvent:
        """Return an event that says that the stream goes on."""
        return KeepAliveEvent(self._number())

    def failed(self, error: RelayError) -> tuple[StreamEvent, ResponseEvent]:
        """Return the events that end a stream whose answer has failed."""
        told = failures.error_event(error, self._number())
        return told, ResponseEvent("response.failed", self._number(), self.failure(error))

    def failure(self, error: RelayError) -> answer.Response:
        """Return the response, if it ends with a failure now."""
        # Codex, to whom the code matters, has nothing in the background
        failure = failures.plain_failure(error) if self.begun.background else failures.failure(error)
        return replace(self.begun, status="failed", error=failure, output=self._output.items, completed_at=None)

    def cancelled(self) -> ResponseEvent:
        """Return the event that ends a stream whose response was cancelled; OpenAI has none of its own for that."""
        response = replace(self.begun, status="cancelled", output=self._output.items)
        return ResponseEvent("response.incomplete", self._number(), response)

    def _last(self, response: answer.Response) -> StreamEvent:
        if response.status == "completed":
            return ResponseEvent("response.completed", self._number(), response)
        return ResponseEvent("response.incomplete", self._number(), response)

    def _ended(self, end: RunEnd) -> answer.Response:
        is_whole = end.stop not in {"length", "context_window"}
        return replace(
            self.begun,
            status="completed" if is_whole else "incomplete",
            incomplete_details=None if is_whole else answer.IncompleteDetails("max_output_tokens"),
            completed_at=self._now(),
            output=self._output.items,
            usage=usage(end),
        )


def finish(stop: StopReason) -> str:
    """Return the family's word for why an answer ended."""
    return _FINISH[stop]


def usage(end: RunEnd) -> answer.ResponseUsage:
    """Return token counts as OpenAI counts them: what a cache held is part of the prompt."""
    spent = end.usage
    return answer.ResponseUsage(
        input_tokens=spent.prompt_tokens,
        input_tokens_details=answer.InputTokensDetails(spent.cache_read_tokens, spent.cache_creation_tokens),
        output_tokens=spent.output_tokens,
        output_tokens_details=answer.OutputTokensDetails(end.thinking_tokens or 0),
        total_tokens=spent.prompt_tokens + spent.output_tokens,
    )


def item_list(page: Page) -> answer.ItemList:
    """Return some of the items of a request as the client gets them."""
    return answer.ItemList(
        data=[Raw(item.body) for item in page.items],
        first_id=page.items[0].id if page.items else None,
        last_id=page.items[-1].id if page.items else None,
        has_more=page.has_more,
    )


def begun(request: schemas.ResponsesRequest, options: RenderOptions) -> answer.Response:
    """Return the response of which nothing but the request is known yet."""
    asked = request.reasoning or schemas.Reasoning()
    conversation = state.conversation_of(request)
    return answer.Response(
        id=f"resp_{options.token}",
        created_at=options.created,
        status="queued" if request.background else "in_progress",
        background=bool(request.background),
        instructions=request.instructions,
        max_output_tokens=request.max_output_tokens,
        max_tool_calls=request.max_tool_calls,
        model=options.model,
        output=[],
        parallel_tool_calls=request.parallel_tool_calls is not False,
        previous_response_id=request.previous_response_id,
        conversation=UNSET if conversation is None else answer.ConversationEcho(conversation),
        prompt_cache_key=request.prompt_cache_key,
        reasoning=answer.ReasoningEcho(asked.effort, asked.summary or asked.generate_summary),
        safety_identifier=request.safety_identifier,
        store=options.is_stored,
        temperature=1.0 if request.temperature is None else request.temperature,
        text=options.echo.text,
        tool_choice=options.echo.tool_choice,
        tools=options.echo.tools,
        top_logprobs=request.top_logprobs or 0,
        top_p=1.0 if request.top_p is None else request.top_p,
        presence_penalty=request.presence_penalty or 0.0,
        frequency_penalty=request.frequency_penalty or 0.0,
        user=request.user,
        metadata=options.echo.metadata,
    )
