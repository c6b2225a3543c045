"""What ``claude-relay doctor`` tells: checks, and how they are written down."""

from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.text import Text

from claude_relay import __version__

Outcome = Literal["ok", "warning", "failed", "skipped"]
"""What came of a check; only ``failed`` keeps the relay from answering."""

_SIGNS: dict[Outcome, tuple[str, str]] = {
    "ok": ("ok  ", "green"),
    "warning": ("!   ", "yellow"),
    "failed": ("FAIL", "bold red"),
    "skipped": ("-   ", "dim"),
}
_NAME_WIDTH = 24
_INDENTED = 6


class Check(Struct, frozen=True):
    """One check.

    Attributes:
        name: What was looked at.
        outcome: What came of it.
        detail: What was found.
        remedy: What to do about it, if there is anything to do.
    """

    name: str
    outcome: Outcome
    detail: str
    remedy: str | None = None


def has_failed(checks: Iterable[Check]) -> bool:
    """Whether the relay cannot answer."""
    return any(check.outcome == "failed" for check in checks)


def show(console: Console, check: Check) -> None:
    """Print a check, and below it what to do."""
    sign, style = _SIGNS[check.outcome]
    line = Text.assemble((sign, style), "  ", (f"{check.name:<{_NAME_WIDTH}}", "bold"), "  ", check.detail)
    # programs and people who copy get each line whole
    console.print(line, highlight=False, soft_wrap=True)
    if check.remedy is not None:
        console.print(Text(f"{' ' * _INDENTED}-> {check.remedy}"), highlight=False, soft_wrap=True)


def report(checks: Iterable[Check]) -> str:
    """Return all checks as JSON."""
    checks = tuple(checks)
    told: dict[str, Any] = {"version": __version__, "ok": not has_failed(checks), "checks": checks}
    return msgspec.json.format(msgspec.json.encode(told)).decode()
