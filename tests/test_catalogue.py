"""What the doors ask of the store: games, versions, and their files."""

from __future__ import annotations

import io
import zipfile
from hashlib import sha256
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred

from gameroom.catalogue import Bundle, Catalogue
from gameroom.errors import BadState, NotFound
from gameroom.rules.manifest import PLAIN, Manifest, Service
from gameroom.store import catalogue as table
from gameroom.store.bundles import BundleFiles, DamagedBundle, Record
from tests.shipping import ShippingCase


class AnswerTests(ShippingCase):
    """What the doors ask for."""

    def setUp(self) -> None:
        super().setUp()
        self.source = self.write("dots")
        self.catalogue = self.started()
        self.game_id = self.games_of(self.catalogue)["Dots"]
        self.checksum = self.successResultOf(self.catalogue.latest(self.game_id)).checksum
        self.unpacked = self.data.resolve() / "unpacked" / self.checksum

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
        (self.source / "engine.js").write_text("changed")
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
            folder=self.unpacked,
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
        self.successResultOf(self.catalogue.file(self.game_id, "1.0.0", "engine.js"))
        self.unpacked.chmod(0o755)
        (self.unpacked / "art").mkdir()
        (self.unpacked / "art" / "ä.png").write_bytes(b"")
        (self.unpacked / "leads-out").symlink_to("/etc/passwd")
        beside = self.unpacked.with_name("beside")
        beside.write_bytes(b"")
        for path in ("engine.js", "art/ä.png"):
            self.assertEqual(self.successResultOf(self.catalogue.file(self.game_id, "1.0.0", path)), self.unpacked / path)
        outside = ["", ".", "art", "missing", "/etc/passwd", "../beside", "leads-out", "a\0b", "engine.js/x", "x" * 5000, str(beside)]
        for path in outside:
            self.refused(self.catalogue.file(self.game_id, "1.0.0", path), NotFound)
        self.refused(self.catalogue.file(self.game_id, "2.0.0", "engine.js"), NotFound)
        self.refused(self.catalogue.file("unknown", "1.0.0", "engine.js"), NotFound)
        self.refused(self.catalogue.file(self.game_id, "\0", "engine.js"), NotFound)

    def test_scores(self) -> None:
        """Reviews are seen in the list and in the details."""
        self.execute("UPDATE games SET score_sum = 10, score_count = 3")
        [listed] = self.successResultOf(self.catalogue.list_games())
        self.assertEqual(listed["avg_score"], 3.33)
        self.execute(
            "INSERT INTO accounts (account_id, role, username, key, password_hash, created_ms, login_ms)"
            " VALUES ('a', 'player', 'Ann', 'ann', '', 0, 0)"
        )
        self.execute(
            "INSERT INTO reviews (game_id, account_id, score, comment, created_ms) VALUES (:game_id, 'a', 5, 'fine', 1)", game_id=self.game_id
        )
        detail = self.successResultOf(self.catalogue.detail(self.game_id))
        self.assertEqual((detail["avg_score"], detail["reviews_sample"]), (3.33, [{"player": "Ann", "score": 5, "comment": "fine"}]))


