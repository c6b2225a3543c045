"""Questions that come at once, unseen histories, and the first question after the start, of two checkouts side by side.

Run by hand: ``uv run python -m tests.benchmarks.bursts --old PATH [--new PATH] [--rounds N]``. Each figure is of the
real CLI behind ``claude-relay serve`` that was just started for it, against an upstream that answers at once: the
median time of the requests in milliseconds, and the longest.
"""

import os
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from claude_relay.engine.claude.discovery import bundled
from tests.benchmarks.side_by_side import sides, wait_for
from tests.live.relay import Relay, clean_environment
from tests.upstream import FakeUpstream

QUIET = 1.0
"""Seconds of rest before a measurement."""
SYSTEM = {"role": "system", "content": "Be brief."}


class Scenario(Struct, frozen=True):
    """What is asked.

    Attributes:
        name: What it is.
        measure: Asks it of a relay, and returns how many seconds each request took.
        is_ready: Whether the relay has a spare and its self-test behind it when it is asked.
    """

    name: str
    measure: Callable[[Relay], list[float]]
    is_ready: bool = True


def main() -> None:
    compared = sides(__doc__)
    print("| scenario | old p50 | old longest | new p50 | new longest | new / old p50 |")
    print("|---|---|---|---|---|---|")
    for scenario in SCENARIOS:
        found: dict[Path, list[list[float]]] = {compared.old: [], compared.new: []}
        for number in range(compared.rounds):
            for checkout in (compared.old, compared.new) if number % 2 else (compared.new, compared.old):
                found[checkout].append(_measured(checkout, scenario))
        _print(scenario.name, found[compared.old], found[compared.new])


def _measured(checkout: Path, scenario: Scenario) -> list[float]:
    with FakeUpstream() as upstream, _served(checkout, upstream) as relay:
        if scenario.is_ready:
            relay.wait_until(lambda: _is_ready(relay), 30)
            time.sleep(QUIET)
        return scenario.measure(relay)


def _is_ready(relay: Relay) -> bool:
    detail = relay.http.get("/health").json()["detail"]
    return bool(detail["self_test"] == "passed" and detail["processes"]["spare"] > 0)


@contextmanager
def _served(checkout: Path, upstream: FakeUpstream) -> Iterator[Relay]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        home, command = Path(folder), [str(checkout / ".venv/bin/claude-relay"), "serve"]
        options = ["--host", "127.0.0.1", "--port", str(port), "--personality", "chat", "--claude-path", str(bundled())]
        process = subprocess.Popen(
            [*command, *options],
            env=clean_environment(home, upstream),
            cwd=home,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(port)
            relay = Relay(f"http://127.0.0.1:{port}", home)
            yield relay
            relay.http.close()
        finally:
            process.terminate()
            process.wait()


def _ask(relay: Relay, text: str, past: list[dict[str, Any]] | None = None) -> float:
    messages = [SYSTEM, *(past or []), {"role": "user", "content": text}]
    started = time.perf_counter()
    response = relay.http.post("/v1/chat/completions", json={"model": "sonnet", "messages": messages})
    taken = time.perf_counter() - started
    assert response.status_code == 200, response.text
    return taken


def _burst(number: int) -> Callable[[Relay], list[float]]:
    def measure(relay: Relay) -> list[float]:
        with ThreadPoolExecutor(number) as threads:
            return list(threads.map(lambda which: _ask(relay, f"question {which}"), range(number)))

    return measure


def _used(measure: Callable[[Relay], list[float]]) -> Callable[[Relay], list[float]]:
    """Let one process answer a few questions before."""

    def after_use(relay: Relay) -> list[float]:
        for number in range(5):
            _ask(relay, f"before {number}")
        time.sleep(QUIET)
        return measure(relay)

    return after_use


def _unseen(relay: Relay) -> list[float]:
    marks = os.urandom(4).hex()
    turns = [({"role": "user", "content": f"{marks} {n}"}, {"role": "assistant", "content": "yes"}) for n in range(10)]
    return [_ask(relay, "go on", [message for turn in turns for message in turn])]


SCENARIOS = (
    Scenario("one question", _burst(1)),
    Scenario("8 at once, one spare", _burst(8)),
    Scenario("32 at once, one spare", _burst(32)),
    Scenario("8 at once, one used process", _used(_burst(8))),
    Scenario("history of 20 messages, spare", _unseen),
    Scenario("history of 20 messages, used process", _used(_unseen)),
    Scenario("first question after the start", _burst(1), is_ready=False),
)


def _print(name: str, old: list[list[float]], new: list[list[float]]) -> None:
    figures = [
        (statistics.median(statistics.median(times) for times in side), statistics.median(map(max, side)))
        for side in (old, new)
    ]
    row = " | ".join(f"{1000 * p50:.0f} | {1000 * longest:.0f}" for p50, longest in figures)
    print(f"| {name} | {row} | {figures[1][0] / figures[0][0]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
