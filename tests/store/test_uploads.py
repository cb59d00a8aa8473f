"""gameroom.store.uploads over both databases: who may begin and publish what, also when many do so at once.

PostgreSQL is a real server and SQLite a real file, so these run on the real reactor.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.trial.unittest import TestCase

from gameroom.errors import BadState, Conflict, Forbidden, NotFound
from gameroom.interfaces import ICursor
from gameroom.store import UniqueViolation, catalogue, open_database, uploads
from gameroom.store.catalogue import Version
from gameroom.store.uploads import UploadRow
from tests.postgres import shared_server
from tests.uploads import ALICE, BOB, FOREIGN_GAME, GAME, GIB, OTHER_GAME, furnish

# Typed by what it is used for: a reactor has many faces.
reactor: Any = _reactor


def upload(number: int, version: str = "1.0.0", game_id: str = GAME, **changes: Any) -> UploadRow:
    row = UploadRow(
        upload_id=f"upload {number}",
        game_id=game_id,
        developer=ALICE.account_id,
        version=version,
        size_bytes=10,
        checksum="",
        begun_ms=1000 * number,
        boot="this boot",
    )
    return attrs.evolve(row, **changes)


def version_of(row: UploadRow) -> Version:
    return Version(
        game_id=row.game_id, version=row.version, size_bytes=row.size_bytes, checksum="f" * 64, uploaded_ms=5, hosting={"kind": "relay", "ü": 1}
    )


async def outcomes(deferreds: list[Deferred[Any]]) -> list[Any]:
    """What many that were begun at once came to: results, and the classes of errors."""
    found: Any = await DeferredList(deferreds, consumeErrors=True)
    return [result if good else result.type for good, result in found]


class UploadsContract:
    """What both databases promise."""

    assertEqual: Callable[..., Any]
    assertIn: Callable[..., Any]
    addCleanup: Callable[..., Any]

    def new_url(self) -> str:
        """The URL of a new, empty database."""
        raise NotImplementedError

    async def setUp(self) -> None:
        self.database = open_database(self.new_url(), Path("/nowhere"), reactor)
        self.addCleanup(self.database.stop)
        await self.database.start()
        await furnish(self.database)

    def begin(self, row: UploadRow, spare: int = GIB) -> Deferred[UploadRow]:
        return self.database.interact(uploads.begin, row, spare)

    def publish(self, row: UploadRow) -> Deferred[bool]:
        return self.database.interact(uploads.publish, row, version_of(row))

    async def told(self, deferred: Deferred[Any]) -> Any:
        [found] = await outcomes([deferred])
        return found

    async def test_begun(self) -> None:
        """What was begun is found as it was, by its id and among all, the oldest first."""
        rows = [upload(1, size_bytes=1 << 40, checksum="a" * 64), upload(2, "2.0.0-rc.1+b"), upload(3, game_id=OTHER_GAME)]
        for row in rows:
            self.assertEqual(await self.begin(row, 1 << 41), row)
        self.assertEqual([await self.database.interact(uploads.find, row.upload_id) for row in rows], rows)
        self.assertEqual(await self.database.interact(uploads.everything), rows)
        self.assertEqual(await self.database.interact(uploads.find, "unknown"), None)

    async def test_own(self) -> None:
        """A developer's are found, of all games or of one, the oldest first; a game must be theirs."""
        rows = [upload(3, "3.0.0"), upload(1), upload(2, game_id=OTHER_GAME), upload(4, game_id=FOREIGN_GAME, developer=BOB.account_id)]
        for row in rows:
            await self.begin(row)
        newest, oldest, other, foreign = rows
        alice, bob = ALICE.account_id, BOB.account_id
        for developer, game_id, expected in (
            (alice, None, [oldest, other, newest]),
            (alice, GAME, [oldest, newest]),
            (alice, OTHER_GAME, [other]),
            (bob, None, [foreign]),
            (bob, GAME, Forbidden),
            (alice, "unknown", NotFound),
            (alice, "\0", NotFound),
        ):
            self.assertEqual(await self.told(self.database.interact(uploads.own, developer, game_id)), expected)

    async def test_resumed(self) -> None:
        """The same version, size and checksum give the upload that is there; others are refused."""
        first = upload(1, "1.0", checksum="a" * 64)
        await self.begin(first)
        self.assertEqual(await self.begin(upload(2, "1.0.0+b", checksum="a" * 64, boot="other"), 0), first)
        for changes in ({}, {"checksum": "b" * 64}, {"checksum": "a" * 64, "size_bytes": 11}):
            self.assertEqual(await self.told(self.begin(upload(2, **changes))), Conflict)

    async def test_refused(self) -> None:
        """An unknown game, another's, a version that is there, a file that is too large for the disk: nothing is begun."""
        await self.begin(upload(1))
        self.assertEqual(await self.publish(upload(1)), True)
        cases = [
            (upload(2, game_id="unknown"), 99, NotFound),
            (upload(2, game_id=FOREIGN_GAME), 99, Forbidden),
            (upload(2, "1"), 0, Conflict),
            (upload(2, "2.0.0"), 9, BadState),
        ]
        for row, spare, expected in cases:
            found = await self.told(self.begin(row, spare))
            assert issubclass(found, expected), (row, found)
        self.assertEqual(await self.database.interact(uploads.everything), [])

    async def test_four_at_once(self) -> None:
        """Of ten that a developer begins at once four are begun; another developer's are not counted."""
        await self.begin(upload(0, game_id=FOREIGN_GAME, developer=BOB.account_id))
        found = await outcomes([self.begin(upload(number, f"{number}.0.0")) for number in range(1, 11)])
        self.assertEqual(sorted(isinstance(one, UploadRow) for one in found), [False] * 6 + [True] * 4)
        self.assertEqual({one for one in found if not isinstance(one, UploadRow)}, {BadState})

    async def test_one_version_at_once(self) -> None:
        """Of several that begin one version at once all get one upload, or are told to ask again."""
        found = await outcomes([self.begin(upload(number)) for number in range(5)])
        rows = [one for one in found if isinstance(one, UploadRow)]
        self.assertEqual(set(rows), set(await self.database.interact(uploads.everything)))
        self.assertEqual({one for one in found if not isinstance(one, UploadRow)} - {UniqueViolation}, set())

    async def test_published(self) -> None:
        """The version is there as it was given, the upload is gone, and whether it is the latest is told; now and later."""
        told = []
        for number, version in enumerate(("1.5.0", "1.0.0", "2.0.0-rc.1", "2.0.0", "2.0.0-rc.2")):
            row = upload(number, version)
            await self.begin(row)
            self.assertEqual(await self.database.interact(uploads.published, row), None)
            self.assertEqual(await self.database.interact(uploads.check_publishable, row), ALICE.username)
            told.append(await self.publish(row))
            self.assertEqual(await self.database.interact(uploads.published, row), told[-1])
            _, there = await self.database.interact(catalogue.find_version, GAME, version)
            self.assertEqual(there, version_of(row))
        self.assertEqual(told, [True, False, False, True, False])
        self.assertEqual(await self.database.interact(uploads.everything), [])

    async def test_status(self) -> None:
        """The first version makes a game ONLINE, once, and never one whose status was set."""
        for game_id, is_set, expected in ((GAME, 0, "ONLINE"), (OTHER_GAME, 1, "OFFLINE")):
            await self.execute("UPDATE games SET status_set = :is_set WHERE game_id = :game_id", is_set=is_set, game_id=game_id)
            for number, version in enumerate(("1.0.0", "2.0.0")):
                row = upload(number, version, game_id)
                await self.begin(row)
                await self.publish(row)
                game = await self.database.interact(catalogue.find, game_id)
                assert game is not None
                self.assertEqual(game.status, expected if version == "1.0.0" else "OFFLINE")
                await self.execute("UPDATE games SET status = 'OFFLINE'")

    async def test_once(self) -> None:
        """Of several that publish one upload at once one does."""
        row = upload(1)
        await self.begin(row)
        found = await outcomes([self.publish(row) for _ in range(5)])
        self.assertEqual((found.count(True), set(found) - {True, BadState, UniqueViolation, Conflict}), (1, set()))

    async def test_not_publishable(self) -> None:
        """What may not be published leaves all as it was: an upload that is gone, of a game that was given away, or of one who is suspended."""
        row = upload(1)
        self.assertEqual(await self.told(self.publish(row)), BadState)
        await self.begin(row)
        await self.execute("UPDATE accounts SET suspended = 1")
        self.assertEqual(await self.told(self.publish(row)), Forbidden)
        await self.execute("UPDATE accounts SET suspended = 0")
        await self.execute("UPDATE games SET developer = 'other' WHERE game_id = :game_id", game_id=GAME)
        self.assertEqual(await self.told(self.publish(row)), Forbidden)
        self.assertEqual(await self.database.interact(uploads.find, row.upload_id), row)
        self.assertEqual(
            await self.database.interact(catalogue.find_version, GAME, "1.0.0"), (await self.database.interact(catalogue.find, GAME), None)
        )

    async def test_game_is_gone(self) -> None:
        """With a game its uploads go."""
        await self.begin(upload(1))
        await self.execute("DELETE FROM games WHERE game_id = :game_id", game_id=GAME)
        self.assertEqual(await self.database.interact(uploads.everything), [])

    async def test_forgotten(self) -> None:
        """By its id, by its age, or because its version is there."""
        for number in range(1, 5):
            await self.begin(upload(number, f"{number}.0.0"))
        await self.database.interact(uploads.forget, "upload 1")
        await self.database.interact(uploads.forget, "upload 1")
        self.assertEqual(await self.database.interact(uploads.forget_old, 3000, ["upload 2"]), ["upload 3"])
        await self.database.interact(uploads.forget_published)
        self.assertEqual([row.upload_id for row in await self.database.interact(uploads.everything)], ["upload 2", "upload 4"])
        await self.database.interact(catalogue.put_version, version_of(upload(2, "2")))
        await self.database.interact(uploads.forget_published)
        self.assertEqual([row.upload_id for row in await self.database.interact(uploads.everything)], ["upload 4"])

    async def test_another_boot(self) -> None:
        """What was looked at belongs to this boot."""
        for number in (1, 2):
            await self.begin(upload(number, f"{number}.0.0"))
        await self.database.interact(uploads.take_over, ["upload 2"], "another")
        self.assertEqual([row.boot for row in await self.database.interact(uploads.everything)], ["this boot", "another"])

    async def execute(self, sql: str, **params: Any) -> None:
        async def work(cursor: ICursor) -> None:
            await cursor.execute(sql, params)

        await self.database.interact(work)


class SQLiteUploads(UploadsContract, TestCase):  # type: ignore[misc]
    """Over a file of SQLite."""

    def new_url(self) -> str:
        folder = tempfile.mkdtemp(prefix="gameroom-sqlite-")
        self.addCleanup(shutil.rmtree, folder)
        return f"sqlite:{folder}/gameroom.db"


class PostgresUploads(UploadsContract, TestCase):  # type: ignore[misc]
    """Over a PostgreSQL server."""

    def new_url(self) -> str:
        return shared_server().create_database()
