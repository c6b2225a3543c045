"""A store in one SQLite file, shared by all processes of one machine and user.

All of it is done in one thread, one whole transaction at a time. What is acknowledged survives the end of the process,
however it ends; a power failure may take the last moments, and nothing else (``synchronous=NORMAL`` with a WAL).
"""

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from claude_relay.errors import UnavailableError
from claude_relay.store.protocol import BEFORE_FIRST, MOST_RECENT, Claim, Event, Item, Key, Lease, Page, Record, Store

T = TypeVar("T")

POLL_INTERVAL = 0.1
"""Seconds between looks at a log that is followed, since its writer may be another process."""
_BUSY_TIMEOUT = 10.0
_BATCH = 500
_SWEPT_AT_ONCE = 50
"""Records; nothing else is done meanwhile."""
_FIRST_OUTPUT = 1 << 40
"""Positions of inputs are below, those of outputs from here on."""
_SCHEMAS = (
    """
CREATE TABLE records (
    number INTEGER PRIMARY KEY, owner TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, previous TEXT,
    expires_at REAL NOT NULL, lease_until REAL, log_until REAL, is_cancelled INTEGER NOT NULL DEFAULT 0,
    body BLOB NOT NULL, UNIQUE (owner, kind, id)
);
CREATE INDEX records_by_expiry ON records (expires_at);
CREATE INDEX records_by_log ON records (log_until) WHERE log_until IS NOT NULL;
CREATE TABLE items (
    record INTEGER NOT NULL REFERENCES records ON DELETE CASCADE, position INTEGER NOT NULL, owner TEXT NOT NULL,
    id TEXT NOT NULL, body BLOB NOT NULL, UNIQUE (record, position), UNIQUE (record, id)
);
CREATE INDEX items_by_id ON items (owner, id, record);
CREATE TABLE events (
    record INTEGER NOT NULL REFERENCES records ON DELETE CASCADE, sequence_number INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (record, sequence_number)
) WITHOUT ROWID;
CREATE TABLE claims (
    owner TEXT NOT NULL, key TEXT NOT NULL, digest BLOB NOT NULL, response_id TEXT NOT NULL, expires_at REAL NOT NULL,
    PRIMARY KEY (owner, key)
) WITHOUT ROWID;
CREATE TABLE counters (name TEXT PRIMARY KEY, total REAL NOT NULL, expires_at REAL NOT NULL) WITHOUT ROWID
""",
    """
CREATE TABLE admitted (name TEXT NOT NULL, at REAL NOT NULL, expires_at REAL NOT NULL);
CREATE INDEX admitted_by_name ON admitted (name, at);
CREATE INDEX admitted_by_expiry ON admitted (expires_at)
""",
    "CREATE INDEX records_by_owner ON records (owner, kind)",
)
"""What each version of the schema adds to the one before."""


@asynccontextmanager
async def open_store(path: Path) -> AsyncIterator[Store]:
    """Open a store, and make its file and directory where they are missing, for this user alone.

    Raises:
        UnavailableError: The file cannot be used, or a newer version wrote it.
    """
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, "store") as thread:
        db = await loop.run_in_executor(thread, _connect, path)
        try:
            yield _SQLiteStore(db, thread)
        finally:
            await loop.run_in_executor(thread, db.close)


