"""Three relays behind nginx that share a store: any of them goes on with what another one began, jobs included."""

import asyncio
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live.proxies import proxy
from tests.serving import Place
from tests.valkey_server import valkey_server

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(240)]

CONVERSATIONS, TURNS, AT_ONCE = 600, 4, 24
KEYS = ("ann", "bob", "eve")
JOBS, STREAMS = 24, 24
JOB_WORDS, PAUSE = 24, 0.25
KNOWN_AS_LOST = 30
"""Seconds within which work is known to have failed whose relay was killed: its lease of twenty, and time to ask."""


class Replicas:
    """The relays, and the proxy before them.

    Attributes:
        url: The proxy's.
        servers: The relays' processes.
        places: Where they listen.
    """

    def __init__(self, url: str, servers: list[subprocess.Popen[bytes]], places: list[Place]) -> None:
        self.url = url
        self.servers = servers
        self.places = places


@contextmanager
def _relay(home: Path, store_url: str) -> Iterator[tuple[subprocess.Popen[bytes], Place]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        place: Place = free.getsockname()
    options = ["--port", str(place[1]), "--runner", "echo", "--log-level", "warning", "--max-queue", "1000"]
    options += ["--max-concurrent", str(AT_ONCE + JOBS + STREAMS)]
    keys = [option for name in KEYS for option in ("--api-key", f"{name}=key-of-{name}")]
    home.mkdir()
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "claude_relay", "serve", *options, *keys],
            env={"PATH": os.environ["PATH"], "HOME": str(home), "CLAUDE_RELAY_STORE_URL": store_url},
            stdout=log,
            stderr=log,
            cwd=home,
        )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                assert httpx.get(f"http://127.0.0.1:{place[1]}/health").status_code == 200
                break
            except httpx.TransportError:
                assert server.poll() is None, (home / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield server, place
    finally:
        server.kill()
        server.wait(20)


@pytest.fixture
def replicas(tmp_path: Path) -> Iterator[Replicas]:
    with ExitStack() as stack:
        host, port = stack.enter_context(valkey_server(tmp_path))
        running = [
            stack.enter_context(_relay(tmp_path / str(number), f"valkey://{host}:{port}/0")) for number in range(3)
        ]
        servers, places = [server for server, _ in running], [place for _, place in running]
        folder = tmp_path / "nginx"
        folder.mkdir()
        before = stack.enter_context(
            proxy("nginx, with connections that are used again", places[0], folder, *places[1:])
        )
        yield Replicas(f"http://127.0.0.1:{before[1]}/v1", servers, places)


class Asking:
    """A client that asks again when it got no answer, as the SDKs do."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def response(self, caller: str, given: Any, **fields: Any) -> dict[str, Any]:
        """Return the response to some input."""
        return await self._answer("POST", "/responses", caller, json={"model": "echo", "input": given, **fields})

    async def found(self, caller: str, response_id: str) -> dict[str, Any]:
        """Return a response that is kept."""
        return await self._answer("GET", f"/responses/{response_id}", caller)

    async def events(self, caller: str, response_id: str, after: int) -> AsyncIterator[dict[str, Any]]:
        """Yield the events of a response behind a number, from any relay, until the stream ends or breaks."""
        asked = {"stream": "true", "starting_after": str(after)}
        try:
            async with self._client.stream(
                "GET", f"/responses/{response_id}", params=asked, headers=_key(caller)
            ) as stream:
                if stream.status_code not in {502, 504}:
                    assert stream.status_code == 200, await stream.aread()
                    async for event in _read(stream):
                        yield event
        except httpx.TransportError:
            pass

    async def begin_stream(self, caller: str, deltas: int, **body: Any) -> list[dict[str, Any]]:
        """Return the first events of a response that is streamed, and leave."""
        told: list[dict[str, Any]] = []
        asked = {"model": "echo", "stream": True, **body}
        async with self._client.stream("POST", "/responses", json=asked, headers=_key(caller)) as stream:
            async for event in _read(stream):
                told.append(event)
                if len(_deltas(told)) == deltas:
                    return told
        raise AssertionError(told)

    async def _answer(self, method: str, path: str, caller: str, **options: Any) -> dict[str, Any]:
        for _ in range(20):
            try:
                answer = await self._client.request(method, path, headers=_key(caller), **options)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code not in {502, 504}:
                assert answer.status_code == 200, answer.text
                found: dict[str, Any] = answer.json()
                return found
            await asyncio.sleep(0.05)
        raise AssertionError("no relay answers")


async def _read(stream: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """Yield the events that are kept: all but what only shows that the connection lives."""
    async for line in stream.aiter_lines():
        if line.startswith("data: "):
            event = json.loads(line.removeprefix("data: "))
            if event["type"] != "keepalive":
                yield event


def _deltas(told: Sequence[dict[str, Any]]) -> list[str]:
    return [event["delta"] for event in told if event["type"] == "response.output_text.delta"]


def _key(caller: str) -> dict[str, str]:
    return {"authorization": f"Bearer key-of-{caller}"}


def _words(number: int, turn: int) -> str:
    """Each conversation has words of its own, and a number of them of its own."""
    return " ".join([f"conversation-{number}-turn-{turn}"] * (1 + number % 7 + turn))


def _text(response: dict[str, Any]) -> str:
    return "".join(part["text"] for item in response["output"] for part in item["content"])


async def _converse(asking: Asking, turns: asyncio.Semaphore, number: int) -> list[dict[str, Any]]:
    """Hold a conversation; the echo says how many words it was sent, those of all earlier turns included."""
    caller = KEYS[number % len(KEYS)]
    responses: list[dict[str, Any]] = []
    words = 0
    for turn in range(TURNS):
        asked = _words(number, turn)
        previous = responses[-1]["id"] if responses else None
        if responses and turn == TURNS - 1:
            # the last turn repeats an earlier answer by its id
            given: Any = [
                {"type": "item_reference", "id": responses[0]["output"][0]["id"]},
                {"role": "user", "content": asked},
            ]
            words += len(_text(responses[0]).split())
        else:
            given = asked
        async with turns:
            response = await asking.response(caller, given, previous_response_id=previous)
        words += len(asked.split())
        assert _text(response) == asked
        assert response["usage"]["input_tokens"] == words, (number, turn)
        words += len(asked.split())
        responses.append(response)
    return responses


def _long(number: int) -> str:
    """The text of a job, whose words are its own."""
    return " ".join(f"job-{number}-word-{word}" for word in range(JOB_WORDS))


async def _run_job(asking: Asking, number: int, begun: asyncio.Barrier) -> str:
    """Have a job done in the background, poll it on any relay, and return how it ended."""
    caller = KEYS[number % len(KEYS)]
    job = await asking.response(caller, f"!echo interval={PAUSE}\n{_long(number)}", background=True)
    assert job["status"] == "queued"
    await begun.wait()
    async with asyncio.timeout(KNOWN_AS_LOST):
        while job["status"] in {"queued", "in_progress"}:
            await asyncio.sleep(1)
            job = await asking.found(caller, job["id"])
    _require_ended(job, number)
    status: str = job["status"]
    return status


async def _run_stream(asking: Asking, number: int, begun: asyncio.Barrier) -> str:
    """Leave a stream, go on with it on any relay as often as it breaks, and return how it ended."""
    caller = KEYS[number % len(KEYS)]
    body = {"input": f"!echo interval={PAUSE}\n{_long(number)}", "background": number % 2 == 0}
    told = await asking.begin_stream(caller, 3, **body)
    response_id = told[0]["response"]["id"]
    await begun.wait()
    async with asyncio.timeout(KNOWN_AS_LOST):
        while told[-1]["type"] not in {"response.completed", "response.failed"}:
            async for event in asking.events(caller, response_id, told[-1]["sequence_number"]):
                told.append(event)

    # nothing twice, nothing missing; what is told of a relay that was killed is behind all that it may have told
    ended = told[-1]["response"]
    numbers = [event["sequence_number"] for event in told]
    known = len(told) - 2 * (ended["status"] == "failed")
    assert numbers[:known] == list(range(known))
    assert numbers == sorted(set(numbers))
    assert "".join(_deltas(told)) == _text(ended)
    assert await asking.found(caller, response_id) == ended
    _require_ended(ended, number)
    status: str = ended["status"]
    return status


def _require_ended(response: dict[str, Any], number: int) -> None:
    """A job is whole, or it has what its relay had written when it was killed."""
    if response["status"] == "failed":
        assert response["error"]["code"] == "relay_stopped"
        assert _long(number).startswith(_text(response))
    else:
        assert (response["status"], _text(response)) == ("completed", _long(number))


async def test_nothing_that_was_acknowledged_is_lost_or_crossed_even_if_a_relay_is_killed(replicas: Replicas) -> None:
    limits = httpx.Limits(max_connections=AT_ONCE + JOBS + STREAMS)
    async with httpx.AsyncClient(base_url=replicas.url, timeout=60, limits=limits) as client:
        asking, turns = Asking(client), asyncio.Semaphore(AT_ONCE)
        talks = [asyncio.create_task(_converse(asking, turns, number)) for number in range(CONVERSATIONS)]
        for over in itertools.islice(asyncio.as_completed(talks), CONVERSATIONS // 6):
            await over
        begun = asyncio.Barrier(JOBS + STREAMS + 1)
        jobs = [asyncio.create_task(_run_job(asking, number, begun)) for number in range(JOBS)]
        streams = [asyncio.create_task(_run_stream(asking, JOBS + number, begun)) for number in range(STREAMS)]
        await begun.wait()
        # a stream that was left is written down as soon as its relay has seen that
        await asyncio.sleep(1)
        replicas.servers[0].send_signal(signal.SIGKILL)
        found = await asyncio.gather(*talks)

        for number in range(0, CONVERSATIONS, 10):
            await _require_kept(client, number, found[number])
        # each relay had some of each, and only the work of one has failed
        assert set(await asyncio.gather(*jobs)) == {"completed", "failed"}
        assert set(await asyncio.gather(*streams)) == {"completed", "failed"}

    ids = [response["id"] for responses in found for response in responses]
    assert len(set(ids)) == CONVERSATIONS * TURNS
    assert all(server.poll() is None for server in replicas.servers[1:])


async def _require_kept(client: httpx.AsyncClient, number: int, responses: Sequence[dict[str, Any]]) -> None:
    """Every answer that was given is found by its caller, and by nobody else."""
    caller, other = KEYS[number % len(KEYS)], KEYS[(number + 1) % len(KEYS)]
    for response in responses:
        path = f"/responses/{response['id']}"
        assert (await client.get(path, headers=_key(caller))).json() == response
        assert (await client.get(path, headers=_key(other))).status_code == 404
