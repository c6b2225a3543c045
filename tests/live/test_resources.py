"""A relay in a small container: everybody is answered, and its memory is enough."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import psutil
import pytest

from claude_relay.engine.claude import runner
from claude_relay.engine.limits import limited
from claude_relay.engine.limits.resources import Bound, Resources
from tests.live.relay import Relay, clean_environment, processes_with_home, relay
from tests.upstream import FakeUpstream

GIGABYTE = 1 << 30
REQUESTS, CALLERS = 24, 8


class Memory:
    """Watches how much memory the CLI processes of a relay need together, until the block ends."""

    def __init__(self, home: Path) -> None:
        self.most = 0
        self._home = home
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self.most = max(self.most, sum(map(_memory_of, processes_with_home(self._home))))


def _memory_of(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0


@pytest.mark.parametrize("personality", ["chat", "agent"])
def test_many_callers_are_answered_in_a_gigabyte(
    home: Path, upstream: FakeUpstream, claude_path: str, monkeypatch: pytest.MonkeyPatch, personality: str
) -> None:
    container = Resources(Bound(GIGABYTE, "cgroup"), Bound(8, "machine"))
    for room in (limited, runner):
        monkeypatch.setattr(room, "find", lambda: container)
    environ = clean_environment(home, upstream)
    with (
        relay(home, environ, claude_path=claude_path, personality=personality) as running,
        Memory(home) as memory,
        ThreadPoolExecutor(REQUESTS) as clients,
    ):
        running.wait_for_spare()
        statuses = list(clients.map(lambda number: _ask(running, number % CALLERS), range(REQUESTS)))
        detail = running.http.get("/health").json()["detail"]

    assert statuses == [200] * REQUESTS
    assert memory.most < GIGABYTE * 3 // 4
    assert detail["limits"] == {"answers": 2, "processes": 3, "reason": "1024 MB of memory (cgroup)"}


def _ask(running: Relay, caller: int) -> int:
    body = {"model": "sonnet", "messages": [{"role": "user", "content": "hi"}]}
    headers = {"authorization": f"Bearer caller-{caller}"}
    return running.http.post("/v1/chat/completions", json=body, headers=headers).status_code
