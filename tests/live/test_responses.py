"""The responses API over the real CLI: answers, streams, tools of the client, and what an agent does."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import BadRequestError, NotFoundError

from tests.live.bodies import conversation, system_text
from tests.live.relay import Relay, clean_environment, relay
from tests.upstream import FakeUpstream, Message, Text, Thinking, ToolUse, bad_request, error_after, text

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather.",
    "strict": False,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
PATCH = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edit files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "*** Begin Patch"'},
}
AGENTS = {
    "type": "namespace",
    "name": "multi_agent_v1",
    "description": "Helpers.",
    "tools": [{**WEATHER, "name": "go"}],
}
SEARCH = {"type": "tool_search", "execution": "client", "description": "Find tools."}
FORCED = "claude-sonnet-4-6"
"""A model that can be made to call."""


def ask(relay: Relay, given: Any, **fields: Any) -> httpx.Response:
    return relay.http.post("/v1/responses", json={"model": "sonnet", "input": given, **fields})


def streamed(relay: Relay, given: Any, **fields: Any) -> list[dict[str, Any]]:
    """Return the events of a stream."""
    told = ask(relay, given, stream=True, **fields)
    assert told.status_code == 200, told.text
    return [json.loads(line.removeprefix("data: ")) for line in told.text.splitlines() if line.startswith("data: ")]


def sent(upstream: FakeUpstream, index: int = -1) -> dict[str, Any]:
    body = upstream.messages_requests[index].body
    assert body is not None
    return body


def test_an_answer_is_a_message_with_its_usage(either: Relay, upstream: FakeUpstream) -> None:
    answer = ask(either, "Hi", instructions="Be brief.", metadata={"a": "b"}).json()

    assert (answer["object"], answer["status"], answer["store"]) == ("response", "completed", True)
    (message,) = answer["output"]
    assert message["content"] == [
        {"type": "output_text", "text": "Hello from fake upstream.", "annotations": [], "logprobs": []}
    ]
    assert (message["type"], message["role"], message["phase"]) == ("message", "assistant", "final_answer")
    assert answer["usage"] == {
        "input_tokens": 420,
        "input_tokens_details": {"cached_tokens": 300, "cache_write_tokens": 20},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 423,
    }
    assert answer["metadata"] == {"a": "b"}
    assert "Be brief." in system_text(sent(upstream))


def test_a_stream_tells_thinking_and_text_as_items_of_their_own(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(Message(blocks=(Thinking("It is four."), Text("Four."))))

    events = streamed(chat, "2+2?")

    assert [event["type"] for event in events if "delta" not in event["type"]] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == events[-1]["response"]["output"]
    assert done[0]["summary"] == [{"type": "summary_text", "text": "It is four."}]
    assert "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta") == "Four."


def test_calls_end_a_response_and_their_outputs_go_on_in_the_same_process(chat: Relay, upstream: FakeUpstream) -> None:
    two = (ToolUse("toolu_A", "get_weather", {"city": "Oslo"}), ToolUse("toolu_B", "get_weather", {"city": "Rome"}))
    upstream.replies(Message(blocks=(Text("Let me see."), *two)), text("Cold and warm."))
    asked: list[Any] = [{"role": "user", "content": "Weather?"}]

    first = ask(chat, asked, tools=[WEATHER]).json()
    calls = [item for item in first["output"] if item["type"] == "function_call"]
    outputs = [
        {"type": "function_call_output", "call_id": "toolu_B", "output": [{"type": "input_text", "text": "30"}]},
        {"type": "function_call_output", "call_id": "toolu_A", "output": "-5"},
    ]
    chat.settle()
    reused = chat.processes()["reused"]
    second = ask(chat, [*asked, *first["output"], *outputs], tools=[WEATHER]).json()

    assert [(item["type"], item["status"]) for item in first["output"]] == [
        ("message", "completed"),
        ("function_call", "completed"),
        ("function_call", "completed"),
    ]
    assert first["output"][0]["phase"] == "commentary"
    assert [json.loads(call["arguments"]) for call in calls] == [{"city": "Oslo"}, {"city": "Rome"}]
    assert second["output"][0]["content"][0]["text"] == "Cold and warm."
    results = [block for block in sent(upstream)["messages"][-1]["content"] if block["type"] == "tool_result"]
    assert {block["tool_use_id"] for block in results} == {"toolu_A", "toolu_B"}
    assert chat.processes()["reused"] == reused + 1
    assert len(upstream.messages_requests) == 2


def test_a_custom_tool_is_called_with_text_as_it_is_written(chat: Relay, upstream: FakeUpstream) -> None:
    patch = '*** Begin Patch\n+"hi"\n*** End Patch\n'
    upstream.replies(Message(blocks=(ToolUse("toolu_1", "apply_patch", {"input": patch}, chunks=5),)), text("Done."))
    asked: list[Any] = [{"role": "user", "content": "Edit."}]

    events = streamed(chat, asked, tools=[PATCH])
    (item,) = events[-1]["response"]["output"]
    chat.settle()
    output = {"type": "custom_tool_call_output", "call_id": "toolu_1", "output": "ok"}
    second = ask(chat, [*asked, item, output], tools=[PATCH])

    assert (item["type"], item["call_id"], item["input"]) == ("custom_tool_call", "toolu_1", patch)
    pieces = [event["delta"] for event in events if event["type"] == "response.custom_tool_call_input.delta"]
    assert len(pieces) > 1
    assert "".join(pieces) == patch
    assert second.json()["status"] == "completed"
    (tool,) = sent(upstream)["tools"]
    assert "Begin Patch" in tool["input_schema"]["properties"]["input"]["description"]


def test_a_tool_of_a_namespace_is_called_by_both_its_names(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(Message(blocks=(ToolUse("toolu_1", "multi_agent_v1__go", {"city": "Oslo"}),)), text("Gone."))
    asked: list[Any] = [
        {"type": "additional_tools", "role": "developer", "tools": [AGENTS]},
        {"role": "user", "content": "Go."},
    ]

    (item,) = ask(chat, asked).json()["output"]
    chat.settle()
    second = ask(chat, [*asked, item, {"type": "function_call_output", "call_id": "toolu_1", "output": "ok"}])

    assert (item["name"], item["namespace"]) == ("go", "multi_agent_v1")
    assert second.json()["output"][0]["content"][0]["text"] == "Gone."
    (tool,) = sent(upstream)["tools"]
    assert tool["name"] == "multi_agent_v1__go"
    assert "Helpers." in tool["description"]


def test_tools_that_a_search_has_found_can_be_called(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(Message(blocks=(ToolUse("toolu_1", "tool_search", {"query": "go"}),)), text("I can go."))
    asked: list[Any] = [{"role": "user", "content": "Go."}]

    (item,) = ask(chat, asked, tools=[SEARCH]).json()["output"]
    chat.settle()
    found = {"type": "tool_search_output", "call_id": "toolu_1", "execution": "client", "tools": [AGENTS]}
    second = ask(chat, [*asked, item, found], tools=[SEARCH])

    assert (item["type"], item["execution"], item["arguments"]) == ("tool_search_call", "client", {"query": "go"})
    assert second.status_code == 200
    assert [tool["name"] for tool in sent(upstream)["tools"]] == ["tool_search", "multi_agent_v1__go"]


def test_a_call_can_be_forced(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(Message(blocks=(ToolUse("toolu_1", "get_weather", {"city": "Oslo"}),)))
    schema = {"type": "json_schema", "name": "W", "schema": WEATHER["parameters"]}
    choice = {"type": "function", "name": "get_weather"}

    answer = ask(chat, "?", model=FORCED, tools=[WEATHER], tool_choice=choice, text={"format": schema}).json()

    assert [item["type"] for item in answer["output"]] == ["function_call"]
    assert sent(upstream)["tool_choice"]["name"] == "get_weather"
    assert "format" not in sent(upstream).get("output_config", {})


def test_an_answer_fits_the_schema_that_was_asked_for(chat: Relay, upstream: FakeUpstream) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    upstream.replies(text('{"n": 4}'))

    answer = ask(chat, "2+2?", text={"format": {"type": "json_schema", "name": "N", "schema": schema}})

    assert answer.json()["output"][0]["content"][0]["text"] == '{"n": 4}'
    assert answer.json()["text"]["format"]["name"] == "N"
    assert sent(upstream)["output_config"]["format"]["type"] == "json_schema"


def test_what_an_agent_does_is_seen_while_it_does_it(agent: Relay, upstream: FakeUpstream) -> None:
    work = Message(blocks=(Text("I look."), ToolUse("toolu_1", "Bash", {"command": "echo hi"})))
    upstream.replies(work, text("It says hi."))

    events = streamed(agent, "Run it.", model="sonnet:agent")

    output = events[-1]["response"]["output"]
    assert [(item["type"], item.get("phase")) for item in output] == [
        ("message", "commentary"),
        ("mcp_call", None),
        ("message", "final_answer"),
    ]
    assert [item["content"][0]["text"] for item in output[::2]] == ["I look.\n\n", "It says hi."]
    call = output[1]
    assert (call["server_label"], call["name"], call["status"]) == ("claude_code", "Bash", "completed")
    assert json.loads(call["arguments"])["command"] == "echo hi"
    assert (call["output"], call["error"]) == ("hi", None)
    assert [event["type"] for event in events if event.get("item_id") == call["id"]] == [
        "response.mcp_call.in_progress",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.mcp_call.completed",
    ]
    agent.settle()
    reused = agent.processes()["reused"]
    again = ask(agent, [{"role": "user", "content": "Run it."}, *output, {"role": "user", "content": "Thanks."}])
    assert again.status_code == 200
    assert agent.processes()["reused"] == reused + 1
    assert [role for role, _ in conversation(sent(upstream))][-1] == "user"


def test_what_an_agent_did_is_told_to_a_process_that_does_not_know_it(
    home: Path, upstream: FakeUpstream, claude_path: str
) -> None:
    work = Message(blocks=(Text("I look."), ToolUse("toolu_1", "Bash", {"command": "echo hi"})))
    upstream.replies(work, text("It says hi."), text("You are welcome."))
    with relay(home, clean_environment(home, upstream), claude_path=claude_path, reuse=False) as running:
        first = ask(running, "Run it.", model="sonnet:agent").json()
        ask(running, "Thanks.", model="sonnet:agent", previous_response_id=first["id"])

    used, result = [
        block
        for message in sent(upstream)["messages"]
        for block in message["content"]
        if isinstance(block, dict) and block["type"] in {"tool_use", "tool_result"}
    ]
    assert (used["name"], used["input"]["command"], result["tool_use_id"]) == ("Bash", "echo hi", used["id"])
    assert "hi" in str(result["content"])


def test_a_limit_makes_a_response_incomplete(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(Message(blocks=(Text("One two"),), stop_reason="max_tokens"))

    last = streamed(chat, "Count.", max_output_tokens=2)[-1]

    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert last["response"]["output"][0]["status"] == "incomplete"


@pytest.mark.provokes_errors
def test_a_stream_that_breaks_ends_in_both_forms_that_clients_know(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(error_after(2))

    *_, error, failed = streamed(chat, "Hi")

    assert (error["type"], failed["type"]) == ("error", "response.failed")
    assert error["error"]["message"] == error["message"]
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"]["code"] == "server_is_overloaded"
    assert failed["response"]["output"][0]["status"] == "incomplete"


def test_what_the_upstream_refuses_is_a_400_before_the_stream(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.default = bad_request("messages: no")
    refused = ask(chat, "Hi", stream=True)

    assert refused.status_code == 400
    assert "messages: no" in refused.json()["error"]["message"]


@pytest.mark.parametrize("model", ["sonnet:chat", "sonnet:agent"])
def test_a_conversation_goes_on_in_its_process_and_after_a_restart_from_the_store(
    home: Path, upstream: FakeUpstream, claude_path: str, model: str
) -> None:
    upstream.replies(Message(blocks=(Thinking("Greet."), Text("Hello Ada."))), text("Ada."), text("Still Ada."))
    environ = clean_environment(home, upstream)
    with relay(home, environ, claude_path=claude_path, warm=0) as running:
        first = streamed(running, "I am Ada.", model=model)[-1]["response"]
        running.settle()
        second = ask(running, "Who am I?", model=model, previous_response_id=first["id"]).json()
        assert running.processes()["reused"] == 1
    with relay(home, environ, claude_path=claude_path, warm=0) as running:
        third = ask(running, "And now?", model=model, previous_response_id=second["id"]).json()
        assert running.http.get(f"/v1/responses/{first['id']}").json() == first

    assert third["output"][0]["content"][0]["text"] == "Still Ada."
    said = [text for _, text in conversation(sent(upstream))]
    assert [any(part in heard for heard in said) for part in ("I am Ada.", "Hello Ada.", "Who am I?", "And now?")] == [
        True
    ] * 4


def test_calls_that_were_kept_are_gone_on_from_with_their_outputs_alone(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(Message(blocks=(ToolUse("toolu_1", "get_weather", {"city": "Oslo"}),)), text("Cold."))

    first = ask(chat, "Weather?", tools=[WEATHER]).json()
    chat.settle()
    reused = chat.processes()["reused"]
    output = {"type": "function_call_output", "call_id": "toolu_1", "output": "-5"}
    second = ask(chat, [output], tools=[WEATHER], previous_response_id=first["id"]).json()

    assert second["output"][0]["content"][0]["text"] == "Cold."
    assert chat.processes()["reused"] == reused + 1


def test_what_an_agent_did_is_gone_on_from_by_references_as_the_ai_sdk_sends_them(
    agent: Relay, upstream: FakeUpstream
) -> None:
    work = Message(blocks=(Text("I look."), ToolUse("toolu_1", "Bash", {"command": "echo hi"})))
    upstream.replies(work, text("It says hi."), text("You are welcome."))

    first = ask(agent, "Run it.", model="sonnet:agent").json()
    agent.settle()
    reused = agent.processes()["reused"]
    references = [{"type": "item_reference", "id": item["id"]} for item in first["output"]]
    asked = [{"role": "user", "content": "Run it."}, *references, {"role": "user", "content": "Thanks."}]
    second = ask(agent, asked, model="sonnet:agent").json()

    assert second["output"][-1]["content"][0]["text"] == "You are welcome."
    assert agent.processes()["reused"] == reused + 1


def test_the_sdk_of_openai_gets_lists_and_deletes_what_was_kept(chat: Relay) -> None:
    client = chat.openai.responses

    first = client.create(model="sonnet", input="Hi")
    second = client.create(model="sonnet", input="Again", previous_response_id=first.id)

    assert client.retrieve(second.id) == second
    assert [item.id for item in client.input_items.list(second.id)] != []
    client.delete(first.id)
    with pytest.raises(NotFoundError):
        client.retrieve(first.id)
    with pytest.raises(BadRequestError, match="synchronous"):
        client.cancel(second.id)
    with pytest.raises(BadRequestError, match="not found"):
        client.create(model="sonnet", input="Again", previous_response_id=second.id)