class _SQLiteStore:
    def __init__(self, db: sqlite3.Connection, thread: ThreadPoolExecutor) -> None:
        self._db = db
        self._thread = thread

    async def create(
        self,
        record: Record,
        inputs: Sequence[Item] = (),
        outputs: Sequence[Item] = (),
        *,
        copied_to: Key | None = None,
    ) -> bool:
        def work(db: sqlite3.Connection) -> bool:
            key = (record.key.owner, record.key.kind, record.key.id)
            if _number(db, record.key) is not None:
                return False
            db.execute("DELETE FROM records WHERE owner = ? AND kind = ? AND id = ?", key)
            number = db.execute(
                "INSERT INTO records (owner, kind, id, previous, expires_at, lease_until, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*key, record.previous, record.expires_at, record.lease_until, record.body),
            ).lastrowid
            assert number is not None  # noqa: S101 - it has just been inserted
            _keep(db, number, record.key, 0, inputs)
            _keep(db, number, record.key, _FIRST_OUTPUT, outputs)
            _copy(db, number, copied_to)
            return True

        return await self._write(work)

    async def complete(
        self,
        key: Key,
        body: bytes,
        outputs: Sequence[Item] = (),
        *,
        log_until: float,
        copied_to: Key | None = None,
    ) -> bool:
        def work(db: sqlite3.Connection) -> bool:
            if (number := _number(db, key, leased=True)) is None:
                return False
            db.execute(
                "UPDATE records SET body = ?, lease_until = NULL, log_until = ? WHERE number = ?",
                (body, log_until, number),
            )
            _keep(db, number, key, _FIRST_OUTPUT, outputs)
            _copy(db, number, copied_to)
            return True

        return await self._write(work)

    async def update(self, key: Key, *, body: bytes | None, inputs: Sequence[Item] = (), expires_at: float) -> bool:
        def work(db: sqlite3.Connection) -> bool:
            if (number := _number(db, key)) is None:
                return False
            db.execute(
                "UPDATE records SET body = coalesce(?, body), expires_at = max(expires_at, ?) WHERE number = ?",
                (body, expires_at, number),
            )
            _keep(db, number, key, 0, inputs)
            return True

        return await self._write(work)

    async def get(self, key: Key) -> Record | None:
        row = await self._read(
            lambda db: db.execute(
                "SELECT body, expires_at, previous, lease_until FROM records WHERE number = ?", (_number(db, key),)
            ).fetchone()
        )
        return row and Record(key, *row)

    async def recent(self, owner: str, kind: str, limit: int) -> tuple[Record, ...]:
        rows = await self._read(
            lambda db: db.execute(
                "SELECT id, body, expires_at, previous, lease_until FROM records"
                " WHERE owner = ? AND kind = ? AND expires_at > ? ORDER BY number DESC LIMIT ?",
                (owner, kind, time.time(), min(limit, MOST_RECENT)),
            ).fetchall()
        )
        return tuple(Record(Key(owner, kind, name), *row) for name, *row in rows)

    async def delete(self, key: Key) -> bool:
        return await self._write(
            lambda db: db.execute("DELETE FROM records WHERE number = ?", (_number(db, key),)).rowcount > 0
        )

    async def renew(self, key: Key, lease_until: float) -> Lease:
        def work(db: sqlite3.Connection) -> Lease:
            if (number := _number(db, key, leased=True)) is None:
                return "lost"
            db.execute("UPDATE records SET lease_until = ? WHERE number = ?", (lease_until, number))
            row = db.execute("SELECT is_cancelled FROM records WHERE number = ?", (number,)).fetchone()
            return "cancelled" if row[0] else "held"

        return await self._write(work)

    async def request_cancel(self, key: Key) -> bool:
        update = "UPDATE records SET is_cancelled = 1 WHERE number = ?"
        return await self._write(lambda db: db.execute(update, (_number(db, key, leased=True),)).rowcount > 0)

    async def history(self, key: Key, expires_at: float) -> tuple[Item, ...] | None:
        def work(db: sqlite3.Connection) -> tuple[Item, ...] | None:
            chain: list[int] = []
            link: Key | None = key
            while link is not None:
                if (number := _number(db, link)) is None:
                    return None
                chain.append(number)
                (previous,) = db.execute("SELECT previous FROM records WHERE number = ?", (number,)).fetchone()
                link = replace(link, id=previous) if previous is not None else None
            db.executemany(
                "UPDATE records SET expires_at = ? WHERE number = ? AND expires_at < ?",
                [(expires_at, number, expires_at) for number in chain],
            )
            items = "SELECT id, body FROM items WHERE record = ? ORDER BY position"
            return tuple(Item(*row) for number in reversed(chain) for row in db.execute(items, (number,)))

        return await self._write(work)

    async def items(self, owner: str, ids: Sequence[str]) -> dict[str, Item]:
        select = (
            "SELECT items.body FROM items JOIN records ON number = record"
            " WHERE items.owner = ? AND items.id = ? AND expires_at > ? ORDER BY record DESC LIMIT 1"
        )

        def work(db: sqlite3.Connection) -> dict[str, Item]:
            rows = ((each, db.execute(select, (owner, each, time.time())).fetchone()) for each in ids)
            return {each: Item(each, *row) for each, row in rows if row is not None}

        return await self._read(work)

    async def item(self, key: Key, item_id: str) -> Item | None:
        select = "SELECT id, body FROM items WHERE record = ? AND id = ?"
        row = await self._read(lambda db: db.execute(select, (_number(db, key), item_id)).fetchone())
        return row and Item(*row)

    async def page(self, key: Key, *, after: str | None = None, limit: int, descending: bool = False) -> Page | None:
        compare, order = ("<", "DESC") if descending else (">", "ASC")

        def work(db: sqlite3.Connection) -> list[tuple[str, bytes]] | None:
            if (number := _number(db, key)) is None:
                return None
            start = (_FIRST_OUTPUT if descending else -1,)
            if after is not None:
                select = "SELECT position FROM items WHERE record = ? AND id = ? AND position < ?"
                start = db.execute(select, (number, after, _FIRST_OUTPUT)).fetchone()
            return (
                start
                and db.execute(
                    f"SELECT id, body FROM items WHERE record = ? AND position {compare} ? AND position < ?"  # noqa: S608
                    f" ORDER BY position {order} LIMIT ?",
                    (number, *start, _FIRST_OUTPUT, limit + 1),
                ).fetchall()
            )

        rows = await self._read(work)
        return None if rows is None else Page(tuple(Item(*row) for row in rows[:limit]), has_more=len(rows) > limit)

    async def remove_item(self, key: Key, item_id: str) -> bool:
        remove = "DELETE FROM items WHERE record = ? AND id = ?"
        return await self._write(lambda db: db.execute(remove, (_number(db, key), item_id)).rowcount > 0)

    async def append(self, key: Key, events: Sequence[Event]) -> bool:
        def work(db: sqlite3.Connection) -> bool:
            if (number := _number(db, key, leased=True)) is None:
                return False
            last = db.execute("SELECT max(sequence_number) FROM events WHERE record = ?", (number,)).fetchone()[0]
            db.executemany(
                "INSERT OR IGNORE INTO events VALUES (?, ?, ?)",
                [(number, e.sequence_number, e.data) for e in events if last is None or e.sequence_number > last],
            )
            return True

        return await self._write(work)

    async def events(self, key: Key, after: int = BEFORE_FIRST) -> tuple[Event, ...]:
        select = (
            "SELECT sequence_number, data FROM events JOIN records ON number = record WHERE number = ?"
            " AND sequence_number > ? AND (log_until IS NULL OR log_until > ?) ORDER BY sequence_number"
        )
        rows = await self._read(lambda db: db.execute(select, (_number(db, key), after, time.time())).fetchall())
        return tuple(Event(*row) for row in rows)

    async def follow(self, key: Key, after: int = BEFORE_FIRST) -> AsyncIterator[tuple[Event, ...]]:
        def work(db: sqlite3.Connection) -> tuple[bool, tuple[Event, ...]]:
            now, number = time.time(), _number(db, key)
            state = "SELECT lease_until > ?, log_until <= ? FROM records WHERE number = ?"
            leased, is_over = db.execute(state, (now, now, number)).fetchone() or (False, True)
            if is_over:
                return False, ()
            select = "SELECT sequence_number, data FROM events WHERE record = ? AND sequence_number > ? LIMIT ?"
            return bool(leased), tuple(Event(*row) for row in db.execute(select, (number, after, _BATCH)))

        while True:
            leased, events = await self._read(work)
            if events:
                after = events[-1].sequence_number
                yield events
            elif leased:
                await asyncio.sleep(POLL_INTERVAL)
            else:
                return

    async def claim(self, owner: str, key: str, *, digest: bytes, response_id: str, expires_at: float) -> Claim:
        def work(db: sqlite3.Connection) -> Claim:
            select = "SELECT digest, response_id FROM claims WHERE owner = ? AND key = ? AND expires_at > ?"
            if held := db.execute(select, (owner, key, time.time())).fetchone():
                return Claim("joined" if held[0] == digest else "conflict", held[1])
            db.execute(
                "INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?, ?)", (owner, key, digest, response_id, expires_at)
            )
            return Claim("new", response_id)

        return await self._write(work)

    async def release(self, owner: str, key: str, response_id: str) -> None:
        remove = "DELETE FROM claims WHERE owner = ? AND key = ? AND response_id = ?"
        await self._write(lambda db: db.execute(remove, (owner, key, response_id)))

    async def count(self, name: str, amount: float, expires_at: float) -> float:
        def work(db: sqlite3.Connection) -> float:
            db.execute("DELETE FROM counters WHERE name = ? AND expires_at <= ?", (name, time.time()))
            db.execute(
                "INSERT INTO counters VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET total = total + excluded.total",
                (name, amount, expires_at),
            )
            row = db.execute("SELECT total FROM counters WHERE name = ?", (name,)).fetchone()
            return float(row[0])

        return await self._write(work)

    async def admit(self, name: str, amount: int, *, most: int, seconds: float) -> float:
        def work(db: sqlite3.Connection) -> float:
            now = time.time()
            # what lies in the future was admitted before the clock was set back
            db.execute("DELETE FROM admitted WHERE name = ? AND NOT (at > ? AND at <= ?)", (name, now - seconds, now))
            (there,) = db.execute("SELECT count(*) FROM admitted WHERE name = ?", (name,)).fetchone()
            if (excess := there + amount - most) > 0:
                select = "SELECT at FROM admitted WHERE name = ? ORDER BY at LIMIT 1 OFFSET ?"
                oldest = db.execute(select, (name, min(excess, there) - 1)).fetchone() if there else (now,)
                return float(oldest[0]) + seconds - now
            db.executemany("INSERT INTO admitted VALUES (?, ?, ?)", [(name, now, now + seconds)] * amount)
            return 0.0

        return await self._write(work)

    async def withdraw(self, name: str, amount: int) -> None:
        latest = "SELECT rowid FROM admitted WHERE name = ? ORDER BY at DESC LIMIT ?"
        remove = f"DELETE FROM admitted WHERE rowid IN ({latest})"  # noqa: S608
        await self._write(lambda db: db.execute(remove, (name, amount)))

    async def sweep(self) -> None:
        now = time.time()

        def work(db: sqlite3.Connection) -> bool:
            select = "SELECT number FROM records WHERE log_until <= ? LIMIT ?"
            logs = db.execute(select, (now, _SWEPT_AT_ONCE)).fetchall()
            db.executemany("DELETE FROM events WHERE record = ?", logs)
            db.executemany("UPDATE records SET log_until = NULL WHERE number = ?", logs)
            old = "SELECT number FROM records WHERE expires_at <= ? LIMIT ?"
            records = db.execute(old, (now, _SWEPT_AT_ONCE)).fetchall()
            db.executemany("DELETE FROM records WHERE number = ?", records)
            return bool(logs or records)

        await self._write(lambda db: db.execute("DELETE FROM claims WHERE expires_at <= ?", (now,)))
        await self._write(lambda db: db.execute("DELETE FROM counters WHERE expires_at <= ?", (now,)))
        await self._write(lambda db: db.execute("DELETE FROM admitted WHERE expires_at <= ?", (now,)))
        while await self._write(work):
            pass

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._transact("BEGIN IMMEDIATE", work)

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._transact("BEGIN", work)

    async def _transact(self, begin: str, work: Callable[[sqlite3.Connection], T]) -> T:
        def transaction() -> T:
            self._db.execute(begin)
            with self._db:
                return work(self._db)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, transaction)
        except sqlite3.Error as error:
            raise _unusable(error) from error


