"""A long run of everything at once: is any answer lost or crossed, is any process left, does memory stay?

Run by hand: ``uv run python -m tests.benchmarks.soak [requests] [at once] [seed]``. The real CLI answers through the
fake upstream. Each question holds a word that nobody else has, and the upstream answers with the words of all questions
of the conversation it sees: so an answer shows whose it is, and whether its conversation was whole. What goes wrong is
told, and makes the run fail.
"""

import asyncio
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
from msgspec import Struct

from claude_relay.engine.claude.discovery import bundled, read_version
from tests.live.relay import Relay, clean_environment, processes_with_home, served_by_command
from tests.upstream import (
    FakeUpstream,
    Message,
    Reply,
    ToolUse,
    drop_after,
    overloaded,
    rate_limited,
    server_error,
    stall_after,
    text,
)

ROWS = 20
SILENCE = 5
"""Seconds that an answer may pause; longer than anything but a stall takes."""
LONGEST = 60
"""Seconds after which an answer counts as lost."""
TOOL_ROUNDS = 2
TOOLS = [{"type": "function", "function": {"name": "note", "parameters": {"type": "object", "properties": {}}}}]
CALLERS = ("ann", "bob", "cid")

_ASKED = re.compile(r"ask-([0-9a-f]{12})-([a-z0-9]+)")
_RESULT = re.compile(r"result-[0-9a-f]{12}-\d")
_FAULTS = {
    "f429": (rate_limited(), 429, "rate_limit_exceeded"),
    "f500": (server_error(), 502, "upstream_error"),
    "f529": (overloaded(), 503, "overloaded"),
}


class WrongAnswerError(Exception):
    """An answer is not what was asked for."""


class Question(Struct, frozen=True):
    """One question that nobody else asks."""

    word: str
    kind: str

    @property
    def message(self) -> dict[str, Any]:
        """The question as a message of the user."""
        return {"role": "user", "content": f"ask-{self.word}-{self.kind}"}


def answer_to(*words: str) -> str:
    """Return what the upstream says to questions."""
    return "got " + " ".join(words)


def reply(body: dict[str, Any]) -> Reply:
    """Answer as the upstream: with the words of all questions, or as the last of them wants."""
    told = json.dumps(body["messages"])
    asked = _ASKED.findall(told)
    if not asked:
        return text()
    word, kind = asked[-1]
    said = text(answer_to(*dict.fromkeys(word for word, _ in asked)))
    results = list(dict.fromkeys(_RESULT.findall(told)))
    match kind:
        case "slow":
            return replace(said, blocks=(replace(said.blocks[0], chunks=20),), interval=0.1)
        case "late":
            return replace(said, head_delay=2.0)
        case "drop":
            return drop_after(1, said)
        case "stall":
            return stall_after(1, said)
        case "tools" if len(results) < TOOL_ROUNDS:
            called = {"word": word, "round": len(results)}
            return Message(blocks=(ToolUse(f"toolu_{word}_{len(results)}", "note", called),))
        case "tools":
            return text(answer_to(word, *results))
        case _ if kind in _FAULTS:
            return _FAULTS[kind][0]
    return said


