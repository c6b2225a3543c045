"""Clients who leave and servers that stop: the work upstream ends, and no process is left."""

import json
import signal
import socket
import threading
import time
from pathlib import Path

import httpx
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
    return counts["spare"] + counts["living"]


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


def test_serve_says_where_it_is_and_what_answers(home: Path, upstream: FakeUpstream, claude_path: str) -> None:
    with served_by_command(home, clean_environment(home, upstream), claude_path, "--runner", "echo") as (relay, server):
        assert relay.chat("hello there").json()["choices"][0]["message"]["content"] == "hello there"
        server.terminate()
        server.wait(10)
    said = (home / "output").read_text()
    assert f"{relay.url.replace('127.0.0.1', 'localhost')}/v1" in said
    assert "/schema/swagger" in said
    assert "echo" in said
