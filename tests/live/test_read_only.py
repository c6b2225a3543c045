"""In a container whose file system cannot be written: with a place for temporary files, and without."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.relay import clean_environment, served_by_command
from tests.live.test_faults import wrapped
from tests.upstream import FakeUpstream

READ_ONLY = "mount --make-rprivate /\nmount -o remount,bind,ro /\n"
"""Makes all that is on the root's file system read-only, for whoever calls it and nobody else."""
TMPFS = 'mount -t tmpfs -o noexec,nosuid,nodev,size=64m none "$HOME/tmp"\nexport TMPDIR="$HOME/tmp"\n'
"""A place for temporary files as Docker makes one."""


def within(script: str) -> list[str]:
    return ["unshare", "--map-root-user", "--mount", "sh", "-ec", f'{script}\nexec "$@"', "sh"]


@pytest.fixture(scope="module", autouse=True)
def needs_namespaces() -> None:
    command = [*within(f"HOME=/ ; {READ_ONLY}"), "sh", "-c", "! touch /there 2>/dev/null"]
    if sys.platform != "linux" or subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("needs user namespaces of Linux")


@pytest.mark.parametrize("personality", ["chat", "agent"])
def test_a_read_only_file_system_with_a_tmpfs_is_enough(
    home: Path, upstream: FakeUpstream, claude_path: str, personality: str, current: bool
) -> None:
    (home / "tmp").mkdir()
    environ = clean_environment(home, upstream)
    way = within(READ_ONLY + TMPFS)
    with served_by_command(home, environ, claude_path, "--personality", personality, within=way) as (running, _):
        assert running.chat("hi").status_code == 200
        assert [running.chat("hi", stream=True).status_code for _ in range(2)] == [200, 200]
        running.wait_until(lambda: running.http.get("/health").json()["detail"]["self_test"] != "running", 60)
        health = running.http.get("/health").json()

    assert health["status"] == "ok"
    assert not current or health["detail"]["self_test"] == "passed"
    assert (home / "output").read_text().count("responses are not kept") == 1
    assert "Traceback" not in (home / "output").read_text()
    assert " ERROR " not in (home / "output").read_text()


def test_without_a_place_for_temporary_files_one_sentence_says_what_is_missing(home: Path, claude_path: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "claude_relay", "serve", "--claude-path", claude_path, "--port", str(port)]

    ran = subprocess.run(
        [*within(READ_ONLY), *command],
        env=clean_environment(home),
        cwd=home,
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert ran.returncode == 1
    assert ran.stdout == ""
    assert len(ran.stderr.splitlines()) == 1
    assert ran.stderr.startswith("claude-relay: No temporary directory can be written: ")
    assert "tmpfs" in ran.stderr


def test_a_temporary_directory_that_is_missing_does_not_keep_from_answering(
    home: Path, upstream: FakeUpstream, claude_path: str
) -> None:
    environ = clean_environment(home, upstream) | {"TMPDIR": str(home / "missing")}
    with served_by_command(home, environ, claude_path, "--no-self-test") as (running, _):
        assert running.chat("hi").status_code == 200


def test_a_temporary_directory_that_only_the_cli_cannot_use_shows_in_health(
    home: Path, upstream: FakeUpstream, claude_path: str, current: bool
) -> None:
    environ = clean_environment(home, upstream)
    unusable = 'mount -t tmpfs -o ro none "$CLAUDE_CODE_TMPDIR"'
    script = f'exec unshare --map-root-user --mount sh -ec \'{unusable}; exec "{claude_path}" "$@"\' sh "$@"'
    options = ("--claude-path", wrapped(home, claude_path, script), "--no-self-test")
    with served_by_command(home, environ, claude_path, *options) as (running, _):
        running.wait_until(lambda: running.http.get("/health").json()["status"] == "degraded", 20)
        health = running.http.get("/health").json()

    assert health["reason"].startswith("Claude Code does not start. ")
    assert not current or "EROFS: read-only file system, mkdir" in health["reason"]
    assert "claude -p" in health["remedy"]
