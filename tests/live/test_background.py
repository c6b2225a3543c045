"""Work that goes on without its client: in the background, after a stream was lost, and with an ``Idempotency-Key``."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx

from tests.live.relay import Relay
from tests.upstream import FakeUpstream, stall_after, text

WORDS = tuple(f"word{number} " for number in range(30))
SLOW = text(chunks=WORDS, interval=0.1)
RESPONSES = "/v1/responses"


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "sonnet", "input": "Take your time.", **fields}


def events(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    """Yield the events of a stream, and leave where it is read no further."""
    for line in answer.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def left_after(relay: Relay, deltas: int, **fields: Any) -> list[dict[str, Any]]:
    """Return the first events of a stream that its client then leaves."""
    told: list[dict[str, Any]] = []
    with relay.http.stream("POST", RESPONSES, json=body(stream=True, **fields)) as stream:
        for event in events(stream):
            told.append(event)
            if len(texts(told)) == deltas:
                break
    return told


def texts(told: list[dict[str, Any]]) -> list[str]:
    return [event["delta"] for event in told if event["type"] == "response.output_text.delta"]


def resumed(relay: Relay, told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the events that follow those that are known."""
    asked = {"stream": "true", "starting_after": str(told[-1]["sequence_number"])}
    with relay.http.stream("GET", f"{RESPONSES}/{told[0]['response']['id']}", params=asked) as stream:
        assert stream.status_code == 200
        return list(events(stream))


def test_a_job_goes_on_without_its_client_and_is_polled_resumed_and_cancelled(
    either: Relay, upstream: FakeUpstream
) -> None:
    upstream.replies(SLOW, stall_after(2))
    either.wait_for_spare()

    told = left_after(either, 3, background=True)
    path = f"{RESPONSES}/{told[0]['response']['id']}"
    polled = either.http.get(path).json()
    rest = resumed(either, told)
    whole = either.http.get(path).json()

    assert (polled["status"], polled["background"]) == ("in_progress", True)
    assert "".join(texts(told + rest)) == "".join(WORDS)
    assert (whole["status"], rest[-1]["response"]) == ("completed", whole)
    assert len(upstream.messages_requests) == 1

    begun = either.http.post(RESPONSES, json=body(background=True)).json()
    record = upstream.wait_for(2)[-1]
    either.wait_until(lambda: either.http.get(f"{RESPONSES}/{begun['id']}").json()["output"])
    cancelled = either.http.post(f"{RESPONSES}/{begun['id']}/cancel").json()

    assert cancelled["status"] == "cancelled"
    assert cancelled["output"][0]["content"][0]["text"]
    assert record.disconnected.wait(1), "the upstream was still asked a second later"
    either.wait_until(lambda: either.processes()["busy"] == 0)


def test_a_stream_that_was_lost_is_resumed_and_asked_once(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(SLOW)
    chat.wait_for_spare()

    told = left_after(chat, 3)
    time.sleep(0.5)
    rest = resumed(chat, told)

    assert "".join(texts(told + rest)) == "".join(WORDS)
    assert rest[-1]["response"]["status"] == "completed"
    assert len(upstream.messages_requests) == 1


def test_a_chat_that_is_sent_again_with_its_key_is_asked_once(agent: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(SLOW)
    agent.wait_for_spare()
    asked: dict[str, Any] = {
        "json": {"model": "sonnet", "messages": [{"role": "user", "content": "Do it once."}], "stream": True},
        "headers": {"idempotency-key": "once"},
    }

    with agent.http.stream("POST", "/v1/chat/completions", **asked) as stream:
        next(events(stream))
    again = agent.http.post("/v1/chat/completions", **asked)

    assert again.headers["idempotent-replayed"] == "true"
    assert all(word.strip() in again.text for word in WORDS)
    assert len(upstream.messages_requests) == 1
