"""CPU time of the server for each streamed delta, of two checkouts side by side.

Run by hand: ``uv run python -m tests.benchmarks.delta_cost --old PATH [--new PATH] [--rounds N]``. Answers of 5,000
deltas, one after the other, come from a stub as fast as they are read.
"""

from collections.abc import Iterator

from tests.benchmarks.side_by_side import Server, Work, compare, sides

DELTAS, STREAMS = 5_000, 10


def main() -> None:
    compare(sides(__doc__), Work("delta", DELTAS * STREAMS, _streams))


def _streams(server: Server) -> Iterator[None]:
    for _ in range(STREAMS):
        yield
        answer = server.ask(f"Say so many words: {DELTAS}")
        assert answer.count(b'"content":"some words "') == DELTAS


if __name__ == "__main__":
    main()
