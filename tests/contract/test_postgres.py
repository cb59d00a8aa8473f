"""What only PostgreSQL can do to us: go away, come back, be slow, be full."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from gameroom.interfaces import ICursor
from gameroom.store import DatabaseUnavailable, open_database, postgres
from gameroom.store.errors import UniqueViolation
from gameroom.store.postgres import PostgresDatabase
from gameroom.store.postgres_link import Link
from tests.postgres import PostgresServer, shared_server

reactor: Any = _reactor


async def insert(cursor: ICursor, key: int) -> None:
    await cursor.execute("INSERT INTO things (k) VALUES (:k)", {"k": key})


async def keys(cursor: ICursor) -> list[int]:
    return [k for (k,) in await cursor.execute("SELECT k FROM things ORDER BY k")]


async def sleeping(cursor: ICursor, seconds: float) -> None:
    await cursor.execute("SELECT pg_sleep(:seconds)", {"seconds": seconds})


async def create(cursor: ICursor) -> None:
    await cursor.execute("CREATE TABLE things (k INTEGER PRIMARY KEY)")


async def message_of(deferred: Deferred[Any]) -> str:
    """The one line of the `DatabaseUnavailable` that it fails with."""
    try:
        result = await deferred
    except DatabaseUnavailable as error:
        message = error.message
    else:
        raise AssertionError(f"it did not fail, but gave {result!r}")
    if len(message.splitlines()) != 1:
        raise AssertionError(f"not one line: {message!r}")
    return message


class PostgresTests(TestCase):
    """On a database of the shared server."""

    async def opened(self, **options: Any) -> PostgresDatabase:
        self.url = shared_server().create_database()
        database = PostgresDatabase(self.url, reactor=reactor, **options)
        self.addCleanup(database.stop)
        await database.start()
        await database.interact(create)
        return database

    async def test_statement_timeout(self) -> None:
        """The server ends a statement that takes too long; its transaction fails, and the connection is fit for the next."""
        # So long that no other statement takes it, however busy the machine is.
        database = await self.opened(size=1, statement_seconds=4.0)
        self.assertIn("too long", await message_of(database.interact(sleeping, 60)))
        await database.interact(insert, 1)
        self.assertEqual(await database.interact(keys), [1])

    async def test_bounded_wait(self) -> None:
        """Who gets no connection in time is told so; the transactions under way go on."""
        database = await self.opened(size=1)
        enough: Deferred[None] = Deferred()

        async def work(cursor: ICursor) -> None:
            await keys(cursor)
            await enough

        slow = database.interact(work)
        with patch.object(postgres, "WAIT_SECONDS", 0.05):
            self.assertIn("were busy", await message_of(database.interact(insert, 1)))
        enough.callback(None)
        await slow
        self.assertEqual(await database.interact(keys), [])

    async def test_more_transactions_than_connections(self) -> None:
        """Those that wait get their turn."""
        database = await self.opened(size=2)
        await gatherResults([database.interact(insert, key) for key in range(100)])
        self.assertEqual(await database.interact(keys), list(range(100)))

    async def test_cancel_in_mid_query(self) -> None:
        """Cancelling never reaches the driver: the query goes on and so does the connection."""
        database = await self.opened(size=1)

        async def work(cursor: ICursor) -> None:
            await sleeping(cursor, 0.2)
            await insert(cursor, 1)

        deferred = database.interact(work)
        deferred.addErrback(lambda _: None)
        await deferLater(reactor, 0.05)
        deferred.cancel()
        self.assertEqual(await database.interact(keys), [1])

    async def test_connections_ended_by_an_operator(self) -> None:
        """Idle connections that the server ended are replaced, and nobody is given a dead one."""
        database = await self.opened(size=3)
        end_all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'gameroom'"
        for key in range(3):
            shared_server().execute(self.url, end_all)
            await gatherResults([database.interact(insert, 10 * key + each) for each in range(9)])
        self.assertEqual(len(await database.interact(keys)), 27)

    async def test_as_few_turns_as_can_be(self) -> None:
        """A transaction begins with its first statement, in one message; one without any asks the server nothing."""
        database = await self.opened(size=1)
        said: list[str] = []

        def execute(link: Link, sql: str, params: Any) -> Any:
            said.append(sql)
            return plain(link, sql, params)

        async def nothing(cursor: ICursor) -> int:
            return 7

        plain = Link.execute
        with patch.object(Link, "execute", execute):
            await database.interact(insert, 1)
            self.assertEqual(await database.interact(nothing), 7)
        self.assertEqual([sql.partition(" ")[0] for sql in said], ["BEGIN", "COMMIT"])
        self.assertIn("SERIALIZABLE; INSERT", said[0])
        await self.assertFailure(database.interact(insert, 1), UniqueViolation)
        self.assertEqual(await database.interact(keys), [1])

    async def test_ended_in_mid_transaction(self) -> None:
        """A transaction whose connection is lost before its COMMIT is run again on another one."""
        database = await self.opened(size=2)
        runs: list[int] = []

        async def work(cursor: ICursor) -> None:
            await insert(cursor, 1)
            [(pid,)] = await cursor.execute("SELECT pg_backend_pid()")
            runs.append(pid)
            if len(runs) == 1:
                shared_server().execute(self.url, f"SELECT pg_terminate_backend({pid})")
            await insert(cursor, 2)

        await database.interact(work)
        self.assertEqual(len(set(runs)), 2)
        self.assertEqual(await database.interact(keys), [1, 2])

    async def test_lost_while_committing(self) -> None:
        """Where the COMMIT was under way nobody knows how it ended: it is not run again, and its caller is told."""
        database = await self.opened(size=1)
        slow_commit = """
            CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(25); RETURN NULL; END $$;
            CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON things DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()
        """
        shared_server().execute(self.url, slow_commit)
        runs: list[int] = []

        async def work(cursor: ICursor) -> None:
            await insert(cursor, 1)
            [(pid,)] = await cursor.execute("SELECT pg_backend_pid()")
            runs.append(pid)

        deferred = database.interact(work)
        while not runs or not shared_server().ask(self.url, f"SELECT 1 FROM pg_stat_activity WHERE pid = {runs[0]} AND wait_event = 'PgSleep'"):
            await deferLater(reactor, 0.01)
        shared_server().execute(self.url, f"SELECT pg_terminate_backend({runs[0]})")
        self.assertIn("while a transaction was committed", await message_of(deferred))
        self.assertEqual(len(runs), 1)
        self.assertEqual(await database.interact(keys), [])

    async def test_read_only_server(self) -> None:
        """A server that takes no writes (a standby, a full disk) is told of as one that cannot do its work, and not as a fault of ours."""
        database = await self.opened(size=1)

        async def work(cursor: ICursor) -> None:
            await cursor.execute("SET TRANSACTION READ ONLY")
            await insert(cursor, 1)

        self.assertIn("read-only", await message_of(database.interact(work)))
        await database.interact(insert, 1)

    async def test_stop_while_it_starts(self) -> None:
        """Stopping right after the start leaves nothing behind in the reactor; trial looks."""
        database = PostgresDatabase(shared_server().create_database(), reactor=reactor)
        await database.start()
        await database.stop()


class StartTests(TestCase):
    """A start that cannot be is one line, at once."""

    async def refusal(self, url: str) -> str:
        database = open_database(url, Path("/nowhere"), reactor)
        message = await message_of(database.start())
        await database.stop()
        return message

    async def test_no_server(self) -> None:
        """Nobody listens there, on a socket or a port."""
        self.assertIn("cannot connect", await self.refusal("postgresql://gameroom@/db?host=/nowhere"))
        self.assertIn("cannot connect", await self.refusal("postgresql://gameroom@127.0.0.1:1/db"))

    async def test_no_such_database(self) -> None:
        """The server's own words are in the line."""
        self.assertIn('"missing" does not exist', await self.refusal(shared_server().url("missing")))

    async def test_no_such_user(self) -> None:
        """So they are where it does not know us."""
        url = shared_server().url("postgres").replace("gameroom@", "nobody@")
        self.assertIn('"nobody" does not exist', await self.refusal(url))

    async def test_bad_url(self) -> None:
        """A URL that libpq cannot read is named."""
        self.assertIn("cannot connect", await self.refusal("postgresql://gameroom@/db?nonsense=1"))

    async def test_silent_server(self) -> None:
        """A server that takes the connection and says nothing is given up."""
        port = reactor.listenTCP(0, Factory.forProtocol(Protocol), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        with patch("gameroom.store.postgres_link.CONNECT_SECONDS", 0.1):
            self.assertIn("no answer", await self.refusal(f"postgresql://gameroom@127.0.0.1:{port.getHost().port}/db"))

    async def test_no_right_to_create(self) -> None:
        """Without the right to make tables the line says what was wanted."""
        server = shared_server()
        url = server.create_database()
        server.execute(url, "DROP ROLE IF EXISTS visitor; CREATE ROLE visitor LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        self.assertIn("permission denied", await self.refusal(url.replace("gameroom@", "visitor@")))

    def test_driver_missing(self) -> None:
        """Without the extra the line says how to install it."""
        hidden: dict[str, Any] = {"psycopg2": None, "gameroom.store.postgres": None}
        with patch.dict(sys.modules, hidden), self.assertRaises(DatabaseUnavailable) as caught:
            open_database("postgresql://gameroom@/db", Path("/nowhere"), reactor)
        self.assertIn("gameroom[postgres]", caught.exception.message)


class RestartTests(TestCase):
    """The server goes down and comes back under load."""

    timeout = 300

    def setUp(self) -> None:
        # A busy machine takes its time to start a server, and who waits for it is not to fail meanwhile.
        self.patch(postgres, "WAIT_SECONDS", 240.0)

    async def test_restart_under_load(self) -> None:
        """While the server is stopped and started, only what is in flight may fail; what was acknowledged is there, and all goes on."""
        server = await deferToThread(PostgresServer)
        self.addCleanup(server.close)
        await deferToThread(server.start)
        database = PostgresDatabase(server.create_database(), reactor=reactor, size=3)
        self.addCleanup(database.stop)
        await database.start()
        await database.interact(create)
        acknowledged: list[int] = []
        failed: list[str] = []
        going = True

        async def client(number: int) -> None:
            key = number * 1_000_000
            while going:
                key += 1
                try:
                    await database.interact(insert, key)
                except DatabaseUnavailable as error:
                    failed.append(error.message)
                else:
                    acknowledged.append(key)

        clients = DeferredList([Deferred.fromCoroutine(client(number)) for number in range(8)], fireOnOneErrback=True, consumeErrors=True)
        for _ in range(2):
            before = len(acknowledged)
            while len(acknowledged) < before + 100:
                await deferLater(reactor, 0.01)
            await deferToThread(server.stop)
            await deferLater(reactor, 0.3)
            await deferToThread(server.start)
        before = len(acknowledged)
        while len(acknowledged) < before + 100:
            await deferLater(reactor, 0.01)
        going = False
        await clients
        # Three connections at most were committing at each of the two stops.
        self.assertLessEqual(len(failed), 6, failed)
        self.assertEqual(set(acknowledged) - set(await database.interact(keys)), set())

    async def test_gone_for_longer(self) -> None:
        """While the server stays away, `check` says so soon; once it is back, so are we, without a start."""
        server = await deferToThread(PostgresServer)
        self.addCleanup(server.close)
        await deferToThread(server.start)
        database = PostgresDatabase(server.create_database(), reactor=reactor, size=2)
        self.addCleanup(database.stop)
        await database.start()
        await deferToThread(server.stop)
        with patch.object(postgres, "CHECK_SECONDS", 0.2):
            self.assertIn("could not be reached", await message_of(database.check()))
        await deferToThread(server.start)
        await database.interact(create)
        await database.check()

    async def test_stop_while_the_server_is_gone(self) -> None:
        """The daemon can end without it."""
        server = await deferToThread(PostgresServer)
        self.addCleanup(server.close)
        await deferToThread(server.start)
        database = PostgresDatabase(server.create_database(), reactor=reactor, size=2)
        await database.start()
        await deferToThread(server.stop)
        await deferLater(reactor, 0.2)
        await database.stop()
