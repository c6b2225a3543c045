"""No request keeps the server from the others: a stream goes on beside whatever is asked, and a signal is heard."""

import itertools
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import httpx
import psutil
import pytest

from tests.live.relay import Relay, clean_environment, served_by_command
from tests.upstream import FakeUpstream, Message, Reply, ToolUse, text

LONGEST_GAP = 0.1
"""Seconds that the server may be at work before somebody else has a turn."""
GIF = "R0lGODlhQUFBQUFB"
"""The beginning of an image."""
USER = {"role": "user", "content": "hi"}
LONG = {"role": "user", "content": "x " * 5_000}


def asks(*messages: dict[str, Any], **fields: Any) -> bytes:
    return json.dumps({"model": "echo", "messages": messages or [USER], **fields}).encode()


def structured(schema: dict[str, Any], answer: str) -> bytes:
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    return asks({"role": "user", "content": answer}, response_format=form)


def part(**fields: Any) -> bytes:
    return asks({"role": "user", "content": [fields, {"type": "text", "text": "hi"}]})


def image(url: str) -> bytes:
    return part(type="image_url", image_url={"url": url})


def file(data: str) -> bytes:
    return part(type="file", file={"file_data": f"data:text/plain;base64,{data}"})


def chained(number: int, kind: str) -> dict[str, Any]:
    """Return a schema whose references double at each of so many steps."""
    steps = {f"d{n}": {kind: [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(number)}
    return {"$ref": "#/$defs/d0", "$defs": {**steps, f"d{number}": {"type": "string"}}}


def calls(number: int) -> bytes:
    made = [{"id": f"c{n}", "type": "function", "function": {"name": "t", "arguments": "{}"}} for n in range(number)]
    results = [{"role": "tool", "tool_call_id": f"c{n}", "content": "r"} for n in range(number)]
    return asks(USER, {"role": "assistant", "tool_calls": made}, *results)


def functions(number: int) -> list[dict[str, Any]]:
    return [
        {"type": "function", "function": {"name": f"t{n}", "parameters": {"type": "object"}}} for n in range(number)
    ]


def raw(content: bytes = b'"hi"', fields: bytes = b"") -> bytes:
    return b'{"model":"echo","messages":[{"role":"user","content":%b}]%b}' % (content, fields)


def past_call(arguments: str) -> bytes:
    made = {"id": "c", "type": "function", "function": {"name": "t", "arguments": arguments}}
    return asks(
        USER, {"role": "assistant", "tool_calls": [made]}, {"role": "tool", "tool_call_id": "c", "content": "r"}, USER
    )


LONG_NUMBERS = b",".join([b"9" * 4_000] * 7_000)
LONGEST_NUMBERS = b",".join([b"9" * 128] * 99_000)
TOOL = (b'{"type":"function","function":{"name":"t","parameters":{"enum":[', b"]}}}")
FORM = (b'{"type":"json_schema","json_schema":{"name":"a","schema":{"enum":[', b"]}}}")

BODIES = {
    "a pattern that backtracks": lambda: structured({"type": "string", "pattern": "^(a+)+$"}, f'"{"a" * 30_000}!"'),
    "references that double": lambda: structured(chained(900, "anyOf"), '"a"'),
    "references that double, allowed": lambda: structured(chained(14, "allOf"), '"a"'),
    "200,000 properties": lambda: structured({"properties": {f"p{n}": {} for n in range(200_000)}}, "{}"),
    "5,000 properties": lambda: structured({"properties": {f"p{n}": {} for n in range(5_000)}}, "{}"),
    "10,000 stop sequences": lambda: asks(stop=[f"x{n}" for n in range(10_000)]),
    "64 stop sequences": lambda: asks(LONG, stop=["x" * 998 + f"{n:02}" for n in range(64)]),
    "60,000 messages": lambda: asks(*[USER] * 60_000),
    "20,000 messages": lambda: asks(*[USER] * 19_999),
    "33,000 parts": lambda: asks({"role": "user", "content": [{"type": "text", "text": "x"}] * 33_000}),
    "a data URL of escapes": lambda: image("data:image/png," + "%41" * 4_000_000),
    "30 MB of blanks in base64": lambda: image("data:image/png;base64," + " " * 30_000_000 + GIF),
    "an image of 20 MB": lambda: image("data:image/gif;base64," + GIF + "A" * 28_000_000),
    "a text file of 20 MB": lambda: file("QUFB" * 7_000_000),
    "a million unknown fields": lambda: asks(**{f"f{n}": 1 for n in range(1_000_000)}),
    "20,000 tools": lambda: asks(tools=functions(20_000)),
    "1,000 tools": lambda: asks(tools=functions(1_000)),
    "40,000 calls in one turn": lambda: calls(40_000),
    "1,000 calls in one turn": lambda: calls(1_000),
    "30 MB of brackets": lambda: b'{"messages":' + b"[" * 15_000_000 + b"]" * 15_000_000 + b"}",
    "half characters": lambda: asks().replace(b"hi", b"\\ud800" * 5_000_000),
    "a million unknown fields with spaces": lambda: raw(fields=b"".join(b',"f%d" : 1' % n for n in range(1_000_000))),
    "ten million lists in sound": lambda: raw(b'[{"type":"input_audio","input_audio":{"a":[%b1]}}]' % (b"[]," * 10**7)),
    "fifteen million numbers in a message": lambda: raw(b'"hi","x":[%b1]' % (b"1," * 15_000_000)),
    "ten million objects in arguments": lambda: past_call('{"a":[' + "{}," * 10_000_000 + "1]}"),
    "90,000 objects in arguments": lambda: past_call('{"a":[' + "{}," * 45_000 + "1]}"),
    "30 MB of long numbers in a tool": lambda: raw(fields=b',"tools":[%b]' % LONG_NUMBERS.join(TOOL)),
    "30 MB of long numbers in arguments": lambda: past_call(f"[{LONG_NUMBERS.decode()}]"),
    "30 MB of long numbers in a schema": lambda: raw(fields=b',"response_format":' + LONG_NUMBERS.join(FORM)),
    "99,000 numbers of 128 digits": lambda: raw(fields=b',"tools":[%b]' % LONGEST_NUMBERS.join(TOOL)),
    "30 MB that are no JSON": lambda: raw(b'"' + b"x" * 30_000_000),
    "30 MB of halves and pairs": lambda: asks({"role": "system", "content": "?"}, USER).replace(
        b"?", rb"\ud83d\ude00" * 2_600_000 + rb"\ud83d"
    ),
    "15 MB of backslashes and a half": lambda: asks({"role": "system", "content": "?"}, USER).replace(
        b"?", rb"\\" * 7_500_000 + rb"\ud83d"
    ),
    "30 MB of a table": lambda: asks({"role": "system", "content": '1,"a",[2],{3}\n' * 1_500_000}, USER),
    "a role of 30 MB": lambda: asks({"role": "x" * 30_000_000}),
    "a model of 30 MB": lambda: asks().replace(b'"echo"', b'"%b"' % (b"x" * 30_000_000)),
    "a chosen tool of 30 MB": lambda: asks(
        tools=functions(1), tool_choice={"type": "function", "function": {"name": "x" * 30_000_000}}
    ),
    "half a million labels": lambda: asks(metadata={f"k{n}": "v" for n in range(500_000)}),
}


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, shared_upstream: FakeUpstream, claude_path: str
) -> Iterator[tuple[Relay, "subprocess.Popen[bytes]"]]:
    home = tmp_path_factory.mktemp("loop")
    environ = clean_environment(home, shared_upstream)
    with served_by_command(home, environ, claude_path, "--runner", "echo") as running:
        yield running


class Work:
    """A clock that goes while a server's process works, so that pauses of a shared machine are nobody's fault."""

    def __init__(self, server: "subprocess.Popen[bytes]") -> None:
        self._process = psutil.Process(server.pid)

    def seconds(self) -> float:
        """Return for how long it has worked so far, in all its threads."""
        times = self._process.cpu_times()
        return times.user + times.system


class Pulse:
    """What the server does again and again for somebody, taken in the background until it is left.

    Args:
        work: The server's clock.
        beats: Takes what comes, one thing after the other.
    """

    def __init__(self, work: Work, beats: Generator[object, None, None]) -> None:
        self._work = work
        self._beats = beats
        self._came: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._take)

    def __enter__(self) -> Self:
        self._thread.start()
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(20)

    def gap(self, since: float) -> float:
        """Return the most that the server worked between two beats since a moment of its clock, in seconds."""
        times = [moment for moment in self._came if moment >= since]
        return max(later - earlier for earlier, later in itertools.pairwise(times))

    def least_gap(self, ask: Callable[[], object], longest: float) -> float:
        """Return the longest gap beside what is asked, the least of three: who shares a machine is slow at times."""
        gaps: list[float] = []
        while len(gaps) < 3 and not (gaps and gaps[-1] < longest):
            began = self._work.seconds()
            ask()
            self._wait()
            gaps.append(self.gap(began))
        return min(gaps)

    def _wait(self) -> None:
        """Wait until the gap that may go on is over."""
        heard = len(self._came)
        Relay.wait_until(lambda: len(self._came) > heard + 1, 20)

    def _take(self) -> None:
        with closing(self._beats):
            for _ in self._beats:
                self._came.append(self._work.seconds())
                if self._over.is_set():
                    return


