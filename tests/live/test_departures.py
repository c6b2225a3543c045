"""Clients who leave and servers that stop: the work upstream ends, and no process is left."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import psutil
import pytest

from tests.live.relay import Relay, clean_environment, processes_with_home, served_by_command
from tests.upstream import FakeUpstream, Recorded, stall_after, text


def _leave(relay: Relay, upstream: FakeUpstream, *, stream: bool, after: int) -> Recorded:
    """Ask, wait until the upstream works on it, and hang up without a word."""
    body = json.dumps({"messages": [{"role": "user", "content": "hi"}], "stream": stream}).encode()
    url = httpx.URL(relay.url)
    with socket.create_connection((url.host, url.port or 80)) as client:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {url.host}\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body)
        (record,) = upstream.wait_for(1)
        if stream and after:
            assert b"Hello" in _read_until(client, b"Hello")
    return record


def _idle(relay: Relay) -> int:
    counts = relay.processes()
    return counts["spare"] + counts["idle"]


def _read_until(client: socket.socket, wanted: bytes) -> bytes:
    received = b""
    while wanted not in received:
        received += client.recv(4096)
    return received


@pytest.mark.parametrize(
    ("stream", "after"), [(True, 1), (True, 0), (False, 1)], ids=["streaming", "before-the-first-token", "plain"]
)
def test_when_the_client_is_gone_the_work_stops_within_a_second(
    either: Relay, upstream: FakeUpstream, stream: bool, after: int
) -> None:
    upstream.replies(stall_after(after))
    either.wait_for_spare()
    record = _leave(either, upstream, stream=stream, after=after)
    left = time.monotonic()
    assert record.disconnected.wait(1), "the upstream was still asked a second later"
    either.wait_until(lambda: either.processes()["busy"] == 0, 1)
    either.settle()
    assert time.monotonic() - left < 2
    # others may be there, and for a moment whatever they start while they get ready
    either.wait_until(lambda: len(processes_with_home(either.home)) <= _idle(either))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_and_every_process(
    home: Path, upstream: FakeUpstream, claude_path: str, number: int
) -> None:
    upstream.replies(stall_after(1))
    with served_by_command(
        home, clean_environment(home, upstream), claude_path, "--drain-timeout", "1", "--personality", "chat"
    ) as (relay, server):
        relay.wait_for_spare()
        thread, ended = _stream_in_background(relay)
        upstream.wait_for(1)
        server.send_signal(number)
        assert server.wait(10) in {0, -number, 128 + number}
        thread.join(5)
        assert ended.is_set(), "the client was left waiting"
        assert processes_with_home(home) == []


def test_a_running_answer_may_finish_before_the_server_stops(
    home: Path, upstream: FakeUpstream, claude_path: str
) -> None:
    upstream.replies(text("one two", chunks=("one ", "two"), interval=0.8))
    with served_by_command(
        home, clean_environment(home, upstream), claude_path, "--personality", "chat", "--warm", "0"
    ) as (relay, server):
        received: list[str] = []
        with relay.http.stream("POST", "/v1/chat/completions", json=_question()) as response:
            server.send_signal(signal.SIGTERM)
            received.extend(response.iter_lines())
        assert received[-2] == "data: [DONE]"
        server.wait(10)


def _stream_in_background(relay: Relay) -> tuple[threading.Thread, threading.Event]:
    ended = threading.Event()

    def stream() -> None:
        try:
            with relay.http.stream("POST", "/v1/chat/completions", json=_question()) as response:
                list(response.iter_lines())
        except httpx.TransportError:
            pass
        finally:
            ended.set()

    thread = threading.Thread(target=stream)
    thread.start()
    return thread, ended


def _question() -> dict[str, object]:
    return {"messages": [{"role": "user", "content": "hi"}], "stream": True}


ECHO = ("--runner", "echo")
STOPPED = {
    "message": "The relay was stopped before the answer was complete.",
    "type": "server_error",
    "param": None,
    "code": "shutting_down",
}


class Streaming:
    """An answer of the echo runner, streamed over some seconds, and what came of it."""

    def __init__(self, relay: Relay, seconds: float = 2) -> None:
        self.lines: list[str] = []
        self.status = 0
        content = f"!echo interval={seconds / 20}\n{'word ' * 20}"
        self._body = {"messages": [{"role": "user", "content": content}], "stream": True}
        self._http = httpx.Client(base_url=relay.url, timeout=30)
        self.begun = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def end(self) -> list[str]:
        """Wait for the end, and return its last two lines."""
        self._thread.join(20)
        assert not self._thread.is_alive(), "the client was left waiting"
        self._http.close()
        return self.lines[-2:]

    def _read(self) -> None:
        with self._http.stream("POST", "/v1/chat/completions", json=self._body) as response:
            self.status = response.status_code
            for line in filter(None, response.iter_lines()):
                self.lines.append(line)
                self.begun.set()


def _workers(server: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the processes of a server that answer."""
    found = psutil.Process(server.pid).children() if server.poll() is None else []
    return [process for process in found if "spawn_main" in " ".join(_command_of(process))]


