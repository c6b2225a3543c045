"""Cases of the Open Responses specification that need a model: tools, images, thinking, a shorter conversation."""

from typing import Any

from tests.live.relay import Relay
from tests.live.test_responses import ask, streamed
from tests.open_responses import require_compacted, require_response, require_stream
from tests.pictures import data_url, png
from tests.upstream import FakeUpstream, Message, Text, Thinking, ToolUse, text

FORECAST: dict[str, Any] = {
    "type": "function",
    "name": "forecast",
    "description": "Tells tomorrow's weather.",
    "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
}
CALL = Message(blocks=(Thinking("They want to know."), ToolUse("toolu_1", "forecast", {"place": "Bergen"})))


def test_a_tool_is_called_and_the_call_has_all_fields(either: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(CALL)

    answer = ask(either, "Will it rain in Bergen?", tools=[FORECAST]).json()

    require_response(answer, "completed")
    assert [item["type"] for item in answer["output"]] == ["reasoning", "function_call"]


def test_a_call_is_streamed_from_its_item_to_its_end(either: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(CALL)

    events = streamed(either, "Will it rain in Bergen?", tools=[FORECAST])

    require_stream(events, "completed")
    of_call = [event for event in events if event.get("output_index") == 1]
    assert {event.get("item_id", event.get("item", {}).get("id")) for event in of_call} == {of_call[0]["item"]["id"]}
    assert (of_call[0]["type"], of_call[-1]["type"]) == ("response.output_item.added", "response.output_item.done")
    pieces = [event["delta"] for event in of_call if event["type"] == "response.function_call_arguments.delta"]
    assert "".join(pieces) == of_call[-1]["item"]["arguments"] == of_call[-2]["arguments"]


def test_an_image_is_seen(either: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(text("A small one."))
    seen = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": data_url(png())},
    ]

    answer = ask(either, [{"type": "message", "role": "user", "content": seen}]).json()

    require_response(answer, "completed")
    sent = upstream.messages_requests[-1].body
    assert sent is not None
    assert "image" in [part["type"] for part in sent["messages"][0]["content"]]


def test_a_shorter_conversation_is_gone_on_from(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(text("They set out on Monday."), Message(blocks=(Text("On Monday."),)))
    given = [{"role": "user", "content": "We set out on Monday."}, {"role": "assistant", "content": "I see."}]

    compacted = chat.http.post("/v1/responses/compact", json={"model": "sonnet", "input": given}).json()
    answer = ask(chat, [*compacted["output"], {"role": "user", "content": "When?"}]).json()

    require_compacted(compacted)
    require_response(answer, "completed")
