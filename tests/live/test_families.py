"""The same conversation in every family: the upstream sees the same, and one goes on where another began."""

from typing import Any

import pytest

from tests.live.relay import Relay
from tests.upstream import FakeUpstream, Message, Text, Thinking, ToolUse, text

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
URL = f"data:image/png;base64,{PNG}"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ARGUMENTS = '{"city":"Oslo"}'
CALL = Message(blocks=(Thinking("Hm."), Text("I look."), ToolUse("toolu_1", "get_weather", {"city": "Oslo"})))
SOURCE = {"type": "base64", "media_type": "image/png", "data": PNG}

CHAT: tuple[dict[str, Any], ...] = (
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [{"type": "text", "text": "Look."}, {"type": "image_url", "image_url": {"url": URL}}],
            },
        ],
        "tools": [{"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}],
    },
    {
        "messages": [
            {
                "role": "assistant",
                "content": "I look.",
                "tool_calls": [
                    {
                        "id": "toolu_1",
                        "type": "function",
                        "function": {"name": "get_weather", "arguments": ARGUMENTS},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "toolu_1", "content": "-5"},
        ]
    },
)
RESPONSES: tuple[dict[str, Any], ...] = (
    {
        "instructions": "Be brief.",
        "input": [
            {
                "role": "user",
                "content": [{"type": "input_text", "text": "Look."}, {"type": "input_image", "image_url": URL}],
            }
        ],
        "tools": [{"type": "function", "name": "get_weather", "parameters": SCHEMA}],
    },
    {
        "input": [
            {"role": "assistant", "content": "I look."},
            {"type": "function_call", "call_id": "toolu_1", "name": "get_weather", "arguments": ARGUMENTS},
            {"type": "function_call_output", "call_id": "toolu_1", "output": "-5"},
        ]
    },
)
MESSAGES: tuple[dict[str, Any], ...] = (
    {
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Look."}, {"type": "image", "source": SOURCE}]}
        ],
        "tools": [{"name": "get_weather", "input_schema": SCHEMA}],
    },
    {
        "messages": [
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}},
                ],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "-5"}]},
        ]
    },
)
FAMILIES = {
    "/v1/chat/completions": ("messages", CHAT),
    "/v1/responses": ("input", RESPONSES),
    "/v1/messages": ("messages", MESSAGES),
}


def ask(relay: Relay, path: str, *, rounds: int, key: str) -> None:
    """Ask for the first answer, or with the round of tools that it led to."""
    conversation, (first, second) = FAMILIES[path]
    body = first if rounds == 1 else {**first, conversation: [*first[conversation], *second[conversation]]}
    response = relay.http.post(path, json={"model": "sonnet", **body}, headers={"authorization": f"Bearer {key}"})
    assert response.status_code == 200, response.text


def seen(upstream: FakeUpstream) -> list[dict[str, Any]]:
    """Return what the upstream saw of each request: turns, tools and the system prompt."""
    bodies = [request.body for request in upstream.messages_requests if request.body is not None]
    return [
        {
            "messages": [
                {
                    "role": message["role"],
                    "content": [
                        {name: value for name, value in block.items() if name != "cache_control"}
                        for block in message["content"]
                        if block["type"] != "text" or not block["text"].startswith("<system-reminder>")
                    ],
                }
                for message in body["messages"]
                if message["role"] != "system"
            ],
            "tools": body["tools"],
            "system": body["system"][-1]["text"],
        }
        for body in bodies
    ]


def test_the_upstream_sees_the_same_whatever_the_family(chat: Relay, upstream: FakeUpstream) -> None:
    for path in FAMILIES:
        upstream.replies(text("Cold."))
        ask(chat, path, rounds=2, key=f"same{path}")

    first, *others = seen(upstream)
    assert [message["role"] for message in first["messages"]] == ["user", "assistant", "user"]
    assert first["system"] == "Be brief."
    assert others == [first] * 2


@pytest.mark.parametrize(("begun", "gone_on"), [(one, two) for one in FAMILIES for two in FAMILIES if one != two])
def test_a_conversation_of_one_family_goes_on_in_another_on_the_same_process(
    chat: Relay, upstream: FakeUpstream, begun: str, gone_on: str
) -> None:
    upstream.replies(CALL, text("Cold."))
    key = f"{begun}{gone_on}"

    ask(chat, begun, rounds=1, key=key)
    started = chat.processes()["started"]
    ask(chat, gone_on, rounds=2, key=key)

    assert chat.processes()["started"] == started
    first, second = seen(upstream)
    assert second["tools"] == first["tools"]
    # what the model thought is still there, though no client sent it back
    assert [block["type"] for block in second["messages"][1]["content"]] == ["thinking", "text", "tool_use"]
