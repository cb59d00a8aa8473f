"""One suite over both databases: what `IDatabase` promises, and our SQL, hold on either.

PostgreSQL is a real server (tests/postgres.py) and SQLite a real file, so these run on the real reactor.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import attrs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.threads import blockingCallFromThread, deferToThread
from twisted.trial.unittest import TestCase

from gameroom.errors import BadState
from gameroom.interfaces import ICursor, IDatabase
from gameroom.rules.room import Member, Room
from gameroom.store import DatabaseUnavailable, UniqueViolation, catalogue, migrations, open_database, rooms
from gameroom.store.migrations import Migration
from tests.postgres import shared_server
from tests.store.values import game, random_rooms, room, seated, version

# Typed by what it is used for: a reactor has many faces.
reactor: Any = _reactor


async def run(cursor: ICursor, *sql: str) -> list[Any]:
    """Run statements; gives the rows of the last one."""
    rows: list[Any] = []
    for statement in sql:
        rows = await cursor.execute(statement)
    return rows


async def put(cursor: ICursor, key: int, value: Any = None) -> None:
    await cursor.execute("INSERT INTO things (k, n) VALUES (:k, :n)", {"k": key, "n": value})


async def increment(cursor: ICursor, key: int) -> int:
    [(found,)] = await cursor.execute("SELECT n FROM things WHERE k = :k", {"k": key})
    await cursor.execute("UPDATE things SET n = :n WHERE k = :k", {"k": key, "n": found + 1})
    return int(found) + 1


class DatabaseContract:
    """What both databases hold. Each test has an empty database of its own, with our schema and a table `things`."""

    database: IDatabase
    url: str

    assertEqual: Callable[..., Any]
    assertTrue: Callable[..., Any]
    assertIn: Callable[..., Any]
    addCleanup: Callable[..., Any]

    def new_url(self) -> str:
        """The URL of a new, empty database."""
        raise NotImplementedError

    def opened(self, url: str) -> IDatabase:
        database = open_database(url, Path("/nowhere"), reactor)
        self.addCleanup(database.stop)
        return database

    async def setUp(self) -> None:
        self.url = self.new_url()
        self.database = self.opened(self.url)
        await self.database.start()
        await self.database.interact(run, "CREATE TABLE things (k INTEGER PRIMARY KEY, n BIGINT, t TEXT, b BYTEA, d DOUBLE PRECISION)")

    async def failure_of(self, deferred: Deferred[Any], *kinds: type[Exception]) -> Any:
        """The exception that a Deferred fails with."""
        try:
            result = await deferred
        except kinds as error:
            return error
        raise AssertionError(f"it did not fail, but gave {result!r}")

    async def keys(self) -> list[int]:
        return [k for (k,) in await self.database.interact(run, "SELECT k FROM things ORDER BY k")]

    async def test_values(self) -> None:
        """Integers up to 64 bits, any text, bytes, floats and None come back as they were given, in tuples."""
        values = [
            (1, -(2**63), "", b"", 0.5),
            (2, 2**63 - 1, "Zoë 🎲 'quoted' \\ %s %(n)s :n \" \n", bytes(range(256)), -1e300),
            (3, None, None, None, None),
        ]

        async def work(cursor: ICursor) -> list[Any]:
            for k, n, t, b, d in values:
                params = {"k": k, "n": n, "t": t, "b": b, "d": d, "unused": 1}
                await cursor.execute("INSERT INTO things (k, n, t, b, d) VALUES (:k, :n, :t, :b, :d)", params)
            return await cursor.execute("SELECT k, n, t, b, d FROM things ORDER BY k")

        rows = await self.database.interact(work)
        self.assertEqual(rows, values)
        self.assertEqual({type(row) for row in rows}, {tuple})
        self.assertEqual(type(rows[0][3]), bytes)

    async def test_flags(self) -> None:
        """True and False as parameters are 1 and 0 in an integer column."""

        async def work(cursor: ICursor) -> list[Any]:
            await cursor.execute("INSERT INTO things (k, n) VALUES (:k, :n)", {"k": 1, "n": True})
            await cursor.execute("INSERT INTO things (k, n) VALUES (:k, :n)", {"k": 0, "n": False})
            return await cursor.execute("SELECT k, n FROM things ORDER BY k")

        self.assertEqual(await self.database.interact(work), [(0, 0), (1, 1)])

    async def test_numbers_of_aggregates(self) -> None:
        """SUM of integers is an int and AVG a float, on both."""

        async def work(cursor: ICursor) -> list[Any]:
            await put(cursor, 1, 2**40)
            await put(cursor, 2, 2**40 + 1)
            return await cursor.execute("SELECT SUM(n), AVG(k), COUNT(*), MAX(n), MIN(t) FROM things")

        [row] = await self.database.interact(work)
        self.assertEqual(row, (2**41 + 1, 1.5, 2, 2**40 + 1, None))
        self.assertEqual([type(value) for value in row[:4]], [int, float, int, int])

    async def test_same_sql(self) -> None:
        """RETURNING, ON CONFLICT, LIKE with a literal percent sign, and names in literals are read alike."""

        async def work(cursor: ICursor) -> list[Any]:
            rows = await cursor.execute("INSERT INTO things (k, t) VALUES (:k, '100% :k') RETURNING k, t", {"k": 1})
            again = "INSERT INTO things (k) VALUES (1) ON CONFLICT (k) DO NOTHING RETURNING k"
            rows += await cursor.execute(again)
            rows += await cursor.execute("UPDATE things SET n = 7 WHERE t LIKE '%0\\%%' ESCAPE '\\' RETURNING n -- 5% :k")
            rows += await cursor.execute("DELETE FROM things WHERE k > 99 RETURNING k")
            return rows

        self.assertEqual(await self.database.interact(work), [(1, "100% :k"), (7,)])

    async def test_arguments_and_result(self) -> None:
        """The work's arguments are handed on and what it returns comes back."""

        async def work(_cursor: ICursor, *args: Any) -> Any:
            return args

        self.assertEqual(await self.database.interact(work, 1, "two"), (1, "two"))

    async def test_rollback(self) -> None:
        """Work that raises leaves nothing behind, and its own exception comes back."""

        async def work(cursor: ICursor) -> None:
            await put(cursor, 1)
            raise LookupError("changed my mind")

        error = await self.failure_of(self.database.interact(work), LookupError)
        self.assertEqual(str(error), "changed my mind")
        self.assertEqual(await self.keys(), [])

    async def test_failing_neighbours(self) -> None:
        """Among many at once those that fail fail alone, whatever they fail with."""

        async def fails(cursor: ICursor, key: int) -> None:
            await put(cursor, key)
            raise LookupError

        async def wrong(cursor: ICursor, key: int) -> None:
            await put(cursor, key)
            await cursor.execute("SELECT nonsense FROM nowhere")

        works = [(put, fails, twice, wrong)[key % 4] for key in range(40)]
        results = await DeferredList([self.database.interact(work, key) for key, work in enumerate(works)], consumeErrors=True)
        self.assertEqual([success for success, _ in results], [work is put for work in works])
        self.assertEqual(await self.keys(), list(range(0, 40, 4)))

    async def test_unique_violation(self) -> None:
        """A key that is there already is a `UniqueViolation` with table and columns, for one column and for several."""
        await self.database.interact(run, "CREATE TABLE pairs (a INTEGER, b TEXT, UNIQUE (a, b))", "INSERT INTO pairs VALUES (1, 'x')")
        await self.database.interact(put, 5)
        error = await self.failure_of(self.database.interact(put, 5), UniqueViolation)
        self.assertEqual((error.table, error.columns), ("things", ("k",)))
        error = await self.failure_of(self.database.interact(run, "INSERT INTO pairs VALUES (1, 'x')"), UniqueViolation)
        self.assertEqual((error.table, error.columns), ("pairs", ("a", "b")))

    async def test_failed_statement_dooms(self) -> None:
        """After a statement that failed the transaction takes no other, and fails even where the work forgets it."""
        seen: list[str] = []

        async def work(cursor: ICursor) -> str:
            await put(cursor, 1)
            try:
                await put(cursor, 1)
            except UniqueViolation:
                pass
            try:
                await put(cursor, 2)
            except RuntimeError:
                seen.append("refused")
            return "fine"

        await self.failure_of(self.database.interact(work), UniqueViolation)
        self.assertEqual(seen, ["refused"])
        self.assertEqual(await self.keys(), [])

    async def test_cursor_after_the_end(self) -> None:
        """A cursor that was kept is of no use once its transaction is over."""
        kept: list[ICursor] = []

        async def work(cursor: ICursor) -> None:
            kept.append(cursor)

        await self.database.interact(work)
        await self.failure_of(Deferred.fromCoroutine(put(kept[0], 1)), RuntimeError)
        self.assertEqual(await self.keys(), [])

    async def test_foreign_keys(self) -> None:
        """Foreign keys are held, and deleting cascades."""
        await self.database.interact(rooms.insert, attrs.evolve(room(), members=(seated("a", 0),)), "node")
        stray = "INSERT INTO play_members (play_id, user_id, account, token_hash) VALUES ('none', 'a', '', '')"
        await self.failure_of(self.database.interact(run, stray), Exception)
        await self.database.interact(rooms.delete, room().room_id)
        self.assertEqual(await self.database.interact(run, "SELECT * FROM members"), [])

    async def test_many_at_once(self) -> None:
        """Read-then-write transactions at the same time are as if each were alone: no increment is lost."""
        for key in range(3):
            await self.database.interact(put, key, 0)
        results = await gatherResults([self.database.interact(increment, key) for _ in range(20) for key in range(3)])
        self.assertEqual(sorted(results), sorted(list(range(1, 21)) * 3))
        self.assertEqual(await self.database.interact(run, "SELECT DISTINCT n FROM things"), [(20,)])

    async def test_cancel_is_harmless(self) -> None:
        """Cancelling an interaction's Deferred neither breaks the database nor undoes the transaction."""
        deferred = self.database.interact(put, 1)
        deferred.cancel()
        deferred.addErrback(lambda _: None)
        await self.database.check()
        await gatherResults([self.database.interact(put, key) for key in range(2, 10)])
        self.assertEqual(await self.keys(), list(range(1, 10)))

    async def test_check_and_observe(self) -> None:
        """`check` fires while the database answers; each transaction's seconds are told."""
        seconds: list[float] = []
        database = open_database(self.new_url(), Path("/nowhere"), reactor, seconds.append)
        self.addCleanup(database.stop)
        await database.start()
        del seconds[:]
        await database.check()
        await self.failure_of(database.interact(twice, 1), Exception)
        self.assertEqual([0 <= each < 60 for each in seconds], [True, True])

    async def test_stop(self) -> None:
        """`stop` finishes what is under way; afterwards everything fails at once, with one line."""
        under_way = [self.database.interact(put, key) for key in range(30)]
        await self.database.stop()
        self.assertEqual([deferred.called for deferred in under_way], [True] * 30)
        error = await self.failure_of(self.database.interact(put, 99), DatabaseUnavailable)
        self.assertIn("closed", error.message)
        await self.database.stop()
        self.database = self.opened(self.url)
        await self.database.start()
        self.assertEqual(await self.keys(), list(range(30)))

    async def test_start_again(self) -> None:
        """A database that has our schema is taken as it is, by a second node too."""
        await self.database.interact(put, 1)
        others = [self.opened(self.url) for _ in range(2)]
        for other in others:
            await other.start()
            self.assertEqual(await other.interact(run, "SELECT k FROM things"), [(1,)])
        numbers = [(migration.number,) for migration in migrations.ours()]
        self.assertEqual(await self.database.interact(run, "SELECT version FROM schema_version ORDER BY version"), numbers)

    async def test_nodes_start_at_once(self) -> None:
        """Several nodes may start on an empty database in the same moment."""
        url = self.new_url()
        nodes = [self.opened(url) for _ in range(4)]
        await gatherResults([node.start() for node in nodes])
        for node in nodes:
            self.assertEqual(await node.interact(rooms.load_all), [])

    async def test_newer_schema(self) -> None:
        """A database that a newer gameroom has migrated is refused, with both numbers."""
        await self.database.interact(run, "INSERT INTO schema_version (version) VALUES (99)")
        error = await self.failure_of(self.opened(self.url).start(), DatabaseUnavailable)
        self.assertIn("99", error.message)
        self.assertEqual(len(error.message.splitlines()), 1)

    async def test_failing_migration(self) -> None:
        """A migration that breaks off leaves the schema at the one before, and is taken up by the next start."""
        good = Migration(1, "0001_a.sql", "CREATE TABLE first (k INTEGER); -- fine; so far\nINSERT INTO first VALUES (1);")
        bad = Migration(2, "0002_b.sql", "CREATE TABLE second (k INTEGER);\nINSERT INTO nowhere VALUES (1);")
        url = self.new_url()
        with patch.object(migrations, "ours", return_value=[good, bad]):
            error = await self.failure_of(self.opened(url).start(), DatabaseUnavailable)
        self.assertIn("nowhere", error.message)
        mended = attrs.evolve(bad, script="CREATE TABLE second (k INTEGER);")
        with patch.object(migrations, "ours", return_value=[good, mended]):
            database = self.opened(url)
            await database.start()
        self.assertEqual(await database.interact(run, "SELECT k FROM first"), [(1,)])
        self.assertEqual(await database.interact(run, "SELECT k FROM second"), [])

    async def test_unique_seat_and_party_code(self) -> None:
        """Two rooms of one party code, or one account seated in two, are told apart by the violation's columns."""
        one = attrs.evolve(room(), members=(seated("ann", 0),))
        await self.database.interact(rooms.insert, one, "node")
        same_code = attrs.evolve(room("r2"), party_code=one.party_code)
        error = await self.failure_of(self.database.interact(rooms.insert, same_code, "node"), UniqueViolation)
        self.assertEqual((error.table, error.columns), ("rooms", ("party_code",)))
        seated_twice = attrs.evolve(room("r2"), members=(seated("ann", 0),))
        error = await self.failure_of(self.database.interact(rooms.insert, seated_twice, "node"), UniqueViolation)
        self.assertEqual((error.table, error.columns), ("members", ("account",)))
        watching = attrs.evolve(room("r2"), members=(attrs.evolve(seated("ann", 0), seat=None),))
        await self.database.interact(rooms.insert, watching, "node")
        guests = attrs.evolve(room("r3"), members=(seated("g1", 0, account=""), seated("g2", 1, account="")))
        await self.database.interact(rooms.insert, guests, "node")
        error = await self.failure_of(self.database.interact(rooms.save, watching, attrs.evolve(watching, members=one.members)), UniqueViolation)
        self.assertEqual(error.columns, ("account",))

    async def test_rooms_of_a_node(self) -> None:
        """A node's rooms are loaded oldest first, with their members; deleted ones are gone, their plays stay."""
        made = [attrs.evolve(room(f"r{n}"), created_ms=100 - n, members=(seated(f"u{n}", n),)) for n in range(3)]
        for each, node in zip(made, ("a", "b", "a"), strict=True):
            await self.database.interact(rooms.insert, each, node)
        self.assertEqual(await self.database.interact(rooms.load_all, "a"), [made[2], made[0]])
        self.assertEqual(await self.database.interact(rooms.load_all), made[::-1])
        await self.database.interact(rooms.delete, "r0")
        self.assertEqual(await self.database.interact(rooms.load_all, "a"), [made[2]])

    async def test_rooms_round_trip(self) -> None:
        """Whatever a room becomes, in whatever steps, the same room is loaded again."""
        await deferToThread(self._rooms_round_trip)

    def _rooms_round_trip(self) -> None:
        def interact(work: Any, *args: Any) -> Any:
            return blockingCallFromThread(reactor, self.database.interact, work, *args)

        @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(st.lists(random_rooms("r1"), min_size=2, max_size=5))
        def law(steps: list[Room]) -> None:
            # A room is born with its options, code and age; everything else may change.
            steps = [attrs.evolve(step, options=steps[0].options, created_ms=steps[0].created_ms) for step in steps]
            try:
                become(steps)
            finally:
                # Else the next example would be told to be at fault.
                interact(rooms.delete, "r1")

        def become(steps: list[Room]) -> None:
            interact(rooms.insert, steps[0], "node")
            self.assertEqual(interact(rooms.load_all), steps[:1])
            for before, after in pairwise(steps):
                interact(rooms.save, before, after)
                [loaded] = interact(rooms.load_all)
                self.assertEqual(loaded, after)
                # 1 and true are equal in Python, but not in JSON.
                self.assertEqual(repr(loaded.configuration), repr(after.configuration))

        law()

    async def test_members_order(self) -> None:
        """Members are loaded in the order in which they came, also where one went and came again between two savings."""
        ann, bob, cid = (seated(name, seat) for seat, name in enumerate(("ann", "bob", "cid")))
        steps = [attrs.evolve(room(), members=members) for members in ((ann, bob), (bob, ann), (bob, cid, ann), (cid, ann), (ann, bob, cid))]
        await self.database.interact(rooms.insert, steps[0], "node")
        for before, after in pairwise(steps):
            await self.database.interact(rooms.save, before, after)
            self.assertEqual(await self.database.interact(rooms.load_all), [after])

    async def test_seat_changes_hands(self) -> None:
        """Within one saving an account may leave its seat in the room and another may take it."""
        before = attrs.evolve(room(), members=(seated("ann", 0), seated("bob", 1)))
        after = attrs.evolve(room(), members=(attrs.evolve(seated("bob", 1), user_id="Bob"), seated("cid", 0)))
        await self.database.interact(rooms.insert, before, "node")
        await self.database.interact(rooms.save, before, after)
        self.assertEqual(await self.database.interact(rooms.load_all), [after])

    async def test_rewriting_and_ending(self) -> None:
        """A room is written whole over whatever is kept of it, also over nothing; its end is its play's."""
        interact = self.database.interact
        kept = attrs.evolve(room(), members=(seated("a", 0), seated("b", 1)), revision=3)
        so = attrs.evolve(room(), members=(seated("c", 0), seated("a", 1)), configuration={"a": 1}, phase="playing", play_id="p1")
        await interact(rooms.insert, kept, "node")
        await interact(rooms.rewrite, so)
        self.assertEqual(await interact(rooms.load_all), [so])
        await interact(rooms.begin_play, "p1", so, 1000)
        await interact(rooms.end, so.room_id, "p1", 2000, "abandoned")
        self.assertEqual(await interact(rooms.load_all), [])
        self.assertEqual(await interact(rooms.forget_plays, 2001), ["p1"])
        await interact(rooms.rewrite, so)
        self.assertEqual(await interact(rooms.load_all), [])

    async def test_kinds_in_a_configuration(self) -> None:
        """1, 1.0 and true are equal in Python and not in JSON: a change from one to the other is kept."""
        steps = [attrs.evolve(room(), configuration={"a": value}) for value in (1, True, 1.0)]
        await self.database.interact(rooms.insert, steps[0], "node")
        for before, after in pairwise(steps):
            await self.database.interact(rooms.save, before, after)
            [loaded] = await self.database.interact(rooms.load_all)
            self.assertEqual(repr(loaded.configuration), repr(after.configuration))

    async def test_plays(self) -> None:
        """Who was in a play may read its recording, by account or seat token; nobody else; it is forgotten after its time."""
        members = (Member(user_id="Ann", name="Ann", account="ann"), Member(user_id="guest", name="Bob", token_hash="h1"))
        playing = attrs.evolve(room(), members=members)
        interact: Any = self.database.interact
        await interact(rooms.begin_play, "p1", playing, 1000)
        await interact(rooms.begin_play, "p2", room("other"), 1000)

        async def may(**who: Any) -> Any:
            return await interact(partial(rooms.may_read_play, **who), "p1")

        self.assertEqual([await may(account="ann"), await may(token_hash="h1")], [True, True])
        self.assertEqual([await may(account="bob"), await may(token_hash="h2"), await may()], [False, False, False])
        await interact(rooms.add_play_member, "p1", attrs.evolve(members[1], token_hash="h2"))
        self.assertEqual([await may(token_hash="h2"), await may(token_hash="h1")], [True, False])
        self.assertEqual(await interact(partial(rooms.may_read_play, account="ann"), "p2"), False)
        self.assertEqual([await interact(rooms.may_read_play, unknown, "ann") for unknown in ("p3", "p\0")], [None, None])
        await interact(rooms.end_play, "p1", 2000, "finished")
        await interact(rooms.end_play, "p1", 3000, "stopped")
        self.assertEqual(await interact(run, "SELECT ended_ms, reason FROM plays ORDER BY play_id"), [(2000, "finished"), (None, None)])
        self.assertEqual(await interact(rooms.forget_plays, 2000), [])
        self.assertEqual(await interact(rooms.forget_plays, 2001), ["p1"])
        self.assertEqual(await may(account="ann"), None)

    async def test_plays_whose_viewers_are_held_back(self) -> None:
        """While it is on only its players may read it: it is ahead of what its viewers may see. When it is over they may too."""
        members = (Member(user_id="Ann", name="Ann", account="ann", seat=0, locked=True), Member(user_id="guest", name="Bob", token_hash="h1"))
        plain = room()
        playing = attrs.evolve(plain, members=members, options=attrs.evolve(plain.options, viewer_delay=5), phase="playing", play_id="p1")
        interact: Any = self.database.interact
        await interact(rooms.insert, playing, "node")
        await interact(rooms.begin_play, "p1", playing, 1000)
        self.assertEqual(await interact(partial(rooms.may_read_play, account="ann"), "p1"), True)
        self.assertEqual(await interact(partial(rooms.may_read_play, account="bob"), "p1"), False)
        with contextlib.suppress(BadState):
            await interact(partial(rooms.may_read_play, token_hash="h1"), "p1")
            raise AssertionError("a viewer could read ahead")
        await interact(rooms.end_play, "p1", 2000, "finished")
        self.assertEqual(await interact(partial(rooms.may_read_play, token_hash="h1"), "p1"), True)

    async def test_games(self) -> None:
        """Online games are listed newest first and in pages; latest is the highest by semver that is not yanked."""
        interact: Any = self.database.interact
        for number in range(5):
            await interact(catalogue.put_game, game(f"g{number}", created_ms=1000 + number // 2))
        await interact(catalogue.put_game, attrs.evolve(game("off", created_ms=9999), status="OFFLINE"))
        listed = await interact(catalogue.online, 200)
        self.assertEqual([each.game_id for each in listed], ["g4", "g3", "g2", "g1", "g0"])
        first = await interact(catalogue.online, 2)
        second = await interact(catalogue.online, 2, first[-1].game_id)
        third = await interact(catalogue.online, 2, second[-1].game_id)
        self.assertEqual(first + second + third, listed)
        self.assertEqual(await interact(catalogue.online, 2, "unknown"), None)
        self.assertEqual(await interact(catalogue.find, "off"), attrs.evolve(game("off", created_ms=9999), status="OFFLINE"))
        self.assertEqual(await interact(catalogue.find, "unknown"), None)

    async def test_versions(self) -> None:
        """Latest is the highest release by semver precedence and not yanked; equal versions are one."""
        interact: Any = self.database.interact
        await interact(catalogue.put_game, game("g"))
        self.assertEqual(await interact(catalogue.find_version, "g"), (game("g"), None))
        for text in ("1.9.0", "1.10.0", "1.10.0-rc.1", "0.1", "2.0.0-alpha"):
            await interact(catalogue.put_version, version("g", text))
        await interact(catalogue.put_version, attrs.evolve(version("g", "3.0.0"), yanked=True))
        found, latest = await interact(catalogue.find_version, "g")
        self.assertEqual((found.latest_version, latest), ("1.10.0", version("g", "1.10.0")))
        await interact(catalogue.put_version, version("g", "2"))
        self.assertEqual((await interact(catalogue.find, "g")).latest_version, "2")
        await interact(catalogue.put_version, attrs.evolve(version("g", "2.0.0+build"), uploaded_ms=5))
        self.assertEqual((await interact(catalogue.find_version, "g"))[1], version("g", "2.0.0+build"))
        _, named = await interact(catalogue.find_version, "g", "1.9.0")
        self.assertEqual(named, version("g", "1.9.0"))
        self.assertEqual((await interact(catalogue.find_version, "g", "7.0.0"))[1], None)
        self.assertEqual((await interact(catalogue.find_version, "g", "1.9+other"))[1], version("g", "1.9.0"))
        self.assertEqual((await interact(catalogue.find_version, "g", "no version"))[1], None)
        self.assertEqual(await interact(catalogue.find_version, "unknown", "1.0.0"), (None, None))
        gone = await interact(catalogue.keep_only, "gameroom", {("g", "0.1")})
        self.assertEqual(sorted(gone), sorted(("g", text) for text in ("1.9.0", "1.10.0", "1.10.0-rc.1", "2.0.0-alpha", "3.0.0", "2.0.0+build")))
        self.assertEqual((await interact(catalogue.find, "g")).latest_version, "0.1")
        await interact(catalogue.put_game, game("empty"))
        self.assertEqual(await interact(catalogue.all_versions), ({("g", "0.1"): version("g", "0.1").checksum}, {"g", "empty"}))
        self.assertEqual(await interact(catalogue.keep_only, "gameroom", set()), [("g", "0.1")])
        self.assertEqual(await interact(catalogue.find, "g"), None)


async def twice(cursor: ICursor, key: int) -> None:
    await put(cursor, key)
    await put(cursor, key)


class SQLiteContract(DatabaseContract, TestCase):  # type: ignore[misc]
    """The contract over a file of SQLite."""

    def new_url(self) -> str:
        folder = tempfile.mkdtemp(prefix="gameroom-sqlite-")
        self.addCleanup(shutil.rmtree, folder)
        return f"sqlite:{folder}/gameroom.db"


class PostgresContract(DatabaseContract, TestCase):  # type: ignore[misc]
    """The contract over a PostgreSQL server."""

    def new_url(self) -> str:
        return shared_server().create_database()
