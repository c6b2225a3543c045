"""The log of a response's events -> the response as far as it is written. Pure.

It works on JSON: what is logged was written by another process, perhaps of another version.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from claude_relay.errors import RelayError
from claude_relay.responses import failures
from claude_relay.responses.events import StreamEvent
from claude_relay.store.protocol import Event, Item
from claude_relay.web.frames import frame

ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
"""Events that a stream ends with."""
_UNKEPT = 1_000_000
"""More events than a client can have had after the last that was kept."""
_FIELDS: Mapping[str, str] = {
    "response.function_call_arguments.delta": "arguments",
    "response.mcp_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
}
"""Where the pieces of an item go that are no part of a list."""
_PARTS: Mapping[str, tuple[str, str, str]] = {
    "response.output_text.delta": ("content", "content_index", "text"),
    "response.refusal.delta": ("content", "content_index", "refusal"),
    "response.reasoning_summary_text.delta": ("summary", "summary_index", "text"),
}
"""Where other pieces go: the list, what tells the part's place in it, and its text."""
_LISTS: Mapping[str, tuple[str, str]] = {
    "response.content_part.added": ("content", "content_index"),
    "response.reasoning_summary_part.added": ("summary", "summary_index"),
}


class Progress(Struct, frozen=True):
    """What a log tells of a response.

    Attributes:
        response: The response, as JSON.
        is_over: Whether its last event is there.
        last: The number of the last event.
    """

    response: dict[str, Any]
    is_over: bool
    last: int


def progress(body: bytes, log: Iterable[Event]) -> Progress:
    """Return what is known of a response.

    Args:
        body: It when it began.
        log: Its events since then.
    """
    response: dict[str, Any] = msgspec.json.decode(body)
    items: dict[int, dict[str, Any]] = {}
    pieces: dict[tuple[int, str, int | None, str], list[str]] = {}
    is_over, last = False, -1
    for event in log:
        told, last = _decoded(event.data), event.sequence_number
        kind, index = told["type"], told.get("output_index", 0)
        if kind in ENDS:
            response, is_over = {**told["response"], "background": response["background"]}, True
        elif "response" in told:
            response["status"] = told["response"]["status"]
        elif kind in {"response.output_item.added", "response.output_item.done"}:
            items[index] = told["item"]
            pieces = {place: texts for place, texts in pieces.items() if place[0] != index}
        elif kind in _LISTS:
            name, _ = _LISTS[kind]
            items[index][name].append(told["part"])
        elif kind in _FIELDS:
            pieces.setdefault((index, "", None, _FIELDS[kind]), []).append(told["delta"])
        elif kind in _PARTS:
            name, place, field = _PARTS[kind]
            pieces.setdefault((index, name, told[place], field), []).append(told["delta"])
    if not is_over:
        _join(items, pieces)
        response["output"] = [items[index] for index in sorted(items)]
    return Progress(response, is_over, last)


def abandoned(found: Progress, error: RelayError) -> tuple[dict[str, Any], tuple[Event, ...]]:
    """Return a response whose worker is gone, as it ends, and the events that end its stream.

    Args:
        found: What is known of it.
        error: What has happened.
    """
    if found.is_over:
        return found.response, ()
    output = [_cut_off(item) for item in found.response["output"]]
    failure = {"code": error.code, "message": error.message}
    response = {**found.response, "status": "failed", "error": failure, "output": output}
    # behind what its client may have had of events that were not kept any more
    last = found.last + _UNKEPT
    told = failures.error_event(error, last - 1)
    end = {"type": "response.failed", "sequence_number": last, "response": response}
    return response, (logged(told), Event(last, frame(end, "response.failed")))


def logged(event: StreamEvent) -> Event:
    """Return an event as it stands in a log, which is how it is sent."""
    return Event(event.sequence_number, frame(event, event.type))


def items_of(response: Mapping[str, Any]) -> tuple[Item, ...]:
    """Return the items of a response's output, to be kept."""
    return tuple(Item(item["id"], msgspec.json.encode(item)) for item in response["output"])


def _decoded(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(data.partition(b"data: ")[2])
    return found


def _join(items: dict[int, dict[str, Any]], pieces: Mapping[tuple[int, str, int | None, str], list[str]]) -> None:
    for (index, name, part, field), texts in pieces.items():
        holder = items[index] if part is None else items[index][name][part]
        holder[field] += "".join(texts)


def _cut_off(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "status": "incomplete"} if item.get("status") == "in_progress" else item
