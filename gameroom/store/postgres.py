"""PostgreSQL through txpostgres: a few connections, each for one transaction at a time.

Only connections that live stand in the queue; each that is lost is replaced by a new one, again and again until the
server is back. A transaction that had not come to its COMMIT when its connection was lost is simply run again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, DeferredList, fail
from twisted.internet.task import deferLater
from twisted.logger import Logger
from zope.interface import implementer

from gameroom.interfaces import ICursor, IDatabase
from gameroom.store import migrations
from gameroom.store.errors import DatabaseUnavailable
from gameroom.store.postgres_link import Link, TryAgain

T = TypeVar("T")

WAIT_SECONDS = 10.0
"""How long a transaction waits for a connection."""

CHECK_SECONDS = 2.0
TRIES = 20
"""How often a transaction is run that met others' changes, or whose connection was lost."""

LONGEST_PAUSE = 5.0
"""Between two tries to connect, in seconds."""

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

    _log = Logger()

    def __init__(
        self, url: str, *, reactor: Any, size: int = 4, statement_seconds: float = 10.0, observe: Callable[[float], None] | None = None
    ) -> None:
        self._url = url
        self._reactor = reactor
        self._size = size
        self._statement_seconds = statement_seconds
        self._observe = observe
        self._open = False
        self._links: set[Link] = set()
        self._idle: deque[Link] = deque()
        self._waiting: deque[Deferred[Link]] = deque()
        self._under_way = 0
        self._draining: list[Deferred[None]] = []
        self._connecting: set[Link] = set()
        self._pauses: set[Deferred[None]] = set()
        self._replacing: set[Deferred[None]] = set()

    def start(self) -> Deferred[None]:
        """See `IDatabase`. Fires with the first connection open and the schema up to date; the others follow."""
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        self._open = True
        try:
            self._welcome(await self._connect())
            files = migrations.ours()
            while await self._repeat(_BEGIN_MIGRATION, _apply_next, (files,), WAIT_SECONDS):
                pass
        except Exception:
            await self._stop()
            raise
        for _ in range(self._size - 1):
            self._replace()

    def interact(self, work: Callable[..., Awaitable[T]], *args: Any) -> Deferred[T]:
        """See `IDatabase`."""
        return self._shielded(_BEGIN, work, args, WAIT_SECONDS)

    def check(self) -> Deferred[None]:
        """See `IDatabase`."""
        return self._shielded(_BEGIN, _ask, (), CHECK_SECONDS)

    def stop(self) -> Deferred[None]:
        """See `IDatabase`."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._open = False
        if self._under_way:
            drained: Deferred[None] = Deferred()
            self._draining.append(drained)
            await drained
        for link in list(self._links):
            link.lose()
        for link in list(self._connecting):
            link.abandon()
        for pause in list(self._pauses):
            pause.cancel()
        await DeferredList(list(self._replacing))

    def _shielded(self, begin: str, work: Callable[..., Awaitable[Any]], args: tuple[Any, ...], wait: float) -> Deferred[Any]:
        """Whoever cancels this Deferred cancels no query, which psycopg2 would not take well."""
        if not self._open:
            return fail(DatabaseUnavailable("the database is closed; start the daemon again"))
        done: Deferred[Any] = Deferred()
        self._under_way += 1
        begun = self._reactor.seconds()
        Deferred.fromCoroutine(self._repeat(begin, work, args, wait)).addBoth(self._finished, done, begun)
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
            link = await self._take(wait)
            try:
                return await link.transact(begin, work, args)
            except TryAgain:
                if tries == TRIES:
                    raise
            finally:
                self._give(link)
            # The more tries, the farther apart those who stand in each other's way.
            await deferLater(self._reactor, 0.002 * tries)
            tries += 1

    async def _take(self, wait: float) -> Link:
        """A connection that lives. Raises `DatabaseUnavailable` where none is free within `wait` seconds."""
        if self._idle:
            return self._idle.popleft()
        free: Deferred[Link] = Deferred()
        self._waiting.append(free)
        deadline = self._reactor.callLater(wait, self._give_up, free, wait)
        try:
            return await free
        finally:
            if deadline.active():
                deadline.cancel()

    def _give_up(self, free: Deferred[Link], wait: float) -> None:
        self._waiting.remove(free)
        why = f"all {len(self._links)} connections to PostgreSQL were busy" if self._links else "PostgreSQL could not be reached"
        free.errback(DatabaseUnavailable(f"{why} for {wait:g} s; try again, and look at the database server"))

    def _give(self, link: Link) -> None:
        """A connection is free again; a lost one is not given to anybody."""
        if not link.alive:
            return
        if self._waiting:
            self._waiting.popleft().callback(link)
        else:
            self._idle.append(link)

    async def _connect(self) -> Link:
        link = Link(self._reactor, self._lost)
        self._connecting.add(link)
        try:
            await link.open(self._url, self._reactor, self._statement_seconds)
        finally:
            self._connecting.discard(link)
        return link

    def _welcome(self, link: Link) -> None:
        self._links.add(link)
        self._give(link)

    def _lost(self, link: Link) -> None:
        if link not in self._links:
            # It never came to be open.
            return
        self._links.discard(link)
        if link in self._idle:
            self._idle.remove(link)
        if self._open:
            self._log.warn("a connection to PostgreSQL was lost; connecting again")
            self._replace()

    def _replace(self) -> None:
        replaced = Deferred.fromCoroutine(self._connect_again())
        self._replacing.add(replaced)
        replaced.addErrback(lambda failure: self._log.failure("connecting to PostgreSQL went wrong", failure))
        replaced.addCallback(lambda _: self._replacing.discard(replaced))

    async def _connect_again(self) -> None:
        """Connect, however long the server takes to come back."""
        pause = 0.1
        while self._is_needed():
            try:
                link = await self._connect()
            except DatabaseUnavailable as error:
                if self._is_needed():
                    self._log.warn("{reason}", reason=error.message)
                    await self._pause(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
            else:
                if self._is_needed():
                    self._welcome(link)
                else:
                    link.lose()
                return

    def _is_needed(self) -> bool:
        """Whether there is, or may come, something to do for a connection."""
        return self._open or self._under_way > 0

    async def _pause(self, seconds: float) -> None:
        """Wait, but not once the database stops."""
        pause: Deferred[None] = deferLater(self._reactor, seconds)
        self._pauses.add(pause)
        try:
            await pause
        except CancelledError:
            pass
        finally:
            self._pauses.discard(pause)


async def _apply_next(cursor: ICursor, files: list[migrations.Migration]) -> bool:
    """One migration, while every other node waits; however long it takes."""
    await cursor.execute("SET LOCAL statement_timeout = 0")
    await cursor.execute("SELECT pg_advisory_xact_lock(:key)", {"key": _MIGRATION_LOCK})
    return await migrations.apply_next(cursor, files)


async def _ask(cursor: ICursor) -> None:
    await cursor.execute("SELECT 1")
