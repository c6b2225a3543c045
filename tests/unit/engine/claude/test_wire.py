"""Lines of the CLI are read, and lines for it are written."""

import json
from typing import Any

import msgspec
import pytest

from claude_relay.engine.claude import outgoing, wire
from tests.unit import captures

PASSED_OVER = {
    "stream_event",  # signatures, pieces of tool input, ends of blocks
    "user",
    "command_lifecycle",
    "conversation_reset",
    "session_title_changed",
    "tool_progress",
    "background_tasks_changed",
    "informational",
}


@pytest.mark.parametrize("name", captures.NAMES)
def test_every_recorded_line_is_read_and_only_the_useless_ones_are_passed_over(name: str) -> None:
    lines = [wire.decode(raw) for raw in captures.raw_lines(name)]

    assert {line.kind for line in lines if isinstance(line, wire.Other)} <= PASSED_OVER


@pytest.mark.parametrize("name", captures.NAMES)
def test_no_recorded_piece_of_text_is_lost(name: str) -> None:
    raw = [json.loads(line) for line in captures.raw_lines(name)]
    deltas = [line["event"]["delta"] for line in raw if line.get("event", {}).get("type") == "content_block_delta"]
    lines = map(wire.decode, captures.raw_lines(name))
    events = [line.event for line in lines if isinstance(line, wire.StreamEvent)]
    pieces = [event.delta for event in events if isinstance(event, wire.ContentBlockDelta)]

    assert [piece.text for piece in pieces if isinstance(piece, wire.TextPiece)] == [
        delta["text"] for delta in deltas if delta["type"] == "text_delta"
    ]
    assert [piece.thinking for piece in pieces if isinstance(piece, wire.ThinkingPiece)] == [
        delta["thinking"] for delta in deltas if delta["type"] == "thinking_delta"
    ]


def test_a_type_near_the_end_of_a_line_is_found() -> None:
    line = b'{"subtype":"success","is_error":true,"result":"oh","usage":{"input_tokens":3},"x":[{}],"type":"result"}'

    assert wire.decode(line) == wire.Result("success", is_error=True, result="oh", usage=wire.Tokens(3))


def test_a_type_inside_a_text_is_no_type() -> None:
    line = b'{"a":"\\"type\\":\\"result\\"","b":{"type":"result"},"type":"news"}'

    assert isinstance(wire.decode(line), wire.Other)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b'{"type":"news","of":"tomorrow"}', "news"),
        (b'{"no":"type"}', ""),
        (b'{"type":"system"}', "system"),
        (b'{"type":"stream_event","event":{"type":"ping"}}', "stream_event"),
        (
            b'{"type":"stream_event","event":{"type":"content_block_delta","delta":{"type":"new_delta"}}}',
            "stream_event",
        ),
        (b'{"type":"assistant","error":{"not":"a string"}}', "assistant"),
        (b'{"type":"result","subtype":"success","result":null}', "result"),
        (b'{"type":"result","subtype":"success","is_error":"yes"}', "result"),
        (b'{"type":"result","subtype":"success","usage":[]}', "result"),
        (b'{"type":"result"}', "result"),
    ],
)
def test_a_line_that_is_unknown_or_looks_unexpected_is_kept_with_the_reason(line: bytes, kind: str) -> None:
    read = wire.decode(line)

    assert isinstance(read, wire.Other)
    assert read.kind == kind
    assert read.reason


