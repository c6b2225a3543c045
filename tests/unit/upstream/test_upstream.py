"""The fake upstream answers, breaks and records as scripted."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.upstream import (
    COUNTED_TOKENS,
    GREETING,
    Failure,
    FakeUpstream,
    Message,
    Reply,
    Text,
    Thinking,
    ToolUse,
    Usage,
    bad_request,
    drop_after,
    error_after,
    forbidden,
    model_not_found,
    overloaded,
    prompt_too_long,
    rate_limited,
    server_error,
    stall_after,
    text,
    too_large,
    unauthorized,
)

pytestmark = pytest.mark.slow

TOOL = ToolUse("toolu_1", "get_weather", {"city": "Paris"})
MIXED = Message(blocks=(Thinking("Let me see.", "sig"), Text("I look."), TOOL))

Event = dict[str, Any]


@pytest.fixture(scope="module")
def server() -> Iterator[FakeUpstream]:
    with FakeUpstream() as running:
        yield running


@pytest.fixture
def upstream(server: FakeUpstream) -> FakeUpstream:
    server.clear()
    server.default = text()
    server.strict = False
    return server


@pytest.fixture
def client(upstream: FakeUpstream) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=upstream.url, timeout=5, trust_env=False) as opened:
        yield opened


def body(*, stream: bool = True, content: str = "Say hello") -> dict[str, Any]:
    messages = [{"role": "user", "content": content}]
    return {"model": "claude-test", "messages": messages, "stream": stream}


def post(client: httpx.Client, *, stream: bool = True, content: str = "Say hello") -> httpx.Response:
    return client.post("/v1/messages?beta=true", json=body(stream=stream, content=content))


def events(raw: str) -> list[Event]:
    """Decode a stream, checking its form: an event line, a data line, an empty line."""
    parsed = []
    for part in raw.removesuffix("\n\n").split("\n\n"):
        name, data = part.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        parsed.append(event)
    return parsed


def deltas(stream: list[Event], key: str) -> list[str]:
    found = [event["delta"] for event in stream if event["type"] == "content_block_delta"]
    return [delta[key] for delta in found if key in delta]


def read_deltas(lines: Iterator[str], n: int) -> None:
    """Read the lines of a running stream until its n-th delta arrived."""
    while n:
        n -= next(lines) == "event: content_block_delta"


def test_starts_and_stops_quickly() -> None:
    start = time.monotonic()
    with FakeUpstream() as upstream:
        assert httpx.get(upstream.url, trust_env=False).status_code == 200
        started = time.monotonic()
    assert started - start < 1
    assert time.monotonic() - started < 1


def test_streams_text_as_events(client: httpx.Client) -> None:
    response = post(client)
    stream = events(response.text)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert [event["type"] for event in stream] == [
        "message_start",
        "content_block_start",
        *["content_block_delta"] * 3,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    usage = {
        "input_tokens": 100,
        "cache_creation_input_tokens": 20,
        "cache_read_input_tokens": 300,
        "service_tier": "standard",
    }
    head = stream[0]["message"]
    assert head["model"] == "claude-test"
    assert head["content"] == []
    assert head["stop_reason"] is None
    assert head["usage"] == usage | {"output_tokens": 1}
    assert deltas(stream, "text") == ["Hello fr", "om fake ", "upstream."]
    assert stream[-2]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert stream[-2]["usage"] == usage | {"output_tokens": 3}


def test_streams_blocks_in_order(upstream: FakeUpstream, client: httpx.Client) -> None:
    upstream.replies(MIXED)
    stream = events(post(client).text)
    starts = [event["content_block"] for event in stream if event["type"] == "content_block_start"]
    assert starts == [
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "text", "text": ""},
        {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}},
    ]
    assert "".join(deltas(stream, "thinking")) == "Let me see."
    assert deltas(stream, "signature") == ["sig"]
    assert len(deltas(stream, "partial_json")) == 3
    assert json.loads("".join(deltas(stream, "partial_json"))) == TOOL.input
    assert stream[-2]["delta"]["stop_reason"] == "tool_use"
    assert stream[-2]["usage"]["output_tokens"] == 9


def test_answers_without_streaming(upstream: FakeUpstream, client: httpx.Client) -> None:
    upstream.replies(MIXED)
    message = post(client, stream=False).json()
    assert message["content"] == [
        {"type": "thinking", "thinking": "Let me see.", "signature": "sig"},
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}},
    ]
    assert message["stop_reason"] == "tool_use"
    assert message["usage"]["output_tokens"] == 9


def test_takes_explicit_chunks_usage_and_stop(upstream: FakeUpstream, client: httpx.Client) -> None:
    usage = Usage(1, 2, 3, 4)
    chunks = ("a", "bc")
    upstream.replies(text(chunks=chunks, usage=usage, stop_reason="stop_sequence", stop_sequence="END"))
    stream = events(post(client).text)
    assert deltas(stream, "text") == ["a", "bc"]
    assert stream[-2]["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "END"}
    assert stream[-2]["usage"] == {
        "input_tokens": 1,
        "cache_read_input_tokens": 2,
        "cache_creation_input_tokens": 3,
        "output_tokens": 4,
        "service_tier": "standard",
    }


def test_streams_an_empty_text(upstream: FakeUpstream, client: httpx.Client) -> None:
    upstream.replies(text(""))
    stream = events(post(client).text)
    assert deltas(stream, "text") == []
    assert stream[-2]["usage"]["output_tokens"] == 0


def test_sends_the_head_before_the_delay(upstream: FakeUpstream, client: httpx.Client) -> None:
    upstream.replies(text(delay=0.5, interval=0.1))
    with client.stream("POST", "/v1/messages", json=body()) as response:
        head = time.monotonic()
        read_deltas(response.iter_lines(), 3)
    record = upstream.wait_for(1)[0]
    first, second, third = record.sent
    assert head < first
    assert first - record.started >= 0.49
    assert min(second - first, third - second) >= 0.09


def test_delays_the_head(upstream: FakeUpstream, client: httpx.Client) -> None:
    upstream.replies(text(head_delay=0.2))
    with client.stream("POST", "/v1/messages", json=body()):
        assert time.monotonic() - upstream.wait_for(1)[0].started >= 0.19


@pytest.mark.parametrize(
    ("failure", "status", "kind"),
    [
        (bad_request(), 400, "invalid_request_error"),
        (prompt_too_long(), 400, "invalid_request_error"),
        (unauthorized(), 401, "authentication_error"),
        (forbidden(), 403, "permission_error"),
        (model_not_found("nope"), 404, "not_found_error"),
        (too_large(), 413, "request_too_large"),
        (rate_limited(7), 429, "rate_limit_error"),
        (server_error(), 500, "api_error"),
        (overloaded(), 529, "overloaded_error"),
        (Failure(418, "teapot", "short", (("x-extra", "1"),)), 418, "teapot"),
    ],
)
def test_fails_in_the_api_s_shape(
    upstream: FakeUpstream, client: httpx.Client, failure: Failure, status: int, kind: str
) -> None:
    upstream.replies(failure)
    response = post(client)
    assert response.status_code == status
    assert response.json() == {
        "type": "error",
        "error": {"type": kind, "message": failure.message},
        "request_id": response.headers["request-id"],
    }
    assert set(failure.headers) <= set(response.headers.items())


def test_words_the_prompt_length_like_the_api() -> None:
    assert prompt_too_long().message == "prompt is too long: 250000 tokens > 200000 maximum"


@pytest.mark.parametrize("sent", [0, 1, 2, 3])
def test_breaks_with_an_error_event(upstream: FakeUpstream, client: httpx.Client, sent: int) -> None:
    upstream.replies(error_after(sent))
    stream = events(post(client).text)
    assert len(deltas(stream, "text")) == sent
    assert stream[-1] == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Overloaded"},
    }


@pytest.mark.parametrize("stream", [True, False])
def test_drops_the_connection(upstream: FakeUpstream, client: httpx.Client, stream: bool) -> None:
    upstream.replies(drop_after(2))
    received = ""
    with (
        pytest.raises(httpx.RemoteProtocolError),
        client.stream("POST", "/v1/messages", json=body(stream=stream)) as response,
    ):
        for part in response.iter_text():
            received += part
    if stream:
        assert deltas(events(received), "text") == ["Hello fr", "om fake "]
    record = upstream.wait_for(1)[0]
    assert record.finished.wait(1)
    assert not record.disconnected.is_set()


def test_an_error_cut_is_an_http_error_without_streaming(upstream: FakeUpstream, client: httpx.Client) -> None:
    upstream.replies(error_after(1))
    assert post(client, stream=False).status_code == 529


@pytest.mark.parametrize("reply", [stall_after(1), text(interval=30)])
def test_notices_the_client_leaving(upstream: FakeUpstream, client: httpx.Client, reply: Message) -> None:
    upstream.replies(reply)
    with client.stream("POST", "/v1/messages", json=body()) as response:
        lines = response.iter_lines()  # kept: closing the iterator closes the response
        read_deltas(lines, 1)
        record = upstream.wait_for(1)[0]
        assert not record.disconnected.wait(0.1)
        assert not record.finished.is_set()
    assert record.disconnected.wait(1)
    assert record.finished.wait(1)


def test_a_complete_reply_is_no_disconnect(upstream: FakeUpstream, client: httpx.Client) -> None:
    post(client)
    client.close()
    record = upstream.wait_for(1)[0]
    assert record.finished.wait(1)
    assert not record.disconnected.wait(0.1)


def test_stops_in_the_middle_of_a_stall() -> None:
    with httpx.Client(trust_env=False) as client:
        with FakeUpstream() as upstream:
            upstream.default = stall_after(1)
            request = client.build_request("POST", f"{upstream.url}/v1/messages", json=body())
            response = client.send(request, stream=True)
            record = upstream.wait_for(1)[0]
            stopping = time.monotonic()
        assert time.monotonic() - stopping < 1
        assert record.finished.is_set()
        assert not record.disconnected.is_set()
        with pytest.raises(httpx.TransportError):
            response.read()


def test_a_reply_may_be_a_function_of_the_body(upstream: FakeUpstream, client: httpx.Client) -> None:
    def echo(request: dict[str, Any]) -> Reply:
        return text(request["messages"][-1]["content"].upper())

    upstream.default = echo
    upstream.replies(text("queued"))
    contents = [post(client, stream=False, content="again").json()["content"] for _ in range(2)]
    assert [content[0]["text"] for content in contents] == ["queued", "AGAIN"]


def test_records_requests(upstream: FakeUpstream, client: httpx.Client) -> None:
    client.head("/")
    first = post(client).text
    assert events(first)[0]["message"]["id"] != events(post(client).text)[0]["message"]["id"]
    head, message, _ = upstream.requests
    assert (head.method, head.path, head.body) == ("HEAD", "/", None)
    assert (message.method, message.path, message.query) == ("POST", "/v1/messages", "beta=true")
    assert message.body == body()
    assert message.headers["content-type"] == "application/json"
    assert len(upstream.messages_requests) == 2
    assert upstream.wait_for(2) == upstream.messages_requests
    with pytest.raises(TimeoutError, match="2 of 3"):
        upstream.wait_for(3, timeout=0.01)


def test_clear_forgets_records_and_queue(upstream: FakeUpstream, client: httpx.Client) -> None:
    upstream.replies(overloaded(), overloaded())
    post(client)
    upstream.clear()
    assert upstream.requests == []
    assert post(client, stream=False).json()["content"][0]["text"] == GREETING


def test_answers_the_other_paths(client: httpx.Client) -> None:
    assert client.get("/").status_code == 200
    assert client.head("/").status_code == 200
    counted = client.post("/v1/messages/count_tokens", json=body())
    assert counted.json() == {"input_tokens": COUNTED_TOKENS}
    missing = client.get("/v1/models")
    assert missing.status_code == 404
    assert missing.json()["error"]["type"] == "not_found_error"


def test_refuses_a_body_that_is_no_object(upstream: FakeUpstream, client: httpx.Client) -> None:
    upstream.replies(text("kept"))
    response = client.post("/v1/messages", content=b"{")
    assert response.status_code == 400
    assert upstream.wait_for(1)[0].body is None
    assert post(client, stream=False).json()["content"][0]["text"] == "kept"


def test_a_strict_one_refuses_what_the_api_refuses(upstream: FakeUpstream, client: httpx.Client) -> None:
    upstream.strict = True
    upstream.replies(text("kept"))
    refused = post(client, content=" ")
    reason = "messages: text content blocks must contain non-whitespace text"
    assert refused.status_code == 400
    assert refused.json()["error"] == {"type": "invalid_request_error", "message": reason}
    assert upstream.refusals == [reason]
    assert post(client, stream=False).json()["content"][0]["text"] == "kept"
    assert upstream.refusals == [reason]
    upstream.clear()
    assert upstream.refusals == []


@pytest.mark.parametrize(
    "content", [b"{", rb'{"model": "claude-test", "messages": [{"role": "user", "content": "\ud83d"}]}']
)
def test_a_strict_one_refuses_what_is_no_json(upstream: FakeUpstream, client: httpx.Client, content: bytes) -> None:
    upstream.strict = True
    response = client.post("/v1/messages", content=content)
    assert response.status_code == 400
    assert upstream.refusals == [response.json()["error"]["message"]]


def test_a_lenient_one_takes_everything(upstream: FakeUpstream, client: httpx.Client) -> None:
    assert post(client, content="").status_code == 200
    assert upstream.refusals == []
