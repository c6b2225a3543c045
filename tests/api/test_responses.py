"""The responses API over the echo runner: bodies, streams, errors in shape, limits of time."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partialmethod
from typing import Any

import pytest

from claude_relay import errors
from claude_relay.asgi import create_app
from claude_relay.engine.echo import EchoRunner
from claude_relay.settings import Settings
from claude_relay.web import live_responses
from tests.api.conftest import Client
from tests.api.sockets import connected, head, listening
from tests.callers import ELSEWHERE, calling
from tests.unit.responses.bodies import events_of

PATHS = ["/responses", "/v1/responses"]


@pytest.mark.parametrize("path", PATHS)
def test_a_response_is_whole(client: Client, path: str) -> None:
    answer = client.post(path, json={"input": "hi there", "model": "gpt-x", "seed": 1})

    assert answer.status_code == 200
    assert (answer.json()["model"], answer.json()["status"]) == ("gpt-x", "completed")
    assert answer.json()["output"][0]["content"][0]["text"] == "hi there"
    assert answer.headers["x-claude-relay-ignored"] == "seed"


@pytest.mark.parametrize("path", PATHS)
def test_a_stream_has_names_and_ends_with_the_response(client: Client, path: str) -> None:
    answer = client.post(path, json={"input": "hi there", "stream": True})

    assert answer.headers["content-type"].startswith("text/event-stream")
    told = events_of(answer.text)
    names = [line.removeprefix("event: ") for line in answer.text.splitlines() if line.startswith("event: ")]
    assert names == [event["type"] for event in told]
    assert (names[0], names[-1]) == ("response.created", "response.completed")
    assert "[DONE]" not in answer.text


def test_a_request_without_anything_is_served(client: Client) -> None:
    assert client.post("/v1/responses", json={}).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        (b"{", 400, "invalid_json", None),
        (b"", 400, "invalid_json", None),
        (b"[]", 400, "invalid_value", None),
        (b'{"input": 5}', 400, "invalid_value", "input"),
        (b'{"input": ["x"]}', 400, "invalid_value", "input[0]"),
        (b'{"text": {"format": {"type": "sound"}}}', 400, "invalid_value", "text.format.type"),
        (b'{"previous_response_id": "resp_1"}', 400, "previous_response_not_found", "previous_response_id"),
        (b'{"input": [{"type": "item_reference", "id": "x"}]}', 404, "not_found", "input[0].id"),
        (b'{"input": "!echo error=404\\nx"}', 404, "not_found", None),
        (b'{"input": "!echo error=429\\nx"}', 429, "rate_limit_exceeded", None),
        (b'{"input": "!echo error=502\\nx"}', 503, "server_is_overloaded", None),
        (b'{"input": "!echo error=503\\nx", "stream": true}', 503, "server_is_overloaded", None),
    ],
)
def test_an_error_before_the_answer_has_a_status_that_clients_stop_at(
    client: Client, body: bytes, status: int, code: str, param: str | None
) -> None:
    answer = client.post("/v1/responses", content=body, headers={"content-type": "application/json"})

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
    assert set(error) == {"message", "type", "param", "code"}


@pytest.mark.provokes_errors
def test_a_failure_that_nobody_expected_is_no_plain_500(
    failing: Callable[[Exception], AbstractContextManager[Client]],
) -> None:
    with failing(ZeroDivisionError()) as client:
        answer = client.post("/v1/responses", json={"input": "x"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "server_is_overloaded")
    assert answer.headers["x-should-retry"] == "false"


def test_a_conversation_that_is_too_long_is_an_error_of_the_input(
    failing: Callable[[Exception], AbstractContextManager[Client]],
) -> None:
    error = errors.InvalidRequestError("Too long.", param=errors.CONVERSATION, code="context_length_exceeded")
    with failing(error) as client:
        answer = client.post("/v1/responses", json={"input": "x"})

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input")


def test_a_stream_that_fails_ends_in_both_forms(client: Client) -> None:
    *_, error, failed = events_of(
        client.post("/v1/responses", json={"input": "!echo error=502 after=1\na b", "stream": True}).text
    )

    assert (error["type"], error["code"], error["error"]["code"]) == ("error", "upstream_error", "upstream_error")
    assert (failed["type"], failed["response"]["error"]["code"]) == ("response.failed", "server_is_overloaded")
    assert failed["response"]["output"][0]["content"][0]["text"] == "a "


@pytest.mark.parametrize("where", ["client_metadata", "x"])
def test_a_body_of_any_depth_is_served_or_refused(client: Client, where: str) -> None:
    """Reading, keeping and writing it each have a limit of their own."""
    found = set()
    for depth in (*range(930, 1000), 5_000):
        deep = '{"a":' * depth + "1" + "}" * depth
        bodies = {
            "client_metadata": f'{{"client_metadata":{deep}}}',
            "x": f'{{"tools":[{{"type":"web_search","x":{deep}}}]}}',
        }
        answer = client.post("/v1/responses", content=bodies[where], headers={"content-type": "application/json"})
        found.add((answer.status_code, answer.json()["error"]["code"] if answer.is_error else None))

    assert found == {(200, None), (400, "invalid_json")}


def test_strangers_get_a_401_and_no_answer() -> None:
    with calling(create_app(Settings(), EchoRunner()), ELSEWHERE) as client:
        assert client.post("/v1/responses", json={"input": "x"}).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "", 405), ("GET", "/resp_1", 404), ("DELETE", "/x", 404)]
)
def test_what_is_not_there_cannot_be_asked_for(client: Client, method: str, path: str, status: int) -> None:
    assert client.request(method, f"/v1/responses{path}").status_code == status


def test_a_stream_begins_and_shows_signs_of_life_before_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    shown_soon = partialmethod(live_responses.LiveResponse.__init__, keep_alive=0.05)
    monkeypatch.setattr(live_responses.LiveResponse, "__init__", shown_soon)
    body = {"input": "!echo delay=0.4\nhi", "stream": True}
    with calling(create_app(Settings(first_byte=0.01), EchoRunner())) as client:
        told = events_of(client.post("/v1/responses", json=body).text)

    names = [event["type"] for event in told]
    assert names[:3] == ["response.created", "response.in_progress", "keepalive"]
    assert names[-1] == "response.completed"
    assert [event["sequence_number"] for event in told] == list(range(len(told)))


def test_an_answer_that_fails_after_its_stream_began_fails_in_the_stream() -> None:
    body = {"input": "!echo delay=0.1 error=404 after=0\nhi", "stream": True}
    with calling(create_app(Settings(first_byte=0.01), EchoRunner())) as client:
        answer = client.post("/v1/responses", json=body)

    assert answer.status_code == 200
    assert [event["type"] for event in events_of(answer.text)] == [
        "response.created",
        "response.in_progress",
        "error",
        "response.failed",
    ]


def test_each_event_is_a_write_of_its_own() -> None:
    body = b'{"input": "!echo interval=0.02\\none two three", "stream": true}'
    top = head("/v1/responses", content_type="application/json", content_length=str(len(body)), connection="close")
    with listening(create_app(Settings(), EchoRunner())) as place, connected(place) as connection:
        connection.sendall(top + body)
        received = b"".join(iter(lambda: connection.recv(65536), b""))

    chunks = _chunks(received.partition(b"\r\n\r\n")[2])
    assert len(chunks) > 10
    for chunk in chunks:
        assert chunk.startswith(b"event: response.")
        assert chunk.endswith(b"\n\n")
        assert chunk.count(b"event: ") == 1


def _chunks(body: bytes) -> list[bytes]:
    """Return the pieces of a body that is sent in chunks."""
    found: list[bytes] = []
    while True:
        length, _, body = body.partition(b"\r\n")
        if not (size := int(length, 16)):
            return found
        found.append(body[:size])
        body = body[size + 2 :]


def test_signs_of_life_come_often_enough_for_clients_that_wait_a_quarter_of_a_minute() -> None:
    assert live_responses.KEEP_ALIVE <= 15


async def _upgrade(place: tuple[str, int], path: str) -> tuple[bytes, Any]:
    reader, writer = await asyncio.open_connection(*place)
    writer.write(
        b"GET %b HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
        b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nopenai-beta: responses_websockets=2026-02-06\r\n\r\n"
        % path.encode()
    )
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return head.split(b"\r\n")[0], json.loads(body)


@pytest.mark.parametrize("path", PATHS)
def test_a_websocket_is_answered_426_so_that_codex_posts_at_once(path: str) -> None:
    with listening(create_app(Settings(), EchoRunner())) as place:
        status, body = asyncio.run(_upgrade(place, path))

    assert (status, body["error"]["code"]) == (b"HTTP/1.1 426 Upgrade Required", "upgrade_refused")
