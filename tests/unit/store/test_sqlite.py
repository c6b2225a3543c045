"""The store in SQLite: its file, its processes, and what is left when they are killed."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from claude_relay.errors import UnavailableError
from claude_relay.store.protocol import Record, Store
from claude_relay.store.sqlite import open_store
from tests.docs.pages import ROOT
from tests.unit.store.records import HOUR, events, items, key, record
from tests.unit.store.writer import RESPONSES, TEXT

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "store.db"


def writer(job: str, path: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.unit.store.writer", job, str(path)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def modes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}


def read(path: Path) -> bytes:
    return path.read_bytes()


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o644)


async def is_whole(store: Store, name: str) -> bool:
    """Whether a response is complete; if not, nothing of its end may be there."""
    found = await store.get(key(name))
    assert found is not None
    inputs, outputs = (items(f"{name}_{part}1", f"{name}_{part}2", text=TEXT) for part in ("in", "out"))
    is_complete = found.lease_until is None
    assert found.body == (b'{"status":"completed"}' if is_complete else record(name).body)
    assert await store.history(key(name), 0) == tuple([*inputs, *outputs] if is_complete else inputs)
    if is_complete:
        assert [event async for batch in store.follow(key(name)) for event in batch] == events(range(6))
    return is_complete


@pytest.mark.slow
@pytest.mark.parametrize("acknowledged", [1, 60, 150])
async def test_a_killed_process_leaves_each_acknowledged_response_whole_and_none_half(
    path: Path, acknowledged: int
) -> None:
    with writer("responses", path) as process:
        assert process.stdout is not None
        done = [process.stdout.readline() for _ in range(acknowledged + 1)][1:]
        process.kill()
        done += process.stdout.readlines()
    assert acknowledged <= len(done) < RESPONSES

    async with open_store(path) as store:
        names = [f"resp_{number}" for number in range(RESPONSES)]
        there = {name for name in names if await store.get(key(name)) is not None}
        whole = {name for name in there if await is_whole(store, name)}

    assert {name.strip() for name in done if name.endswith("\n")} <= whole
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()


@pytest.mark.slow
async def test_two_processes_at_once_lose_nothing(path: Path) -> None:
    with writer("a", path) as first, writer("b", path) as second:
        first.communicate()
        second.communicate()

    assert (first.returncode, second.returncode) == (0, 0)
    async with open_store(path) as store:
        assert await store.count("runs", 0, 0) == 200
        names = [f"{job}_{number}" for job in "ab" for number in range(100)]
        assert await store.items("ann", names) == {item.id: item for item in items(*names)}


@pytest.mark.slow
async def test_a_log_is_followed_from_another_process(path: Path) -> None:
    async with open_store(path) as store:
        await store.create(record(lease=60))
        with writer("log", path) as process:
            batches = [batch async for batch in store.follow(key())]
            process.communicate()

    assert [event for batch in batches for event in batch] == events(range(5))
    assert len(batches) > 1


async def test_only_its_user_can_read_it(path: Path) -> None:
    async with open_store(path) as store:
        await store.create(record())
        found = modes(path.parent)

    assert found == dict.fromkeys(("store.db", "store.db-wal", "store.db-shm"), 0o600)
    assert modes(path.parent.parent)["state"] == 0o700


async def test_a_file_that_others_could_read_is_closed_to_them(path: Path) -> None:
    path.parent.mkdir()
    write(path, b"")

    async with open_store(path):
        assert modes(path.parent)["store.db"] == 0o600


async def test_all_is_there_when_it_is_opened_again(path: Path) -> None:
    kept = record()
    async with open_store(path) as store:
        await store.create(kept, items("msg_1"))

    async with open_store(path) as store:
        assert await store.get(kept.key) == kept
        assert await store.history(kept.key, 0) == tuple(items("msg_1"))


async def test_what_is_deleted_or_swept_is_not_in_the_file(path: Path) -> None:
    secret = "prompt-and-answer"
    async with open_store(path) as store:
        for name, lasts in (("deleted", HOUR), ("swept", 0.05)):
            old = record(name, lasts=lasts, lease=9)
            await store.create(Record(old.key, secret.encode(), old.expires_at, None, old.lease_until), items(secret))
            await store.append(old.key, events([0]))
        until = time.time() + 0.05
        await store.claim("ann", secret, digest=b"", response_id="resp_1", expires_at=until)
        await store.count(secret, 1, until)
        await store.delete(key("deleted"))
        await asyncio.sleep(0.1)
        await store.sweep()

    assert secret.encode() not in read(path)
    with sqlite3.connect(path) as db:
        tables = ("records", "items", "events", "claims", "counters")
        assert [db.execute(f"SELECT count(*) FROM {table}").fetchone() for table in tables] == [(0,)] * 5
    db.close()


async def test_more_than_one_batch_is_swept(path: Path) -> None:
    async with open_store(path) as store:
        for number in range(120):
            await store.create(record(f"old_{number}", lasts=0.01))
        await store.create(record(lease=9))
        await store.append(key(), events([0]))
        await store.complete(key(), b"{}", log_until=0)
        await asyncio.sleep(0.02)
        await store.sweep()

    with sqlite3.connect(path) as db:
        assert db.execute("SELECT id, log_until FROM records").fetchall() == [("resp_1", None)]
        assert db.execute("SELECT count(*) FROM events").fetchone() == (0,)
    db.close()


@pytest.mark.slow
async def test_the_loop_goes_on_while_another_process_keeps_the_file_busy(path: Path) -> None:
    async with open_store(path) as store:
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.5, other.rollback)
        timer.start()

        writing = asyncio.create_task(store.create(record()))
        ticks = 0
        while not writing.done():
            await asyncio.sleep(0.01)
            ticks += 1

        assert await writing
        assert ticks > 10
        timer.join()
        other.close()


@pytest.mark.slow
async def test_many_open_a_new_file_at_once(path: Path) -> None:
    async def use(name: str) -> bool:
        async with open_store(path) as store:
            return await store.create(record(name))

    assert all(await asyncio.gather(*(use(f"resp_{number}") for number in range(12))))


async def test_a_file_of_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    async with open_store(path):
        pass
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()

    with pytest.raises(UnavailableError, match="version 99"):
        async with open_store(path):
            pass


async def test_a_file_of_the_first_version_is_brought_up_to_date(path: Path) -> None:
    async with open_store(path) as store:
        await store.create(record(), [])
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE admitted")
        db.execute("DROP INDEX records_by_owner")
        db.execute("PRAGMA user_version = 1")
    db.close()

    async with open_store(path) as store:
        assert await store.admit("ann", 1, most=1, seconds=60.0) == 0
        assert await store.get(key()) is not None


async def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.parent.mkdir()
    write(path, b"no database " * 1000)

    with pytest.raises(UnavailableError, match="file is not a database"):
        async with open_store(path):
            pass


async def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(UnavailableError, match="Not a directory"):
        async with open_store(tmp_path / "file" / "state" / "store.db"):
            pass


async def test_a_file_that_fails_later_is_an_error_of_the_relay(path: Path) -> None:
    async with open_store(path) as store:
        with sqlite3.connect(path) as db:
            db.execute("DROP TABLE counters")
        db.close()

        with pytest.raises(UnavailableError, match="no such table") as caught:
            await store.count("runs", 1, time.time() + HOUR)

    assert caught.value.code == "store_unavailable"
