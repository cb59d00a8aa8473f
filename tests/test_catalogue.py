"""The games that ship with the daemon, in the store and out of their folders."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

import gameroom
from gameroom.catalogue import Bundle, Catalogue, UnusableGames
from gameroom.errors import BadState, NotFound
from gameroom.interfaces import ICursor
from tests.memory import MemoryDatabase

TOML = """
[game]
name = "{name}"
description = "About {name}."
game_type = "multi"
max_players = 4
version = "{version}"

[hosting]
kind = "lockstep"
min_players = 2
max_players = 8

[lockstep]
engine = "engine.js"
encoding = "binary"

[client]
web = "index.html"
"""


class CatalogueCase(SynchronousTestCase):
    """Has a folder of games, a database and a clock."""

    def setUp(self) -> None:
        self.games = Path(tempfile.mkdtemp(prefix="gameroom-games-"))
        self.addCleanup(shutil.rmtree, self.games)
        self.database = MemoryDatabase()
        self.clock = Clock()
        self.clock.advance(1000.0)

    def write(self, slug: str, name: str = "Dots", version: str = "1.0.0", toml: str = TOML) -> Path:
        folder = self.games / slug
        folder.mkdir(exist_ok=True)
        (folder / "game.toml").write_text(toml.replace("{name}", name).replace("{version}", version), "utf-8")
        for file in ("engine.js", "index.html"):
            (folder / file).write_text(f"{file} of {name}", "utf-8")
        return folder

    def started(self) -> Catalogue:
        catalogue = Catalogue(database=self.database, games_dir=self.games, clock=self.clock)
        self.successResultOf(catalogue.start())
        return catalogue

    def games_of(self, catalogue: Catalogue) -> dict[str, str]:
        """The ids of the listed games by their names."""
        return {game["name"]: game["game_id"] for game in self.successResultOf(catalogue.list_games())}

    def refused(self, deferred: Deferred[Any], kind: type[Exception]) -> str:
        return str(self.failureResultOf(deferred, kind).value)

    def execute(self, sql: str, **params: Any) -> None:
        async def work(cursor: ICursor) -> None:
            await cursor.execute(sql, params)

        self.successResultOf(self.database.interact(work))


class BuiltInTests(CatalogueCase):
    """`start`."""

    def test_ids_are_stable(self) -> None:
        """A game keeps its id, its age and its bytes' age over restarts, and the id depends on nothing but the slug."""
        self.write("dots")
        first = self.started()
        before = self.games_of(first)["Dots"]
        self.clock.advance(1000.0)
        again = self.started()
        self.assertEqual(self.games_of(again), {"Dots": before})
        self.database = MemoryDatabase()
        self.write("dots", name="Dots anew")
        self.assertEqual(self.games_of(self.started()), {"Dots anew": before})

    def test_upgrade(self) -> None:
        """A newer gameroom's version takes the place of the older one, of which there is no folder any more."""
        self.write("dots", version="1.0.0")
        game_id = self.games_of(self.started())["Dots"]
        self.write("dots", name="More dots", version="1.1.0")
        catalogue = self.started()
        detail = self.successResultOf(catalogue.detail(game_id))
        self.assertEqual((detail["name"], detail["latest_version"]), ("More dots", "1.1.0"))
        self.refused(catalogue.bundle(game_id, "1.0.0"), NotFound)

    def test_moved_folder(self) -> None:
        """A game whose folder got another name is another game; the one before is gone, its name free."""
        self.write("dots")
        before = self.games_of(self.started())["Dots"]
        (self.games / "dots").rename(self.games / "spots")
        catalogue = self.started()
        self.assertNotEqual(self.games_of(catalogue)["Dots"], before)
        self.refused(catalogue.detail(before), NotFound)

    def test_status_is_kept(self) -> None:
        """A status that somebody has set stays over a restart."""
        self.write("dots")
        game_id = self.games_of(self.started())["Dots"]
        self.execute("UPDATE games SET status = 'OFFLINE', status_set = 1")
        catalogue = self.started()
        self.assertEqual(self.games_of(catalogue), {})
        self.assertEqual(self.successResultOf(catalogue.detail(game_id))["status"], "OFFLINE")

    def test_other_files(self) -> None:
        """What lies beside the games is left alone."""
        self.write("dots")
        (self.games / "README").write_text("no game")
        (self.games / "empty").mkdir()
        self.assertEqual(list(self.games_of(self.started())), ["Dots"])

    def test_shipped_games(self) -> None:
        """The games that really ship with gameroom are without fault, and online on a fresh daemon."""
        self.games = Path(gameroom.__file__).parent / "games"
        catalogue = self.started()
        games = self.games_of(catalogue)
        self.assertGreaterEqual(len(games), 1)
        for game_id in games.values():
            bundle = self.successResultOf(catalogue.bundle(game_id))
            self.assertEqual(bundle.status, "ONLINE")
            for file in (bundle.engine, bundle.web):
                self.successResultOf(catalogue.file(game_id, bundle.version, str(file)))

    def start_fails(self) -> str:
        catalogue = Catalogue(database=self.database, games_dir=self.games, clock=self.clock)
        message = self.refused(catalogue.start(), UnusableGames)
        self.assertEqual(len(message.splitlines()), 1)
        return message

    def test_faults(self) -> None:
        """A fault in a shipped game is one line with file, key and reason, and nothing of the games is put into the store."""
        self.write("bats", name="Bats")
        toml = str(self.write("dots") / "game.toml")
        (self.games / "dots" / "engine.js").unlink()
        self.assertEqual(self.start_fails(), f"{toml}: lockstep.engine names engine.js, which is not there")
        self.write("dots", toml=TOML + "surprise = 1\n")
        message = self.start_fails()
        self.assertIn(toml, message)
        self.assertIn("client.surprise is not known", message)
        self.write("dots", toml=TOML[TOML.index("[hosting]") :])
        self.assertIn("game is missing", self.start_fails())
        (self.games / "dots" / "game.toml").write_bytes(b"\xff")
        self.assertIn(toml, self.start_fails())
        self.write("dots", name="Bats")
        self.assertIn("game.name Bats is another game's already", self.start_fails())
        self.execute("DELETE FROM games WHERE name <> 'Bats'")
        self.write("dots")
        self.assertEqual(set(self.games_of(self.started())), {"Bats", "Dots"})

    def test_no_folder(self) -> None:
        """Without the folder of games the line says what is wrong."""
        self.games /= "missing"
        self.assertIn("missing", self.start_fails())


