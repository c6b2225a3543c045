"""Requests per second: the relay, a relay that spawns a process for each request, and the reused CLI driven directly.

Run by hand: ``uv run python -m tests.benchmarks.throughput [requests] [concurrency ...]``. Closed loop: each
worker asks its next question when its last is answered. The fake upstream answers at once, so what is measured is what
each way costs. The ways take turns; CPU and memory are of the relay's process and its children.
"""

import asyncio
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil
from msgspec import Struct

from claude_relay.access.policy import Caller
from claude_relay.chat.controller import read
from claude_relay.chat.inbound import to_question
from claude_relay.engine.claude import command, history, outgoing, process
from claude_relay.engine.claude.capabilities import Capabilities
from claude_relay.engine.claude.discovery import Installation, bundled, read_version
from claude_relay.engine.claude.matching import Conversation, answered
from claude_relay.engine.claude.session import Session
from claude_relay.engine.claude.translate import Translator
from claude_relay.engine.vocabulary import Event, RunEnd, Text, ToolCall
from claude_relay.settings import Settings
from tests.live.relay import clean_environment, served_by_command
from tests.upstream import FakeUpstream, Message, Reply, ToolUse, text

TURNS = 10
MOST_SPAWNS = 20
"""Requests of one round that are still measured with a process for each; more would only take long."""
TOOLS = [{"type": "function", "function": {"name": "note", "parameters": {"type": "object", "properties": {}}}}]
SYSTEM = {"role": "system", "content": "Be brief."}

Ask = Callable[[int, dict[str, Any]], Awaitable[dict[str, Any]]]
"""Asks as one of the workers, and returns the answer's message."""
Way = Callable[[int], AbstractAsyncContextManager["Driver"]]


class Driver(Struct):
    """A way to get answers, the process whose tree is charged for them, and what to wait for after the warm-up."""

    ask: Ask
    root: psutil.Process
    settle: Callable[[], None]


class Figures(Struct):
    """What one way did in one scenario."""

    times: list[float]
    seconds: float
    own_cpu: float
    cli_cpu: float
    processes: int
    megabytes: float


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    levels = [int(level) for level in sys.argv[2:]] or [1, 2, 4, 8, 16]
    path = bundled()
    assert path is not None
    asyncio.run(_compare(Installation(path, read_version(path)), count, levels))


