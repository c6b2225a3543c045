"""What fails, what the client gets, and what heals; ``docs/reliability.md`` is the table of it. Nothing is left."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests import upstream as fake
from tests.live.relay import Relay, clean_environment, processes_with_home, relay, served_by_command
from tests.upstream import FakeUpstream, Message, ToolUse, stall_after, text

QUESTION: dict[str, Any] = {"model": "sonnet", "messages": [{"role": "user", "content": "hi"}]}
SLOW = text("one two three", chunks=("one ", "two ", "three"), interval=0.7)
NONE = 'if [ "$1" = --version ]; then exec "{}" --version; fi\n'
"""Leaves alone who only asks for the version."""


class Answer:
    """A streamed answer that is read in the background, as it comes."""

    def __init__(self, running: Relay) -> None:
        self.status = 0
        self.frames: list[Any] = []
        self.broken: Exception | None = None
        self.begun = threading.Event()
        self._socket: socket.socket | None = None
        self._http = httpx.Client(base_url=running.url, timeout=30)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    @property
    def text(self) -> str:
        """All that it says."""
        chunks = [frame for frame in self.frames if frame != "[DONE]" and "choices" in frame]
        return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])

    @property
    def errors(self) -> list[str]:
        """Codes of its error frames."""
        return [frame["error"]["code"] for frame in self.frames if "error" in frame]

    def leave(self) -> None:
        """Hang up."""
        assert self._socket is not None
        self._socket.shutdown(socket.SHUT_RDWR)

    def collect(self) -> "Answer":
        """Wait until it is over."""
        self._thread.join(20)
        assert not self._thread.is_alive(), "the client was left waiting"
        self._http.close()
        return self

    def _read(self) -> None:
        try:
            with self._http.stream("POST", "/v1/chat/completions", json={**QUESTION, "stream": True}) as response:
                self.status = response.status_code
                self._socket = response.extensions["network_stream"].get_extra_info("socket")
                for line in response.iter_lines():
                    # a busy machine takes so long that a comment keeps the stream open
                    if not line or line.startswith(":"):
                        continue
                    data = line.removeprefix("data: ")
                    self.frames.append(data if data == "[DONE]" else json.loads(data))
                    if self.text or self.errors:
                        self.begun.set()
        except (httpx.HTTPError, RuntimeError) as error:
            self.broken = error


def asked(running: Relay) -> Answer:
    """Ask, and wait until the answer begins."""
    answer = Answer(running)
    assert answer.begun.wait(20), "no answer began"
    return answer


def clis(home: Path) -> dict[int, psutil.Process]:
    """Return the CLI processes of a home by their ids."""
    return {process.pid: process for process in processes_with_home(home) if "stream-json" in _command_of(process)}


def _command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def wrapped(home: Path, claude_path: str, script: str) -> str:
    """Return a CLI that does something else before, or instead."""
    path = home / "claude"
    path.write_text(f'#!/bin/sh\n{NONE.format(claude_path)}{script}\nexec "{claude_path}" "$@"\n')
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def run(home: Path, upstream: FakeUpstream, claude_path: str) -> Iterator[Callable[..., Relay]]:
    """Run a relay of this test's own; in the end no process of it may be left."""
    with ExitStack() as stack:

        def start(**choices: Any) -> Relay:
            wanted = {"personality": "chat", "claude_path": claude_path, "warm": 0, **choices}
            return stack.enter_context(relay(home, clean_environment(home, upstream), **wanted))

        yield start


@pytest.mark.provokes_errors
@pytest.mark.parametrize("personality", ["chat", "agent"])
def test_a_cli_killed_in_mid_answer_is_one_error_frame_and_others_live_on(
    run: Callable[..., Relay], home: Path, upstream: FakeUpstream, personality: str
) -> None:
    running = run(personality=personality)
    upstream.replies(stall_after(1), SLOW)
    broken = asked(running)
    (victim,) = clis(home).values()
    healthy = asked(running)

    victim.kill()

    assert broken.collect().errors == ["claude_exited"]
    assert broken.text == "Hello fr"
    assert broken.frames[-1].keys() == {"error"}
    assert (healthy.collect().text, healthy.frames[-1], healthy.errors) == ("one two three", "[DONE]", [])
    assert running.chat("again").status_code == 200