class Tally:
    """What all clients have seen.

    Attributes:
        sent: Requests so far.
        done: Scenes that went as they should, by their name.
        wrong: What went wrong.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []


class Client:
    """Asks questions as one caller, and says whether their answers are theirs."""

    def __init__(self, http: httpx.AsyncClient, chance: random.Random, caller: str, tally: Tally) -> None:
        self._http = http
        self._chance = chance
        self._headers = {"Authorization": f"Bearer {caller}"}
        self._tally = tally

    async def scene(self) -> None:
        """Ask one or more requests that belong together."""
        scenes: dict[Callable[[], Awaitable[None]], int] = {
            self._plain: 18,
            self._stream: 24,
            self._conversation: 6,
            self._tools: 6,
            self._agent: 14,
            self._agent_conversation: 2,
            self._leaves: 8,
            self._leaves_early: 3,
            self._leaves_while_sending: 3,
            self._broken_body: 6,
            self._fault: 6,
            self._dropped: 4,
            self._stalled: 1,
        }
        (scene,) = self._chance.choices(list(scenes), list(scenes.values()))
        name = scene.__name__.strip("_")
        try:
            await scene()
        except (WrongAnswerError, httpx.HTTPError, TimeoutError, KeyError, ValueError) as error:
            self._tally.wrong.append(f"{name}: {type(error).__name__}: {error}")
        else:
            self._tally.done[name] += 1

    def _question(self, kind: str = "say") -> Question:
        return Question(f"{self._chance.getrandbits(48):012x}", kind)

    def _request(self, messages: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
        self._tally.sent += 1
        return {"json": {"model": "sonnet", "messages": messages, **fields}, "headers": self._headers}

    async def _asked(self, messages: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
        """Ask, whole or streamed, and return the answer's message."""
        if self._chance.random() < 0.5:
            return await self._streamed(messages, **fields)
        response = await self._http.post(**self._request(messages, **fields), url="/v1/chat/completions")
        _require(response.status_code, 200)
        message: dict[str, Any] = response.json()["choices"][0]["message"]
        return message

    async def _streamed(self, messages: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
        async with self._streaming(messages, **fields) as frames:
            chunks = [frame async for frame in frames]
        _require(chunks.pop(), "[DONE]")
        deltas = [json.loads(chunk)["choices"][0]["delta"] for chunk in chunks]
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(delta.get("content") or "" for delta in deltas),
        }
        if pieces := [call for delta in deltas for call in delta.get("tool_calls", ())]:
            arguments = "".join(piece["function"].get("arguments", "") for piece in pieces)
            function = {"name": pieces[0]["function"]["name"], "arguments": arguments}
            message["tool_calls"] = [{"id": pieces[0]["id"], "type": "function", "function": function}]
        return message

    @asynccontextmanager
    async def _streaming(self, messages: list[dict[str, Any]], **fields: Any) -> AsyncIterator[AsyncIterator[str]]:
        request = self._request(messages, stream=True, **fields)
        async with self._http.stream("POST", "/v1/chat/completions", **request) as response:
            _require(response.status_code, 200)
            yield (line.removeprefix("data: ") async for line in response.aiter_lines() if line.startswith("data: "))

    async def _plain(self) -> None:
        question = self._question()
        request = self._request([question.message])
        response = await self._http.post("/v1/chat/completions", **request)
        _require(response.status_code, 200)
        _require(response.json()["choices"][0]["message"]["content"], answer_to(question.word))

    async def _stream(self) -> None:
        question = self._question()
        _require((await self._streamed([question.message]))["content"], answer_to(question.word))

    async def _conversation(self, **fields: Any) -> None:
        messages: list[dict[str, Any]] = []
        words: list[str] = []
        for _ in range(self._chance.randint(2, 5)):
            question = self._question()
            words.append(question.word)
            messages.append(question.message)
            message = await self._asked(messages, **fields)
            _require(message["content"], answer_to(*words))
            messages.append({"role": "assistant", "content": message["content"]})

    async def _agent(self) -> None:
        question = self._question()
        message = await self._asked([question.message], model="sonnet:agent")
        _require(message["content"], answer_to(question.word))

    async def _agent_conversation(self) -> None:
        await self._conversation(model="sonnet:agent")

    async def _tools(self) -> None:
        question = self._question("tools")
        messages = [question.message]
        for number in range(TOOL_ROUNDS):
            message = await self._asked(messages, tools=TOOLS)
            (call,) = message["tool_calls"]
            _require(json.loads(call["function"]["arguments"]), {"word": question.word, "round": number})
            result = {"role": "tool", "tool_call_id": call["id"], "content": f"result-{question.word}-{number}"}
            messages += [{**message, "role": "assistant", "content": message.get("content") or None}, result]
        results = [f"result-{question.word}-{number}" for number in range(TOOL_ROUNDS)]
        _require((await self._asked(messages, tools=TOOLS))["content"], answer_to(question.word, *results))

    async def _leaves(self) -> None:
        question = self._question("slow")
        said = ""
        async with self._streaming([question.message]) as frames:
            async for frame in frames:
                said += json.loads(frame)["choices"][0]["delta"].get("content") or ""
                if len(said) >= self._chance.randint(1, 8):
                    break
        _require(answer_to(question.word).startswith(said), True)

    async def _leaves_early(self) -> None:
        try:
            async with asyncio.timeout(self._chance.uniform(0, 0.5)):
                await self._http.post("/v1/chat/completions", **self._request([self._question("late").message]))
        except TimeoutError:
            return
        raise WrongAnswerError("an answer that was late came early")

    async def _leaves_while_sending(self) -> None:
        self._tally.sent += 1
        place = self._http.base_url
        _, writer = await asyncio.open_connection(place.host, place.port)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {place.host}\r\nContent-Length: 1000\r\n\r\n"
        writer.write(head.encode() + b'{"messages": [')
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def _broken_body(self) -> None:
        self._tally.sent += 1
        body = self._chance.choice(
            (b"", b"{", b"\xff\xfe", b'{"messages": 1}', b'{"messages": []}', b'{"messages": [{}]}')
        )
        response = await self._http.post("/v1/chat/completions", content=body)
        _require((response.status_code, response.json()["error"]["type"]), (400, "invalid_request_error"))

    async def _fault(self) -> None:
        kind = self._chance.choice(list(_FAULTS))
        _, status, code = _FAULTS[kind]
        stream = self._chance.random() < 0.5
        request = self._request([self._question(kind).message], stream=stream)
        response = await self._http.post("/v1/chat/completions", **request)
        _require((response.status_code, response.json()["error"]["code"]), (status, code))

    async def _dropped(self) -> None:
        await self._broken("drop", 502, "upstream_disconnected")

    async def _stalled(self) -> None:
        await self._broken("stall", 504, "silence_timeout")

    async def _broken(self, kind: str, status: int, code: str) -> None:
        """Ask what is answered in part: an error, or the part and an error and no end."""
        question = self._question(kind)
        if self._chance.random() < 0.5:
            response = await self._http.post("/v1/chat/completions", **self._request([question.message]))
            _require((response.status_code, response.json()["error"]["code"]), (status, code))
            return
        async with self._streaming([question.message]) as frames:
            *chunks, last = [json.loads(frame) async for frame in frames]
        said = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
        _require(last["error"]["code"], code)
        _require(bool(said) and answer_to(question.word).startswith(said), True)


