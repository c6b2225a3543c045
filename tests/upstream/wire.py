"""The Messages API on the wire: replies as server-sent events and as JSON."""

import json
from dataclasses import dataclass
from typing import Any

import msgspec

from .replies import Block, Cut, Failure, Message, Text, Thinking, ToolUse


@dataclass(frozen=True, slots=True)
class Frame:
    """One server-sent event, encoded; ``is_delta`` marks those that the pace counts."""

    data: bytes
    is_delta: bool = False


def message_frames(message: Message, message_id: str, model: str) -> list[Frame]:
    """The events of a streamed message, up to its cut."""
    head = message_json(message, message_id, model) | {
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": _usage(message, output_tokens=1),
    }
    frames = [_frame({"type": "message_start", "message": head})]
    for index, block in enumerate(message.blocks):
        frames += _block_frames(block, index)
    end = {"stop_reason": _stop_reason(message), "stop_sequence": message.stop_sequence}
    frames.append(_frame({"type": "message_delta", "delta": end, "usage": _usage(message)}))
    frames.append(_frame({"type": "message_stop"}))
    return frames if message.cut is None else _cut_frames(frames, message.cut)


def message_json(message: Message, message_id: str, model: str) -> dict[str, Any]:
    """The message as the body of a reply without streaming."""
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [_block_json(block) for block in message.blocks],
        "stop_reason": _stop_reason(message),
        "stop_sequence": message.stop_sequence,
        "usage": _usage(message),
    }


def error_json(failure: Failure, request_id: str | None = None) -> dict[str, Any]:
    """Anthropic's error object, as a body (with a request id) or as the data of an event."""
    error = {"type": "error", "error": {"type": failure.type, "message": failure.message}}
    return error if request_id is None else error | {"request_id": request_id}


def delta_count(message: Message) -> int:
    """The number of deltas of the whole message."""
    return sum(len(_pieces(block)) for block in message.blocks)


def _cut_frames(frames: list[Frame], cut: Cut) -> list[Frame]:
    """The events up to delta number ``cut.after`` (or the last), then the error if it is one."""
    places = [0, *(place for place, frame in enumerate(frames) if frame.is_delta)]
    kept = frames[: places[min(cut.after, len(places) - 1)] + 1]
    return [*kept, _frame(error_json(cut.how))] if isinstance(cut.how, Failure) else kept


def _block_frames(block: Block, index: int) -> list[Frame]:
    start: dict[str, Any]
    match block:
        case Text():
            start, delta, key = {"type": "text", "text": ""}, "text_delta", "text"
        case Thinking():
            start = {"type": "thinking", "thinking": "", "signature": ""}
            delta, key = "thinking_delta", "thinking"
        case ToolUse():
            start = {"type": "tool_use", "id": block.id, "name": block.name, "input": {}}
            delta, key = "input_json_delta", "partial_json"
    frames = [_frame({"type": "content_block_start", "index": index, "content_block": start})]
    frames += [_frame(_delta(index, {"type": delta, key: piece}), is_delta=True) for piece in _pieces(block)]
    if isinstance(block, Thinking):
        signature = {"type": "signature_delta", "signature": block.signature}
        frames.append(_frame(_delta(index, signature)))
    frames.append(_frame({"type": "content_block_stop", "index": index}))
    return frames


def _block_json(block: Block) -> dict[str, Any]:
    match block:
        case Text():
            return {"type": "text", "text": block.text}
        case Thinking():
            return {"type": "thinking", "thinking": block.text, "signature": block.signature}
        case ToolUse():
            return {"type": "tool_use", "id": block.id, "name": block.name, "input": block.input}


def _pieces(block: Block) -> tuple[str, ...]:
    """The deltas of a block: those given, or equal parts of its text, never an empty one."""
    whole = _written(block) if isinstance(block, ToolUse) else block.text
    if not isinstance(block.chunks, int):
        if "".join(block.chunks) != whole:
            raise ValueError("the chunks of a block must add up to its text")
        return block.chunks
    size, count = len(whole), min(block.chunks, len(whole))
    return tuple(whole[i * size // count : (i + 1) * size // count] for i in range(count))


def _written(call: ToolUse) -> str:
    return json.dumps(call.input) if call.written is None else call.written


def _usage(message: Message, output_tokens: int | None = None) -> dict[str, Any]:
    usage = message.usage
    if output_tokens is None:
        output_tokens = usage.output_tokens
    return {
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_creation,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": delta_count(message) if output_tokens is None else output_tokens,
        "service_tier": "standard",
    }


def _stop_reason(message: Message) -> str:
    calls_tool = any(isinstance(block, ToolUse) for block in message.blocks)
    return message.stop_reason or ("tool_use" if calls_tool else "end_turn")


def _delta(index: int, delta: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def _frame(event: dict[str, Any], *, is_delta: bool = False) -> Frame:
    try:
        data = msgspec.json.encode(event)
    except UnicodeEncodeError:
        # models write halves of characters
        data = json.dumps(event).encode()
    return Frame(b"event: %s\ndata: %s\n\n" % (event["type"].encode(), data), is_delta)
