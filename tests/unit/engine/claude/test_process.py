"""Children that behave, and children that do not."""

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from claude_relay.engine.claude import orphans, process
from claude_relay.engine.claude.process import ChildProcess, spawn
from claude_relay.errors import UnavailableError
from tests.unit.engine.claude.fakes import is_locked, until_ended, until_free

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

Run = Callable[..., Awaitable[ChildProcess]]

CHILD = """
import fcntl, os, signal, sys, time
fcntl.flock(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT), fcntl.LOCK_SH)
signal.signal(signal.SIGINT, lambda *_: sys.exit())
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.write(1, b"up\\n")
time.sleep(60)
"""
DYING = f"""
import asyncio, os, sys
from claude_relay.engine.claude import orphans, process
from claude_relay.engine.claude.process import spawn

async def main():
    child = await spawn([sys.executable, "-SIc", {CHILD!r}, sys.argv[1]], {{}}, ".")
    os.write(1, await child.read_line() + b"\\n")
    await asyncio.sleep(60)

asyncio.run(main())
"""
STUBBORN = """
import fcntl, os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
fcntl.flock(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT), fcntl.LOCK_SH)
os.fork()
os.write(1, b"up\\n")
time.sleep(60)
"""
LOST = """
import fcntl, os, signal, sys, time
lock, signals, environ = sys.argv[1:]
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        held = os.open(lock, os.O_RDWR | os.O_CREAT)
        fcntl.flock(held, fcntl.LOCK_SH)
        os.set_inheritable(held, True)
        signal.signal(signal.SIGTERM, getattr(signal, signals))
        os.write(1, b"%d\\n" % os.getpid())
        code = "import time; time.sleep(60)"
        os.execve(sys.executable, [sys.executable, "-SIc", code], dict(os.environ) if environ == "marked" else {})
    os._exit(0)
os.wait()
sys.stdin.read()
"""
"""Starts a process that has another session, and no parent any more."""
OBEDIENT_WITH_CHILD = """
import fcntl, os, sys, time
fcntl.flock(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT), fcntl.LOCK_SH)
if os.fork() == 0:
    os.write(1, b"up\\n")
    time.sleep(60)
sys.stdin.read()
"""


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    """Start Python code as a child."""
    children: list[ChildProcess] = []

    async def start(code: str, *arguments: object, **environ: str) -> ChildProcess:
        child = await spawn([sys.executable, "-SIc", code, *map(str, arguments)], environ, str(tmp_path))
        children.append(child)
        return child

    yield start
    await asyncio.gather(*(child.close() for child in children))


async def lines_of(child: ChildProcess) -> list[bytes]:
    return [line async for line in _lines(child)]


async def _lines(child: ChildProcess) -> AsyncIterator[bytes]:
    while (line := await child.read_line()) is not None:
        yield line


async def until_known_to_have_ended(child: ChildProcess) -> None:
    """Wait for the exit code; the event loop itself also waits for those who hold the child's pipes."""
    async with asyncio.timeout(5):
        while child.returncode is None:  # noqa: ASYNC110 - there is no event for this
            await asyncio.sleep(0.005)


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


async def test_lines_come_one_by_one_however_they_were_written(run: Run) -> None:
    child = await run(
        "import os, time\n"
        "for part in b'one\\ntwo\\n\\nth', b'r', b'ee\\n':\n"
        "    os.write(1, part)\n"
        "    time.sleep(0.03)"
    )

    assert await lines_of(child) == [b"one", b"two", b"", b"three"]


async def test_lines_of_eight_megabytes_arrive_whole(run: Run) -> None:
    child = await run("import sys\nfor c in 'ab': sys.stdout.write(c * (8 << 20) + '\\n')\nprint('c')")

    assert await lines_of(child) == [b"a" * (8 << 20), b"b" * (8 << 20), b"c"]


async def test_eight_megabytes_can_be_written_and_are_answered(run: Run) -> None:
    child = await run("import sys\nprint(len(sys.stdin.readline()))")

    await child.write(b"x" * (8 << 20) + b"\n")

    assert await child.read_line() == b"%d" % ((8 << 20) + 1)


