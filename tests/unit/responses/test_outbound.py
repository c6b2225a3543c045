"""Events of the engine become a response, whole and as a stream, as recorded clients take it."""

import json
from collections.abc import AsyncIterator
from typing import Any, get_args

import msgspec
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from claude_relay.engine.fanout import Indexed
from claude_relay.engine.vocabulary import (
    ApprovalRequested,
    Event,
    RedactedThinking,
    RunEnd,
    StopReason,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThinkingEnd,
    ToolActivity,
    ToolCallDelta,
    ToolCallStart,
    ToolOutcome,
    Usage,
)
from claude_relay.errors import UnavailableError
from claude_relay.responses.echo import echo
from claude_relay.responses.functions import ClientTool
from claude_relay.responses.outbound import RenderOptions, ResponseInProgress, finish
from claude_relay.responses.signed_thinking import unpacked
from tests.unit.responses.bodies import events, request

pytestmark = pytest.mark.anyio

TOOLS = {
    "get_weather": ClientTool("function", "get_weather"),
    "apply_patch": ClientTool("custom", "apply_patch"),
    "multi_agent_v1__spawn_agent": ClientTool("function", "spawn_agent", "multi_agent_v1"),
    "tool_search": ClientTool("tool_search", "tool_search"),
}
OPTIONS = RenderOptions("00", 1_790_000_000, "sonnet", lambda: 1_790_000_001, TOOLS, echo(request()))
END = RunEnd("end", Usage(5, 3, 3, 7), 2)
TEXT = (TextDelta("Hello"), TextDelta(" from"), TextDelta(" the recorder."))
THOUGHT = (ThinkingDelta("**Thinking**"), ThinkingDelta(" it over"))
CALL = (ToolCallStart("toolu_1", "get_weather"), ToolCallDelta('{"city":'), ToolCallDelta(' "Oslo"}'))
EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


async def happening(*told: Event) -> AsyncIterator[Indexed]:
    for event in told:
        yield 0, event


def in_progress(options: RenderOptions = OPTIONS, **fields: Any) -> ResponseInProgress:
    asked = request(**fields)
    return ResponseInProgress(asked, msgspec.structs.replace(options, echo=echo(asked)))


def plain(event: msgspec.Struct) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(msgspec.json.encode(event))
    return found


async def streamed(*told: Event, options: RenderOptions = OPTIONS, **fields: Any) -> list[dict[str, Any]]:
    response = in_progress(options, **fields)
    first = list(response.first())
    return [plain(event) for event in (*first, *[event async for event in response.events(happening(*told))])]


async def whole(*told: Event, options: RenderOptions = OPTIONS, **fields: Any) -> dict[str, Any]:
    return plain(await in_progress(options, **fields).whole(happening(*told)))


async def output(*told: Event, **fields: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await whole(*told, **fields))["output"]
    return found


def shape(value: Any) -> Any:
    """Return what a value consists of: the names of its fields, and its constants."""
    match value:
        case {"type": str(kind), **others}:
            return kind, {name: shape(inner) for name, inner in others.items() if name != "encrypted_content"}
        case dict():
            return {name: shape(inner) for name, inner in value.items()}
        case list():
            return [shape(inner) for inner in value]
    return type(value).__name__ if not isinstance(value, int | float) else "number"


