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
from claude_relay.store.protocol import BEFORE_FIRST, Event, Item, Key
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


class Folding:
    """What a log has told so far, so that none of its events is read twice.

    Attributes:
        last: The number of the last event.
    """

    def __init__(self) -> None:
        self.last = BEFORE_FIRST
        self._status: str | None = None
        self._end: dict[str, Any] | None = None
        self._items: dict[int, dict[str, Any]] = {}
        self._pieces: dict[tuple[int, str, int | None, str], list[str]] = {}

    def add(self, log: Iterable[Event]) -> None:
        """Read further events; those that were read before are passed over."""
        for event in log:
            if event.sequence_number > self.last:
                self._add(_decoded(event.data))
                self.last = event.sequence_number

    def progress(self, body: bytes) -> Progress:
        """Return what is known of a response. What is told changes when further events are read.

        Args:
            body: It when it began.
        """
        response: dict[str, Any] = msgspec.json.decode(body)
        if self._end is not None:
            return Progress({**self._end, "background": response["background"]}, is_over=True, last=self.last)
        _join(self._items, self._pieces)
        self._pieces = {}
        response["status"] = self._status or response["status"]
        response["output"] = [self._items[index] for index in sorted(self._items)]
        return Progress(response, is_over=False, last=self.last)

    def _add(self, told: dict[str, Any]) -> None:
        kind, index = told["type"], told.get("output_index", 0)
        if kind in ENDS:
            self._end = told["response"]
        elif "response" in told:
            self._status = told["response"]["status"]
        elif kind in {"response.output_item.added", "response.output_item.done"}:
            self._items[index] = told["item"]
            self._pieces = {place: texts for place, texts in self._pieces.items() if place[0] != index}
        elif kind in _LISTS:
            name, _ = _LISTS[kind]
            self._items[index][name].append(told["part"])
        elif kind in _FIELDS:
            self._pieces.setdefault((index, "", None, _FIELDS[kind]), []).append(told["delta"])
        elif kind in _PARTS:
            name, place, field = _PARTS[kind]
            self._pieces.setdefault((index, name, told[place], field), []).append(told["delta"])


class Foldings:
    """What the logs have told of the responses that were asked for last.

    Args:
        most: Of how many at most.
    """

    def __init__(self, most: int = 32) -> None:
        self._most = most
        self._found: dict[Key, Folding] = {}

    def of(self, key: Key) -> Folding:
        """Return what the log of a record has told; the record asked for longest ago may be forgotten for it."""
        folding = self._found[key] = self._found.pop(key) if key in self._found else Folding()
        if len(self._found) > self._most:
            del self._found[next(iter(self._found))]
        return folding

    def forget(self, key: Key) -> None:
        """Forget a record, which is complete."""
        self._found.pop(key, None)


def progress(body: bytes, log: Iterable[Event]) -> Progress:
    """Return what is known of a response.

    Args:
        body: It when it began.
        log: Its events since then.
    """
    folding = Folding()
    folding.add(log)
    return folding.progress(body)


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
