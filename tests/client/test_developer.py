"""The developer door's client at a real door, in memory."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gameroom.client.developer import DeveloperClient
from gameroom.client.lines import ConnectionFailed
from gameroom.client.lobby import LobbyClient
from gameroom.errors import BadState, Conflict, InvalidRequest, NotFound
from gameroom.settings import StoreSettings
from gameroom.store.bundles import BundleFiles
from gameroom.uploads import Uploads
from tests.client.links import Linked, link
from tests.doors.developer_world import DeveloperWorld

PASSWORD = "correct horse"
DATA = random.Random(4).randbytes(700_000)


class DeveloperTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = DeveloperWorld()
        folder = self.world.data / "uploads"
        folder.mkdir()
        self.world.uploads = Uploads(
            database=self.world.database,
            bundles=BundleFiles(self.world.data),
            folder=folder,
            clock=self.world.clock,
            limits=lambda: self.world.limits,
            settings=StoreSettings(),
            defer_to_thread=maybeDeferred,
            random_bytes=os.urandom,
            boot="this boot",
        )
        self.successResultOf(self.world.uploads.start())
        self.door = self.world.developer_factory()
        self.linked = self.connect()
        self.client: DeveloperClient = self.linked.client
        self.linked.result(self.client.register("ada", PASSWORD))
        self.game_id = self.linked.result(self.client.create_game("Dots", "Join them.", "gui", 4))
        self.path = Path(self.mktemp())
        self.path.write_bytes(DATA)

    def connect(self) -> Linked:
        return link(DeveloperClient, self.door, self.world.clock)

    def test_another_door(self) -> None:
        """Who has taken one port for the other is told; who is wrong in another way hears what the door says."""
        lost = link(LobbyClient, self.door, self.world.clock)
        with self.assertRaisesRegex(ConnectionFailed, "no player can log in at this port, which is another door's; the lobby is usually at 7000"):
            lost.result(lost.client.login("ada", PASSWORD))
        with self.assertRaisesRegex(InvalidRequest, "letters"):
            self.linked.result(self.client.register("ada ada", PASSWORD))

    def test_games(self) -> None:
        """Make, change, list, put online."""
        [game] = self.linked.result(self.client.games())
        self.assertEqual((game["name"], game["status"], game["latest_version"]), ("Dots", "OFFLINE", None))
        self.linked.result(self.client.update_game(self.game_id, description="Join more of them."))
        [game] = self.linked.result(self.client.games(limit=1))
        self.assertEqual(game["description"], "Join more of them.")
        self.assertEqual(self.linked.result(self.client.games(before=self.game_id)), [])
        self.assertRaises(BadState, self.linked.result, self.client.set_status(self.game_id, "ONLINE"))
        self.assertRaises(Conflict, self.linked.result, self.client.create_game("Dots", "", "gui", 4))
        self.assertEqual(self.linked.result(self.client.logs(self.game_id)), [])
        self.assertRaises(NotFound, self.linked.result, self.client.logs("nope", 10))

    def test_upload(self) -> None:
        """What was uploaded is what a player downloads; versions are listed and can be yanked."""
        done = self.linked.result(self.client.upload(self.game_id, "1.0.0", self.path, chunk_size=100_000))
        self.assertEqual((done.version, done.is_latest, done.sent_bytes), ("1.0.0", True, len(DATA)))
        [version] = self.linked.result(self.client.versions(self.game_id, details=True))
        self.assertEqual((version["size_bytes"], version["yanked"]), (len(DATA), False))
        [plain] = self.linked.result(self.client.versions(self.game_id))
        self.assertEqual(plain.keys(), {"version", "uploaded_at", "is_latest"})
        self.assertRaises(Conflict, self.linked.result, self.client.upload(self.game_id, "1.0.0", self.path))

        player = link(LobbyClient, self.world.lobby, self.world.clock)
        player.result(player.client.register("ann", PASSWORD))
        part = Path(self.mktemp())
        self.assertEqual(player.result(player.client.download(self.game_id, part)).checksum, version["checksum"])
        self.assertEqual(part.read_bytes(), DATA)

        self.linked.result(self.client.yank(self.game_id, "1.0.0"))
        self.assertRaises(NotFound, player.result, player.client.latest_version(self.game_id))

    def test_taken_up_on_another_connection(self) -> None:
        """What the door has of it is not sent again."""
        uploading = self.client.upload(self.game_id, "1.0.0", self.path, chunk_size=10_000, window=2)
        for _ in range(20):
            self.linked.pump.pump()
        self.linked.pump.client.connectionLost(Failure(ConnectionLost()))
        self.failureResultOf(uploading, ConnectionFailed)
        again = self.connect()
        again.result(again.client.login("ada", PASSWORD))
        seen: list[Any] = []
        done = again.result(again.client.upload(self.game_id, "1.0.0", self.path, progress=lambda *there: seen.append(there)))
        there = seen[0][0]
        self.assertGreater(there, 0)
        self.assertEqual(done.sent_bytes, len(DATA) - there)

    def test_status_and_cancel(self) -> None:
        """An unfinished upload can be looked at, found by who does not know its id, and dropped."""
        begun = self.linked.result(self.client.request("UPLOAD_BEGIN", {"game_id": self.game_id, "version": "1.0.0", "size_bytes": 10}))
        status = self.linked.result(self.client.upload_status(begun["upload_id"]))
        self.assertEqual(status, {"next_seq": 0, "received_bytes": 0, "size_bytes": 10})
        for game_id in (None, self.game_id):
            [listed] = self.linked.result(self.client.uploads(game_id))
            self.assertEqual((listed["upload_id"], listed["game_id"], listed["version"]), (begun["upload_id"], self.game_id, "1.0.0"))
        self.assertRaises(NotFound, self.linked.result, self.client.uploads("nope"))
        self.linked.result(self.client.cancel_upload(begun["upload_id"]))
        self.assertEqual(self.linked.result(self.client.uploads()), [])
        self.assertRaises(BadState, self.linked.result, self.client.upload_status(begun["upload_id"]))