def deltas(url: str) -> Generator[str, None, None]:
    """Yield the lines of a stream with a delta every 20 ms."""
    script = {"role": "user", "content": "!echo interval=0.02 repeat=10000\nword"}
    body = {"model": "echo", "messages": [script], "stream": True}
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=30) as response:
        yield from response.iter_lines()


def small_answers(url: str) -> Generator[httpx.Response, None, None]:
    """Yield the answers to one small request after the other; each needs the event loop."""
    with httpx.Client(base_url=url, timeout=20) as client:
        while True:
            yield client.get("/v1/models")
            time.sleep(0.005)


@pytest.mark.parametrize("make", BODIES.values(), ids=BODIES.keys())
def test_a_stream_goes_on_beside_whatever_is_asked(server: tuple[Relay, Any], make: Any) -> None:
    url, body, work = server[0].url, make(), Work(server[1])

    def ask() -> None:
        response = client.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
        assert response.status_code in {200, 400, 413, 502}, response.text[:200]

    with Pulse(work, deltas(url)) as stream, httpx.Client(base_url=url, timeout=60) as client:
        assert stream.least_gap(ask, LONGEST_GAP) < LONGEST_GAP


def test_a_stream_goes_on_beside_many_large_requests_at_once(server: tuple[Relay, Any]) -> None:
    url, body, work = server[0].url, BODIES["an image of 20 MB"](), Work(server[1])

    def ask() -> None:
        asked = [pool.submit(httpx.post, f"{url}/v1/chat/completions", content=body, timeout=60) for _ in range(6)]
        assert {answer.result().status_code for answer in asked} == {200}

    with Pulse(work, deltas(url)) as stream, ThreadPoolExecutor(6) as pool:
        # each has its turns between two deltas
        assert stream.least_gap(ask, 3 * LONGEST_GAP) < 3 * LONGEST_GAP


