"""Many at once, the slow and the stuck among them: who is there holds nobody up, and who leaves frees a place."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from claude_relay.asgi import create_app
from claude_relay.settings import Settings
from claude_relay.web import protocol
from tests.api.sockets import listening
from tests.live.relay import Relay, clean_environment, served_by_command

MANY = 500
MEGABYTE = 1024 * 1024
ENDLESS = "!echo repeat=10000\n"
SLOW = "!echo interval=0.05 repeat=10000\na "
WORD = "x" * 16_000 + " "
QUESTION = {"messages": [{"role": "user", "content": "hi"}]}
SOON = 20.0
"""Seconds within which everything has happened on any machine."""


class Served(Relay):
    """A relay that answers with the echo, and its process."""

    def __init__(self, url: str, home: Path, process: psutil.Process) -> None:
        super().__init__(url, home)
        self.process = process

    @property
    def megabytes(self) -> float:
        return float(self.process.memory_info().rss / MEGABYTE)

    def connections(self) -> int:
        """Return how many clients are connected."""
        found = self.process.net_connections("tcp")
        return sum(connection.status == psutil.CONN_ESTABLISHED for connection in found)

    def is_idle(self) -> bool:
        """Whether it does nothing for a moment."""
        before = self.process.cpu_times()
        time.sleep(0.2)
        after = self.process.cpu_times()
        return after.user + after.system - before.user - before.system < 0.02


@contextmanager
def serving(home: Path, claude_path: str, *options: str) -> Iterator[Served]:
    """Run ``claude-relay serve`` with the echo."""
    common = ("--runner", "echo", "--log-level", "warning", "--drain-timeout", "0")
    with served_by_command(home, clean_environment(home), claude_path, *common, *options) as (relay, server):
        served = Served(relay.url, home, psutil.Process(server.pid))
        try:
            yield served
        finally:
            served.http.close()
            served.openai.close()


class Reader:
    """A client with a small window: what it does not read stays with the server.

    Attributes:
        received: What it has read so far.
    """

    def __init__(self, url: str, text: str, key: str) -> None:
        place = httpx.URL(url)
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.settimeout(SOON)
        self._socket.connect((place.host, place.port))
        body = json.dumps({"messages": [{"role": "user", "content": text}], "stream": True}).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {place.host}\r\nAuthorization: Bearer {key}\r\n"
        self._socket.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self.received = bytearray()

    def read(self, most: int = 65_536) -> bytes:
        """Read what is there, at least something."""
        came = self._socket.recv(most)
        self.received += came
        return came

    def read_until(self, wanted: bytes) -> bytearray:
        """Read up to some words."""
        while self.received.find(wanted, max(0, len(self.received) - 65_536 - len(wanted))) < 0:
            assert self.read(), f"the connection was closed after {self.received[-200:]!r}"
        return self.received

    def hurry(self) -> None:
        """Have a window that is no longer small."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * MEGABYTE)

    def leave(self) -> None:
        """Hang up."""
        self._socket.close()


Reading = Callable[..., Reader]


@pytest.fixture
def reading() -> Iterator[Reading]:
    """Make readers who have all left in the end."""
    readers: list[Reader] = []

    def read(url: str, text: str, key: str = "none") -> Reader:
        readers.append(Reader(url, text, key))
        return readers[-1]

    yield read
    for reader in readers:
        reader.leave()


def first_token(relay: Relay) -> str:
    """Ask something short, and return the first piece of the answer."""
    question = {"messages": [{"role": "user", "content": "quick question"}], "stream": True}
    with relay.http.stream("POST", "/v1/chat/completions", json=question, timeout=SOON) as response:
        for line in response.iter_lines():
            if '"content":"' in line and '"content":""' not in line:
                text = json.loads(line.removeprefix("data: "))["choices"][0]["delta"]["content"]
                return str(text)
    raise AssertionError("nothing came")


# --- many ------------------------------------------------------------------------------------------------------------


def test_hundreds_who_do_not_read_hold_nobody_up_and_cost_little(
    home: Path, claude_path: str, reading: Reading
) -> None:
    with serving(home, claude_path, "--max-concurrent", "1000") as relay:
        assert first_token(relay) == "quick "
        before = relay.megabytes
        readers = [reading(relay.url, f"{ENDLESS}some words without end ") for _ in range(MANY)]
        for reader in readers:
            reader.read_until(b"HTTP/1.1 200 OK")

        for _ in range(5):
            assert first_token(relay) == "quick "
            for reader in readers[::10]:
                assert len(reader.read(1)) == 1

        assert relay.connections() >= MANY
        assert (relay.megabytes - before) / MANY < 1

        for reader in readers:
            reader.leave()
        relay.wait_until(lambda: relay.connections() <= 1, SOON)
        relay.wait_until(relay.is_idle, SOON)


