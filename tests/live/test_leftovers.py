"""What killed servers and CLIs leave on the disk is removed, and nothing of the user's own."""

import json
import signal
import sys
from pathlib import Path

import pytest

from claude_relay.engine.claude import private
from claude_relay.engine.claude.orphans import namespace
from tests.live.relay import clean_environment, relay, served_by_command
from tests.live.test_faults import clis
from tests.upstream import FakeUpstream

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells whose a session's files are")


@pytest.fixture
def environ(home: Path, upstream: FakeUpstream, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "tmp").mkdir()
    return clean_environment(home, upstream) | {private.TMPDIR: str(tmp_path / "tmp")}


@pytest.fixture
def own(home: Path, current: bool) -> list[Path]:
    """Files of sessions of the user's own, one of which has crashed. 2.1.197 removes such files by itself."""
    if not current:
        return []
    sessions = home / ".claude/sessions"
    sessions.mkdir(parents=True)
    facts = {"procStart": "1", "pidDomain": f"linux:x:{namespace()}", "name": "mine"}
    files = [sessions / "999999999.json", sessions / "999999999.abc.key", sessions / "1.json"]
    for file in files:
        file.write_text(json.dumps(facts))
    return files


def files_of(home: Path, environ: dict[str, str]) -> set[Path]:
    """Return what lies in the CLI's directories of sessions and temporary files."""
    return {*(home / ".claude/sessions").glob("*"), *Path(environ[private.TMPDIR]).glob("*")}


def names_of(home: Path, environ: dict[str, str]) -> set[str]:
    return {path.name.split(".")[0] for path in files_of(home, environ)}


@pytest.mark.provokes_errors
@pytest.mark.parametrize("personality", ["chat", "agent"])
def test_what_a_killed_cli_leaves_is_removed_with_it(
    home: Path, environ: dict[str, str], claude_path: str, own: list[Path], personality: str
) -> None:
    with relay(home, environ, claude_path=claude_path, personality=personality, warm=0) as running:
        assert running.chat("hi").status_code == 200
        victims = clis(home)
        assert files_of(home, environ) > set(own)
        for victim in victims.values():
            victim.kill()
        assert running.chat("hi").status_code == 200
        running.wait_until(lambda: not names_of(home, environ) & {str(pid) for pid in victims})

    assert files_of(home, environ) == set(own)


@pytest.mark.parametrize("options", [("--no-self-test",), ()], ids=["at-rest", "in-the-self-test"])
def test_what_a_killed_server_and_its_clis_leave_is_removed_by_the_next(
    home: Path, environ: dict[str, str], claude_path: str, own: list[Path], options: tuple[str, ...]
) -> None:
    with served_by_command(home, environ, claude_path, *options) as (running, server):
        assert running.chat("hi").status_code == 200
        # as in a container that is killed, nobody can clean up
        server.send_signal(signal.SIGSTOP)
        for process in clis(home).values():
            process.kill()
    assert files_of(home, environ) > set(own)

    # 2.1.197 does not write down which process a session is, and removes such files when it next starts
    warm = "0" if own else "1"
    with served_by_command(home, environ, claude_path, "--no-self-test", "--warm", warm) as (running, server):
        if own:
            assert files_of(home, environ) == set(own)
        running.wait_until(lambda: running.processes()["spare"] >= int(warm), 20)
        server.terminate()
        server.wait(10)
    if own:
        assert files_of(home, environ) == set(own)