async def test_a_child_lives_in_the_given_directory_with_the_given_environment_only(run: Run, tmp_path: Path) -> None:
    (tmp_path / "here").touch()
    child = await run("import os\nprint(os.listdir())\nprint(sorted(set(os.environ) - {'LC_CTYPE'}))", NAME="1")

    assert await lines_of(child) == [b"['here']", b"['CLAUDE_RELAY_OWNER', 'NAME']"]


async def test_a_child_leads_its_own_session_so_that_ctrl_c_does_not_reach_it(run: Run) -> None:
    child = await run("import os\nprint(os.getpid(), os.getpgid(0), os.getsid(0))")

    assert await child.read_line() == b"%d %d %d" % (child.pid, child.pid, child.pid)


async def test_a_child_that_asks_to_be_closed_ends_by_itself(run: Run) -> None:
    child = await run("import sys\nsys.stdin.read()\nsys.exit(7)")

    await child.close()

    assert child.returncode == 7


async def test_a_child_that_exits_at_once_has_no_lines_and_tells_its_code(run: Run) -> None:
    child = await run("import sys\nsys.stderr.write('no disk\\nno luck\\n')\nsys.exit(3)")

    assert await lines_of(child) == []
    await child.close()

    assert child.returncode == 3
    assert await child.last_words() == "no disk\nno luck"