def lacking(recorded: Any, ours: Any) -> Any:
    """Return what a recorded shape has that ours has not."""
    match recorded, ours:
        case (str(kind), dict(inner)), (str(other), dict(own)):
            return {"type": (kind, other)} if kind != other else lacking(inner, own)
        case dict(), dict():
            missing = {name: lacking(inner, ours.get(name)) for name, inner in recorded.items()}
            return {name: found for name, found in missing.items() if found}
        case list(), list() if len(recorded) == len(ours):
            return [found for pair in zip(recorded, ours, strict=True) if (found := lacking(*pair))]
    return None if recorded == ours else (recorded, ours)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("text", (*TEXT, END)),
        ("reasoning-then-text", (*THOUGHT, *TEXT, END)),
        ("function_call", (*CALL, RunEnd("tool_calls", Usage()))),
        ("custom_tool_call", (ToolCallStart("toolu_1", "apply_patch"), ToolCallDelta("*** Begin Patch"), END)),
        (
            "namespace_call",
            (ToolCallStart("toolu_1", "multi_agent_v1__spawn_agent"), ToolCallDelta("{"), ToolCallDelta("}"), END),
        ),
        ("incomplete", (*TEXT, RunEnd("length", Usage()))),
    ],
)
async def test_a_stream_has_all_events_and_fields_that_every_client_takes(name: str, told: tuple[Event, ...]) -> None:
    recorded, ours = events(name), await streamed(*told)

    assert [event["type"] for event in ours] == [event["type"] for event in recorded]
    for expected, found in zip(recorded, ours, strict=True):
        assert not lacking(shape(expected), shape(found)), found["type"]
    assert [event["sequence_number"] for event in ours] == list(range(len(ours)))


async def test_a_message_and_two_calls_are_three_items() -> None:
    recorded = events("message-then-two-calls")

    ours = await streamed(*TEXT, *CALL, *CALL, RunEnd("tool_calls", Usage()))

    assert [event["type"] for event in ours if "delta" not in event["type"]] == [
        event["type"] for event in recorded if "delta" not in event["type"] and "reasoning" not in event["type"]
    ]
    assert [event["output_index"] for event in ours if event["type"] == "response.output_item.added"] == [0, 1, 2]


ALL: tuple[Event, ...] = (
    *THOUGHT,
    *TEXT,
    ToolActivity("Bash", "ls", {"command": "ls"}, "t1"),
    ToolActivity("Read", "a", {"file_path": "a"}, "t2"),
    ToolOutcome("t2", "No such file.", is_error=True),
    *TEXT,
    ToolOutcome("t1", "a.txt"),
    ToolActivity("WebSearch", "news", {"query": "news"}, "t3"),
    ToolOutcome("t3", "Much."),
    *CALL,
    ToolCallStart("toolu_2", "apply_patch"),
    ToolCallDelta("x"),
    END,
)


async def test_each_event_is_one_of_the_openai_packages() -> None:
    for event in await streamed(*ALL):
        assert EVENTS.validate_python(event).type == event["type"]


async def test_a_response_has_every_field_and_only_values_of_the_right_type() -> None:
    answer = await whole(
        *ALL, tools=[{"type": "function", "name": "f"}], metadata={"a": "b"}, temperature=0.5, user="u"
    )

    Response.model_validate(answer, strict=True)
    assert set(answer) == set(events("text")[-1]["response"])
    assert answer["tools"] == [
        {"type": "function", "name": "f", "description": None, "parameters": None, "strict": None}
    ]
    assert (answer["metadata"], answer["temperature"], answer["top_p"], answer["user"]) == ({"a": "b"}, 0.5, 1.0, "u")
    assert answer["usage"] == {
        "input_tokens": 11,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 3},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 18,
    }


async def test_what_was_asked_for_comes_back_as_it_was_asked_for() -> None:
    form = {"type": "json_schema", "name": "W", "schema": {"type": "object"}, "strict": True}
    choice = {"type": "function", "name": "f"}

    answer = await whole(
        END,
        text={"format": form, "verbosity": "low"},
        tool_choice=choice,
        tools=[{"type": "web_search"}, {"type": "function", "name": "f", "strict": True}],
        reasoning={"effort": "high", "summary": "auto"},
        instructions="Be brief.",
        max_output_tokens=5,
        parallel_tool_calls=False,
        store=True,
    )

    assert answer["text"] == {"format": {**form, "description": None}, "verbosity": "low"}
    assert (answer["tool_choice"], answer["parallel_tool_calls"]) == (choice, False)
    assert answer["tools"][0] == {"type": "web_search"}
    assert answer["reasoning"] == {"effort": "high", "summary": "auto"}
    assert (answer["instructions"], answer["max_output_tokens"], answer["store"]) == ("Be brief.", 5, False)


