"""What the log of a response tells of it, wherever it breaks off."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from claude_relay.engine.fanout import Indexed
from claude_relay.engine.vocabulary import (
    Event as EngineEvent,
)
from claude_relay.engine.vocabulary import (
    RunEnd,
    TextDelta,
    ThinkingDelta,
    ToolActivity,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from claude_relay.errors import UnavailableError
from claude_relay.responses.echo import echo
from claude_relay.responses.functions import ClientTool
from claude_relay.responses.outbound import RenderOptions, ResponseInProgress
from claude_relay.responses.replay import Folding, Foldings, abandoned, logged, progress
from claude_relay.responses.schemas import ResponsesRequest
from claude_relay.store.protocol import Event, Key

pytestmark = pytest.mark.anyio

REQUEST = ResponsesRequest(input="x", background=True)
TOOLS = {"f": ClientTool("function", "f"), "p": ClientTool("custom", "p")}
EVENTS: tuple[EngineEvent, ...] = (
    ThinkingDelta("It "),
    ThinkingDelta("is."),
    TextDelta("Let me "),
    TextDelta("see."),
    ToolActivity("Bash", "ls", {"command": "ls"}),
    ToolCallStart("call_1", "f"),
    ToolCallDelta('{"a":'),
    ToolCallDelta("1}"),
    ToolCallStart("call_2", "p"),
    ToolCallDelta('{"input":"one '),
    ToolCallDelta('two"}'),
    TextDelta("Done."),
)
LOST = UnavailableError("It is gone.", code="relay_stopped")


async def written(events: tuple[EngineEvent, ...]) -> tuple[bytes, list[Event], list[Any]]:
    """Return a response as it begins, its log, and its items as its writer knows them."""
    response = ResponseInProgress(REQUEST, RenderOptions("00", 0, "sonnet", lambda: 9, TOOLS, echo(REQUEST)))

    async def indexed() -> AsyncIterator[Indexed]:
        for event in events:
            yield 0, event

    log = [logged(event) for event in (*response.queued(), response.in_progress())]
    log += [logged(event) async for event in response.events(indexed())]
    items = msgspec.json.decode(msgspec.json.encode(response.cancelled().response.output))
    return msgspec.json.encode(response.begun), log, items


def without_state(item: dict[str, Any]) -> dict[str, Any]:
    """Leave out what only the writer of an item that is still open knows of it."""
    return {name: value for name, value in item.items() if name not in {"status", "phase"}}


@pytest.mark.parametrize("count", range(len(EVENTS) + 1))
async def test_a_log_that_breaks_off_tells_the_items_as_their_writer_knew_them(count: int) -> None:
    body, log, items = await written(EVENTS[:count])

    found = progress(body, log)

    assert [without_state(item) for item in found.response["output"]] == [without_state(item) for item in items]
    assert (found.response["status"], found.is_over) == ("in_progress", False)
    assert found.last == log[-1].sequence_number


async def test_a_log_that_is_whole_tells_the_response_itself() -> None:
    body, log, items = await written((*EVENTS, RunEnd("end", Usage(input_tokens=1, output_tokens=2))))

    found = progress(body, log)

    assert found.is_over
    assert (found.response["status"], found.response["usage"]["total_tokens"]) == ("completed", 3)
    assert found.response["output"] == items
    assert abandoned(found, LOST) == (found.response, ())


async def test_nothing_is_known_of_a_response_without_a_log_but_that_it_waits() -> None:
    body, _, _ = await written(())

    assert progress(body, []).response == msgspec.json.decode(body)


async def test_a_response_whose_worker_is_gone_has_failed_and_its_stream_says_so() -> None:
    body, log, _ = await written(EVENTS[:4])

    response, events = abandoned(progress(body, log), LOST)

    assert (response["status"], response["error"]) == ("failed", {"code": "relay_stopped", "message": "It is gone."})
    assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]
    # a client that still listened may have had more than was kept, and asks for what comes after that
    assert [event.sequence_number for event in events] == [len(log) + 999_998, len(log) + 999_999]
    assert progress(body, [*log, *events]).response == response


async def test_a_log_that_is_read_as_it_grows_tells_the_same_as_one_that_is_read_at_once() -> None:
    body, log, _ = await written((*EVENTS, RunEnd("end", Usage(1, 0, 0, 2))))
    folding = Folding()

    for count in range(1, len(log) + 1):
        # polls at the same time read the same events
        folding.add(log[max(0, count - 3) : count])
        told, expected = folding.progress(body), progress(body, log[:count])

        assert (told.is_over, told.last) == (expected.is_over, expected.last)
        assert msgspec.json.encode(told.response) == msgspec.json.encode(expected.response)


def test_what_was_asked_for_longest_ago_and_what_is_complete_is_forgotten() -> None:
    foldings = Foldings(most=2)
    one, two, three = (Key("ann", "response", name) for name in ("1", "2", "3"))
    first, second = foldings.of(one), foldings.of(two)

    assert foldings.of(one) is first
    foldings.of(three)
    assert foldings.of(one) is first
    assert foldings.of(two) is not second
    foldings.forget(two)
    assert foldings.of(one) is first
