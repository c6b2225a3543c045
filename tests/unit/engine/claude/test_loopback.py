"""The self-test's own upstream speaks HTTP and the events of the Messages API."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from claude_relay.engine.claude.loopback import Loopback, loopback

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

BODY = {"model": "some-model", "messages": [{"role": "user", "content": "Hi"}]}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"x": 1}}


@pytest.fixture
async def upstream() -> AsyncIterator[Loopback]:
    async with loopback() as running:
        yield running


@pytest.fixture
async def client(upstream: Loopback) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=upstream.url, trust_env=False, timeout=5) as running:
        yield running


def events(text: str) -> list[dict[str, Any]]:
    """Read server-sent events; each is named as its type."""
    found = []
    for frame in text.strip().split("\n\n"):
        name, data = frame.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


async def asked(client: httpx.AsyncClient, **body: Any) -> list[dict[str, Any]]:
    response = await client.post("/v1/messages?beta=true", json={**BODY, **body})
    assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream")
    return events(response.text)


async def test_without_a_script_it_says_ok_and_keeps_what_it_was_sent(
    upstream: Loopback, client: httpx.AsyncClient
) -> None:
    told = await asked(client)

    assert [event["type"] for event in told] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert told[0]["message"]["model"] == "some-model"
    assert told[2]["delta"] == {"type": "text_delta", "text": "ok"}
    assert told[4]["delta"]["stop_reason"] == "end_turn"
    assert upstream.bodies == [BODY]


async def test_it_says_what_it_is_told_to_once(upstream: Loopback, client: httpx.AsyncClient) -> None:
    upstream.answers.append([{"type": "text", "text": "So:"}, CALL, {**CALL, "id": "toolu_2"}])

    first, second = await asked(client), await asked(client)

    starts = [event["content_block"] for event in first if event["type"] == "content_block_start"]
    assert [(start["type"], start.get("input")) for start in starts] == [
        ("text", None),
        ("tool_use", {}),
        ("tool_use", {}),
    ]
    assert [event["index"] for event in first if event["type"] == "content_block_stop"] == [0, 1, 2]
    pieces = [event["delta"] for event in first if event["type"] == "content_block_delta"]
    assert [json.loads(piece["partial_json"]) for piece in pieces[1:]] == [{"x": 1}] * 2
    assert first[-2]["delta"]["stop_reason"] == "tool_use"
    assert second[-2]["delta"]["stop_reason"] == "end_turn"
    assert first[0]["message"]["id"] != second[0]["message"]["id"]


async def test_it_takes_large_requests(upstream: Loopback, client: httpx.AsyncClient) -> None:
    await asked(client, system="ä" * 300_000)

    assert len(upstream.bodies[0]["system"]) == 300_000


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("HEAD", "/"), ("POST", "/v1/messages/count_tokens?beta=true"), ("POST", "/api/event_logging")],
)
async def test_nothing_else_is_a_request_for_messages(
    upstream: Loopback, client: httpx.AsyncClient, method: str, path: str
) -> None:
    response = await client.request(method, path, content=b"{}")

    assert response.status_code == 200
    assert upstream.bodies == []


async def test_it_can_stall_and_notices_who_leaves(upstream: Loopback, client: httpx.AsyncClient) -> None:
    upstream.answers.append([{}])

    async with client.stream("POST", "/v1/messages?beta=true", json=BODY) as response:
        (event,) = events(await anext(response.aiter_text()))
        assert event["type"] == "message_start"
        assert not upstream.left.is_set()

    async with asyncio.timeout(5):
        await upstream.left.wait()


@pytest.mark.parametrize("sent", [b"", b"POST /v1/mess", b"POST /v1/messages?a HTTP/1.1\r\ncontent-length: 9\r\n\r\n{"])
async def test_who_leaves_in_the_middle_of_a_request_disturbs_nobody(
    upstream: Loopback, client: httpx.AsyncClient, sent: bytes
) -> None:
    host, port = upstream.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    writer.close()
    await writer.wait_closed()

    assert (await asked(client))[-1]["type"] == "message_stop"