@pytest.mark.provokes_errors
def test_a_plain_answer_whose_cli_is_killed_is_an_error_and_spares_heal(
    run: Callable[..., Relay], home: Path, upstream: FakeUpstream
) -> None:
    running = run(warm=1)
    running.wait_for_spare()
    upstream.replies(stall_after(1))
    answers: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answers.append(running.chat("hi")))
    asking.start()
    upstream.wait_for(1)

    for process in clis(home).values():
        process.kill()

    asking.join(10)
    assert [answer.status_code for answer in answers] == [502]
    assert answers[0].json()["error"]["code"] == "claude_exited"
    running.wait_until(lambda: running.processes()["spare"] == 1 and len(clis(home)) == 1, 20)
    assert running.chat("again").status_code == 200


@pytest.mark.provokes_errors
def test_processes_that_died_while_nobody_looked_cost_nothing_but_time(run: Callable[..., Relay], home: Path) -> None:
    running = run(warm=1)
    first = running.chat("one").json()["choices"][0]["message"]
    running.wait_for_spare()
    assert len(clis(home)) == 2

    for process in clis(home).values():
        process.kill()
    turns = [{"role": "user", "content": "one"}, first, {"role": "user", "content": "two"}]
    answer = running.post(messages=turns)

    assert (answer.status_code, answer.json()["choices"][0]["message"]["content"]) == (200, fake.GREETING)


@pytest.mark.parametrize("follows", [True, False], ids=["the same conversation", "another"])
def test_idle_processes_that_hang_are_found_before_their_client_has_waited_long(
    run: Callable[..., Relay], home: Path, upstream: FakeUpstream, follows: bool
) -> None:
    running = run(warm=1, max_concurrent=8)
    upstream.replies(*[text(f"answer {number}", delay=0.5) for number in range(4)])
    with ThreadPoolExecutor(4) as pool:
        answers = [answer.json() for answer in pool.map(lambda number: running.chat(f"question {number}"), range(4))]
    running.wait_for_spare()
    # a spare counts from its start on, and an older CLI takes its time
    time.sleep(2)
    hanging = clis(home)
    assert len(hanging) >= 3, "some answers, and a spare"
    for process in hanging.values():
        process.suspend()
    past = [{"role": "user", "content": "question 0"}, answers[0]["choices"][0]["message"]] if follows else []

    began = time.monotonic()
    answer = running.post(messages=[*past, {"role": "user", "content": "again"}])

    assert answer.status_code == 200
    assert time.monotonic() - began < 5, "they are not waited for one after the other"
    running.wait_until(lambda: not set(clis(home)) & set(hanging))
    assert running.processes()["unresponsive"] == len(hanging)


@pytest.mark.parametrize("personality", ["chat", "agent"])
def test_a_shortage_of_descriptors_costs_no_answer_that_has_begun(
    home: Path, upstream: FakeUpstream, claude_path: str, personality: str
) -> None:
    environ = clean_environment(home, upstream)
    upstream.replies(SLOW)
    options = ("--personality", personality, "--warm", "0", "--no-self-test")
    with served_by_command(home, environ, claude_path, *options) as (running, server):
        answer = asked(running)
        before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (1, before[1]))

        assert (answer.collect().text, answer.frames[-1]) == ("one two three", "[DONE]")
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)
        running.wait_until(lambda: running.chat("again").status_code == 200)
    assert b"Traceback" not in (home / "output").read_bytes()


@pytest.mark.parametrize("stopped", ["cli", "upstream"])
def test_what_hangs_is_given_up_and_leaves_nothing(
    home: Path, upstream: FakeUpstream, claude_path: str, stopped: str
) -> None:
    environ, options = clean_environment(home, upstream), ("--personality", "chat", "--warm", "0", "--no-self-test")
    upstream.replies(SLOW if stopped == "cli" else stall_after(1))
    with served_by_command(home, environ, claude_path, *options, "--silence-timeout", "1.5") as (running, _):
        answer = asked(running)
        (hanging,) = clis(home).values()
        if stopped == "cli":
            hanging.suspend()

        assert answer.collect().errors == ["silence_timeout"]
        running.wait_until(lambda: not clis(home))
        assert running.chat("again").status_code == 200


