"""SQLite: groups of transactions in one commit, and what a file and a disk can do to them.

These drive the `Engine` in this thread; the contract suite drives `SQLiteDatabase` with its own.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gameroom.interfaces import ICursor
from gameroom.store import DatabaseUnavailable, open_database
from gameroom.store.sqlite import Engine, Outcome

Work = Callable[..., Awaitable[Any]]


async def create(cursor: ICursor) -> None:
    await cursor.execute("CREATE TABLE things (k INTEGER PRIMARY KEY, b BYTEA)")


async def insert(cursor: ICursor, key: int, size: int = 0) -> None:
    await cursor.execute("INSERT INTO things (k, b) VALUES (:k, :b)", {"k": key, "b": bytes(size)})


async def insert_and_fail(cursor: ICursor, key: int) -> None:
    await insert(cursor, key)
    raise LookupError


async def keys(cursor: ICursor) -> list[int]:
    return [k for (k,) in await cursor.execute("SELECT k FROM things ORDER BY k")]


async def pragma(cursor: ICursor, sql: str) -> Any:
    [(value,)] = await cursor.execute(f"PRAGMA {sql}")
    return value


class EngineCase(SynchronousTestCase):
    """Has an engine on a file of its own with a table `things`."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gameroom-sqlite-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = str(self.folder / "gameroom.db")
        self.engine = self.open(self.path)
        self.one(create)

    def open(self, path: str, busy_seconds: float = 0.0) -> Engine:
        engine = Engine(path, busy_seconds)
        engine.open()
        self.addCleanup(engine.close)
        return engine

    def one(self, work: Work, *args: Any) -> Any:
        """The result of a transaction on its own."""
        [outcome] = self.engine.run([(work, args)])
        if outcome.failure is not None:
            outcome.failure.raiseException()
        return outcome.result

    def failures(self, outcomes: list[Outcome]) -> list[type[BaseException] | None]:
        return [None if outcome.failure is None else outcome.failure.type for outcome in outcomes]


class GroupTests(EngineCase):
    """Many transactions, one commit."""

    def test_settings(self) -> None:
        """A write-ahead log that is flushed at every commit, and foreign keys are held."""
        found = [self.one(pragma, name) for name in ("journal_mode", "synchronous", "foreign_keys")]
        self.assertEqual(found, ["wal", 2, 1])

    def test_one_commit(self) -> None:
        """Others see a group whole or not at all."""
        other = sqlite3.connect(self.path)
        self.addCleanup(other.close)
        seen = []

        async def look(_cursor: ICursor) -> None:
            seen.append(other.execute("SELECT COUNT(*) FROM things").fetchone()[0])

        self.engine.run([(insert, (1,)), (look, ()), (insert, (2,)), (look, ())])
        self.assertEqual(seen, [0, 0])
        self.assertEqual(other.execute("SELECT COUNT(*) FROM things").fetchone()[0], 2)

    def test_later_see_earlier(self) -> None:
        """In a group the later transactions see what the earlier ones did, and nothing of those that failed."""
        outcomes = self.engine.run([(insert, (1,)), (insert_and_fail, (2,)), (keys, ()), (insert, (2,)), (keys, ())])
        self.assertEqual([outcomes[2].result, outcomes[4].result], [[1], [1, 2]])

    @given(st.lists(st.tuples(st.sampled_from([insert, insert_and_fail]), st.integers(0, 5)), max_size=20))
    def test_law_of_groups(self, jobs: list[tuple[Work, int]]) -> None:
        """A group ends as the same transactions do one by one."""
        grouped, single = Engine(":memory:"), Engine(":memory:")
        works = [(create, ()), *((work, (key,)) for work, key in jobs), (keys, ())]
        for engine in (grouped, single):
            engine.open()
        together = grouped.run(works)
        apart = [single.run([work])[0] for work in works]
        self.assertEqual(self.failures(together), self.failures(apart))
        self.assertEqual(together[-1].result, apart[-1].result)
        grouped.close()
        single.close()

    def test_failing_commit(self) -> None:
        """When the commit itself fails, all of its group fail and nothing is kept; the next group is fine."""

        async def broken_promise(cursor: ICursor) -> None:
            await cursor.execute("CREATE TABLE promises (k INTEGER REFERENCES things (k) DEFERRABLE INITIALLY DEFERRED)")
            await cursor.execute("INSERT INTO promises VALUES (99)")

        outcomes = self.engine.run([(insert, (1,)), (insert_and_fail, (5,)), (broken_promise, ()), (insert, (2,))])
        error = sqlite3.IntegrityError
        self.assertEqual(self.failures(outcomes), [error, LookupError, error, error])
        self.assertEqual(self.one(keys), [])
        self.one(insert, 1)
        self.assertEqual(self.one(keys), [1])

    def test_waiting_for_something_else(self) -> None:
        """Work that waits for anything but its cursor fails, instead of holding everyone up."""

        async def waits(cursor: ICursor) -> None:
            await insert(cursor, 1)
            await Deferred()

        outcomes = self.engine.run([(waits, ()), (insert, (2,))])
        self.assertEqual(self.failures(outcomes), [RuntimeError, None])
        self.assertEqual(self.one(keys), [2])

    def test_work_that_cannot_be_called(self) -> None:
        """Wrong arguments fail that transaction alone."""
        outcomes = self.engine.run([(insert, ()), (insert, (2,))])
        self.assertEqual(self.failures(outcomes), [TypeError, None])

    def test_only_for_its_user(self) -> None:
        """The files are the daemon's user's alone, since they hold password hashes."""
        files = sorted(self.folder.iterdir())
        self.assertEqual([file.name for file in files], ["gameroom.db", "gameroom.db-shm", "gameroom.db-wal"])
        self.assertEqual({file.stat().st_mode & 0o777 for file in files}, {0o600})

    def test_closed(self) -> None:
        """After its end everything fails with one line."""
        self.engine.close()
        self.assertRaises(DatabaseUnavailable, self.one, insert, 1)