async def test_a_killed_child_is_gone_with_its_group(run: Run, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    child = await run(STUBBORN, lock)
    assert [await child.read_line(), await child.read_line()] == [b"up", b"up"]

    child.kill()
    await until_free(lock)
    await child.close()
    child.kill()

    assert child.returncode == -9


async def test_closing_twice_and_at_once_changes_nothing(run: Run) -> None:
    child = await run("import sys\nsys.stdin.read()")

    await asyncio.gather(child.close(), child.close())
    await child.close()

    assert child.returncode == 0


@pytest.mark.usefixtures("hurried")
async def test_a_child_that_ignores_everything_is_killed_with_its_own_children(run: Run, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    child = await run(STUBBORN, lock)
    assert [await child.read_line(), await child.read_line()] == [b"up", b"up"]
    began = time.monotonic()

    await child.close()

    assert child.returncode == -9
    await until_free(lock)
    assert time.monotonic() - began < 2


async def test_what_a_child_leaves_behind_in_its_group_is_killed_too(run: Run, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    child = await run(OBEDIENT_WITH_CHILD, lock)
    assert await child.read_line() == b"up"

    await child.close()

    assert child.returncode == 0
    await until_free(lock)


@pytest.mark.parametrize("signals", ["SIG_DFL", "SIG_IGN"])
@pytest.mark.parametrize("end", ["asked", "killed", "by itself"])
async def test_a_descendant_that_went_off_on_its_own_is_found_by_its_mark_and_ended(
    run: Run, tmp_path: Path, end: str, signals: str
) -> None:
    lock = tmp_path / "lock"
    child = await run(LOST, lock, signals, "marked")
    assert (await child.read_line() or b"").isdigit()

    if end == "killed":
        child.kill()
    if end == "by itself":
        os.kill(child.pid, signal.SIGTERM)
        await until_known_to_have_ended(child)
    await child.close()

    assert not is_locked(lock)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives orphans to a process of one's choice")
async def test_a_descendant_without_a_mark_is_found_as_long_as_the_child_lives(run: Run, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    child = await run(LOST, lock, "SIG_DFL", "unmarked")
    await child.read_line()

    await child.close()

    assert not is_locked(lock)


async def test_a_child_that_is_alone_and_ends_by_itself_costs_no_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "psutil", None)
    child = await spawn([sys.executable, "-SIc", "import sys; sys.stdin.read()"], {}, str(tmp_path), alone=True)

    await child.close()

    assert child.returncode == 0


async def test_what_another_child_started_is_left_alone(run: Run, tmp_path: Path) -> None:
    mine, others = tmp_path / "mine", tmp_path / "others"
    first, second = await run(LOST, mine, "SIG_DFL", "marked"), await run(LOST, others, "SIG_DFL", "marked")
    await first.read_line()
    await second.read_line()

    await first.close()

    assert not is_locked(mine)
    assert is_locked(others)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
async def test_a_child_is_interrupted_when_its_relay_dies(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    relay = await spawn([sys.executable, "-c", DYING, str(lock)], os.environ, str(tmp_path))
    assert await relay.read_line() == b"up"

    # the child does not read its input, so that its end tells it nothing
    relay.kill()

    await until_free(lock)
    await relay.close()


@pytest.mark.usefixtures("hurried")
async def test_a_child_that_heeds_sigterm_only_ends_with_it(run: Run) -> None:
    child = await run("import time\nprint('up', flush=True)\ntime.sleep(60)")
    await child.read_line()

    await child.close()

    assert child.returncode == -15


async def test_a_child_that_floods_stderr_is_not_blocked_and_only_its_last_words_are_kept(run: Run) -> None:
    child = await run(
        "import sys\nfor n in range(50000): sys.stderr.write(f'{n} ' + 'x' * 90 + '\\n')\n"
        "sys.stderr.write('y' * 3000)\nprint('done')"
    )

    assert await lines_of(child) == [b"done"]
    await child.close()

    words = await child.last_words()
    kept = words.splitlines()
    assert 0 < len(kept) <= 20
    assert max(map(len, kept)) <= 500
    assert words.endswith("y")
    assert not words.startswith("0 ")


async def test_stderr_that_is_no_text_does_no_harm(run: Run) -> None:
    child = await run("import os\nos.write(2, b'\\xff\\xfe bad\\n')\nprint('done')")

    assert await lines_of(child) == [b"done"]
    await child.close()

    assert (await child.last_words()).endswith(" bad")


async def test_cancelled_reading_loses_no_line(run: Run) -> None:
    child = await run("import os, sys\nos.write(1, b'he')\nsys.stdin.readline()\nos.write(1, b'llo\\n')")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await child.read_line()

    await child.write(b"\n")

    assert await child.read_line() == b"hello"


async def test_writing_to_a_child_that_has_gone_is_a_connection_error(run: Run) -> None:
    child = await run("")
    assert await lines_of(child) == []
    await until_ended(child)

    for _ in range(3):
        with pytest.raises(ConnectionError):
            await child.write(b"hello\n")
        await asyncio.sleep(0.01)


@pytest.mark.usefixtures("hurried")
async def test_a_child_with_unread_output_leaves_no_pipe_open(run: Run) -> None:
    await (await run("")).close()  # what the event loop itself needs is open from here on
    before = open_files()
    child = await run("import os\nos.write(1, b'up\\n')\nwhile True: os.write(1, b'x' * 65536)")
    await child.read_line()
    await asyncio.sleep(0.1)

    await child.close()
    await asyncio.sleep(0.05)

    assert open_files() <= before


@pytest.mark.parametrize(
    ("argv", "cwd"), [(["/no/such/claude"], "."), ([sys.executable], "/no/such/directory"), (["/"], ".")]
)
async def test_what_cannot_be_started_is_said_to_be_unavailable(argv: list[str], cwd: str) -> None:
    with pytest.raises(UnavailableError, match="could not be started") as raised:
        await spawn(argv, {}, cwd)

    assert raised.value.code == "claude_not_found"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux refuses to start what is being written")
async def test_what_is_just_being_replaced_can_be_started_later(tmp_path: Path) -> None:
    path = tmp_path / "claude"
    shutil.copy(sys.executable, path)
    path.chmod(0o755)

    with path.open("ab"), pytest.raises(UnavailableError, match="could not be started") as raised:
        await spawn([str(path)], {}, str(tmp_path))

    assert raised.value.code == "service_unavailable"


async def test_a_child_that_writes_without_end_is_killed_before_it_takes_all_memory(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_LONGEST_LINE", 1 << 20)
    child = await run("import os\nos.write(1, b'one\\n')\nwhile True: os.write(1, b'x' * 65536)")

    assert await lines_of(child) == [b"one"]
    await child.close()

    assert child.returncode == -9


async def test_a_start_that_is_given_up_half_way_leaves_nothing() -> None:
    starting = asyncio.create_task(spawn(["sleep", "60"], {"PATH": os.defpath}, "."))
    await asyncio.sleep(0)
    starting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await starting

    assert not [child for child in psutil.Process().children() if "sleep" in child.name()]
