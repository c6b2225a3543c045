"""Time to the first token: the relay against a cold ``claude -p`` and a warm CLI process driven directly.

Run by hand: ``uv run python -m tests.benchmarks.first_token [rounds]``. The fake upstream answers at once, so what is
measured is what each way adds. The three ways take turns within each round; figures are medians with min and max.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from claude_relay.engine.claude import command, outgoing
from claude_relay.engine.claude.discovery import Installation, bundled, read_version
from claude_relay.settings import Personality, Settings
from tests.live.relay import Relay, clean_environment, served_by_command
from tests.upstream import FakeUpstream

MODEL = "sonnet"
QUIET = 0.6
"""Seconds of rest before each measurement, so that nobody's start-up is measured with it."""


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    path = bundled()
    assert path is not None
    installation = Installation(path, read_version(path))
    print(f"Claude Code {installation.version_text}, {rounds} rounds, milliseconds to the first token\n")
    print("| personality | way | median | min | max | against cold | over direct |")
    print("|---|---|---|---|---|---|---|")
    personalities: tuple[Personality, ...] = ("chat", "agent")
    for personality in personalities:
        _report(personality, _measured(installation, personality, rounds))


def _measured(installation: Installation, personality: Personality, rounds: int) -> dict[str, list[float]]:
    with FakeUpstream() as upstream, tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        environ = clean_environment(home, upstream)
        child = command.environment(environ, installation, personality, 0)
        argv = command.argv(installation, personality, Settings(model=MODEL))
        with served_by_command(home, environ, installation.path, "--personality", personality) as (relay, _):
            ways: dict[str, Callable[[], float]] = {
                "cold `claude -p`": lambda: _cold(argv, child, home),
                "warm CLI, driven directly": lambda: _direct(argv, child, home, personality),
                "claude-relay": lambda: _relayed(relay),
            }
            _relayed(relay)
            found: dict[str, list[float]] = {way: [] for way in ways}
            for _ in range(rounds):
                for way, measure in ways.items():
                    found[way].append(measure())
            return found


def _cold(argv: tuple[str, ...], environ: dict[str, str], home: Path) -> float:
    """From the start of the process to its first text, with the question on stdin."""
    time.sleep(QUIET)
    started = time.perf_counter()
    with _process(argv, environ, home) as (stdin, stdout):
        _write(stdin, _question())
        return _first_text(stdout) - started


def _direct(argv: tuple[str, ...], environ: dict[str, str], home: Path, personality: Personality) -> float:
    """From the question to the first text, on a process that has answered a control request."""
    with _process(argv, environ, home) as (stdin, stdout):
        _write(stdin, outgoing.control("ready", "get_binary_version"))
        stdout.readline()
        time.sleep(QUIET)
        prompt = {"systemPrompt": [""]} if personality == "chat" else {}
        started = time.perf_counter()
        _write(stdin, outgoing.control("init", "initialize", title="benchmark", **prompt), _question())
        return _first_text(stdout) - started


def _relayed(relay: Relay) -> float:
    """From the HTTP request to the first content delta, with a spare ready."""
    relay.settle()
    relay.wait_for_spare()
    time.sleep(QUIET)
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "stream": True}
    started = time.perf_counter()
    with relay.http.stream("POST", "/v1/chat/completions", json=body) as response:
        for line in response.iter_lines():
            if '"content":"H' in line:
                return time.perf_counter() - started
    raise AssertionError("no text came")


@contextmanager
def _process(argv: tuple[str, ...], environ: dict[str, str], home: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    process = subprocess.Popen(argv, env=environ, cwd=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdin, process.stdout
    finally:
        process.kill()
        process.communicate()


def _question() -> outgoing.UserLine:
    return outgoing.user([{"type": "text", "text": "hi"}], asks=True, client_composed=True)


def _write(stdin: IO[bytes], *lines: outgoing.Line) -> None:
    stdin.write(outgoing.encode(lines))
    stdin.flush()


def _first_text(stdout: IO[bytes]) -> float:
    for line in stdout:
        if b'"text_delta"' in line:
            return time.perf_counter()
    raise AssertionError("no text came")


def _report(personality: str, found: dict[str, list[float]]) -> None:
    medians = {way: statistics.median(times) for way, times in found.items()}
    cold, direct = medians["cold `claude -p`"], medians["warm CLI, driven directly"]
    for way, times in found.items():
        row = (1000 * value for value in (medians[way], min(times), max(times)))
        figures = " | ".join(f"{value:.0f}" for value in row)
        over = f"{1000 * (medians[way] - direct):+.0f}"
        print(f"| {personality} | {way} | {figures} | {medians[way] / cold:.2f}x | {over} |", flush=True)


if __name__ == "__main__":
    main()