class AnswerTests(CatalogueCase):
    """What the doors ask for."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.write("dots")
        self.catalogue = self.started()
        self.game_id = self.games_of(self.catalogue)["Dots"]

    def test_list(self) -> None:
        """LIST_GAMES has exactly the seed's fields."""
        expected = {"game_id": self.game_id, "name": "Dots", "status": "ONLINE", "latest_version": "1.0.0", "avg_score": None}
        self.assertEqual(self.successResultOf(self.catalogue.list_games()), [expected])

    def test_list_pages(self) -> None:
        """Newest first; `limit` and `before` page through; an unknown `before` is no game."""
        for number in range(3):
            self.clock.advance(1.0)
            self.write(f"game{number}", name=f"Game {number}")
            self.catalogue = self.started()
        names = [game["name"] for game in self.successResultOf(self.catalogue.list_games())]
        self.assertEqual(names, ["Game 2", "Game 1", "Game 0", "Dots"])
        page = self.successResultOf(self.catalogue.list_games(limit=3))
        self.assertEqual([game["name"] for game in page], names[:3])
        rest = self.successResultOf(self.catalogue.list_games(before=page[-1]["game_id"]))
        self.assertEqual([game["name"] for game in rest], ["Dots"])
        self.refused(self.catalogue.list_games(before="unknown"), NotFound)

    def test_detail(self) -> None:
        """GET_GAME_DETAIL has exactly the seed's fields."""
        self.assertEqual(
            self.successResultOf(self.catalogue.detail(self.game_id)),
            {
                "game_id": self.game_id,
                "name": "Dots",
                "description": "About Dots.",
                "game_type": "multi",
                "max_players": 4,
                "status": "ONLINE",
                "latest_version": "1.0.0",
                "avg_score": None,
                "reviews_sample": [],
            },
        )

    def test_latest(self) -> None:
        """LATEST_VERSION tells the same size and checksum for the same files, and others for other files."""
        info = self.successResultOf(self.catalogue.latest(self.game_id))
        self.assertEqual((info.version, len(info.checksum), info.size_bytes > 100), ("1.0.0", 64, True))
        self.assertEqual(self.successResultOf(self.started().latest(self.game_id)), info)
        (self.folder / "engine.js").write_text("changed")
        self.assertNotEqual(self.successResultOf(self.started().latest(self.game_id)).checksum, info.checksum)

    def test_bundle(self) -> None:
        """What a room plays: the smaller of the players' numbers, the fields of /create, the folder."""
        expected = Bundle(
            game_id=self.game_id,
            version="1.0.0",
            name="Dots",
            status="ONLINE",
            min_players=2,
            max_players=4,
            hosting="lockstep",
            lockstep={"encoding": "binary"},
            engine="engine.js",
            web="index.html",
            folder=self.folder.resolve(),
        )
        self.assertEqual(self.successResultOf(self.catalogue.bundle(self.game_id)), expected)
        self.assertEqual(self.successResultOf(self.catalogue.bundle(self.game_id, "1.0.0")), expected)

    def test_unknown(self) -> None:
        """Unknown games and versions are not found, whatever they are called."""
        for game_id in ("unknown", "", "\0", "x" * 100_000):
            for asked in (self.catalogue.detail, self.catalogue.latest, self.catalogue.bundle):
                self.refused(asked(game_id), NotFound)
        self.refused(self.catalogue.bundle(self.game_id, "9.9.9"), NotFound)
        self.refused(self.catalogue.bundle(self.game_id, "\0"), NotFound)

    def test_offline(self) -> None:
        """A game that is OFFLINE is not listed and not played anew; it is told of, and its rooms may go on."""
        self.execute("UPDATE games SET status = 'OFFLINE'")
        self.assertEqual(self.games_of(self.catalogue), {})
        self.assertIn("offline", self.refused(self.catalogue.bundle(self.game_id), BadState))
        self.assertEqual(self.successResultOf(self.catalogue.bundle(self.game_id, offline_too=True)).status, "OFFLINE")
        self.assertEqual(self.successResultOf(self.catalogue.detail(self.game_id))["status"], "OFFLINE")
        self.assertEqual(self.successResultOf(self.catalogue.latest(self.game_id)).version, "1.0.0")

    def test_no_version(self) -> None:
        """A game without a version cannot be played (105), and has no latest one (103)."""
        self.execute("DELETE FROM versions")
        self.refused(self.catalogue.bundle(self.game_id), BadState)
        self.refused(self.catalogue.latest(self.game_id), NotFound)
        self.assertEqual(self.successResultOf(self.catalogue.detail(self.game_id))["latest_version"], None)

    def test_files(self) -> None:
        """Files inside of the folder are given, nothing outside of it, whatever leads there."""
        (self.folder / "art").mkdir()
        (self.folder / "art" / "ä.png").write_bytes(b"")
        (self.folder / "leads-out").symlink_to("/etc/passwd")
        beside = self.write("spots", name="Spots") / "engine.js"
        for path in ("engine.js", "art/ä.png"):
            self.assertEqual(self.successResultOf(self.catalogue.file(self.game_id, "1.0.0", path)), (self.folder / path).resolve())
        outside = ["", ".", "art", "missing", "/etc/passwd", "../spots/engine.js", "leads-out", "a\0b", "engine.js/x", "x" * 5000, str(beside)]
        for path in outside:
            self.refused(self.catalogue.file(self.game_id, "1.0.0", path), NotFound)
        self.refused(self.catalogue.file(self.game_id, "2.0.0", "engine.js"), NotFound)
        self.refused(self.catalogue.file("unknown", "1.0.0", "engine.js"), NotFound)
