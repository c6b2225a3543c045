"""CPU time of the server for each request, of two checkouts side by side.

Run by hand: ``uv run python -m tests.benchmarks.request_cost --old PATH [--new PATH] [--rounds N]``. A stub answers a
new question with 50 deltas, and with one: a body of 495 KB; the next turn of a conversation, which is 201 messages long
on average and which a process holds; and a conversation of 201 messages that no process holds, and is handed over.
"""

import json
from collections.abc import Iterator
from itertools import count

from tests.benchmarks.side_by_side import Server, Work, compare, sides
from tests.benchmarks.stub_cli import TEXT

DELTAS = 50
LARGE = 495_000
LINE = 'This is one line of many, and this is "quoted" in it.\n'
MESSAGES = 201
SLICES, REQUESTS = 10, 20
"""Slices of a round, and requests of a slice."""
LONG_REQUESTS = 2
"""Requests of a slice that take many times longer."""

_number = count()


def main() -> None:
    compare(
        sides(__doc__),
        Work(f"request of {DELTAS} deltas", SLICES * REQUESTS, _streamed),
        Work(f"body of {LARGE // 1000} KB", SLICES * REQUESTS, _large),
        Work(f"{MESSAGES} messages, the next turn", SLICES * REQUESTS // 2, _next_turn),
        Work(f"{MESSAGES} messages, handed over", SLICES * LONG_REQUESTS, _handed_over),
    )


def _streamed(server: Server) -> Iterator[None]:
    return _asked(server, f"Say so many words: {DELTAS}")


def _large(server: Server) -> Iterator[None]:
    return _asked(server, f"{LINE * (LARGE // len(json.dumps(LINE)))} 1")


def _asked(server: Server, text: str) -> Iterator[None]:
    for _ in range(SLICES):
        yield
        for _ in range(REQUESTS):
            server.ask(text)


def _next_turn(server: Server) -> Iterator[None]:
    past = _conversation(MESSAGES - 1 - SLICES * REQUESTS // 2)
    server.ask("1", past)
    for _ in range(SLICES):
        yield
        for _ in range(REQUESTS // 2):
            past += _turn("1")
            server.ask("1", past)


def _handed_over(server: Server) -> Iterator[None]:
    for _ in range(SLICES):
        yield
        for _ in range(LONG_REQUESTS):
            server.ask("1", _conversation(MESSAGES - 1))


def _conversation(messages: int) -> list[dict[str, str]]:
    """Return a conversation that nobody else has had."""
    turns = (_turn(f"This is question {next(_number)}: 1") for _ in range(messages // 2))
    return [message for turn in turns for message in turn]


def _turn(question: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": TEXT}]


if __name__ == "__main__":
    main()