def _command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _says_that_it_drains(relay: Relay) -> bool:
    try:
        return relay.http.get("/health").status_code == 503
    except httpx.TransportError:
        # a worker that had nothing to do hung up
        return False


@pytest.mark.parametrize(
    ("options", "left"), [((), 0), (("--workers", "2"), 1), (("--reload",), 1)], ids=["one", "workers", "reload"]
)
def test_while_it_drains_a_server_finishes_its_answers_and_sends_others_away(
    home: Path, options: tuple[str, ...], left: int
) -> None:
    with served_by_command(home, clean_environment(home), sys.executable, *ECHO, *options) as (relay, server):
        answer = Streaming(relay)
        assert answer.begun.wait(10)
        server.terminate()
        relay.wait_until(lambda: len(_workers(server)) == left and _says_that_it_drains(relay))

        health, refused = relay.http.get("/health"), relay.chat("hello")

        assert health.json()["status"] == "draining"
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "shutting_down")
        assert (refused.headers["retry-after"], refused.headers["x-should-retry"]) == ("1", "true")
        assert refused.headers["connection"] == "close"
        assert answer.end()[-1] == "data: [DONE]"
        assert server.wait(10) in {0, -signal.SIGTERM}


def test_a_client_that_comes_back_after_a_pause_finds_its_connection_open_and_keeps_no_server(home: Path) -> None:
    with served_by_command(home, clean_environment(home), sys.executable, *ECHO) as (relay, server):
        url = httpx.URL(relay.url)
        connection = http.client.HTTPConnection(url.host, url.port, timeout=10)
        ports = set()
        for pause in (0, 5.5):  # many clients keep a connection for 5 seconds
            time.sleep(pause)
            connection.request("GET", "/v1/models")
            with connection.getresponse() as response:
                assert (response.status, bool(response.read())) == (200, True)
            # where a connection was closed, http.client opens another one without a word
            ports.add(connection.sock.getsockname())
        assert len(ports) == 1

        server.terminate()
        server.wait(5)
        connection.close()


def test_a_stream_that_takes_longer_than_the_server_is_told_and_ends(home: Path) -> None:
    options = (*ECHO, "--drain-timeout", "1")
    with served_by_command(home, clean_environment(home), sys.executable, *options) as (relay, server):
        answer = Streaming(relay, seconds=60)
        assert answer.begun.wait(10)

        server.terminate()

        *_, last = answer.end()
        assert json.loads(last.removeprefix("data: "))["error"] == STOPPED
        assert answer.status == 200
        server.wait(10)


def test_a_plain_answer_that_takes_longer_than_the_server_is_an_error(home: Path) -> None:
    options = (*ECHO, "--drain-timeout", "1")
    question = json.dumps({"messages": [{"role": "user", "content": "!echo delay=60\nhi"}]})
    with served_by_command(home, clean_environment(home), sys.executable, *options) as (relay, server):
        url = httpx.URL(relay.url)
        client = http.client.HTTPConnection(url.host, url.port, timeout=30)
        client.request("POST", "/v1/chat/completions", question)
        # what came later has been answered, so the question is being answered
        assert relay.chat("hello").status_code == 200

        server.terminate()

        response = client.getresponse()
        assert (response.status, json.load(response)["error"]) == (503, STOPPED)
        client.close()
        server.wait(10)


def test_a_ctrl_c_that_reaches_every_process_once_is_one_signal(home: Path) -> None:
    options = (*ECHO, "--workers", "2")
    with served_by_command(home, clean_environment(home), sys.executable, *options) as (relay, server):
        answer = Streaming(relay)
        assert answer.begun.wait(10)

        # as a terminal does it; the supervisor then sends its workers a SIGTERM besides
        for pid in (*(worker.pid for worker in _workers(server)), server.pid):
            os.kill(pid, signal.SIGINT)

        assert answer.end()[-1] == "data: [DONE]"
        server.wait(10)


def test_workers_whose_supervisor_is_killed_finish_their_answers_and_end(home: Path) -> None:
    options = (*ECHO, "--workers", "2")
    with served_by_command(home, clean_environment(home), sys.executable, *options) as (relay, server):
        answer, workers = Streaming(relay), _workers(server)
        assert answer.begun.wait(10)
        assert len(workers) == 2

        server.kill()

        assert answer.end()[-1] == "data: [DONE]"
        relay.wait_until(lambda: not any(worker.is_running() for worker in workers))


def test_serve_says_where_it_is_and_what_answers(home: Path, upstream: FakeUpstream, claude_path: str) -> None:
    with served_by_command(home, clean_environment(home, upstream), claude_path, "--runner", "echo") as (relay, server):
        assert relay.chat("hello there").json()["choices"][0]["message"]["content"] == "hello there"
        server.terminate()
        server.wait(10)
    said = (home / "output").read_text()
    assert f"{relay.url.replace('127.0.0.1', 'localhost')}/v1" in said
    assert "/schema/swagger" in said
    assert "echo" in said