class TroubleTests(EngineCase):
    """Disks and files as they are."""

    def test_disk_full(self) -> None:
        """A full disk fails who does not fit, in words; who fits again afterwards is kept, and what was there stays."""
        self.one(insert, 1)
        pages = self.one(pragma, "page_count")
        self.one(pragma, f"max_page_count = {pages + 2}")
        with self.assertRaises(DatabaseUnavailable) as caught:
            self.one(insert, 2, 1 << 20)
        self.assertIn("disk is full", caught.exception.message)
        self.assertIn(self.path, caught.exception.message)
        outcomes = self.engine.run([(insert, (3,)), (insert, (4, 1 << 20)), (insert, (5,))])
        kept = [key for key, failure in zip((3, 4, 5), self.failures(outcomes), strict=True) if failure is None]
        self.assertNotIn(4, kept)
        self.assertEqual(self.one(keys), [1, *kept])
        self.one(pragma, "max_page_count = 100000")
        self.one(insert, 2, 1 << 20)
        self.assertEqual(self.one(keys), [1, 2, *kept])

    def test_group_undone_by_sqlite(self) -> None:
        """Where SQLite undoes the whole group for one, those before fail with it and those after go on."""

        async def undoes_all(cursor: ICursor) -> None:
            await cursor.execute("INSERT OR ROLLBACK INTO things (k) VALUES (1)")

        self.one(insert, 1)
        outcomes = self.engine.run([(insert, (2,)), (insert_and_fail, (3,)), (undoes_all, ()), (insert, (4,))])
        self.assertEqual([failure is None for failure in self.failures(outcomes)], [False, False, False, True])
        self.assertEqual(self.failures(outcomes)[1], LookupError)
        self.assertEqual(self.one(keys), [1, 4])

    def test_rollback_that_fails(self) -> None:
        """A group whose own rollback the disk refuses fails as a whole; the next one is fine once the disk is."""
        refused: list[str] = []

        class Failing(sqlite3.Connection):
            """A connection whose COMMIT and first ROLLBACK fail while `broken`."""

            broken = False

            def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
                if self.broken and sql in ("COMMIT", "ROLLBACK"):
                    refused.append(sql)
                    raise sqlite3.OperationalError("disk I/O error")
                return super().execute(sql, *args)

        with patch.object(sqlite3, "connect", partial(sqlite3.connect, factory=Failing)):
            self.engine = self.open(str(self.folder / "failing.db"))
        self.one(create)
        Failing.broken = True
        self.assertEqual(self.failures(self.engine.run([(insert, (1,)), (insert, (2,))])), [sqlite3.OperationalError] * 2)
        self.assertEqual(self.failures(self.engine.run([(insert, (3,))])), [sqlite3.OperationalError])
        Failing.broken = False
        self.one(insert, 4)
        self.assertEqual((self.one(keys), refused), ([4], ["COMMIT", "ROLLBACK", "ROLLBACK", "ROLLBACK"]))

    def test_held_by_another_program(self) -> None:
        """While another program holds the write lock everything fails in words, and goes on when it lets go."""
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        outcomes = self.engine.run([(insert, (1,)), (insert, (2,))])
        self.assertEqual(self.failures(outcomes), [DatabaseUnavailable] * 2)
        other.execute("ROLLBACK")
        self.one(insert, 3)
        self.assertEqual(self.one(keys), [3])

    def refusal(self, path: Path | str) -> str:
        with self.assertRaises(DatabaseUnavailable) as caught:
            self.open(str(path))
        message: str = caught.exception.message
        self.assertEqual(len(message.splitlines()), 1)
        self.assertIn(str(path), message)
        return message

    def test_no_database(self) -> None:
        """A file that is something else is named as that."""
        path = self.folder / "text"
        path.write_bytes(b"this is no database, but it is long enough to have a header " * 20)
        self.assertIn("no SQLite database", self.refusal(path))

    def test_no_folder(self) -> None:
        """A folder that is not there is told of; nothing is made."""
        self.assertIn("folder must exist", self.refusal(self.folder / "missing" / "gameroom.db"))

    def test_a_folder(self) -> None:
        """So is a path that is a folder."""
        self.assertIn("cannot be opened", self.refusal(self.folder))


class OpenTests(SynchronousTestCase):
    """What `open_database` makes of a URL."""

    def test_unknown(self) -> None:
        """A URL of another kind is named, with what may be written."""
        with self.assertRaises(DatabaseUnavailable) as caught:
            open_database("mysql://somewhere", Path(), None)
        self.assertIn("'mysql://somewhere'", caught.exception.message)
        self.assertIn("postgresql://", caught.exception.message)
