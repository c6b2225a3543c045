"""Whoever does not read the log, and whatever is said to the relay and by it, the log does no harm."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import upstream as fake
from tests.live.relay import Relay, clean_environment, served_by_command
from tests.upstream import Failure, FakeUpstream, Message, ToolUse, text

ECHO = ("--runner", "echo", "--log-level", "debug")
MANY = 2000


@contextmanager
def served_into(
    stderr: int, home: Path, claude_path: str, *options: str
) -> Iterator[tuple[Relay, subprocess.Popen[bytes]]]:
    """Run a server whose output goes to a descriptor."""
    with served_by_command(home, clean_environment(home), claude_path, *ECHO, *options, output=stderr) as served:
        yield served


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_pipe_that_nobody_reads_keeps_neither_answers_nor_the_end_from_coming(
    home: Path, claude_path: str, workers: str
) -> None:
    reader, writer = os.pipe()
    try:
        with served_into(writer, home, claude_path, "--workers", workers) as (running, server):
            asked = [("x" * 100, number) for number in range(MANY)]
            with ThreadPoolExecutor(8) as clients:
                statuses = set(clients.map(lambda each: running.http.get(f"/{each[0]}{each[1]}").status_code, asked))
            assert statuses == {404}
            assert running.chat("hi").status_code == 200

            server.terminate()
            assert server.wait(10) in {0, -signal.SIGTERM}
    finally:
        os.close(reader)
        os.close(writer)


def test_a_full_disk_costs_lines_that_are_counted(home: Path, claude_path: str) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        with served_into(full, home, claude_path) as (running, server):
            assert running.chat("hi").status_code == 200
            running.wait_until(lambda: running.http.get("/health").json()["detail"]["log_lines_lost"] > 5)
            server.terminate()
            server.wait(10)
    finally:
        os.close(full)


def test_a_reader_who_has_gone_costs_nothing_else(home: Path, claude_path: str) -> None:
    reader, writer = os.pipe()
    try:
        with served_into(writer, home, claude_path) as (running, server):
            os.close(reader)
            assert [running.chat("hi").status_code for _ in range(20)] == [200] * 20
            assert running.http.get("/health").json()["detail"]["log_lines_lost"] > 0
            server.terminate()
            assert server.wait(10) == -signal.SIGTERM
    finally:
        os.close(writer)


def test_the_last_lines_are_written_before_the_end(home: Path, claude_path: str) -> None:
    with served_by_command(home, clean_environment(home), claude_path, *ECHO) as (running, server):
        running.chat("hi")
        server.terminate()
        server.wait(10)

    assert "Finished server process" in (home / "output").read_text()


WORD = "CANARY"


def everywhere(stream: bool) -> dict[str, Any]:
    """Return a request with the word in all its places."""
    schema = {"type": "object", "properties": {WORD: {"type": "string", "description": WORD}}}
    call = {"id": WORD, "type": "function", "function": {"name": WORD, "arguments": json.dumps({WORD: WORD})}}
    return {
        "stream": stream,
        "messages": [
            {"role": "system", "content": WORD},
            {"role": "user", "name": WORD, "content": [{"type": "text", "text": f"{WORD} @/{WORD} /{WORD}"}]},
            {"role": "assistant", "content": WORD, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": WORD, "content": WORD},
            {"role": "user", "content": f"/{WORD}"},
        ],
        "tools": [{"type": "function", "function": {"name": WORD, "description": WORD, "parameters": schema}}],
        "user": WORD,
        "metadata": {WORD: WORD},
        "stop": [WORD],
        WORD: WORD,
    }


def broken() -> list[dict[str, Any]]:
    """Return requests that are refused, with the word where they are wrong."""
    hi = [{"role": "user", "content": WORD}]
    form = {"type": "json_schema", "json_schema": {"name": WORD, "schema": {"type": WORD, "pattern": f"({WORD}"}}}
    return [
        {"messages": WORD},
        {"messages": [{"role": WORD, "content": WORD}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"data:{WORD}"}}]}]},
        {"messages": hi, "response_format": form},
        {"messages": hi, "temperature": WORD},
        {"messages": [*hi, {"role": "tool", "tool_call_id": WORD, "content": WORD}]},
    ]


FAILURES: list[Message | Failure] = [
    *(Failure(status, "api_error", f"{WORD} said") for status in (400, 401, 403, 404, 413, 429, 500, 503, 529)),
    fake.prompt_too_long(),
    fake.error_after(1, failure=Failure(500, "api_error", WORD)),
    fake.drop_after(1),
]


@pytest.mark.parametrize("personality", ["chat", "agent"])
def test_nothing_that_is_said_to_the_relay_or_by_the_upstream_is_in_the_log(
    home: Path, upstream: FakeUpstream, claude_path: str, personality: str
) -> None:
    options = ("--personality", personality, "--no-self-test", "--log-level", "debug", "--drain-timeout", "0")
    with served_by_command(home, clean_environment(home, upstream), claude_path, *options) as (running, server):
        for stream in (False, True):
            upstream.replies(text(WORD), Message(blocks=(ToolUse(WORD, WORD, {WORD: WORD}),)), text(WORD))
            for _ in range(2):
                running.post(**everywhere(stream))
        # an agent asks again, after pauses
        for failure in FAILURES if personality == "chat" else FAILURES[::4]:
            upstream.clear()
            upstream.replies(*[failure] * 8)
            running.chat(WORD, max_tokens=50)
        for body in broken():
            assert running.post(**body).status_code == 400
        running.http.post("/v1/chat/completions", content=f'{{"{WORD}": {WORD}')
        server.terminate()
        server.wait(10)

    log = (home / "output").read_text()
    assert "Claude Code failed" in log
    assert WORD not in log
    assert "Traceback" not in log