def _require(found: object, wanted: object) -> None:
    if found != wanted:
        raise WrongAnswerError(f"{found!r} instead of {wanted!r}")


class Sample(Struct, frozen=True):
    """What was there at one moment: memory in megabytes; of the children, pages that they share count for each."""

    requests: int
    seconds: float
    relay: float
    children: int
    together: float


class Watch:
    """Looks at the relay's processes.

    Attributes:
        tally: What all clients have seen.
        samples: What was seen of the processes.
    """

    def __init__(self, root: psutil.Process) -> None:
        self._root = root
        self.tally = Tally()
        self._began = time.monotonic()
        self.samples: list[Sample] = []

    async def forever(self) -> None:
        """Look once a second."""
        while True:
            self.samples.append(await asyncio.to_thread(self._look))
            await asyncio.sleep(1)

    def _look(self) -> Sample:
        memory = list(_memory(self._root.children(recursive=True)))
        relay = self._root.memory_info().rss / 1e6
        return Sample(self.tally.sent, time.monotonic() - self._began, relay, len(memory), sum(memory))


def _memory(processes: list[psutil.Process]) -> Iterator[float]:
    for process in processes:
        try:
            yield process.memory_info().rss / 1e6
        except psutil.Error:
            continue


async def soak(relay: Relay, server: "subprocess.Popen[bytes]", count: int, at_once: int, seed: int) -> Watch:
    """Send so many requests, so many at once."""
    watch = Watch(psutil.Process(server.pid))
    limits = httpx.Limits(max_connections=at_once * 2)
    async with httpx.AsyncClient(base_url=relay.url, timeout=LONGEST, limits=limits) as http:

        async def worker(number: int) -> None:
            client = Client(http, random.Random(f"{seed} {number}"), CALLERS[number % len(CALLERS)], watch.tally)
            while watch.tally.sent < count:
                await client.scene()

        watching = asyncio.create_task(watch.forever())
        await asyncio.gather(*map(worker, range(at_once)))
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    return watch


def main() -> None:
    """Soak, and tell what was seen."""
    count, at_once, seed = (int(given) for given in (*sys.argv[1:], *("2000", "8", "1")[len(sys.argv) - 1 :]))
    path = bundled()
    assert path is not None
    print(
        f"Claude Code {'.'.join(map(str, read_version(path)))}, {count} requests, {at_once} at once, seed {seed}, ",
        end="",
    )
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before\n", flush=True)
    with FakeUpstream() as upstream, tempfile.TemporaryDirectory() as folder:
        upstream.default = reply
        home = Path(folder)
        options = ("--personality", "chat", "--log-level", "error", "--silence-timeout", str(SILENCE))
        with served_by_command(home, clean_environment(home, upstream), path, *options) as (relay, server):
            relay.wait_for_spare()
            began = time.monotonic()
            watch = asyncio.run(soak(relay, server, count, at_once, seed))
            seconds = time.monotonic() - began
            relay.wait_until(lambda: relay.processes()["busy"] == relay.processes()["ending"] == 0, 30)
            relay.wait_until(lambda: relay.http.get("/health").json()["detail"]["waiting"] == 0)
            processes = relay.processes()
            server.send_signal(signal.SIGTERM)
            server.wait(30)
            left = len(processes_with_home(home))
        errors = (home / "output").read_text().count("Traceback")
    tally = watch.tally
    _print_samples(watch.samples)
    print(f"\n{tally.sent} requests in {seconds:.0f} s, {tally.sent / seconds:.1f} each second")
    print("as they should be: " + ", ".join(f"{name} {number}" for name, number in tally.done.most_common()))
    print(f"processes: {processes}; left after the stop: {left}")
    print(f"tracebacks in the log: {errors}; wrong: {len(tally.wrong)}")
    for wrong in tally.wrong[:50]:
        print(f"  {wrong}")
    sys.exit(bool(tally.wrong or left or errors))


def _print_samples(samples: list[Sample]) -> None:
    print("| requests | seconds | relay MB | processes | their MB |\n|---|---|---|---|---|")
    for place in range(0, len(samples), max(1, len(samples) // ROWS)):
        seen = samples[place]
        print(f"| {seen.requests} | {seen.seconds:.0f} | {seen.relay:.0f} | {seen.children} | {seen.together:.0f} |")
    quarter = max(1, len(samples) // 4)
    early, late = samples[quarter : 2 * quarter] or samples, samples[-quarter:]
    print("\nmedian of the second quarter and of the last: ", end="")
    for name in ("relay", "children", "together"):
        figures = [statistics.median(getattr(seen, name) for seen in part) for part in (early, late)]
        print(f"{name} {figures[0]:.0f} -> {figures[1]:.0f}", end="; ")
    print()


if __name__ == "__main__":
    main()