def _number(db: sqlite3.Connection, key: Key, *, leased: bool = False) -> int | None:
    """Return a record's number in the tables, if it is there, and leased if it must be."""
    row = db.execute(
        "SELECT number, lease_until FROM records WHERE owner = ? AND kind = ? AND id = ? AND expires_at > ?",
        (key.owner, key.kind, key.id, time.time()),
    ).fetchone()
    return None if row is None or (leased and row[1] is None) else row[0]


def _keep(db: sqlite3.Connection, number: int, key: Key, first: int, items: Sequence[Item]) -> None:
    """Append items to a record's inputs or outputs, whose positions begin with the first."""
    if not items:
        return
    select = "SELECT max(position) FROM items WHERE record = ? AND position BETWEEN ? AND ?"
    (last,) = db.execute(select, (number, first, first + _FIRST_OUTPUT - 1)).fetchone()
    start = first if last is None else last + 1
    db.executemany(
        "INSERT INTO items VALUES (?, ?, ?, ?, ?) ON CONFLICT (record, id) DO UPDATE SET body = excluded.body",
        [(number, position, key.owner, item.id, item.body) for position, item in enumerate(items, start)],
    )


def _copy(db: sqlite3.Connection, number: int, key: Key | None) -> None:
    """Copy the items of a record to the inputs of another one, if it is there."""
    if key is None or (other := _number(db, key)) is None:
        return
    (expires_at,) = db.execute("SELECT expires_at FROM records WHERE number = ?", (number,)).fetchone()
    db.execute("UPDATE records SET expires_at = max(expires_at, ?) WHERE number = ?", (expires_at, other))
    items = db.execute("SELECT id, body FROM items WHERE record = ? ORDER BY position", (number,)).fetchall()
    _keep(db, other, key, 0, [Item(*row) for row in items])


