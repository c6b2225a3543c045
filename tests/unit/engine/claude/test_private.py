"""The relay's own directory: nobody else's, and what relays that are gone have left is removed."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from claude_relay.engine.claude import orphans, private
from claude_relay.engine.claude.private import PrivateDirectory, remove_left, require_place
from claude_relay.errors import UnavailableError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="owners and modes are those of POSIX")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "tmp").mkdir()
    return {private.TMPDIR: str(tmp_path / "tmp"), "HOME": str(tmp_path)}


@pytest.fixture
def living() -> Iterator[int]:
    process = subprocess.Popen(["sleep", "60"])
    yield process.pid
    process.kill()
    process.wait()


def ended() -> int:
    """Return the id of a process that was."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def session(home: Path, pid: int, started: str, domain: str | None = None) -> list[Path]:
    """Write the files of a session as the CLI does."""
    folder = home / ".claude/sessions"
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"procStart": started, "pidDomain": f"linux:machine:{domain or orphans.namespace()}"}
    files = [folder / f"{pid}.json", folder / f"{pid}.abc.key"]
    for file in files:
        file.write_text(json.dumps(facts))
    return files


def left(environ: dict[str, str], owner: str, **children: str) -> Path:
    """Make a directory as a relay leaves it."""
    path = Path(tempfile.mkdtemp(prefix="claude-relay-", dir=environ[private.TMPDIR]))
    (path / "owner").write_text(owner)
    (path / "children").mkdir()
    for pid, started in children.items():
        (path / "children" / pid.strip("_")).write_text(started)
    return path


def mark_of(pid: int, started: str, namespace: str | None = None) -> str:
    return f"{namespace or orphans.namespace()}/{pid}/{started}/0"


def test_a_directory_is_ours_alone_and_goes_with_all_that_is_in_it(environ: dict[str, str]) -> None:
    place = PrivateDirectory(environ)
    work = Path(place.folder("work"))
    (work / "file").touch()

    assert work.parent.parent == Path(environ[private.TMPDIR])
    assert work == Path(place.folder("work"))
    assert work.parent.stat().st_mode & 0o777 == 0o700
    place.remove()
    assert list(Path(environ[private.TMPDIR]).iterdir()) == []


def _tidied_away(path: Path) -> None:
    path.rename(path.with_name("away"))


def _link(path: Path) -> None:
    _tidied_away(path)
    path.symlink_to(path.with_name("away"))


def _file(path: Path) -> None:
    _tidied_away(path)
    path.touch()


def _open_to_others(path: Path) -> None:
    path.chmod(0o770)


def _given_away(path: Path) -> None:
    os.chown(path, 12345, -1)


@pytest.mark.parametrize(
    "change",
    [
        _tidied_away,
        _link,
        _file,
        _open_to_others,
        pytest.param(_given_away, marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can give away")),
    ],
)
def test_what_is_not_private_any_more_is_left_alone_and_another_is_made(
    environ: dict[str, str], change: Any, caplog: pytest.LogCaptureFixture
) -> None:
    place = PrivateDirectory(environ)
    before = Path(place.folder("work")).parent
    change(before)

    after = Path(place.folder("work")).parent

    assert after != before
    assert after.stat().st_mode & 0o777 == 0o700
    assert f"{before} " in caplog.text
    place.remove()
    assert before.exists() is (change is not _tidied_away)


def test_where_nothing_can_be_written_is_told_in_one_sentence(environ: dict[str, str]) -> None:
    environ[private.TMPDIR] += "/missing"

    for attempt in (lambda: require_place(environ), lambda: PrivateDirectory(environ).folder("work")):
        with pytest.raises(UnavailableError) as raised:
            attempt()
        assert raised.value.code == "no_temporary_directory"
        assert raised.value.message.startswith("No temporary directory can be written: No such file or directory.")
        assert "TMPDIR" in raised.value.message


def test_to_look_for_a_place_leaves_nothing(environ: dict[str, str]) -> None:
    require_place(environ)

    assert list(Path(environ[private.TMPDIR]).iterdir()) == []


def test_what_a_process_leaves_is_removed_when_it_has_ended(
    environ: dict[str, str], tmp_path: Path, living: int
) -> None:
    place = PrivateDirectory(environ)
    started = orphans.start_of(living)
    assert started is not None
    files = session(tmp_path, living, started)
    place.record_child(living)
    place.sweep(living)
    assert all(file.exists() for file in files), "it still lives"

    gone = ended()
    files = session(tmp_path, gone, "123")
    Path(place.folder("children"), str(gone)).write_text("123")
    place.sweep(gone)
    assert not any(file.exists() for file in files)


@pytest.mark.parametrize(("started", "domain"), [("124", None), ("123", "pid:[1]")])
def test_files_of_another_process_of_the_same_id_stay(
    environ: dict[str, str], tmp_path: Path, started: str, domain: str | None
) -> None:
    place = PrivateDirectory(environ)
    pid = ended()
    files = session(tmp_path, pid, started, domain)
    (tmp_path / ".claude/sessions" / f"{pid}.broken.key").write_text("{")
    Path(place.folder("children"), str(pid)).write_text("123")

    place.sweep(pid)

    assert all(file.exists() for file in files)
    assert (tmp_path / ".claude/sessions" / f"{pid}.broken.key").exists()


def test_what_a_relay_that_is_gone_has_left_is_removed(environ: dict[str, str], tmp_path: Path) -> None:
    server, child = ended(), ended()
    path = left(environ, mark_of(server, "1"), **{f"_{child}": "123"})
    files = session(tmp_path, child, "123")

    assert remove_left(environ) == 1
    assert not path.exists()
    assert not any(file.exists() for file in files)
    assert remove_left(environ) == 0


def test_nothing_of_anybody_else_is_removed(environ: dict[str, str], tmp_path: Path, living: int) -> None:
    gone = mark_of(ended(), "1")
    shared = left(environ, gone)
    shared.chmod(0o777)
    precious = tmp_path / "precious"
    left(environ, gone).rename(precious)
    link = Path(environ[private.TMPDIR], "claude-relay-link")
    link.symlink_to(precious)
    without = Path(environ[private.TMPDIR], "claude-relay-without")
    without.mkdir(mode=0o700)
    kept = [
        shared,
        precious,
        link,
        without,
        left(environ, mark_of(living, orphans.start_of(living) or "")),
        left(environ, mark_of(ended(), "1", "pid:[1]")),
        left(environ, "no mark"),
        *session(tmp_path, ended(), "123"),
    ]

    assert remove_left(environ) == 0
    assert all(path.exists() for path in kept)


def test_where_there_is_no_directory_nothing_is_left(environ: dict[str, str]) -> None:
    environ[private.TMPDIR] += "/missing"

    assert remove_left(environ) == 0
