"""Three relays behind nginx that share a store: any of them goes on with what another one began."""

import asyncio
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
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
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def response(self, caller: str, given: Any, previous: str | None = None) -> dict[str, Any]:
        """Return the response to some input."""
        asked = {"model": "echo", "input": given, "previous_response_id": previous}
        async with self._turn:
            for _ in range(20):
                try:
                    answer = await self._client.post("/responses", json=asked, headers=_key(caller))
                except httpx.TransportError:
                    answer = None
                if answer is not None and answer.status_code not in {502, 504}:
                    assert answer.status_code == 200, answer.text
                    found: dict[str, Any] = answer.json()
                    return found
                await asyncio.sleep(0.05)
        raise AssertionError("no relay answers")


def _key(caller: str) -> dict[str, str]:
    return {"authorization": f"Bearer key-of-{caller}"}


def _words(number: int, turn: int) -> str:
    """Each conversation has words of its own, and a number of them of its own."""
    return " ".join([f"conversation-{number}-turn-{turn}"] * (1 + number % 7 + turn))


def _text(response: dict[str, Any]) -> str:
    text: str = response["output"][0]["content"][0]["text"]
    return text


async def _converse(asking: Asking, number: int) -> list[dict[str, Any]]:
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
        response = await asking.response(caller, given, previous)
        words += len(asked.split())
        assert _text(response) == asked
        assert response["usage"]["input_tokens"] == words, (number, turn)
        words += len(asked.split())
        responses.append(response)
    return responses


async def test_nothing_that_was_acknowledged_is_lost_or_crossed_even_if_a_relay_is_killed(replicas: Replicas) -> None:
    limits = httpx.Limits(max_connections=AT_ONCE)
    async with httpx.AsyncClient(base_url=replicas.url, timeout=60, limits=limits) as client:
        asking = Asking(client)
        talks = [asyncio.create_task(_converse(asking, number)) for number in range(CONVERSATIONS)]
        for over in itertools.islice(asyncio.as_completed(talks), CONVERSATIONS // 3):
            await over
        replicas.servers[0].send_signal(signal.SIGKILL)
        found = await asyncio.gather(*talks)

        for number in range(0, CONVERSATIONS, 10):
            await _require_kept(client, number, found[number])

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