def test_lines_that_are_no_json_are_passed_over(run: Callable[..., Relay], home: Path, claude_path: str) -> None:
    running = run(claude_path=wrapped(home, claude_path, "echo 'Welcome!'; printf '[1,\\377\\n{\"type\":\\n'"))
    assert running.chat("hi").json()["choices"][0]["message"]["content"] == fake.GREETING


@pytest.mark.provokes_errors
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    ("script", "code"),
    [("exec yes", "claude_unreadable"), ("echo no luck >&2; exit 3", "claude_exited")],
    ids=["garbage", "exits-at-once"],
)
def test_a_cli_that_is_none_is_an_error_in_bounded_time(
    run: Callable[..., Relay], home: Path, claude_path: str, script: str, code: str, stream: bool
) -> None:
    answer = run(claude_path=wrapped(home, claude_path, script)).chat("hi", stream=stream)

    assert (answer.status_code, answer.json()["error"]["code"]) == (502, code)


NEEDS_ANOTHER_PROCESS = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]


def test_a_cli_that_is_gone_from_disk_is_said_to_be_and_heals(
    run: Callable[..., Relay], home: Path, claude_path: str
) -> None:
    path = Path(wrapped(home, claude_path, ":"))
    running = run(claude_path=str(path))
    first = running.chat("one").json()["choices"][0]["message"]

    path.rename(home / "away")
    health = running.http.get("/health").json()
    turns = [{"role": "user", "content": "one"}, first, {"role": "user", "content": "two"}]
    lives_on, refused = running.post(messages=turns), running.post(messages=NEEDS_ANOTHER_PROCESS)

    assert health["status"] == "degraded"
    assert health["reason"].startswith(f"{path} is gone.")
    assert "--claude-path" in health["remedy"]
    assert lives_on.status_code == 200
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "claude_not_found")
    assert "--claude-path" in refused.json()["error"]["message"]

    (home / "away").rename(path)
    assert running.post(messages=NEEDS_ANOTHER_PROCESS).status_code == 200
    assert running.http.get("/health").json()["status"] == "ok"


def test_a_cli_that_is_upgraded_is_asked_its_version_and_living_processes_go_on(
    run: Callable[..., Relay], home: Path, claude_path: str
) -> None:
    running = run(claude_path=wrapped(home, claude_path, ":"))
    first = running.chat("one").json()["choices"][0]["message"]
    before = running.http.get("/health").json()["detail"]["claude_version"]

    newer = f'#!/bin/sh\n[ "$1" = --version ] && echo 9.9.9 && exit\nexec "{claude_path}" "$@"\n'
    (home / "new").write_text(newer)
    (home / "new").chmod(0o755)
    (home / "new").rename(home / "claude")
    turns = [{"role": "user", "content": "one"}, first, {"role": "user", "content": "two"}]

    assert running.post(messages=turns).status_code == 200
    assert running.processes()["reused"] == 1
    assert running.post(messages=NEEDS_ANOTHER_PROCESS).status_code == 200
    assert running.http.get("/health").json()["detail"]["claude_version"] == "9.9.9" != before


FULL_DISK = """
mount -t tmpfs -o size=4k none "$HOME"
head -c 100000 /dev/zero >"$HOME/full" 2>/dev/null || :
! echo more >"$HOME/more" 2>/dev/null || exit 9
export TMPDIR="$HOME" CLAUDE_CODE_TMPDIR="$HOME"
"""
"""Gives whoever calls it, and nobody else, a HOME on a disk without any space, and no other place for files."""


@pytest.fixture(scope="module")
def full_disk() -> str:
    """A script that makes disks for whoever calls it, if this machine lets it."""
    command = ["unshare", "--map-root-user", "--mount", "sh", "-ec", FULL_DISK]
    if sys.platform != "linux" or subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("needs a disk to fill: user namespaces of Linux")
    return FULL_DISK


