"""The games that ship with the daemon, on their way into the store."""

from __future__ import annotations

from pathlib import Path

import gameroom
from gameroom.errors import NotFound
from gameroom.rules.turn_games.games import GAMES
from gameroom.shipped import UnusableGames, pack
from tests.catalogues import make_shipped
from tests.memory import MemoryDatabase
from tests.shipping import TOML, ShippingCase


class ShippedTests(ShippingCase):
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
            for file in filter(None, (bundle.engine, bundle.web)):
                self.successResultOf(catalogue.file(game_id, bundle.version, file))
        turn_games = {self.successResultOf(catalogue.bundle(game_id)).lockstep.get("turn_game") for game_id in games.values()}
        self.assertLessEqual(set(GAMES), turn_games)

    def start_fails(self) -> str:
        message = self.refused(make_shipped(self.database, self.data, self.clock, self.games).start(), UnusableGames)
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

    def test_changed(self) -> None:
        """A game that was changed without a new version is taken over: what is listed, handed out and served is the new one."""
        folder = self.write("dots")
        before = self.started()
        game_id = self.games_of(before)["Dots"]
        old = self.successResultOf(before.bundle(game_id)).folder
        assert old is not None
        (folder / "engine.js").write_text("changed")
        catalogue = self.started()
        self.assertEqual(self.successResultOf(catalogue.file(game_id, "1.0.0", "engine.js")).read_text(), "changed")
        stored = self.successResultOf(catalogue.stored(game_id))
        self.assertEqual(stored.path.read_bytes(), pack(folder))
        self.assertFalse(old.exists())

    def test_a_file_that_was_lost(self) -> None:
        """What was removed, or damaged on the disk, is there again after a start; what is as it should be is left alone."""
        self.write("dots")
        catalogue = self.started()
        game_id = self.games_of(catalogue)["Dots"]
        path = self.successResultOf(catalogue.stored(game_id)).path
        whole, made = path.read_bytes(), path.stat().st_ino
        self.started()
        self.assertEqual(path.stat().st_ino, made)
        path.write_bytes(b"damaged")
        self.started()
        self.assertEqual(path.read_bytes(), whole)
        path.unlink()
        self.started()
        self.assertEqual(path.read_bytes(), whole)

    def test_files_of_an_older_daemon(self) -> None:
        """What an older daemon shipped takes no place any more."""
        self.write("dots", version="1.0.0")
        game_id = self.games_of(self.started())["Dots"]
        self.write("dots", version="1.1.0")
        self.started()
        self.assertEqual([path.name for path in (self.data / "uploadedGame" / game_id).iterdir()], ["1.1.0"])
        (self.games / "dots").rename(self.games / "spots")
        self.started()
        self.assertEqual(list((self.data / "uploadedGame" / game_id).glob("*")), [])

    def test_packed_alike(self) -> None:
        """A folder makes the same bytes, whenever its files were written, and without what Python leaves there."""
        folder = self.write("dots")
        first = pack(folder)
        (folder / "__pycache__").mkdir()
        (folder / "__pycache__" / "x.pyc").write_bytes(b"x")
        (folder / "engine.js").touch()
        self.assertEqual(pack(folder), first)
