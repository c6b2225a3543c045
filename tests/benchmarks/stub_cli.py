"""A stand-in for the CLI that costs little: it answers at once, with as many deltas as the question's last word says.

It speaks as version 2.1.332 does, lines as long as the real ones included. What it does for one answer it does in one
write, so that whoever reads it is never kept waiting.
"""

import functools
import json
import os
import sys
from typing import Any

TEXT = "some words "
_IDS = {"session_id": "5d428dac-7e91-40cc-a8b5-713665684fca", "uuid": "53d314cd-0123-4aa6-b7df-9ba8044f98e7"}
_TOKENS = {"input_tokens": 100, "cache_creation_input_tokens": 20, "cache_read_input_tokens": 300, "output_tokens": 1}
_EMPTIED = {
    "rewind_conversation": {"rewound": True, "precedingAssistantUuid": None},
    "get_context_usage": {"messageBreakdown": {"userMessageTokens": 0}, "apiUsage": None},
}
"""How it proves that it is empty; older relays want another proof than this one."""


def main() -> None:
    if "--version" in sys.argv:
        sys.stdout.write("2.1.332 (Claude Code)\n")
        return
    for raw in sys.stdin.buffer:
        _write(_replies(json.loads(raw)))


def _replies(line: dict[str, Any]) -> bytes:
    match line["type"]:
        case "control_request":
            found = _EMPTIED.get(line["request"]["subtype"], {})
            reply = {"subtype": "success", "request_id": line["request_id"], "response": found}
            return _line(type="control_response", response=reply)
        case "user":
            deltas = int(line["message"]["content"][-1]["text"].split()[-1]) if line.get("shouldQuery", True) else 0
            return _turn([line["uuid"]], deltas)
    return b""


def _turn(uuids: list[str], deltas: int) -> bytes:
    ours = {"user_message_uuids": uuids, **_IDS}
    text, cost = TEXT * deltas, 0.0
    return (
        _line(type="system", subtype="init", tools=[], mcp_servers=[], model="sonnet", **ours)
        + (_line(type="system", subtype="status", status="requesting", **ours) + _answer(deltas) if deltas else b"")
        + _line(
            type="result", subtype="success", is_error=False, result=text, usage=_TOKENS, total_cost_usd=cost, **ours
        )
    )


@functools.cache
def _answer(deltas: int) -> bytes:
    message = {"id": "msg_7baae20365d64e29af16", "type": "message", "role": "assistant", "model": "sonnet"}
    block = {"type": "text", "text": TEXT * deltas}
    return b"".join(
        (
            _event(type="message_start", message={**message, "content": [], "usage": _TOKENS}),
            _event(type="content_block_start", index=0, content_block={"type": "text", "text": ""}),
            _event(type="content_block_delta", index=0, delta={"type": "text_delta", "text": TEXT}) * deltas,
            _line(type="assistant", message={**message, "content": [block]}, parent_tool_use_id=None, **_IDS),
            _event(type="content_block_stop", index=0),
            _event(type="message_delta", delta={"stop_reason": "end_turn"}, usage={**_TOKENS, "output_tokens": deltas}),
            _event(type="message_stop"),
        )
    )


def _event(**event: Any) -> bytes:
    return _line(type="stream_event", event=event, parent_tool_use_id=None, **_IDS, api_message_id="msg_7baae20365d64e")


def _line(**fields: Any) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


if __name__ == "__main__":
    main()
