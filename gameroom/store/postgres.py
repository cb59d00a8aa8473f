"""PostgreSQL through txpostgres: a few connections, each for one transaction at a time.

A transaction that had not come to its COMMIT when its connection was lost, or that met others' changes of the same
things, is simply run again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import deferLater
from zope.interface import implementer

from gameroom.interfaces import ICursor, IDatabase
from gameroom.store import migrations
from gameroom.store.errors import DatabaseUnavailable
from gameroom.store.postgres_link import TryAgain
from gameroom.store.postgres_pool import Pool

T = TypeVar("T")

WAIT_SECONDS = 10.0
"""How long a transaction waits for a connection."""

CHECK_SECONDS = 2.0
TRIES = 20
"""How often a transaction is run that met others' changes, or whose connection was lost."""

# As SQLite has it: every transaction as if it were alone. What runs on one runs on the other.
_BEGIN = "BEGIN ISOLATION LEVEL SERIALIZABLE"
# Here each statement is to see what others did while we waited for the lock.
_BEGIN_MIGRATION = "BEGIN ISOLATION LEVEL READ COMMITTED"
_MIGRATION_LOCK = 7_412_663_055


@implementer(IDatabase)
class PostgresDatabase:
    """`IDatabase` over a PostgreSQL server.

    `url` is a libpq URI, `size` the number of connections, `statement_seconds` what one statement may take.
    `observe`, where given, is called with how many seconds each transaction took, the wait for a connection included.
    """

    def __init__(
        self, url: str, *, reactor: Any, size: int = 4, statement_seconds: float = 10.0, observe: Callable[[float], None] | None = None
    ) -> None:
        self._reactor = reactor
        self._observe = observe
        self._pool = Pool(url, reactor=reactor, size=size, statement_seconds=statement_seconds)
        self._open = False
        self._under_way = 0
        self._draining: list[Deferred[None]] = []

    def start(self) -> Deferred[None]:
        """See `IDatabase`. Fires with the first connection open and the schema up to date; the others follow."""
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        try:
            await self._pool.open()
            files = migrations.ours()
            while await self._repeat(_BEGIN_MIGRATION, _apply_next, (files,), WAIT_SECONDS):
                pass
        except Exception:
            await self._pool.close()
            raise
        self._open = True
        self._pool.fill()

    def interact(self, work: Callable[..., Awaitable[T]], *args: Any) -> Deferred[T]:
        """See `IDatabase`."""
        return self._shielded(work, args, WAIT_SECONDS)

    def check(self) -> Deferred[None]:
        """See `IDatabase`."""
        return self._shielded(_ask, (), CHECK_SECONDS)

    def stop(self) -> Deferred[None]:
        """See `IDatabase`."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._open = False
        if self._under_way:
            drained: Deferred[None] = Deferred()
            self._draining.append(drained)
            await drained
        await self._pool.close()

    def _shielded(self, work: Callable[..., Awaitable[Any]], args: tuple[Any, ...], wait: float) -> Deferred[Any]:
        """Whoever cancels this Deferred cancels no query, which psycopg2 would not take well."""
        if not self._open:
            return fail(DatabaseUnavailable("the database is closed; start the daemon again"))
        done: Deferred[Any] = Deferred()
        self._under_way += 1
        begun = self._reactor.seconds()
        Deferred.fromCoroutine(self._repeat(_BEGIN, work, args, wait)).addBoth(self._finished, done, begun)
        return done

    def _finished(self, result: Any, done: Deferred[Any], begun: float) -> None:
        self._under_way -= 1
        if self._observe is not None:
            self._observe(self._reactor.seconds() - begun)
        done.callback(result)
        while self._draining and not self._under_way:
            self._draining.pop().callback(None)

    async def _repeat(self, begin: str, work: Callable[..., Awaitable[Any]], args: tuple[Any, ...], wait: float) -> Any:
        """Run a transaction until it goes through, fails for good, or has been tried often enough."""
        tries = 1
        while True:
            link = await self._pool.take(wait)
            try:
                return await link.transact(begin, work, args)
            except TryAgain:
                if tries == TRIES:
                    raise
            finally:
                self._pool.give(link)
            # The more tries, the farther apart those who stand in each other's way.
            await deferLater(self._reactor, 0.002 * tries)
            tries += 1


async def _apply_next(cursor: ICursor, files: list[migrations.Migration]) -> bool:
    """One migration, while every other node waits; however long it takes."""
    await cursor.execute("SET LOCAL statement_timeout = 0")
    await cursor.execute("SELECT pg_advisory_xact_lock(:key)", {"key": _MIGRATION_LOCK})
    return await migrations.apply_next(cursor, files)


async def _ask(cursor: ICursor) -> None:
    await cursor.execute("SELECT 1")
