"""Whose process is it? Only what a server that is gone has left is nobody's."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from claude_relay.engine.claude import orphans
from claude_relay.engine.claude.orphans import ProcessTag, end_orphans, is_orphan, kill_tagged, parse_tag, start_of, tag

pytestmark = pytest.mark.slow

HERE = "pid:[1]"
TAG = ProcessTag(HERE, 7, "100", 3)
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
MEEK = "import time; print(flush=True); time.sleep(60)"

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture(autouse=True)
def variable(monkeypatch: pytest.MonkeyPatch) -> str:
    """A variable of this run's own: another run, or a relay of yours, would end its orphans, and it theirs."""
    own = f"{orphans.VARIABLE}_{os.getpid()}"
    monkeypatch.setattr(orphans, "VARIABLE", own)
    return own


@pytest.fixture
def start() -> Iterator[Start]:
    """Start Python code that carries a tag, and wait until it has begun."""
    started: list[subprocess.Popen[bytes]] = []

    def run(code: str, carried: object) -> subprocess.Popen[bytes]:
        environ = {orphans.VARIABLE: str(carried)}
        process = subprocess.Popen([sys.executable, "-SIc", code], env=environ, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def gone() -> ProcessTag:
    """The tag of a server that has ended."""
    script = "from claude_relay.engine.claude.orphans import tag; print(tag(1))"
    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    found = parse_tag(ran.stdout.strip())
    assert found is not None
    return found


def test_a_mark_is_what_was_written() -> None:
    assert parse_tag(str(TAG)) == TAG
    assert parse_tag(str(tag(5))) == tag(5)


@pytest.mark.parametrize("text", ["", "1", "a/b/c/d", "a/1/2", "a/1/2/3/4", "a/1/2/x"])
def test_what_is_no_mark_is_not_taken_for_one(text: str) -> None:
    assert parse_tag(text) is None


def test_marks_tell_servers_and_their_children_apart() -> None:
    assert tag(1) != tag(2)
    assert (tag(1).server, tag(1).started) == (os.getpid(), start_of(os.getpid()))


@pytest.mark.parametrize(
    ("namespace", "start", "orphan"),
    [
        pytest.param(HERE, None, True, id="server-gone"),
        pytest.param(HERE, "101", True, id="pid-used-again"),
        pytest.param(HERE, "100", False, id="server-lives"),
        pytest.param("pid:[2]", None, False, id="another-container"),
    ],
)
def test_only_what_a_gone_server_left_here_is_an_orphan(namespace: str, start: str | None, orphan: bool) -> None:
    assert is_orphan(TAG, namespace, {7: start}.get) is orphan


def test_a_process_that_is_none_has_no_start() -> None:
    ended = subprocess.Popen([sys.executable, "-SIc", ""], stdout=subprocess.PIPE)
    assert ended.stdout is not None
    with ended.stdout as output:
        output.read()
    deadline = time.monotonic() + 5
    while start_of(ended.pid) is not None:
        assert time.monotonic() < deadline, "a process that nobody has waited for counts as living"

    ended.wait()

    assert start_of(ended.pid) is None


def test_orphans_are_asked_first_and_then_made_to_end(
    start: Start, gone: ProcessTag, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "_STEP_TIMEOUT", 0.1)
    meek, stubborn = start(MEEK, gone), start(STUBBORN, replace(gone, child=2))

    assert end_orphans() == 2
    assert [meek.wait(5), stubborn.wait(5)] == [-signal.SIGTERM, -signal.SIGKILL]


def test_what_belongs_to_a_living_server_or_to_nobody_is_left_alone(start: Start, gone: ProcessTag) -> None:
    others = [start(MEEK, carried) for carried in (tag(1), replace(gone, namespace="elsewhere"), "anything", "1/2/3")]

    assert end_orphans() == 0
    assert [process.poll() for process in others] == [None] * 4


def test_only_what_one_child_left_ends_with_it(start: Start) -> None:
    mine, others = start(MEEK, tag(1)), start(MEEK, tag(2))

    assert kill_tagged(tag(1)) == 1
    assert mine.wait(5) == -signal.SIGTERM
    assert others.poll() is None


def test_a_process_of_another_user_is_left_alone(
    start: Start, gone: ProcessTag, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start(MEEK, gone)
    monkeypatch.setattr(os, "getuid", lambda: 4242)

    assert end_orphans() == 0
    assert process.poll() is None


def test_a_process_that_carries_the_mark_of_a_gone_server_does_not_end_itself(gone: ProcessTag, variable: str) -> None:
    script = f"from claude_relay.engine.claude import orphans as o; o.VARIABLE = {variable!r}; print(o.end_orphans())"
    environ = {**os.environ, variable: str(gone)}

    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, env=environ)

    assert ran.stdout == "0\n"


def test_where_namespaces_cannot_be_read_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(_: str) -> str:
        raise FileNotFoundError(tmp_path)

    monkeypatch.setattr(os, "readlink", unreadable)

    assert tag(1).namespace == ""
    assert parse_tag(str(tag(1))) == tag(1)