def _large(name: str, **more: Any) -> dict[str, Any]:
    """Return a schema of some 64 KB, with parameters of such names."""
    described = {"type": "object", "properties": {"a": {"type": "string", "description": "x" * 60}}, "required": ["a"]}
    named = {f"{name}{number}": {**described, "additionalProperties": False} for number in range(400)}
    return {"type": "object", "properties": named, **more}


def _tools(schema: dict[str, Any], *, strict: bool) -> list[dict[str, Any]]:
    named = [{"name": f"t{number}", "parameters": schema, "strict": strict} for number in range(20)]
    return [{"type": "function", "function": function} for function in named]


CONFIGURING = {
    "20 strict tools of 64 KB": {"tools": _tools(_large("p"), strict=True)},
    "20 tools of 64 KB with other names upstream": {
        "tools": _tools(_large("$", additionalProperties={"$ref": "#/properties/$1"}), strict=False)
    },
    "a schema for Claude Code's own tool": {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "a", "schema": _large("p", allOf=[_large("q"), _large("r"), _large("s")])},
        }
    },
}


@pytest.fixture(scope="module")
def engine(
    tmp_path_factory: pytest.TempPathFactory, shared_upstream: FakeUpstream, claude_path: str
) -> Iterator[tuple[Relay, "subprocess.Popen[bytes]"]]:
    home = tmp_path_factory.mktemp("engine")
    with served_by_command(home, clean_environment(home, shared_upstream), claude_path) as running:
        yield running


def _obeying(body: dict[str, Any]) -> Reply:
    names = [tool["name"] for tool in body.get("tools", [])]
    return Message(blocks=(ToolUse("toolu_1", "StructuredOutput", {}),)) if "StructuredOutput" in names else text()


@pytest.mark.parametrize("fields", CONFIGURING.values(), ids=CONFIGURING.keys())
def test_others_are_served_while_a_process_is_configured(
    engine: tuple[Relay, Any], upstream: FakeUpstream, fields: dict[str, Any]
) -> None:
    upstream.default = _obeying
    running, work = engine[0], Work(engine[1])

    def ask() -> None:
        response = running.post(messages=[USER], **fields)
        assert response.status_code == 200, response.text[:200]

    with Pulse(work, small_answers(running.url)) as others:
        assert others.least_gap(ask, LONGEST_GAP) < LONGEST_GAP


OF_EACH_KIND = [
    "a pattern that backtracks",
    "references that double",
    "200,000 properties",
    "60,000 messages",
    "an image of 20 MB",
    "a million unknown fields",
    "30 MB of brackets",
    "half characters",
    "ten million lists in sound",
    "30 MB of long numbers in a schema",
]
"""A signal is heard by the loop that a stream goes on in, so each kind of work is enough; each takes a server."""


@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_a_signal_is_heard_beside_whatever_is_asked(
    home: Path, upstream: FakeUpstream, claude_path: str, name: str
) -> None:
    hard = BODIES[name]()
    environ = clean_environment(home, upstream)
    with (
        served_by_command(home, environ, claude_path, "--runner", "echo") as (running, server),
        ThreadPoolExecutor(2) as pool,
    ):
        asked = [
            pool.submit(httpx.post, f"{running.url}/v1/chat/completions", content=hard, timeout=30) for _ in range(2)
        ]
        time.sleep(0.1)
        work = Work(server)
        began = work.seconds()
        server.send_signal(signal.SIGTERM)
        running.wait_until(lambda: _is_draining(running), 10)
        heard = work.seconds() - began
        for answer in asked:
            answer.exception(20)
    assert heard < 1


def _is_draining(running: Relay) -> bool:
    try:
        return running.http.get("/health").status_code == 503
    except httpx.TransportError:
        return True