async def test_ids_are_the_same_from_the_first_event_of_an_item_to_the_response() -> None:
    told = await streamed(*ALL)

    added = [event["item"]["id"] for event in told if event["type"] == "response.output_item.added"]
    done = [event["item"] for event in told if event["type"] == "response.output_item.done"]
    places = [event["output_index"] for event in told if event["type"] == "response.output_item.done"]
    in_order = [item for _, item in sorted(zip(places, done, strict=True), key=lambda found: found[0])]
    assert [item["id"] for item in in_order] == added
    assert in_order == told[-1]["response"]["output"] == await output(*ALL)
    assert len(set(added)) == len(added) == 8
    assert {event["item_id"] for event in told if "item_id" in event} == set(added)
    assert sorted(places) == list(range(8))
    assert [event["output_index"] for event in told if event["type"] == "response.output_item.added"] == list(range(8))


async def test_an_item_ends_where_something_else_begins() -> None:
    items = await output(*ALL)

    assert [(item["type"], item.get("phase")) for item in items] == [
        ("reasoning", None),
        ("message", "commentary"),
        ("mcp_call", None),
        ("mcp_call", None),
        ("message", "commentary"),
        ("web_search_call", None),
        ("function_call", None),
        ("custom_tool_call", None),
    ]
    assert [item["status"] for item in items if item["status"] != "completed"] == ["failed"]


