"""The objects of the Open Responses specification (2026-04-24), as far as this API sends them.

What it has beyond the specification, such as custom tools and ``mcp_call``, is not described here, and not accepted.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jsonschema_rs

_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": "number"}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_FLAG: dict[str, Any] = {"type": "boolean"}
_ITEM_STATUS: dict[str, Any] = {"enum": ["in_progress", "completed", "incomplete"]}


def _object(required: Mapping[str, Any], **further: Any) -> dict[str, Any]:
    """Return the schema of an object; what it has beyond these properties may be anything."""
    return {"type": "object", "required": [*required], "properties": {**required, **further}}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _list_of(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema}


_PART = {
    "oneOf": [
        _object({"type": {"const": "output_text"}, "text": _TEXT, "annotations": _list_of({})}),
        _object({"type": {"const": "refusal"}, "refusal": _TEXT}),
        _object({"type": {"const": "summary_text"}, "text": _TEXT}),
        _object({"type": {"const": "input_text"}, "text": _TEXT}),
    ]
}
_COMPACTION = _object({"type": {"const": "compaction"}, "id": _TEXT, "encrypted_content": _TEXT})
_MESSAGE = _object(
    {
        "type": {"const": "message"},
        "id": _TEXT,
        "status": _ITEM_STATUS,
        "role": {"enum": ["user", "assistant", "system", "developer"]},
        "content": _list_of(_PART),
    },
    phase={"enum": ["commentary", "final_answer"]},
)
_ITEM = {
    "oneOf": [
        _MESSAGE,
        _object(
            {
                "type": {"const": "function_call"},
                "id": _TEXT,
                "call_id": {"type": "string", "minLength": 1, "maxLength": 64},
                "name": _TEXT,
                "arguments": _TEXT,
                "status": _ITEM_STATUS,
            }
        ),
        _object({"type": {"const": "reasoning"}, "id": _TEXT, "summary": _list_of(_PART)}, encrypted_content=_TEXT),
        _COMPACTION,
    ]
}
_TOOL = _object(
    {
        "type": {"const": "function"},
        "name": _TEXT,
        "description": _or_null(_TEXT),
        "parameters": _or_null({"type": "object"}),
        "strict": _or_null(_FLAG),
    }
)
_USAGE = _object(
    {
        "input_tokens": _COUNT,
        "output_tokens": _COUNT,
        "total_tokens": _COUNT,
        "input_tokens_details": _object({"cached_tokens": _COUNT}),
        "output_tokens_details": _object({"reasoning_tokens": _COUNT}),
    }
)
_FORMAT = {
    "oneOf": [
        _object({"type": {"const": "text"}}),
        _object({"type": {"const": "json_object"}}),
        _object({"type": {"const": "json_schema"}, "name": _TEXT, "schema": {"type": "object"}}),
    ]
}
_RESPONSE = _object(
    {
        "id": _TEXT,
        "object": {"const": "response"},
        "created_at": _COUNT,
        "completed_at": _or_null(_COUNT),
        "status": {"enum": ["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]},
        "incomplete_details": _or_null(_object({"reason": _TEXT})),
        "model": _TEXT,
        "previous_response_id": _or_null(_TEXT),
        "instructions": _or_null(_TEXT),
        "output": _list_of(_ITEM),
        "error": _or_null(_object({"code": _TEXT, "message": _TEXT})),
        "tools": _list_of(_TOOL),
        "tool_choice": {
            "anyOf": [
                {"enum": ["auto", "none", "required"]},
                _object({"type": {"const": "function"}, "name": _TEXT}),
                _object({"type": {"const": "allowed_tools"}, "tools": _list_of({}), "mode": _TEXT}),
            ]
        },
        "truncation": {"enum": ["auto", "disabled"]},
        "parallel_tool_calls": _FLAG,
        "text": _object({"format": _FORMAT}, verbosity={"enum": ["low", "medium", "high"]}),
        "top_p": _NUMBER,
        "presence_penalty": _NUMBER,
        "frequency_penalty": _NUMBER,
        "top_logprobs": _COUNT,
        "temperature": _NUMBER,
        "reasoning": _or_null(_object({"effort": _or_null(_TEXT), "summary": _or_null(_TEXT)})),
        "user": _or_null(_TEXT),
        "usage": _or_null(_USAGE),
        "max_output_tokens": _or_null(_COUNT),
        "max_tool_calls": _or_null(_COUNT),
        "store": _FLAG,
        "background": _FLAG,
        "service_tier": _TEXT,
        "metadata": {"type": "object", "additionalProperties": _TEXT},
        "safety_identifier": _or_null(_TEXT),
        "prompt_cache_key": _or_null(_TEXT),
    }
)
_COMPACTED = _object(
    {
        "id": _TEXT,
        "object": {"const": "response.compaction"},
        "created_at": _COUNT,
        "output": {**_list_of({"oneOf": [_MESSAGE, _COMPACTION]}), "contains": _COMPACTION},
        "usage": _USAGE,
    }
)

_OF_RESPONSE = {"response": _RESPONSE}
_OF_OUTPUT = {"output_index": _COUNT}
_OF_ITEM = {**_OF_OUTPUT, "item_id": _TEXT}
_OF_CONTENT = {**_OF_ITEM, "content_index": _COUNT}
_OF_SUMMARY = {**_OF_ITEM, "summary_index": _COUNT}
_EVENTS: dict[str, dict[str, Any]] = {
    "response.created": _OF_RESPONSE,
    "response.queued": _OF_RESPONSE,
    "response.in_progress": _OF_RESPONSE,
    "response.completed": _OF_RESPONSE,
    "response.incomplete": _OF_RESPONSE,
    "response.failed": _OF_RESPONSE,
    "response.output_item.added": {**_OF_OUTPUT, "item": _ITEM},
    "response.output_item.done": {**_OF_OUTPUT, "item": _ITEM},
    "response.content_part.added": {**_OF_CONTENT, "part": _PART},
    "response.content_part.done": {**_OF_CONTENT, "part": _PART},
    "response.output_text.delta": {**_OF_CONTENT, "delta": _TEXT, "logprobs": _list_of({})},
    "response.output_text.done": {**_OF_CONTENT, "text": _TEXT, "logprobs": _list_of({})},
    "response.refusal.delta": {**_OF_CONTENT, "delta": _TEXT},
    "response.refusal.done": {**_OF_CONTENT, "refusal": _TEXT},
    "response.reasoning_summary_part.added": {**_OF_SUMMARY, "part": _PART},
    "response.reasoning_summary_part.done": {**_OF_SUMMARY, "part": _PART},
    "response.reasoning_summary_text.delta": {**_OF_SUMMARY, "delta": _TEXT},
    "response.reasoning_summary_text.done": {**_OF_SUMMARY, "text": _TEXT},
    "response.function_call_arguments.delta": {**_OF_ITEM, "delta": _TEXT},
    "response.function_call_arguments.done": {**_OF_ITEM, "arguments": _TEXT},
    "error": {"error": _object({"type": _TEXT, "code": _or_null(_TEXT), "message": _TEXT, "param": _or_null(_TEXT)})},
}
"""What each event has beside its type and number."""


def require_response(found: object, status: str) -> None:
    """Check a response: each field that must be there, and what is in it.

    Args:
        found: The response.
        status: Its status.
    """
    jsonschema_rs.validate(_RESPONSE, found)
    assert isinstance(found, dict)
    assert found["status"] == status
    assert (found["completed_at"] is not None) == (status == "completed")


def require_stream(events: Sequence[dict[str, Any]], status: str) -> None:
    """Check the events of a stream, each by itself and all in their order.

    Args:
        events: All of them.
        status: How the response ends.
    """
    for event in events:
        assert event["type"] in _EVENTS, event["type"]
        schema = _object({"type": _TEXT, "sequence_number": _COUNT, **_EVENTS[event["type"]]})
        jsonschema_rs.validate(schema, event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert events[-1]["type"] == f"response.{status}"
    last = events[-1]["response"]
    require_response(last, status)
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    added = [event["item"]["id"] for event in events if event["type"] == "response.output_item.added"]
    assert added == [item["id"] for item in last["output"]]
    # what a failure has cut off does not end
    assert done == (last["output"][: len(done)] if status == "failed" else last["output"])


def require_compacted(found: object) -> None:
    """Check what ``/responses/compact`` answers."""
    jsonschema_rs.validate(_COMPACTED, found)
