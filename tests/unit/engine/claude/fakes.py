"""Real child processes that stand in for the CLI."""

import asyncio
import fcntl
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from claude_relay.engine.claude import process
from claude_relay.engine.claude.capabilities import Capabilities
from claude_relay.engine.claude.process import ChildProcess
from claude_relay.engine.claude.session import Session
from claude_relay.engine.profiles import Profile
from claude_relay.settings import Personality

CAPABLE = Capabilities(client_composed=True, tied_turns=True, reuse=True, reset=True)
"""What a CLI is known for that has passed every part of the self-test."""
PROBES = {"get_binary_version", "get_settings", "list_models"}
"""Control requests that only ask whether a process answers, and what it was started with."""
_SCRIPT = Path(__file__).with_name("fake_cli.py")
ARGV = (sys.executable, "-SI", str(_SCRIPT))


class FakeCli:
    """Starts stand-ins, and knows what they were told and whether any still lives.

    Attributes:
        environ: Environment of the stand-ins.
        spent: What was told of costs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log, self._lock = folder / "told.jsonl", folder / "lock"
        self._children: list[ChildProcess] = []
        self.spent: list[tuple[str, float]] = []
        self.environ = {"PATH": os.defpath, "FAKE_CLI_LOG": str(self._log), "FAKE_CLI_LOCK": str(self._lock)}

    def executable(self) -> Path:
        """Return a stand-in that can be started by its path alone."""
        path = self._folder / "claude"
        path.write_text(f'#!/bin/sh\nexec {" ".join(ARGV)} "$@"\n')
        path.chmod(0o755)
        return path

    async def spawn(self, mode: str = "") -> ChildProcess:
        """Start a stand-in."""
        child = await process.spawn(ARGV, {**self.environ, "FAKE_CLI": mode}, str(self._folder))
        self._children.append(child)
        return child

    async def session(
        self,
        mode: str = "",
        personality: Personality = "chat",
        capabilities: Capabilities = CAPABLE,
        profile: Profile | None = None,
        *,
        asks: bool = False,
        is_relay: Callable[[str], bool] = lambda _: False,
    ) -> Session:
        """Start a stand-in as a session that was started for the model ``sonnet``."""
        child = await self.spawn(mode)
        return Session(
            child,
            personality,
            "sonnet",
            lambda: capabilities,
            self.spend,
            profile=profile,
            asks=asks,
            is_relay=is_relay,
        )

    def spend(self, caller: str, usd: float) -> None:
        """Take note of a cost."""
        self.spent.append((caller, usd))

    def told(self, *kinds: str) -> list[dict[str, Any]]:
        """Return what all stand-ins were told, of some kinds or of all."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [line for line in map(json.loads, lines) if not kinds or line["type"] in kinds]

    def work(self) -> list[dict[str, Any]]:
        """Return what all stand-ins were told but for the question whether they are there."""
        return [line for line in self.told() if line.get("request", {}).get("subtype") not in PROBES]

    def controls(self) -> list[dict[str, Any]]:
        """Return the control requests that were made of all stand-ins, but for the one that asks if they are ready."""
        requests = [line["request"] for line in self.told("control_request")]
        return [request for request in requests if request["subtype"] not in PROBES]

    async def all_ended(self) -> None:
        """Wait until no stand-in lives; the test fails if one goes on."""
        await until_free(self._lock)

    async def close(self) -> None:
        """End what a test left."""
        await asyncio.gather(*(child.close() for child in self._children))


async def until_free(lock: Path) -> None:
    """Wait until no process holds a lock on a file: one that was just killed takes a moment to go."""
    async with asyncio.timeout(1):
        while is_locked(lock):  # noqa: ASYNC110 - there is no event for this
            await asyncio.sleep(0.005)


def is_locked(path: Path) -> bool:
    """Whether some process holds a lock on a file."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


async def until_ended(child: ChildProcess) -> None:
    """Wait until a child's end is known."""
    async with asyncio.timeout(5):
        await child._process.wait()