async def test_what_a_tool_returned_stands_in_its_item_from_when_it_has_returned() -> None:
    items = await output(*ALL)

    assert [(item["output"], item["error"]) for item in items if item["type"] == "mcp_call"] == [
        ("a.txt", None),
        (None, {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": "No such file."}]}),
    ]
    assert items[2]["arguments"] == '{"command":"ls"}'
    assert [event["type"] for event in await streamed(*ALL) if event.get("item_id") == items[2]["id"]] == [
        "response.mcp_call.in_progress",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.mcp_call.completed",
    ]
    assert [event["type"] for event in await streamed(*ALL) if event.get("item_id") == items[3]["id"]][-1] == (
        "response.mcp_call.failed"
    )


async def test_a_search_of_the_web_is_shown_as_one() -> None:
    (search,) = [item for item in await output(*ALL) if item["type"] == "web_search_call"]

    assert search["action"] == {"type": "search", "query": "news", "queries": ["news"]}
    assert [event["type"] for event in await streamed(*ALL) if event.get("item_id") == search["id"]] == [
        "response.web_search_call.in_progress",
        "response.web_search_call.searching",
        "response.web_search_call.completed",
    ]


@pytest.mark.parametrize(("tool", "status"), [("Bash", "incomplete"), ("WebSearch", "failed")])
async def test_a_tool_that_has_not_returned_at_the_end_is_not_complete(tool: str, status: str) -> None:
    told = (ToolActivity(tool, "x", {}, "t1"), *TEXT, END)

    work, message = await output(*told)

    assert (work["status"], message["phase"]) == (status, "final_answer")
    done = [event["item"]["id"] for event in await streamed(*told) if event["type"] == "response.output_item.done"]
    assert done == [message["id"], work["id"]]


PAUSED = RunEnd("approval", Usage(5, 3, 3, 7))


async def test_a_tool_that_waits_for_permission_is_a_request_for_it_at_the_end() -> None:
    told = (*TEXT, ApprovalRequested("mcpr_1", "t1", "Bash", {"command": "ls"}), PAUSED)

    message, asked = await output(*told)

    assert asked == {
        "type": "mcp_approval_request",
        "id": "mcpr_1",
        "server_label": "claude_code",
        "name": "Bash",
        "arguments": '{"command":"ls"}',
    }
    assert (message["phase"], message["status"]) == ("commentary", "completed")
    events = await streamed(*told)
    assert [event["type"] for event in events if event.get("item", {}).get("id") == "mcpr_1"] == [
        "response.output_item.added",
        "response.output_item.done",
    ]
    assert events[-1]["type"] == "response.completed"
    for event in events:
        assert EVENTS.validate_python(event).type == event["type"]


async def test_a_tool_that_was_taken_for_one_that_runs_is_not_complete() -> None:
    told = (ToolActivity("Bash", "ls", {}, "t1"), ApprovalRequested("mcpr_1", "t1", "Bash", {}), PAUSED)

    assert [(item["type"], item.get("status")) for item in await output(*told)] == [
        ("mcp_call", "incomplete"),
        ("mcp_approval_request", None),
    ]


async def test_a_call_names_the_request_that_it_waited_for() -> None:
    (call,) = await output(ToolActivity("Bash", "ls", {}, "t1", "mcpr_1"), ToolOutcome("t1", "ok"), END)

    assert call["approval_request_id"] == "mcpr_1"


async def test_texts_around_an_agents_work_are_set_apart_at_the_end_of_the_first() -> None:
    work = (ToolActivity("Bash", "ls", {}, "t1"), ToolActivity("Bash", "ls", {}, "t2"))
    told = (TextDelta("I look."), *work, ThinkingDelta("hm"), TextDelta("\n\nIt is"), TextDelta(" small."), END)

    texts = [item["content"][0]["text"] for item in await output(*told) if item["type"] == "message"]

    assert texts == ["I look.\n\n", "It is small."]
    deltas = [event["delta"] for event in await streamed(*told) if event["type"] == "response.output_text.delta"]
    assert "".join(deltas) == "I look.\n\nIt is small."


@pytest.mark.parametrize(("first", "second"), [("A line.\n", "More."), ("", "More.")])
async def test_texts_that_are_apart_stay_as_they_are(first: str, second: str) -> None:
    told = (
        (TextDelta(first), ToolActivity("Bash", "ls", {}), TextDelta(second), END)
        if first
        else (TextDelta(second), END)
    )

    texts = [item["content"][0]["text"] for item in await output(*told) if item["type"] == "message"]

    assert texts == [text for text in (first, second) if text]


@pytest.mark.parametrize("stop", get_args(StopReason))
async def test_each_end_of_a_run_has_a_word_and_a_status(stop: StopReason) -> None:
    assert finish(stop) in {"completed", "refusal", "max_output_tokens", "approval"}
    answer = await whole(*TEXT, RunEnd(stop, Usage()))
    assert answer["status"] == ("incomplete" if stop in {"length", "context_window"} else "completed")


async def test_thinking_is_hidden_where_the_operator_wants_it() -> None:
    options = msgspec.structs.replace(OPTIONS, reasoning=False)

    told = (*THOUGHT, ThinkingEnd("U1"), RedactedThinking("eA=="), *TEXT, END)
    assert [item["type"] for item in (await whole(*told, options=options))["output"]] == ["message"]


SIGNED = msgspec.structs.replace(OPTIONS, signed=True)
THINKING = Thinking("**Thinking** it over", "EqQBCkYI==")


async def test_signed_thinking_is_an_item_of_its_own_for_each_block() -> None:
    told = (*THOUGHT, ThinkingEnd("EqQBCkYI=="), RedactedThinking("eA=="), ThinkingEnd("U2"), *THOUGHT, *TEXT, END)

    events = await streamed(*told, options=SIGNED)
    items = events[-1]["response"]["output"]

    assert [unpacked(item.get("encrypted_content")) for item in items] == [
        THINKING,
        RedactedThinking("eA=="),
        Thinking("", "U2"),
        None,
        None,
    ]
    assert [[part["text"] for part in item.get("summary", ["-"])] for item in items[:4]] == [
        ["**Thinking** it over"],
        [],
        [],
        ["**Thinking** it over"],
    ]
    assert [event["item"] for event in events if event["type"] == "response.output_item.done"] == items
    assert len({item["id"] for item in items}) == 5
    for event in events:
        EVENTS.validate_python(event)


async def test_who_does_not_ask_for_signatures_gets_none_and_what_is_kept_has_them() -> None:
    told = (*THOUGHT, ThinkingEnd("EqQBCkYI=="), *TEXT, END)
    response = in_progress()

    events = [plain(event) async for event in response.events(happening(*told))]

    assert events[-1]["response"]["output"] == await output(*THOUGHT, *TEXT, END)
    assert not any("encrypted_content" in str(event) for event in events)
    kept, _ = map(plain, response.kept)
    assert unpacked(kept.pop("encrypted_content")) == THINKING
    assert kept == events[-1]["response"]["output"][0]


@pytest.mark.parametrize("end", [(), (ThinkingEnd(""),)])
async def test_thinking_that_was_cut_off_has_no_signature(end: tuple[Event, ...]) -> None:
    (item,) = (await whole(*THOUGHT, *end, RunEnd("length", Usage()), options=SIGNED))["output"]

    assert (item["status"], item.get("encrypted_content")) == ("incomplete", None)


async def test_a_search_for_tools_has_an_object_of_arguments() -> None:
    told = (ToolCallStart("toolu_1", "tool_search"), ToolCallDelta('{"query":'), ToolCallDelta('"x"}'), END)

    (item,) = await output(*told)

    assert item == {
        "type": "tool_search_call",
        "id": item["id"],
        "call_id": "toolu_1",
        "execution": "client",
        "arguments": {"query": "x"},
        "status": "completed",
    }


@pytest.mark.parametrize(
    ("told", "fields", "content"),
    [
        ((), {}, [("refusal", "The model declined to answer.")]),
        (TEXT, {}, [("output_text", "Hello from the recorder."), ("refusal", "The model declined to answer.")]),
        (
            TEXT,
            {"text": {"format": {"type": "json_object"}}},
            [("refusal", "Hello from the recorder.")],
        ),
    ],
)
async def test_a_model_that_declines_refuses_in_a_part_of_its_own(
    told: tuple[Event, ...], fields: dict[str, Any], content: list[tuple[str, str]]
) -> None:
    answer = await whole(*told, RunEnd("refusal", Usage()), **fields)
    events_ = await streamed(*told, RunEnd("refusal", Usage()), **fields)

    (message,) = answer["output"]
    assert [(part["type"], part.get("text") or part["refusal"]) for part in message["content"]] == content
    assert answer["status"] == "completed"
    assert events_[-1]["response"]["output"] == answer["output"]
    indexes = [event["content_index"] for event in events_ if event["type"] == "response.content_part.done"]
    assert indexes == list(range(len(content)))


async def test_json_is_told_as_it_is_written() -> None:
    told = await streamed(
        TextDelta(" "), TextDelta('{"a":'), TextDelta(" 1}"), END, text={"format": {"type": "json_object"}}
    )

    assert [event["delta"] for event in told if "delta" in event] == [' {"a":', " 1}"]


async def test_an_answer_without_words_has_no_items() -> None:
    assert await output(END) == []


async def test_a_call_that_a_limit_has_cut_is_not_complete() -> None:
    *_, call = await output(*TEXT, *CALL[:2], RunEnd("length", Usage()))

    assert (call["status"], call["arguments"]) == ("incomplete", '{"city":')


async def test_a_failure_is_told_in_both_forms_with_what_was_done_so_far() -> None:
    response = in_progress()
    told = [*response.first(), *[event async for event in response.events(happening(*THOUGHT, *TEXT))]]

    error, failed = map(plain, response.failed(UnavailableError("Busy.", param="x")))

    assert error == {
        "type": "error",
        "sequence_number": len(told),
        "code": "service_unavailable",
        "message": "Busy.",
        "param": "x",
        "error": {"message": "Busy.", "type": "server_error", "param": "x", "code": "service_unavailable"},
    }
    assert failed["response"]["error"] == {"code": "server_is_overloaded", "message": "Busy."}
    assert [item["status"] for item in failed["response"]["output"]] == ["completed", "incomplete"]
    assert not lacking(shape(events("failed-early")[-1]["response"]["error"]), shape(failed["response"]["error"]))


async def test_a_sign_of_life_has_a_number_of_its_own() -> None:
    response = in_progress()
    list(response.first())

    assert [plain(response.keep_alive()) for _ in range(2)] == [
        {"type": "keepalive", "sequence_number": 2},
        {"type": "keepalive", "sequence_number": 3},
    ]
