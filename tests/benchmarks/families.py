"""CPU time of the server for a request of each family, the same answer, in turns on one server.

Run by hand: ``uv run python -m tests.benchmarks.families [--rounds N] [--deltas N]``. A stub answers; the ratio is to
the chat request of the same round. A response that is kept costs a write of its own.
"""

import argparse
import statistics
from itertools import count
from pathlib import Path
from typing import Any

from msgspec import Struct

from tests.benchmarks.side_by_side import Server, served

REQUESTS, SLICES = 20, 8


class Way(Struct, frozen=True):
    """A way to ask.

    Attributes:
        name: What it is.
        path: Where.
        text: Which field has the question.
        fields: The further fields.
        end: What the stream ends with.
    """

    name: str
    path: str
    text: str
    fields: dict[str, Any]
    end: bytes


WAYS = (
    Way("chat", "/v1/chat/completions", "messages", {}, b"data: [DONE]"),
    Way("responses, not kept", "/v1/responses", "input", {"store": False}, b"event: response.completed"),
    Way("responses, kept", "/v1/responses", "input", {}, b"event: response.completed"),
    Way("messages", "/v1/messages", "messages", {"max_tokens": 1_000}, b"event: message_stop"),
    Way("completions", "/v1/completions", "prompt", {"max_tokens": 1_000}, b"data: [DONE]"),
)
_number = count()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--deltas", type=int, default=50)
    chosen = parser.parse_args()
    with served(Path(__file__).parents[2]) as server:
        rounds = [_round(server, chosen.deltas) for _ in range(chosen.rounds + 1)][1:]  # the first only warms up
    print(f"| {chosen.deltas} deltas | CPU microseconds | of chat | min-max of the rounds |\n|---|---|---|---|")
    for way in WAYS:
        costs = [costs[way.name] for costs in rounds]
        ratios = [costs[way.name] / costs[WAYS[0].name] for costs in rounds]
        span = f"{min(ratios):.2f}-{max(ratios):.2f}"
        print(f"| {way.name} | {1e6 * statistics.median(costs):.0f} | {statistics.median(ratios):.2f} | {span} |")


def _round(server: Server, deltas: int) -> dict[str, float]:
    """Return what a request costs, by its way."""
    costs = dict.fromkeys((way.name for way in WAYS), 0.0)
    for _ in range(SLICES):
        for way in WAYS:
            before = server.seconds()
            for _ in range(REQUESTS):
                _ask(server, way, deltas)
            costs[way.name] += server.seconds() - before
    return {name: cost / (SLICES * REQUESTS) for name, cost in costs.items()}


def _ask(server: Server, way: Way, deltas: int) -> None:
    question = f"Question {next(_number)}: {deltas}"
    asked = question if way.text == "prompt" else [{"role": "user", "content": question}]
    answer = server.stream(path=way.path, model="sonnet", **{way.text: asked}, **way.fields)
    assert way.end in answer[-len(answer) // 2 :], answer[-1000:]


if __name__ == "__main__":
    main()