def _connect(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives the files beside it the same mode
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        path.chmod(0o600)
        db = sqlite3.connect(path, timeout=_BUSY_TIMEOUT, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise _unusable(f"{path}: {error}") from error
    try:
        _set_up(db)
    except sqlite3.Error as error:
        db.close()
        raise _unusable(f"{path}: {error}") from error
    except UnavailableError:
        db.close()
        raise
    return db


def _set_up(db: sqlite3.Connection) -> None:
    """Make the tables where there are none yet.

    Raises:
        UnavailableError: A newer version made them.
    """
    deadline = time.monotonic() + _BUSY_TIMEOUT
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError:
            # for this SQLite does not wait for another process that opens the file
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_INTERVAL)
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA foreign_keys = ON")
    # what is deleted is overwritten
    db.execute("PRAGMA secure_delete = ON")
    db.execute("BEGIN IMMEDIATE")
    with db:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > len(_SCHEMAS):
            raise _unusable(f"its schema has version {version}, and this version of claude-relay knows {len(_SCHEMAS)}")
        for schema in _SCHEMAS[version:]:
            for statement in schema.split(";"):
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {len(_SCHEMAS)}")


def _unusable(why: object) -> UnavailableError:
    return UnavailableError(f"The store cannot be used: {str(why).rstrip('.')}.", code="store_unavailable")