async def _compare(installation: Installation, count: int, levels: list[int]) -> None:
    print("| scenario | at once | way | requests/s | p50 | p95 | p99 | CPU ms relay | CPU ms CLI | processes | MB |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    with FakeUpstream() as upstream, tempfile.TemporaryDirectory() as folder:
        upstream.default = _reply
        ways: dict[str, Way] = {
            "CLI driven directly": lambda level: _direct(installation, upstream, Path(folder), level),
            "claude-relay": lambda _: _relayed(installation, upstream, folder),
            "spawn per request": lambda _: _relayed(installation, upstream, folder, "--warm", "0", "--no-reuse"),
        }
        for name, scenario, requests in SCENARIOS:
            for level in levels:
                for way, start in ways.items():
                    slow = 6 if way == "spawn per request" else 1
                    if slow > 1 and requests * level > MOST_SPAWNS:
                        continue
                    upstream.clear()
                    async with start(level) as driver:
                        found = await _measure(driver, scenario, requests, level, max(level, count // slow))
                    _print(name, level, way, found)


async def _measure(driver: Driver, scenario: "Scenario", requests: int, level: int, count: int) -> Figures:
    times: list[float] = []

    async def worker(number: int, rounds: int) -> None:
        for turn in range(rounds):
            await scenario(driver.ask, number, turn, times)

    await asyncio.gather(*(worker(number, 1) for number in range(level)))
    times.clear()
    await asyncio.to_thread(driver.settle)
    peaks = _Peaks(driver.root)
    before = _cpu(driver.root)
    started = time.perf_counter()
    rounds = max(1, count // requests // level)
    await asyncio.gather(*(worker(number, rounds) for number in range(level)))
    seconds = time.perf_counter() - started
    own, cli = (after - start for after, start in zip(_cpu(driver.root), before, strict=True))
    peaks.stop()
    return Figures(sorted(times), seconds, own, cli, peaks.processes, peaks.bytes / 1e6)


Scenario = Callable[[Ask, int, int, list[float]], Awaitable[None]]


async def _one_shot(ask: Ask, number: int, turn: int, times: list[float]) -> None:
    messages = [SYSTEM, {"role": "user", "content": f"worker {number}, question {turn}"}]
    await _timed(ask, number, {"messages": messages}, times)


async def _conversation(ask: Ask, number: int, turn: int, times: list[float]) -> None:
    messages: list[dict[str, Any]] = [SYSTEM]
    for step in range(TURNS):
        messages.append({"role": "user", "content": f"worker {number}, talk {turn}, turn {step}"})
        messages.append(await _timed(ask, number, {"messages": messages}, times))


async def _tool_loop(ask: Ask, number: int, turn: int, times: list[float]) -> None:
    messages: list[dict[str, Any]] = [SYSTEM, {"role": "user", "content": f"worker {number}, loop {turn}"}]
    for step in range(TURNS):
        message = await _timed(ask, number, {"messages": messages, "tools": TOOLS}, times)
        messages.append(message)
        calls = message.get("tool_calls", ())
        messages += [{"role": "tool", "tool_call_id": call["id"], "content": f"result {step}"} for call in calls]


SCENARIOS: list[tuple[str, Scenario, int]] = [
    ("one-shot", _one_shot, 1),
    ("conversation", _conversation, TURNS),
    ("tool loop", _tool_loop, TURNS),
]


async def _timed(ask: Ask, number: int, body: dict[str, Any], times: list[float]) -> dict[str, Any]:
    started = time.perf_counter()
    message = await ask(number, body)
    times.append(time.perf_counter() - started)
    return message


def _reply(body: dict[str, Any]) -> Reply:
    results = sum(str(message["content"]).count("'tool_result'") for message in body["messages"])
    if body["tools"] and results < TURNS - 1:
        return Message(blocks=(ToolUse(f"toolu_{results}", "note", {"n": results}),))
    return text()


@asynccontextmanager
async def _relayed(
    installation: Installation, upstream: FakeUpstream, folder: str, *options: str
) -> AsyncIterator[Driver]:
    home = Path(tempfile.mkdtemp(dir=folder))
    environ = clean_environment(home, upstream)
    fixed = ("--personality", "chat", "--log-level", "warning", "--no-self-test", "--max-concurrent", "64")
    with served_by_command(home, environ, installation.path, *fixed, *options) as (relay, server):
        async with httpx.AsyncClient(
            base_url=relay.url, timeout=120, limits=httpx.Limits(max_connections=64)
        ) as client:

            async def ask(_: int, body: dict[str, Any]) -> dict[str, Any]:
                response = await client.post("/v1/chat/completions", json={"model": "sonnet", **body})
                response.raise_for_status()
                message: dict[str, Any] = response.json()["choices"][0]["message"]
                return message

            # the spare that replaces the first one is started once, not for each request
            yield Driver(ask, psutil.Process(server.pid), relay.settle if "0" in options else relay.wait_for_spare)


@asynccontextmanager
async def _direct(installation: Installation, upstream: FakeUpstream, home: Path, level: int) -> AsyncIterator[Driver]:
    """One process for each worker: its next question after a boundary, or right away where it goes on."""
    base = clean_environment(home, upstream)
    environ = command.environment(base, installation, "chat", 0)
    settings, caller = Settings(personality="chat"), Caller("", "", "")
    argv = command.argv(installation, "chat", settings)
    sessions: list[Session | None] = [None] * level

    async def ask(number: int, body: dict[str, Any]) -> dict[str, Any]:
        request = to_question(read(msgspec.json.encode(body)), settings, caller).run
        session = sessions[number]
        if session is None:
            session = Session(
                await process.spawn(argv, environ, str(home)),
                "chat",
                "sonnet",
                lambda: Capabilities(client_composed=True),
            )
            sessions[number] = session
            await session.ready()
        elif session.history != Conversation.of(request.turns[:-1]):
            session.settle(None)
            await session._channel.write(outgoing.boundary())
        translator = Translator(None, [tool.name for tool in request.tools])
        said: list[Event] = []
        await session.ask(request, history.native)
        while not said or not isinstance(said[-1], RunEnd):
            said += translator.feed(await session.receive())
        answer = answered(said)
        assert answer is not None
        session.settle(answer)
        calls = [piece for piece in answer.content if isinstance(piece, ToolCall)]
        function = [{"name": call.name, "arguments": msgspec.json.encode(call.arguments).decode()} for call in calls]
        listed = [
            {"id": call.id, "type": "function", "function": named} for call, named in zip(calls, function, strict=True)
        ]
        texts = [piece.text for piece in answer.content if isinstance(piece, Text)]
        return {"role": "assistant", "content": "".join(texts), **({"tool_calls": listed} if listed else {})}

    try:
        yield Driver(ask, psutil.Process(), lambda: None)
    finally:
        for session in sessions:
            if session is not None:
                session.process.kill()
                await session.process.close()


def _cpu(root: psutil.Process) -> tuple[float, float]:
    """Return CPU seconds of a process, and of its children, those that have ended included."""
    times = root.cpu_times()
    living = sum(sum(child.cpu_times()[:2]) for child in _children(root))
    return times.user + times.system, living + times.children_user + times.children_system


def _children(root: psutil.Process) -> list[psutil.Process]:
    return [child for child in root.children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE]


class _Peaks:
    """Watches how many processes there are, and how much memory they take."""

    def __init__(self, root: psutil.Process) -> None:
        self.processes = 0
        self.bytes = 0
        self._root = root
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            try:
                children = _children(self._root)
                used = sum(child.memory_info().rss for child in children)
            except psutil.Error:
                continue
            self.processes, self.bytes = max(self.processes, len(children)), max(self.bytes, used)

    def stop(self) -> None:
        self._over.set()
        self._thread.join()


def _print(name: str, level: int, way: str, found: Figures) -> None:
    count = len(found.times)
    p50, p95, p99 = (1000 * found.times[min(count - 1, int(share * count))] for share in (0.5, 0.95, 0.99))
    own = "-" if way == "CLI driven directly" else f"{1000 * found.own_cpu / count:.1f}"
    print(
        f"| {name} | {level} | {way} | {count / found.seconds:.1f} | {p50:.0f} | {p95:.0f} | {p99:.0f} | {own} "
        f"| {1000 * found.cli_cpu / count:.0f} | {found.processes} | {found.megabytes:.0f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