@pytest.mark.parametrize(
    "line", [b"", b"Warning: something", b'{"type":"result"', b"[1]", b'"text"', b"null", b'{"type":5}', b"{} {}"]
)
def test_a_line_that_is_no_json_object_with_a_type_is_an_error(line: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        wire.decode(line)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b'{"type":"system","subtype":"\xff"}', id="invalid UTF-8"),
        pytest.param(b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b',"type":"result"}', id="deeply nested"),
        pytest.param(b'{"type":"news","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="unknown and deeply nested"),
    ],
)
def test_a_line_that_cannot_be_read_at_all_is_the_promised_error(line: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        wire.decode(line)


def written(*lines: outgoing.Line) -> list[dict[str, Any]]:
    return [json.loads(line) for line in outgoing.encode(lines).splitlines()]


def test_lines_are_written_one_json_object_each_whatever_they_hold() -> None:
    nasty = "two\nlines\r\n, \u2028 a separator, \x00 and 😀"
    encoded = outgoing.encode(
        [
            outgoing.user([{"type": "text", "text": nasty}], asks=True, client_composed=True),
            outgoing.assistant([{"type": "text", "text": nasty}], "sonnet"),
        ]
    )

    assert encoded.endswith(b"\n")
    assert encoded.count(b"\n") == 2
    for line in encoded.split(b"\n")[:-1]:
        assert json.loads(line)["message"]["content"][0]["text"] == nasty


def test_a_question_carries_what_the_cli_needs_and_nothing_it_might_not_know() -> None:
    (line,) = written(outgoing.user([{"type": "text", "text": "Hi"}], asks=True, client_composed=False))
    uuid = line.pop("uuid")

    assert len(uuid) == 36
    assert line == {
        "type": "user",
        "message": {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        "session_id": "",
    }


def test_a_turn_of_the_past_asks_nothing() -> None:
    (line,) = written(outgoing.user([], asks=False, client_composed=False))

    assert line["shouldQuery"] is False


def test_plain_text_is_marked_where_the_cli_knows_the_mark() -> None:
    (line,) = written(outgoing.user([], asks=True, client_composed=True))

    assert line["client_composed"] is True


def test_a_past_answer_looks_like_one_of_the_model() -> None:
    (line,) = written(outgoing.assistant([{"type": "text", "text": "Hi"}], "opus"))
    message = line["message"]

    assert line["type"] == "assistant"
    assert message.pop("id").startswith("msg_")
    assert message == {
        "type": "message",
        "role": "assistant",
        "model": "opus",
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": 1,
            "cache_read_input_tokens": None,
            "cache_creation_input_tokens": None,
            "output_tokens": 1,
            "output_tokens_details": None,
        },
    }


def test_no_two_lines_share_an_id_for_the_cli_ignores_what_it_has_seen() -> None:
    lines = written(
        *(outgoing.user([], asks=False, client_composed=False) for _ in range(20)),
        *(outgoing.assistant([], "opus") for _ in range(20)),
        *(outgoing.boundary() for _ in range(20)),
    )

    assert len({line["uuid"] for line in lines}) == 60
    assert len({line["message"]["id"] for line in lines if line["type"] == "assistant"}) == 20


def test_a_control_request_carries_its_fields_beside_its_kind() -> None:
    assert written(outgoing.control("relay-1", "initialize", title="t", systemPrompt=["be brief"])) == [
        {
            "type": "control_request",
            "request_id": "relay-1",
            "request": {"subtype": "initialize", "title": "t", "systemPrompt": ["be brief"]},
        }
    ]


def test_a_refusal_names_the_request_that_it_answers() -> None:
    assert written(outgoing.refusal("theirs", "no")) == [
        {"type": "control_response", "response": {"request_id": "theirs", "error": "no", "subtype": "error"}}
    ]


def test_a_boundary_is_a_compaction_by_hand() -> None:
    (line,) = written(outgoing.boundary())

    assert (line["type"], line["subtype"]) == ("system", "compact_boundary")
    assert line["compact_metadata"] == {"trigger": "manual", "pre_tokens": 1}


def delta(**fields: Any) -> bytes:
    event = {"type": "content_block_delta", "index": 0, "delta": fields}
    return json.dumps({"type": "stream_event", "event": event, "parent_tool_use_id": None}).encode()


def test_half_a_character_stays_in_what_is_streamed_since_the_other_half_may_come() -> None:
    line = wire.decode(delta(type="text_delta", text="a\ud83d"))

    assert line == wire.StreamEvent(wire.ContentBlockDelta(wire.TextPiece("a\ud83d")))


@pytest.mark.parametrize("said", ["\ud83d", "a\ude00b", "\ud83d\ud83d\ude00"])
def test_half_a_character_in_any_other_line_is_replaced_and_the_line_is_read(said: str) -> None:
    request = {"subtype": "hook_callback", "input": {"tool_name": "f", "tool_input": {"a": said}}}
    asked = wire.decode(json.dumps({"type": "control_request", "request_id": said, "request": request}).encode())
    ended = wire.decode(json.dumps({"type": "result", "subtype": "success", "result": said}).encode())

    whole = said.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert isinstance(asked, wire.ControlRequest)
    assert (asked.request_id, wire.hook_input(asked.request.input).tool_name) == (whole, "f")
    assert isinstance(ended, wire.Result)
    assert ended.result == whole


def test_a_question_or_a_result_that_cannot_be_read_is_no_noise() -> None:
    deep = b'{"type":"control_request","request":{"input":' + b"[" * 100_000

    assert wire.must_be_read(deep)
    assert wire.must_be_read(b'{"type":"result","result":"\xff')
    assert not wire.must_be_read(b'Welcome! {"type":"user"}')
