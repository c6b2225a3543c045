"""The other end of a client's request: what the upstream answers with, and what reached it."""

import json
from collections.abc import Callable
from typing import Any

from jsonschema_rs import Draft202012Validator

from tests.live.bodies import conversation
from tests.upstream import FakeUpstream, Message, Reply, Script, ToolUse, Usage, bad_request, text

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
"""A picture of one pixel."""
PNG_URL = f"data:image/png;base64,{PNG}"

USAGE = Usage(input_tokens=7, cache_read=11, cache_creation=13, output_tokens=5)
"""OpenAI counts what a cache held as part of the prompt: 31 + 5 = 36 tokens, 11 of them cached."""
PROMPT_TOKENS, COMPLETION_TOKENS, TOTAL_TOKENS, CACHED_TOKENS = 31, 5, 36, 11


def spoken(*pieces: str) -> Message:
    """An answer in pieces, with token counts that are known."""
    return text(chunks=pieces, usage=USAGE)


def asked_schema(body: dict[str, Any]) -> dict[str, Any] | None:
    """Return the schema that an upstream request constrains its answer to."""
    found: dict[str, Any] | None = body.get("output_config", {}).get("format", {}).get("schema")
    return found


def in_the_asked_form(value: Any) -> Script:
    """Answer with JSON, as an upstream that constrains it does; without a schema there is only prose."""

    def reply(body: dict[str, Any]) -> Reply:
        schema = asked_schema(body)
        if schema is None:
            return text("Nobody asked for JSON.")
        Draft202012Validator(schema).validate(value)
        return text(json.dumps(value, indent=1), usage=USAGE)

    return reply


def through_the_tool(value: dict[str, Any]) -> Callable[[dict[str, Any]], Reply]:
    """Give the answer to the tool that Claude Code has for that."""

    def reply(body: dict[str, Any]) -> Reply:
        (tool,) = (tool for tool in body["tools"] if tool["name"] == "StructuredOutput")
        Draft202012Validator(tool["input_schema"]).validate(value)
        return Message(blocks=(ToolUse("toolu_1", "StructuredOutput", value),), usage=USAGE)

    return reply


def refused_then_through_the_tool(value: dict[str, Any]) -> tuple[Script, ...]:
    """Refuse to constrain the answer, as an upstream does whose formats know less than JSON Schema does.

    Claude Code repeats a refused request once or twice by itself, each time without some of its own wishes.
    """
    through = through_the_tool(value)

    def reply(body: dict[str, Any]) -> Reply:
        if asked_schema(body) is not None:
            return bad_request("output_config.format.schema: For 'integer' type, property minimum is not supported")
        return through(body)

    return (reply,) * 4


def body(upstream: FakeUpstream) -> dict[str, Any]:
    """Return what the one request that reached the upstream said."""
    (request,) = upstream.messages_requests
    assert request.body is not None
    return request.body


def turns(upstream: FakeUpstream) -> list[tuple[str, list[str]]]:
    """Return the conversation that reached the upstream."""
    return conversation(body(upstream))


def instructions(upstream: FakeUpstream) -> str:
    """Return the system prompt that reached the upstream, less what Claude Code writes before it."""
    said: str = body(upstream)["system"][-1]["text"]
    return said


def pictures(upstream: FakeUpstream) -> list[dict[str, str]]:
    """Return the sources of all pictures that reached the upstream."""
    contents = [message["content"] for message in body(upstream)["messages"]]
    blocks = [block for content in contents if not isinstance(content, str) for block in content]
    return [block["source"] for block in blocks if block["type"] == "image"]


THE_PICTURE = {"type": "base64", "media_type": "image/png", "data": PNG}
"""What the upstream is sent for `PNG_URL`."""
