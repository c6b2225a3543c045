"""Whose request is whose: clients that offer other protocols, and proxies that use connections again."""

import http.client
import json
import random
import subprocess
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path

import pytest
from msgspec import Struct

from claude_relay.asgi import create_app
from claude_relay.engine.echo import EchoRunner
from claude_relay.engine.vocabulary import Event, RunRequest, Text
from claude_relay.settings import Settings
from tests.api.sockets import listening
from tests.live.proxies import KINDS, installed, proxy
from tests.serving import Place

KEYS = {"alice": "alices-own-key", "bob": "bobs-very-own-key", "a stranger": "", "a guesser": "alices-own-kex"}
OFFERS: dict[str, dict[str, str]] = {
    "none": {},
    "HTTP/2": {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2-settings": "AAMAAABkAARAAAAAAAIAAAAA"},
    "another": {"connection": "upgrade", "upgrade": "example/1"},
}
AT_ONCE, EACH = 8, 63


class Recording:
    """A runner that keeps who asked what."""

    name = "echo"

    def __init__(self) -> None:
        self._echo = EchoRunner()
        self.models = self._echo.models
        self.start, self.stop = self._echo.start, self._echo.stop
        self.health, self.context_window = self._echo.health, self._echo.context_window
        self.asked: list[tuple[str, str]] = []

    async def run(self, request: RunRequest) -> AsyncGenerator[Event, None]:
        (text,) = [part.text for part in request.turns[-1].content if isinstance(part, Text)]
        self.asked.append((request.caller, text))
        async with aclosing(self._echo.run(request)) as events:
            async for event in events:
                yield event


class Request(Struct, frozen=True):
    """One request of a client, and what a relay that mixes nothing up makes of it."""

    caller: str
    tag: str
    offer: str
    streams: bool
    in_pieces: bool
    looks_like_another: bool

    @property
    def body(self) -> bytes:
        if self.looks_like_another:
            inner = json.dumps({"messages": [{"role": "user", "content": f"inner {self.tag}"}]})
            return (
                f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nx-api-key: {KEYS['bob']}\r\n"
                f"content-type: application/json\r\ncontent-length: {len(inner)}\r\n\r\n{inner}"
            ).encode()
        return json.dumps({"messages": [{"role": "user", "content": self.tag}], "stream": self.streams}).encode()

    @property
    def headers(self) -> dict[str, str]:
        key = {"x-api-key": KEYS[self.caller]} if KEYS[self.caller] else {}
        return {"content-type": "application/json", **key, **OFFERS[self.offer]}

    @property
    def status(self) -> int:
        if self.caller not in {"alice", "bob"}:
            return 401
        return 400 if self.looks_like_another else 200


@pytest.fixture
def runner() -> Recording:
    return Recording()


@pytest.fixture
def relay(runner: Recording) -> Iterator[Place]:
    """A relay with two keys."""
    keys = tuple(f"{name}={KEYS[name]}" for name in ("alice", "bob"))
    with listening(create_app(Settings(api_keys=keys), runner)) as place:
        yield place


@pytest.mark.parametrize("kind", KINDS)
def test_behind_a_proxy_each_request_is_executed_once_for_its_own_caller_and_answered_to_it(
    kind: str, relay: Place, runner: Recording, tmp_path: Path
) -> None:
    choice = random.Random(kind)
    requests = [
        Request(
            caller=choice.choice(list(KEYS)),
            tag=f"question-{number}",
            offer=choice.choice(list(OFFERS)),
            streams=choice.random() < 0.3,
            in_pieces=choice.random() < 0.3,
            looks_like_another=choice.random() < 0.2,
        )
        for number in range(AT_ONCE * EACH)
    ]

    with proxy(kind, relay, tmp_path) as place, ThreadPoolExecutor(AT_ONCE) as clients:
        found = [
            answer
            for answers in clients.map(lambda n: _asked(place, requests[n::AT_ONCE]), range(AT_ONCE))
            for answer in answers
        ]

    for request, status, body in found:
        assert status == request.status, (request, body)
        assert (request.tag in body) is (status == 200), (request, body)
    served = Counter((request.caller, request.tag) for request in requests if request.status == 200)
    assert Counter(runner.asked) == served


def _asked(place: Place, requests: list[Request]) -> list[tuple[Request, int, str]]:
    """Ask one question after the other, on one connection as long as it lasts."""
    found: list[tuple[Request, int, str]] = []
    client = http.client.HTTPConnection(*place, timeout=30)
    for request in requests:
        body = iter([request.body]) if request.in_pieces else request.body
        client.request("POST", "/v1/chat/completions", body, request.headers, encode_chunked=request.in_pieces)
        response = client.getresponse()
        said = response.read().decode()
        found.append((request, response.status, _told(said) if response.status == 200 else said))
    client.close()
    return found


def _told(said: str) -> str:
    """Return the answer's text, streamed or not."""
    if not said.startswith("data: "):
        return str(json.loads(said)["choices"][0]["message"]["content"])
    chunks = [json.loads(line.removeprefix("data: ")) for line in said.split("\n\n") if line.startswith("data: {")]
    return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)


# --- clients that offer another protocol -----------------------------------------------------------------------------


@pytest.fixture
def local(runner: Recording) -> Iterator[Place]:
    """A relay without keys."""
    with listening(create_app(Settings(), runner)) as place:
        yield place


TAGS = [f"question {number}" for number in range(6)]
BODIES = [json.dumps({"messages": [{"role": "user", "content": tag}]}) for tag in TAGS]


def test_javas_own_client_is_answered(local: Place, runner: Recording) -> None:
    url = "http://{}:{}/v1/chat/completions".format(*local)
    source = str(Path(__file__).with_name("Asking.java"))

    ran = subprocess.run(
        [installed("java"), source, url, *BODIES], capture_output=True, text=True, timeout=100, check=False
    )

    assert ran.returncode == 0, ran.stderr
    answers = [line.partition(" ") for line in ran.stdout.splitlines()]
    assert [(status, _told(body)) for status, _, body in answers] == [("200", tag) for tag in TAGS]
    assert [text for _, text in runner.asked] == TAGS


@pytest.mark.parametrize("expecting", [[], ["-H", "Expect: 100-continue"], ["-H", "Transfer-Encoding: chunked"]])
def test_curl_that_offers_http_2_is_answered(local: Place, runner: Recording, expecting: list[str]) -> None:
    url = "http://{}:{}/v1/chat/completions".format(*local)
    one = ["--http2", "-sS", "-H", "Content-Type: application/json", *expecting, "-w", "\n"]
    command = [part for body in BODIES for part in ("--next", *one, "-d", body, url)][1:]

    ran = subprocess.run([installed("curl"), *command], capture_output=True, text=True, timeout=60, check=True)

    assert [_told(line) for line in ran.stdout.splitlines()] == TAGS
    assert [text for _, text in runner.asked] == TAGS
