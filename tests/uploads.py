"""What tests of uploads have in common: a developer with a game, a folder, and a daemon that can be started again."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from typing import Any
from unittest import mock

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gameroom.interfaces import ICursor
from gameroom.rules.sessions import Account
from gameroom.settings import Limits, StoreSettings
from gameroom.store import catalogue as table
from gameroom.store.bundles import BundleFiles
from gameroom.uploads import Begun, Uploads
from tests.memory import MemoryDatabase
from tests.store.test_recordings import Threads

GAME = "11111111-1111-4111-8111-111111111111"
OTHER_GAME = "22222222-2222-4222-8222-222222222222"
FOREIGN_GAME = "33333333-3333-4333-8333-333333333333"
START = 1_800_000_000.0
MIB, GIB = 1 << 20, 1 << 30


def developer(name: str) -> Account:
    return Account(username=name.title(), key=name, role="developer", account_id=f"account-of-{name}")


ALICE, BOB = developer("alice"), developer("bob")


async def _furnish(cursor: ICursor) -> None:
    """Two developers, with two games and with one."""
    for account in (ALICE, BOB):
        await cursor.execute(
            """
            INSERT INTO accounts (account_id, role, username, key, password_hash, created_ms, login_ms)
            VALUES (:account_id, :role, :username, :key, '', 0, 0)
            """,
            attrs.asdict(account),
        )
    for game_id, owner in ((GAME, ALICE), (OTHER_GAME, ALICE), (FOREIGN_GAME, BOB)):
        await table.put_game(
            cursor,
            table.Game(
                game_id=game_id,
                developer=owner.account_id,
                name=f"Game {game_id}",
                description="",
                game_type="cli",
                max_players=4,
                status="OFFLINE",
                created_ms=0,
            ),
        )


async def furnish(database: Any) -> None:
    """Put two developers and their games into a database."""
    await database.interact(_furnish)


def disk_of(*, size: int, free: int) -> Any:
    """A patch after which the disk has so many bytes, and so many of them are free."""
    block = 4096
    result = os.statvfs_result((block, block, size // block, free // block, free // block, 0, 0, 0, 0, 255))
    return mock.patch("gameroom.store.free_disk.os.statvfs", return_value=result)


class UploadsCase(SynchronousTestCase):
    """Uploads over a database in memory and a real folder."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(START)
        self.threads = Threads()
        self.publishing: Threads | None = None
        self.data = Path(self.mktemp())
        self.data.mkdir()
        self.limits = Limits(bundle_bytes=MIB)
        self.numbers = count(1)
        self.database: Any = MemoryDatabase()
        self.successResultOf(self.database.interact(_furnish))
        self.bundles = BundleFiles(self.data)
        self.disk(size=100 * GIB, free=50 * GIB)
        self.uploads = self.started()

    def disk(self, *, size: int, free: int) -> None:
        """From now on the disk is so large, and so much of it is free."""
        patcher = disk_of(size=size, free=free)
        patcher.start()
        self.addCleanup(patcher.stop)

    def make(self, boot: str = "this boot") -> Uploads:
        return Uploads(
            database=self.database,
            bundles=self.bundles,
            folder=self.data / "uploads",
            clock=self.clock,
            limits=lambda: self.limits,
            settings=StoreSettings(keep_uploads=86400.0),
            defer_to_thread=self.threads.defer,
            publish_in_thread=None if self.publishing is None else self.publishing.defer,
            random_bytes=lambda length: next(self.numbers).to_bytes(length, "big"),
            boot=boot,
        )

    def started(self, boot: str = "this boot") -> Uploads:
        """Another start of the daemon, also after one that was killed: nothing was said to the one before."""
        uploads = self.make(boot)
        self.successResultOf(uploads.start())
        self.addCleanup(uploads._files.close_all)
        return uploads

    def begin(self, version: str = "1.0.0", size: int = 10, checksum: str | None = None, game_id: str = GAME, account: Account = ALICE) -> str:
        return self.begun(version, size, checksum, game_id, account).upload_id

    def begun(self, version: str, size: int, checksum: str | None = None, game_id: str = GAME, account: Account = ALICE) -> Begun:
        return self.successResultOf(self.uploads.begin(account, game_id, version, size, checksum))

    def chunk(self, upload_id: str, seq: int, data: bytes, account: Account = ALICE) -> None:
        """Send a chunk; what is wrong with it is raised, at once or not."""
        result = self.uploads.chunk(account, upload_id, seq, data)
        if result is not None:
            self.result_of(result)

    def result_of(self, deferred: Deferred[Any]) -> Any:
        """What it fired with; raises what it failed with."""
        found: list[Any] = []
        failed: list[Any] = []
        deferred.addCallbacks(found.append, failed.append)
        if failed:
            raise failed[0].value
        return found[0]

    def status(self, upload_id: str) -> tuple[int, int]:
        found = self.successResultOf(self.uploads.status(ALICE, upload_id))
        return found["next_seq"], found["received_bytes"]

    def files(self) -> list[str]:
        """What is in the folder of uploads."""
        return sorted(path.name for path in (self.data / "uploads").iterdir())

    def rows(self, sql: str, **params: Any) -> list[Any]:
        async def work(cursor: ICursor) -> list[Any]:
            return list(await cursor.execute(sql, params))

        found: list[Any] = self.result_of(self.database.interact(work))
        return found

    def published(self) -> dict[str, bytes]:
        """The bytes of each version that a reader sees."""
        versions = self.rows("SELECT game_id, version FROM versions ORDER BY version")
        return {version: self.bundles.path(game_id, version).read_bytes() for game_id, version in versions}