def test_who_does_not_read_is_held_back_and_gets_everything_later(
    home: Path, claude_path: str, reading: Reading
) -> None:
    with serving(home, claude_path, "--max-concurrent", "100") as relay:
        assert first_token(relay) == "quick "
        before = relay.megabytes
        readers = [reading(relay.url, f"!echo repeat=500\n{WORD}") for _ in range(20)]
        for reader in readers:
            reader.read_until(b'"content":"x')

        relay.wait_until(relay.is_idle, SOON)
        assert (relay.megabytes - before) / len(readers) < 2

        readers[0].hurry()
        assert readers[0].read_until(b"[DONE]").count(WORD.encode()) == 500


# --- the line --------------------------------------------------------------------------------------------------------


def waiting(relay: Relay, key: str | None = None) -> int:
    """Return how many wait in line."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    found: int = relay.http.get("/health", headers=headers).json()["detail"]["waiting"]
    return found


def test_a_full_line_is_a_true_status_that_says_when_to_come_again(
    home: Path, claude_path: str, reading: Reading
) -> None:
    with serving(home, claude_path, "--max-concurrent", "1", "--max-queue", "2") as relay:
        running = reading(relay.url, SLOW)
        running.read_until(b'"content":"a')
        readers = [reading(relay.url, f"waiting {number}") for number in range(2)]
        relay.wait_until(lambda: waiting(relay) == 2)

        refused = relay.http.post("/v1/chat/completions", json=QUESTION, headers={"Authorization": "Bearer none"})

        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "queue_full")
        assert int(refused.headers["retry-after"]) >= 1
        running.leave()
        for number, reader in enumerate(readers):
            assert f'"content":"{number}"'.encode() in reader.read_until(b"[DONE]")
        assert waiting(relay) == 0


def test_a_client_that_leaves_the_line_frees_its_place_in_it(home: Path, claude_path: str, reading: Reading) -> None:
    with serving(home, claude_path, "--max-concurrent", "1", "--max-queue", "2") as relay:
        running = reading(relay.url, SLOW)
        running.read_until(b'"content":"a')
        first, second = (reading(relay.url, f"waiting {number}") for number in range(2))
        relay.wait_until(lambda: waiting(relay) == 2)

        first.leave()
        relay.wait_until(lambda: waiting(relay) == 1)
        third = reading(relay.url, "waiting 2")
        relay.wait_until(lambda: waiting(relay) == 2)

        running.leave()
        second.read_until(b"[DONE]")
        third.read_until(b"[DONE]")


def test_who_waits_too_long_is_told_so(home: Path, claude_path: str, reading: Reading) -> None:
    with serving(home, claude_path, "--max-concurrent", "1", "--queue-timeout", "0.3") as relay:
        running = reading(relay.url, SLOW)
        running.read_until(b'"content":"a')

        refused = relay.chat("too late")

        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "queue_timeout")
        assert int(refused.headers["retry-after"]) >= 1
        running.leave()


KEYS = ("--api-key", "ann=the-key-of-ann,bob=the-key-of-bob")
ANN, BOB = "the-key-of-ann", "the-key-of-bob"


class Callers:
    """Callers who ask at the same time.

    Attributes:
        answered: What was answered, in that order.
    """

    def __init__(self, relay: Relay, pool: ThreadPoolExecutor) -> None:
        self._relay = relay
        self._pool = pool
        self._lock = threading.Lock()
        self.answered: list[str] = []

    def ask(self, text: str, key: str) -> "Future[httpx.Response]":
        """Ask, and return once the request is in line."""
        before = waiting(self._relay, key)
        asked = self._pool.submit(self._ask, text, key)
        self._relay.wait_until(lambda: waiting(self._relay, key) != before or asked.done())
        return asked

    def _ask(self, text: str, key: str) -> httpx.Response:
        body = {"messages": [{"role": "user", "content": f"!echo delay=0.05\n{text}"}]}
        headers = {"Authorization": f"Bearer {key}"}
        response = httpx.post(f"{self._relay.url}/v1/chat/completions", json=body, headers=headers, timeout=SOON)
        if response.status_code == 200:
            with self._lock:
                self.answered.append(response.json()["choices"][0]["message"]["content"])
        return response


def test_callers_take_turns(home: Path, claude_path: str, reading: Reading) -> None:
    with (
        serving(home, claude_path, "--max-concurrent", "1", *KEYS) as relay,
        ThreadPoolExecutor(8) as pool,
    ):
        running = reading(relay.url, SLOW, ANN)
        running.read_until(b'"content":"a')
        callers = Callers(relay, pool)
        asked = [callers.ask(text, ANN) for text in ("ann 1", "ann 2", "ann 3")]
        asked += [callers.ask(text, BOB) for text in ("bob 1", "bob 2")]
        running.leave()

        assert [future.result(SOON).status_code for future in asked] == [200] * 5

    assert callers.answered == ["ann 1", "bob 1", "ann 2", "bob 2", "ann 3"]


def test_a_full_line_makes_room_for_another_caller(home: Path, claude_path: str, reading: Reading) -> None:
    with (
        serving(home, claude_path, "--max-concurrent", "1", "--max-queue", "2", *KEYS) as relay,
        ThreadPoolExecutor(8) as pool,
    ):
        running = reading(relay.url, SLOW, ANN)
        running.read_until(b'"content":"a')
        callers = Callers(relay, pool)
        first, second = (callers.ask(text, ANN) for text in ("ann 1", "ann 2"))
        bobs = pool.submit(callers._ask, "bob 1", BOB)

        assert second.result(SOON).json()["error"]["code"] == "queue_full"

        running.leave()
        assert (first.result(SOON).status_code, bobs.result(SOON).status_code) == (200, 200)

    assert callers.answered == ["ann 1", "bob 1"]


def test_a_callers_own_limit_holds_nobody_else_up(home: Path, claude_path: str, reading: Reading) -> None:
    limits = ("--max-concurrent", "4", "--max-per-caller", "1")
    with serving(home, claude_path, *limits, *KEYS) as relay, ThreadPoolExecutor(8) as pool:
        running = reading(relay.url, SLOW, ANN)
        running.read_until(b'"content":"a')
        callers = Callers(relay, pool)
        anns = callers.ask("ann 1", ANN)

        assert callers.ask("bob 1", BOB).result(SOON).status_code == 200
        assert not anns.done()

        running.leave()
        assert anns.result(SOON).status_code == 200


# --- the stuck -------------------------------------------------------------------------------------------------------


@contextmanager
def with_one_place(**choices: Any) -> Iterator[str]:
    """Serve the echo in a thread, one answer at a time."""
    settings = Settings(host="127.0.0.1", runner="echo", max_concurrent=1, queue_timeout=SOON, **choices)
    with listening(create_app(settings)) as (host, port):
        yield f"http://{host}:{port}"


def test_who_stays_and_reads_nothing_any_more_keeps_no_place_for_ever(
    monkeypatch: pytest.MonkeyPatch, reading: Reading
) -> None:
    monkeypatch.setattr(protocol, "LONGEST_STALL", 0.5)
    with with_one_place() as url:
        stuck = reading(url, f"{ENDLESS}{WORD}")
        stuck.read_until(b'"content":"x')

        answer = httpx.post(f"{url}/v1/chat/completions", json=QUESTION, timeout=SOON)

        assert answer.status_code == 200
        stuck.hurry()
        while stuck.read():
            pass
        assert b"[DONE]" not in stuck.received


def test_who_reads_slowly_gets_everything(monkeypatch: pytest.MonkeyPatch, reading: Reading) -> None:
    monkeypatch.setattr(protocol, "LONGEST_STALL", 2.0)
    with with_one_place() as url:
        slow = reading(url, f"!echo repeat=1000\n{WORD}")
        slow.hurry()
        began = time.monotonic()
        for megabytes in range(2, 16, 2):
            while len(slow.received) < megabytes * MEGABYTE:
                assert slow.read()
            time.sleep(0.4)  # shorter than the longest stall, and all of them longer
        assert time.monotonic() - began > 2.0

        assert slow.read_until(b"[DONE]").count(WORD.encode()) == 1000


def test_who_reads_too_slowly_meets_the_end_of_the_answers_time(reading: Reading) -> None:
    with with_one_place(total_timeout=1.0) as url:
        slow = reading(url, f"{ENDLESS}{WORD}")
        slow.read_until(b'"content":"x')
        time.sleep(1)  # the time that an answer has
        slow.hurry()

        assert b'"code":"total_timeout"' in slow.read_until(b"}}\n\n")
        while slow.read():
            pass
        assert b"[DONE]" not in slow.received


def test_more_answers_than_there_are_places_come_one_after_the_other(home: Path, claude_path: str) -> None:
    with serving(home, claude_path, "--max-concurrent", "1", "--queue-timeout", "5") as relay:
        answer = relay.chat("hi", n=3)

        assert [choice["message"]["content"] for choice in answer.json()["choices"]] == ["hi", "hi", "hi"]