class UploadedTests(ShippingCase):
    """Versions that developers have uploaded."""

    def setUp(self) -> None:
        super().setUp()
        self.catalogue = self.started()
        self.bundles = BundleFiles(self.data)
        game = table.Game(game_id="g", developer="d", name="Mine", description="", game_type="cli", max_players=3, status="ONLINE", created_ms=1)
        self.successResultOf(self.database.interact(table.put_game, game))

    def publish(self, version: str, data: bytes, said: Manifest) -> str:
        """Put a version into the store; its checksum."""
        source = self.folder / "upload"
        source.write_bytes(data)
        checksum = sha256(data).hexdigest()
        kept: dict[str, Any] = {
            "game_id": "g",
            "version": version,
            "size_bytes": len(data),
            "checksum": checksum,
            "uploaded_ms": 1,
            "hosting": said.to_json(),
        }
        self.bundles.place(source, Record(developer="dev", **kept))
        self.successResultOf(self.database.interact(table.put_version, table.Version(**kept)))
        source.unlink()
        return checksum

    def bundle_of(self, **files: str) -> bytes:
        """An archive with these files."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, text in files.items():
                archive.writestr(name.replace("_", "."), text)
        return buffer.getvalue()

    def test_plain(self) -> None:
        """A file that is no bundle is played as relay by as many as the game takes, and is not unpacked."""
        checksum = self.publish("1.0.0", b"anything", PLAIN)
        bundle = self.successResultOf(self.catalogue.bundle("g"))
        self.assertEqual((bundle.hosting, bundle.min_players, bundle.max_players), ("relay", 1, 3))
        self.assertEqual((bundle.folder, bundle.engine, bundle.web, bundle.lockstep), (None, None, None, {}))
        self.refused(self.catalogue.file("g", "1.0.0", "game.toml"), NotFound)
        stored = self.successResultOf(self.catalogue.stored("g"))
        self.assertEqual((stored.version, stored.size_bytes, stored.checksum), ("1.0.0", 8, checksum))
        self.assertEqual((stored.path.name, stored.path.read_bytes()), ("bundle.bin", b"anything"))

    def test_services(self) -> None:
        """A service of the bundle is unpacked to be run here; of one that runs elsewhere nothing is wanted here."""
        here, elsewhere = Service(command=("python3", "service.py"), memory_mb=64), Service(endpoint="tcp:rules.example:7100")
        checksum = self.publish("1.0.0", self.bundle_of(game_toml="", service_py="pass"), Manifest(kind="service", service=here))
        bundle = self.successResultOf(self.catalogue.bundle("g"))
        self.assertEqual((bundle.hosting, bundle.service, bundle.folder), ("service", here, self.data / "unpacked" / checksum))
        self.publish("1.1.0", self.bundle_of(game_toml="", notes_txt="elsewhere"), Manifest(kind="service", service=elsewhere))
        bundle = self.successResultOf(self.catalogue.bundle("g"))
        self.assertEqual((bundle.service, bundle.folder, bundle.server), (elsewhere, None, None))

    def test_not_served(self) -> None:
        """A bundle of which nothing is served here is unpacked when a file of it is asked for, and not before."""
        checksum = self.publish("1.0.0", self.bundle_of(game_toml="", notes_txt="read me"), Manifest(kind="relay"))
        self.assertEqual(self.successResultOf(self.catalogue.bundle("g")).folder, None)
        self.assertFalse((self.data / "unpacked" / checksum).exists())
        path = self.successResultOf(self.catalogue.file("g", "1.0.0", "notes.txt"))
        self.assertEqual(path.read_text(), "read me")

    def test_unpacked_once(self) -> None:
        """Who asks for a bundle while it is unpacked waits for the same; a failure is told to all, and the next one tries again."""
        self.publish("1.0.0", self.bundle_of(game_toml="", index_html="page"), Manifest(kind="relay", web="index.html"))
        calls: list[Deferred[Any]] = []

        def thread(function: Any, *args: Any) -> Deferred[Any]:
            calls.append(Deferred())
            return calls[-1].addCallback(lambda _: function(*args))

        catalogue = Catalogue(database=self.database, bundles=self.bundles, clock=self.clock, defer_to_thread=thread)
        first, second = catalogue.bundle("g"), catalogue.file("g", "1.0.0", "index.html")
        self.assertEqual(len(calls), 1)
        calls.pop().errback(OSError("no space"))
        self.failureResultOf(first, OSError)
        self.failureResultOf(second, OSError)
        third, fourth = catalogue.bundle("g"), catalogue.file("g", "1.0.0", "index.html")
        calls.pop().callback(None)
        self.assertEqual(self.successResultOf(fourth).parent, self.successResultOf(third).folder)
        self.successResultOf(catalogue.bundle("g"))
        self.assertEqual(calls, [])

    def test_unpacked_elsewhere(self) -> None:
        """Unpacking takes long: it has threads that those who only look for a file do not wait for."""
        self.publish("1.0.0", self.bundle_of(game_toml="", index_html="page"), Manifest(kind="relay", web="index.html"))
        held: list[Deferred[Any]] = []

        def busy(function: Any, *args: Any) -> Deferred[Any]:
            held.append(Deferred())
            return held[-1].addCallback(lambda _: function(*args))

        catalogue = Catalogue(database=self.database, bundles=self.bundles, clock=self.clock, defer_to_thread=maybeDeferred, unpack_in_thread=busy)
        unpacked = catalogue.bundle("g")
        self.assertEqual(self.successResultOf(catalogue.stored("g")).version, "1.0.0")
        self.assertNoResult(unpacked)
        held.pop().callback(None)
        self.successResultOf(unpacked)

    def test_damaged(self) -> None:
        """A file that has changed on the disk is our fault, and told as such."""
        self.publish("1.0.0", self.bundle_of(game_toml="", index_html="page"), Manifest(kind="relay", web="index.html"))
        path = self.bundles.path("g", "1.0.0")
        path.write_bytes(path.read_bytes().replace(b"page", b"gape"))
        self.assertIn("index.html: what it holds is not what was packed", self.refused(self.catalogue.bundle("g"), DamagedBundle))

    def test_stored(self) -> None:
        """The latest, or any by its name, yanked or not; what is not there is 103, what is offline 105, in this order."""
        self.refused(self.catalogue.stored("g"), NotFound)
        for number, version in enumerate(("1.0.0", "2.0.0")):
            self.clock.advance(number)
            self.publish(version, version.encode(), PLAIN)
        self.execute("UPDATE versions SET yanked = 1 WHERE version = '2.0.0'")
        self.assertEqual(self.successResultOf(self.catalogue.stored("g")).version, "1.0.0")
        self.assertEqual(self.successResultOf(self.catalogue.stored("g", "2.0.0")).path.read_bytes(), b"2.0.0")
        self.execute("UPDATE games SET status = 'OFFLINE' WHERE game_id = 'g'")
        for wanted in (None, "1.0.0", "2.0.0"):
            self.assertIn("offline", self.refused(self.catalogue.stored("g", wanted), BadState))
        self.refused(self.catalogue.stored("g", "9.0.0"), NotFound)
        self.refused(self.catalogue.stored("g", "\0"), NotFound)
        self.refused(self.catalogue.stored("h"), NotFound)

    def test_missing_file(self) -> None:
        """A version whose file is gone is not found, and says so."""
        self.publish("1.0.0", b"x", PLAIN)
        self.bundles.remove("g", "1.0.0")
        self.assertIn("not on this server", self.refused(self.catalogue.stored("g"), NotFound))

    def test_start_tidies(self) -> None:
        """What no version needs is gone after a start, and what one needs is not."""
        kept = self.publish("1.0.0", b"kept", PLAIN)
        self.publish("2.0.0", b"gone", PLAIN)
        self.execute("DELETE FROM versions WHERE version = '2.0.0'")
        self.successResultOf(self.catalogue.start())
        self.assertEqual([path.name for path in (self.data / "uploadedGame" / "g").iterdir()], ["1.0.0"])
        self.assertEqual(self.successResultOf(self.catalogue.stored("g")).checksum, kept)
