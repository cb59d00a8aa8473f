"""Developers' games over both databases."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from twisted.internet import reactor as _reactor
from twisted.internet.defer import DeferredList
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from gameroom.developer_games import DeveloperGames
from gameroom.errors import BadState, Conflict, Forbidden, GameroomError, NotFound
from gameroom.program_logs import ProgramLogs
from gameroom.store import catalogue, developer_games, open_database
from gameroom.store.uploads import UploadRow, begin
from tests.developers import developer
from tests.postgres import shared_server
from tests.store.values import game, version

# Typed by what it is used for: a reactor has many faces.
reactor: Any = _reactor

ADA, EVE = developer("ada"), developer("eve")


def _game(name: str, developer: str) -> catalogue.Game:
    return attrs.evolve(game(f"{developer}/{name}"), developer=developer, name=name)


class DeveloperGamesContract:
    """What developers' games promise on both databases."""

    assertEqual: Callable[..., Any]
    addCleanup: Callable[..., Any]

    def new_url(self) -> str:
        """The URL of a new, empty database."""
        raise NotImplementedError

    async def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.database = open_database(self.new_url(), Path("/nowhere"), reactor)
        self.addCleanup(self.database.stop)
        await self.database.start()
        self.games = DeveloperGames(database=self.database, clock=self.clock, logs=ProgramLogs(self.clock), random_bytes=secrets.token_bytes)

    async def refused(self, deferred: Any, kind: type[GameroomError]) -> None:
        [(good, result)] = await DeferredList([deferred], consumeErrors=True)
        self.assertEqual((good, good or result.type), (False, kind))

    async def test_made_changed_and_listed(self) -> None:
        """Names are one's own, of any script; changes stay; lists come in parts."""
        made: list[str] = []
        for name in ("Dots", "五目並べ", "100%s :name"):
            made.insert(0, await self.games.create(ADA, name, "%s\n:x", "gui", 4))
            await self.refused(self.games.create(ADA, name, "", "gui", 4), Conflict)
            self.clock.advance(1)
        await self.games.create(EVE, "Dots", "", "gui", 4)
        await self.games.update(ADA, made[0])
        await self.games.update(ADA, made[0], description="", max_players=64)
        await self.games.update(ADA, made[0], game_type="cli")
        found: Any = await self.database.interact(catalogue.find, made[0])
        self.assertEqual((found.description, found.max_players, found.game_type, found.status), ("", 64, "cli", "OFFLINE"))
        self.assertEqual([game["game_id"] for game in await self.games.mine(ADA)], made)
        self.assertEqual([game["game_id"] for game in await self.games.mine(ADA, 1, made[0])], made[1:2])
        self.assertEqual([game["description"] for game in await self.games.mine(ADA, 2)], ["", "%s\n:x"])
        await self.refused(self.games.mine(EVE, 1, made[0]), Forbidden)
        await self.refused(self.games.mine(ADA, 1, "a\0"), NotFound)

    async def test_ids_that_no_database_takes(self) -> None:
        """A NUL, which PostgreSQL refuses, is just another id that is unknown, wherever one is looked up."""
        upload = UploadRow(upload_id="u", game_id="a\0b", developer=ADA.account_id, version="1.0.0", size_bytes=1, checksum="", begun_ms=0, boot="")
        for deferred in (
            self.games.mine(ADA, before="a\0b"),
            self.games.update(ADA, "a\0b"),
            self.games.set_status(ADA, "a\0b", "OFFLINE"),
            self.games.versions(ADA, "a\0b"),
            self.games.yank(ADA, "a\0b", "1.0.0"),
            self.games.logs(ADA, "a\0b"),
            self.database.interact(begin, upload, 10),
        ):
            await self.refused(deferred, NotFound)

    async def test_at_once(self) -> None:
        """Of many that make a game of one name at once just one does, and the others are told that it is there."""
        found: Any = await DeferredList([self.games.create(ADA, "Dots", "", "gui", 4) for _ in range(8)], consumeErrors=True)
        self.assertEqual(sorted(str(good or result.type.__name__) for good, result in found), ["Conflict"] * 7 + ["True"])

    async def test_most_games(self) -> None:
        """A developer has so many games and no more; another one is not asked about them."""
        interact: Any = self.database.interact
        await interact(developer_games.insert, _game("one", ADA.account_id), 2)
        await interact(developer_games.insert, _game("two", ADA.account_id), 2)
        await self.refused(interact(developer_games.insert, _game("three", ADA.account_id), 2), BadState)
        await self.refused(interact(developer_games.insert, _game("two", ADA.account_id), 2), Conflict)
        await interact(developer_games.insert, _game("three", "another developer"), 2)
        self.assertEqual({mine["name"] for mine in await self.games.mine(ADA)}, {"one", "two"})

    async def test_versions(self) -> None:
        """They are ordered as semver does, whatever the database's own order of texts; the latest is a release, or else a pre-release, not yanked."""
        game_id = await self.games.create(ADA, "Dots", "", "gui", 4)
        await self.refused(self.games.set_status(ADA, game_id, "ONLINE"), BadState)
        texts = ["10.0.0", "9.0.0", "9.0.0-rc.10", "9.0.0-rc.9", "1.10", "1.9.0+build.7"]
        for text in sorted(texts):
            await self.database.interact(catalogue.put_version, version(game_id, text))
        self.assertEqual([entry["version"] for entry in await self.games.versions(ADA, game_id)], texts)
        for before in ("9.0.0-rc.10", "9.0.0-rc.9.1", "9.0.0-rc.10+other"):
            listed = await self.games.versions(ADA, game_id, 2, before)
            self.assertEqual([entry["version"] for entry in listed][:1], ["9.0.0-rc.9"])
        for text, latest in (("10.0.0+other", "9.0.0"), ("9", "1.10"), ("9", "1.10"), ("1.10.0", "1.9.0+build.7"), ("1.9", "9.0.0-rc.10")):
            await self.games.yank(ADA, game_id, text)
            entries = await self.games.versions(ADA, game_id, details=True)
            self.assertEqual([entry["version"] for entry in entries if entry["is_latest"]], [latest])
        self.assertEqual([entry["yanked"] for entry in entries], [True, True, False, False, True, True])
        self.assertEqual(entries[0]["size_bytes"], 2**33)
        await self.refused(self.games.yank(ADA, game_id, "7.0.0"), NotFound)
        await self.games.set_status(ADA, game_id, "ONLINE")
        for text in texts:
            await self.games.yank(ADA, game_id, text)
        self.assertEqual([(game["status"], game["latest_version"]) for game in await self.games.mine(ADA)], [("ONLINE", None)])


class SQLiteDeveloperGames(DeveloperGamesContract, TestCase):  # type: ignore[misc]
    """Over a file of SQLite."""

    def new_url(self) -> str:
        folder = tempfile.mkdtemp(prefix="gameroom-sqlite-")
        self.addCleanup(shutil.rmtree, folder)
        return f"sqlite:{folder}/gameroom.db"


class PostgresDeveloperGames(DeveloperGamesContract, TestCase):  # type: ignore[misc]
    """Over a PostgreSQL server."""

    def new_url(self) -> str:
        return shared_server().create_database()
