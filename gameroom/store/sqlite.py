"""SQLite in the daemon: one file, one thread, and many transactions in one commit.

A commit is as slow as the disk's flush, so the database's thread takes all transactions that wait and commits them
together: the more there are, the better it gets.
Each has a SAVEPOINT of its own inside of that commit, so one that fails is undone alone.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic, perf_counter, sleep
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure
from zope.interface import implementer

from gameroom.interfaces import ICursor, IDatabase, Row
from gameroom.store import migrations
from gameroom.store.cursors import TransactionState
from gameroom.store.errors import DatabaseUnavailable, UniqueViolation

T = TypeVar("T")
Work = Callable[..., Awaitable[Any]]

GROUP = 512
"""The most transactions in one commit: the first of them waits for the last."""

BUSY_SECONDS = 5.0
"""How long another program (a `sqlite3` shell, a backup) may hold the file's write lock."""

_NEEDED = (3, 35)
_UNIQUE = re.compile(r"UNIQUE constraint failed: (.+)")

_TROUBLE = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space",
    sqlite3.SQLITE_IOERR: "the disk does not read or write as it should; look at the system's log",
    sqlite3.SQLITE_READONLY: "it may not be written to; give the daemon's user the right to write file and folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; the folder must exist and the daemon's user may write there",
    sqlite3.SQLITE_PERM: "access is denied; give the daemon's user the right to read and write it",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database; name another file",
    sqlite3.SQLITE_CORRUPT: "it is damaged; restore a backup",
    sqlite3.SQLITE_BUSY: "another program holds it for too long; end that program",
    sqlite3.SQLITE_LOCKED: "another program holds it; end that program",
    sqlite3.SQLITE_NOMEM: "there is no memory left",
}


@attrs.frozen
class Outcome:
    """How one transaction ended: its result, or why it was undone."""

    result: Any = None
    failure: Failure | None = None


@implementer(ICursor)
class SQLiteCursor(TransactionState):
    """One transaction's way to SQLite. What `execute` gives never really waits."""

    def __init__(self, connection: sqlite3.Connection, explain: Callable[[sqlite3.Error], BaseException]) -> None:
        super().__init__()
        self._connection = connection
        self._explain = explain

    async def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> list[Row]:
        """See `ICursor`."""
        self.require_open()
        try:
            return self._connection.execute(sql, params or {}).fetchall()
        except sqlite3.Error as error:
            self.failure = self._explain(error)
            raise self.failure from error
        except Exception as error:
            self.failure = error
            raise


class Engine:
    """The database itself: runs transactions, in groups, and waits while it does.

    It is used from one thread only.
    """

    def __init__(self, path: str, busy_seconds: float = BUSY_SECONDS) -> None:
        self._path = path
        self._busy_seconds = busy_seconds
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open the file, or make it. Raises `DatabaseUnavailable`."""
        if sqlite3.sqlite_version_info < _NEEDED:
            raise DatabaseUnavailable(f"SQLite {sqlite3.sqlite_version} is too old: gameroom needs 3.35 or newer")
        if self._path != ":memory:":
            # It holds password hashes: for the daemon's user alone. SQLite's files beside it take after it.
            with suppress(OSError):
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        try:
            # Without an isolation level the module leaves BEGIN and COMMIT to us.
            self._connection = sqlite3.connect(self._path, timeout=self._busy_seconds, isolation_level=None)
            self._use_wal(self._connection)
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA foreign_keys = ON")
        except sqlite3.Error as error:
            self.close()
            raise self._explain(error) from error

    def _use_wal(self, connection: sqlite3.Connection) -> None:
        """Readers of other programs then never stand in our way, nor we in theirs. SQLite itself does not wait for its turn here."""
        deadline = monotonic() + self._busy_seconds
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or monotonic() > deadline:
                    raise
                sleep(0.01)

    def migrate(self, files: Sequence[migrations.Migration]) -> None:
        """Bring the schema up to ours. Raises `DatabaseUnavailable`, also where it is newer than ours."""
        while True:
            [outcome] = self.run([(migrations.apply_next, (files,))])
            if outcome.failure is not None:
                outcome.failure.raiseException()
            if not outcome.result:
                return

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def run(self, group: Sequence[tuple[Work, tuple[Any, ...]]]) -> list[Outcome]:
        """Run transactions and commit them together; tells of each how it ended, in the same order."""
        outcomes: list[Outcome] = []
        while len(outcomes) < len(group):
            outcomes += self._run_until_lost(group[len(outcomes) :])
        return outcomes

    def _run_until_lost(self, group: Sequence[tuple[Work, tuple[Any, ...]]]) -> list[Outcome]:
        """The same, but it ends at a transaction that SQLite answered by undoing the whole group."""
        connection = self._connection
        if connection is None:
            return [Outcome(failure=Failure(_closed())) for _ in group]
        outcomes: list[Outcome] = []
        try:
            if connection.in_transaction:
                # The disk would not even let go of the group before.
                connection.execute("ROLLBACK")
            connection.execute("BEGIN IMMEDIATE")
            for work, args in group:
                outcomes.append(self._run_one(connection, work, args))
                if not connection.in_transaction:
                    # Disk full and its like: what went well before in this group is undone with it.
                    failure = outcomes[-1].failure
                    return [Outcome(failure=outcome.failure or failure) for outcome in outcomes]
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            failure = Failure(self._explain(error))
            outcomes = [Outcome(failure=outcome.failure or failure) for outcome in outcomes]
            outcomes += [Outcome(failure=failure) for _ in group[len(outcomes) :]]
        return outcomes

    def _run_one(self, connection: sqlite3.Connection, work: Work, args: tuple[Any, ...]) -> Outcome:
        cursor = SQLiteCursor(connection, self._explain)
        connection.execute("SAVEPOINT one")
        try:
            result = _drive(work(cursor, *args))
            if cursor.failure is not None:
                raise cursor.failure
        except Exception:
            failure = Failure()
            # Its frames hold the cursor, the values and the whole group; the traceback as text is enough.
            failure.cleanFailure()
            if connection.in_transaction:
                connection.execute("ROLLBACK TO one")
                connection.execute("RELEASE one")
            return Outcome(failure=failure)
        finally:
            cursor.end()
        connection.execute("RELEASE one")
        return Outcome(result=result)

    def _explain(self, error: sqlite3.Error) -> BaseException:
        """The error in words of ours; one that is a fault of the program's stays as it is."""
        unique = _UNIQUE.match(str(error))
        if unique is not None:
            columns = unique[1].split(", ")
            return UniqueViolation(columns[0].partition(".")[0], tuple(column.partition(".")[2] for column in columns))
        code = getattr(error, "sqlite_errorcode", None)
        trouble = None if code is None else _TROUBLE.get(code & 0xFF)
        return error if trouble is None else DatabaseUnavailable(f"the database {self._path}: {trouble}")


