"""Recorded output of the CLI."""

from collections.abc import Iterator
from pathlib import Path

from claude_relay.engine.claude import wire

_FOLDER = Path(__file__).parents[1] / "data" / "cli"
NAMES = sorted(path.name.removesuffix(".stdout.jsonl") for path in _FOLDER.glob("*.stdout.jsonl"))


def raw_lines(name: str) -> list[bytes]:
    """Return what the CLI printed, line by line."""
    return (_FOLDER / f"{name}.stdout.jsonl").read_bytes().splitlines()


def turns(name: str) -> Iterator[list[wire.Line]]:
    """Yield the lines of each turn, up to its ``result``."""
    lines: list[wire.Line] = []
    for raw in raw_lines(name):
        lines.append(wire.decode(raw))
        if isinstance(lines[-1], wire.Result):
            yield lines
            lines = []