@pytest.mark.parametrize("personality", ["chat", "agent"])
def test_a_disk_that_is_full_does_not_keep_from_answering(
    run: Callable[..., Relay], home: Path, claude_path: str, full_disk: str, personality: str
) -> None:
    (home / "full").write_text(f'{full_disk}exec "{claude_path}" "$@"\n')
    (home / "full").chmod(0o755)
    script = f'exec 3<"{home}/full"; exec unshare --map-root-user --mount sh -e /dev/fd/3 "$@"'
    running = run(claude_path=wrapped(home, claude_path, script), personality=personality)

    answers = [running.chat("hi"), running.chat("hi", stream=True)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["choices"][0]["message"]["content"] == fake.GREETING


@pytest.mark.skipif(not Path("/proc/1").is_dir(), reason="needs a directory where not even root may write")
@pytest.mark.parametrize("personality", ["chat", "agent"])
def test_a_home_that_cannot_be_written_does_not_keep_from_answering(
    home: Path, upstream: FakeUpstream, claude_path: str, personality: str
) -> None:
    environ = clean_environment(Path("/proc/1"), upstream)
    choices = {"personality": personality, "claude_path": claude_path, "warm": 0}
    with relay(home, environ, **choices) as running:
        assert running.chat("hi").json()["choices"][0]["message"]["content"] == fake.GREETING
    assert clis(Path("/proc/1")) == {}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_an_upstream_that_refuses_connections_is_a_true_status(
    home: Path, upstream: FakeUpstream, claude_path: str, stream: bool
) -> None:
    environ = clean_environment(home, upstream) | {"ANTHROPIC_BASE_URL": "http://127.0.0.1:1"}
    with relay(home, environ, claude_path=claude_path, personality="chat", warm=0) as running:
        answer = running.chat("hi", stream=stream)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_disconnected")


@pytest.mark.parametrize(
    ("cut", "always"), [(fake.drop_after(0), False), (fake.error_after(0), True)], ids=["drop", "error"]
)
def test_what_the_cli_asks_again_before_a_word_was_said_is_answered_once(
    run: Callable[..., Relay], upstream: FakeUpstream, current: bool, cut: Message, always: bool
) -> None:
    running = run(personality="agent")
    upstream.replies(cut)

    answer = Answer(running).collect()

    if current or always:
        assert len(upstream.messages_requests) == 2
        assert (answer.text, answer.frames[-1], answer.errors) == (fake.GREETING, "[DONE]", [])
    else:
        # the older CLI gives up when it loses its connection
        assert (answer.status in {502, 503}, answer.text) == (True, "")


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_what_the_cli_asks_again_after_a_word_was_said_is_an_error_not_a_second_answer(
    run: Callable[..., Relay], upstream: FakeUpstream, stream: bool
) -> None:
    running = run(personality="agent")
    upstream.replies(fake.drop_after(1))

    if not stream:
        answer = running.chat("hi")
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_disconnected")
        return
    streamed = Answer(running).collect()
    assert (streamed.text, streamed.errors) == ("Hello fr", ["upstream_disconnected"])
    assert streamed.frames[-1].keys() == {"error"}


class Tools:
    """What an agent's shell has started, each to be known by how long it sleeps."""

    def __init__(self) -> None:
        self._base = 100_000 + os.getpid() * 10

    def command(self, ways: Sequence[str]) -> str:
        """Return the shell's command for several ways to start what outlives its shell."""
        started = [way.format(self._base + number) for number, way in enumerate(ways)]
        return " ".join(f"{line} >/dev/null 2>&1 &" for line in started) + " sleep 0.1; echo started"

    @property
    def alive(self) -> list[list[str]]:
        """The commands of those that run."""
        mine = {str(self._base + number) for number in range(9)}
        found = [_command_of(process) for process in psutil.process_iter()]
        return [line for line in found if line[:1] == ["sleep"] and mine & set(line)]


MARKED = ("setsid sleep {}", "nohup sleep {}", "sh -c 'trap \"\" TERM INT HUP; exec sleep {}'")
UNMARKED = ("env -i setsid sleep {}",)
"""Only Linux tells whose child it was, and only as long as the CLI lives."""


@contextmanager
def at_work(home: Path, upstream: FakeUpstream, ways: Sequence[str], *, ends: bool) -> Iterator[Tools]:
    """Let the next question start tools, and allow that."""
    allowed = {"permissions": {"allow": ["Bash", "Bash(*)"]}}
    (home / ".claude").mkdir(exist_ok=True)
    (home / ".claude" / "settings.json").write_text(json.dumps(allowed))
    tools = Tools()
    call = Message(blocks=(ToolUse("toolu_1", "Bash", {"command": tools.command(ways), "description": "Start"}),))
    upstream.replies(call, text("started") if ends else stall_after(1))
    try:
        yield tools
    finally:
        for process in psutil.process_iter():
            if _command_of(process) in tools.alive:
                process.kill()


@pytest.mark.provokes_errors
@pytest.mark.parametrize("end", ["client-leaves", "cli-killed", "idle-too-long", "server-stops"])
def test_what_an_agents_tools_started_ends_with_it(
    home: Path, upstream: FakeUpstream, claude_path: str, end: str
) -> None:
    ways = MARKED if end == "cli-killed" or sys.platform != "linux" else (*MARKED, *UNMARKED)
    choices = {"claude_path": claude_path, "personality": "agent", "warm": 0, "idle_timeout": 0.5}
    with at_work(home, upstream, ways, ends=end == "idle-too-long") as tools:
        with relay(home, clean_environment(home, upstream), **choices) as running:
            answer = asked(running)
            if end == "idle-too-long":
                answer.collect()
            else:
                assert len(tools.alive) == len(ways)
            if end == "client-leaves":
                answer.leave()
            if end == "cli-killed":
                (cli,) = clis(home).values()
                cli.kill()
                assert answer.collect().errors == ["claude_exited"]
            if end != "server-stops":
                running.wait_until(lambda: tools.alive == [] and running.processes()["ending"] == 0, 10)
        assert tools.alive == []
        answer.collect()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_the_orphans_of_a_killed_server_end_and_those_of_a_living_one_live(
    home: Path, upstream: FakeUpstream, claude_path: str
) -> None:
    environ, options = clean_environment(home, upstream), ("--warm", "0", "--no-self-test")
    with (
        at_work(home, upstream, MARKED, ends=False) as tools,
        served_by_command(home, environ, claude_path, *options) as (first, server),
    ):
        answer = asked(first)
        (record,) = [record for record in upstream.messages_requests if not record.finished.is_set()]

        with served_by_command_beside(home, environ, claude_path, *options):
            assert len(tools.alive) == len(MARKED)
            assert len(clis(home)) == 1

        server.kill()
        assert record.disconnected.wait(5), "the CLI worked on for nobody"
        first.wait_until(lambda: not clis(home))
        answer.collect()
        # any relay that starts meanwhile on this machine may do it too
        with served_by_command_beside(home, environ, claude_path, *options):
            assert tools.alive == []


@contextmanager
def served_by_command_beside(home: Path, environ: dict[str, str], claude_path: str, *options: str) -> Iterator[None]:
    """Run another server, which has its own files but not its own HOME for its CLI."""
    (place := home / "beside").mkdir(exist_ok=True)
    with served_by_command(place, environ, claude_path, *options, "--runner", "claude") as (_, server):
        yield
        server.terminate()
        server.wait(10)


@pytest.mark.parametrize("numbers", [[signal.SIGTERM], [signal.SIGINT] * 2, [signal.SIGTERM] * 2], ids=str)
def test_a_signal_in_the_middle_of_work_leaves_no_process(
    home: Path, upstream: FakeUpstream, claude_path: str, numbers: list[signal.Signals]
) -> None:
    environ = clean_environment(home, upstream)
    patience = "1" if len(numbers) == 1 else "30"
    ways = (*MARKED, *UNMARKED) if sys.platform == "linux" else MARKED
    with (
        at_work(home, upstream, ways, ends=False) as tools,
        served_by_command(home, environ, claude_path, "--drain-timeout", patience) as (running, server),
    ):
        answer = asked(running)
        assert len(tools.alive) == len(ways)
        for number in numbers:
            server.send_signal(number)
            running.wait_until(lambda: draining(running))

        assert answer.collect().errors == ["shutting_down"]
        assert "[DONE]" not in answer.frames
        server.wait(10)
        assert tools.alive == []
        assert processes_with_home(home) == []


def draining(running: Relay) -> bool:
    """Whether a server says that it is about to stop, or is gone already."""
    try:
        return running.http.get("/health").status_code == 503
    except httpx.TransportError:
        return True