def _drive(work: Awaitable[T]) -> T:
    """Run a coroutine that has nothing to wait for to its end."""
    steps = work.__await__()
    try:
        next(steps)
    except StopIteration as end:
        result: T = end.value
        return result
    raise RuntimeError("an interaction awaits nothing but its cursor")


def _closed() -> DatabaseUnavailable:
    return DatabaseUnavailable("the database is closed; start the daemon again")


@attrs.frozen
class _Job:
    """One transaction that waits for its turn."""

    work: Work
    args: tuple[Any, ...]
    done: Deferred[Any]


@implementer(IDatabase)
class SQLiteDatabase:
    """The embedded default: `IDatabase` over one file.

    `observe`, where given, is called with how many seconds each transaction took, the wait for its turn included.
    """

    def __init__(self, path: Path, *, reactor: IReactorFromThreads, observe: Callable[[float], None] | None = None) -> None:
        self._path = path
        self._reactor = reactor
        self._observe = observe
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._open = False
        self._stopped: Deferred[None] = Deferred()

    def start(self) -> Deferred[None]:
        """See `IDatabase`."""
        started: Deferred[None] = Deferred()
        # A daemon thread, so that a program that never calls stop() can still end.
        Thread(target=self._run, args=(started,), name="database", daemon=True).start()
        self._open = True
        return started

    def interact(self, work: Callable[..., Awaitable[T]], *args: Any) -> Deferred[T]:
        """See `IDatabase`."""
        if not self._open:
            return fail(_closed())
        done: Deferred[Any] = Deferred()
        self._jobs.put(_Job(work, args, done))
        return done if self._observe is None else done.addBoth(_timed, self._observe, perf_counter())

    def check(self) -> Deferred[None]:
        """See `IDatabase`."""
        return self.interact(_ask)

    def stop(self) -> Deferred[None]:
        """See `IDatabase`."""
        if not self._open:
            return succeed(None)
        self._open = False
        self._jobs.put(None)
        return self._stopped

    def _run(self, started: Deferred[None]) -> None:
        """The database's thread, from its first to its last moment."""
        engine = Engine(str(self._path))
        try:
            engine.open()
            engine.migrate(migrations.ours())
        except Exception:
            engine.close()
            self._reactor.callFromThread(self._start_failed, started, Failure())
            return
        self._reactor.callFromThread(started.callback, None)
        while (job := self._jobs.get()) is not None:
            group, last = self._waiting(job)
            outcomes = engine.run([(job.work, job.args) for job in group])
            self._reactor.callFromThread(_tell, group, outcomes)
            if last:
                break
        engine.close()
        self._reactor.callFromThread(self._stopped.callback, None)

    def _waiting(self, first: _Job) -> tuple[list[_Job], bool]:
        """The transactions that wait now, and whether they are the last ones ever."""
        group = [first]
        try:
            while len(group) < GROUP:
                job = self._jobs.get_nowait()
                if job is None:
                    return group, True
                group.append(job)
        except Empty:
            pass
        return group, False

    def _start_failed(self, started: Deferred[None], failure: Failure) -> None:
        self._open = False
        started.errback(failure)
        while not self._jobs.empty():
            job = self._jobs.get()
            if job is None:
                self._stopped.callback(None)
            else:
                job.done.errback(_closed())


def _tell(group: Sequence[_Job], outcomes: Sequence[Outcome]) -> None:
    for job, outcome in zip(group, outcomes, strict=True):
        if outcome.failure is None:
            job.done.callback(outcome.result)
        else:
            job.done.errback(outcome.failure)


def _timed(result: T, observe: Callable[[float], None], begun: float) -> T:
    observe(perf_counter() - begun)
    return result


async def _ask(cursor: ICursor) -> None:
    await cursor.execute("SELECT 1")
