"""The lobby's client at a real lobby, in memory."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

from twisted.internet.defer import fail
from twisted.trial.unittest import SynchronousTestCase

from gameroom.client.lines import ConnectionFailed
from gameroom.client.lobby import LobbyClient
from gameroom.errors import BadState, Conflict, Forbidden, InvalidRequest, NotFound, Unauthorized
from gameroom.wire.lobby import LOBBY
from tests.client.links import Linked, link
from tests.doors.lobby_world import World

PASSWORD = "correct horse"


class LobbyCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.linked: list[Linked] = []

    def client(self, username: str | None = None) -> LobbyClient:
        """A connected client, registered as somebody where a name is given."""
        self.linked.append(link(LobbyClient, self.world.lobby, self.world.clock))
        client: LobbyClient = self.linked[-1].client
        if username is not None:
            self.result(client.register(username, PASSWORD))
        return client

    def flush(self) -> None:
        for _ in range(3):
            for linked in self.linked:
                linked.flush()

    def result(self, deferred: Any) -> Any:
        """What it fires with once everybody has heard everything."""
        self.flush()
        return self.linked[0].result(deferred)

    def game_id(self, client: LobbyClient) -> str:
        [game] = self.result(client.games())
        return str(game["game_id"])


class LobbyTests(LobbyCase):
    def test_accounts(self) -> None:
        """Register, log in elsewhere, which supersedes; change the password; log out."""
        ann, again = self.client("ann"), self.client()
        self.assertEqual(self.result(ann.who_am_i()), {"username": "ann", "role": "player", "room_id": None})
        self.assertRaises(Conflict, self.result, again.register("ann", PASSWORD))
        self.assertRaises(Unauthorized, self.result, again.login("ann", "wrong horse"))
        self.assertEqual(self.result(again.login("ann", PASSWORD)), again.token)
        self.assertRaises(BadState, self.result, ann.who_am_i())
        self.result(again.change_password(PASSWORD, "another horse"))
        self.result(again.logout())
        self.assertIsNone(again.token)
        self.assertRaises(Unauthorized, self.result, again.who_am_i())
        self.result(again.login("ann", "another horse"))
        self.result(again.ping())

    def test_every_command_of_the_lobby_has_a_method(self) -> None:
        """HELP names no command that the client does not send, downloads' included."""
        sent: set[str] = set()
        client = self.client("ann")

        def note(type: str, *_: Any, **__: Any) -> Any:
            sent.add(type)
            return fail(BadState("noted"))

        client.request = note  # type: ignore[method-assign]
        calls: list[Any] = [
            lambda: client.register("a", "b"),
            lambda: client.login("a", "b"),
            client.logout,
            client.who_am_i,
            lambda: client.change_password("a", "b"),
            client.ping,
            client.help,
            client.games,
            lambda: client.game("g"),
            lambda: client.latest_version("g"),
            lambda: client.reviews("g"),
            lambda: client.add_review("g", 1),
            client.players,
            client.rooms,
            lambda: client.room("r"),
            lambda: client.create_room("g"),
            lambda: client.join_room("r"),
            lambda: client.join_party("c"),
            lambda: client.leave_room("r"),
            lambda: client.start_room("r"),
            lambda: client.kick("r", "p"),
            lambda: client.chat("r", "t"),
            client.subscribe,
            lambda: client.room_message("r", {}),
            lambda: client.download("g", Path(self.mktemp()), version="1.0.0"),
        ]
        for call in calls:
            self.failureResultOf(call(), BadState)
        self.assertEqual(sent | {"DOWNLOAD_CANCEL"}, set(LOBBY.commands))

    def test_help(self) -> None:
        commands = self.result(self.client().help())
        self.assertEqual([command["type"] for command in commands], list(LOBBY.commands))

    def test_store(self) -> None:
        """Games, their details and reviews."""
        ann = self.client("ann")
        game_id = self.game_id(ann)
        self.result(ann.add_review(game_id, 4, "Good."))
        detail = self.result(ann.game(game_id))
        self.assertEqual((detail["name"], detail["avg_score"]), ("Dots", 4.0))
        [review] = self.result(ann.reviews(game_id, limit=5))
        self.assertEqual((review["player"], review["comment"]), ("ann", "Good."))
        self.assertEqual(self.result(ann.reviews(game_id, before=review["created_at"])), [])
        self.assertEqual(self.result(ann.games(before=game_id)), [])
        self.assertRaises(NotFound, self.result, ann.game("nope"))
        self.assertRaises(InvalidRequest, self.result, ann.add_review(game_id, 6))

    def test_download(self) -> None:
        """The file that is published, beside other requests; a second one brings nothing that is there."""
        ann = self.client("ann")
        game_id = self.game_id(ann)
        latest = self.result(ann.latest_version(game_id))
        part = Path(self.mktemp())
        coming = ann.download(game_id, part)
        players = ann.players()
        done = self.result(coming)
        self.assertEqual(self.result(players), ["ann"])
        self.assertEqual((done.version, done.checksum, done.size_bytes), (latest["version"], latest["checksum"], latest["size_bytes"]))
        self.assertEqual(sha256(part.read_bytes()).hexdigest(), latest["checksum"])
        self.assertEqual(self.result(ann.download(game_id, part, version="1.0.0")).checksum, latest["checksum"])
        self.assertRaises(NotFound, self.result, ann.download(game_id, part, version="9.9.9"))

    def test_rooms(self) -> None:
        """Two meet by a party code, talk, play, and one is sent away; each hears of it."""
        ann, bob = self.client("ann"), self.client("bob")
        heard: list[Any] = []
        for push in ("CHAT", "ROOM_UPDATED", "ROOM_MESSAGE"):
            bob.on_push(push, lambda payload, push=push: heard.append((push, payload)))  # type: ignore[misc]
        self.result(bob.subscribe(rooms=True))
        room_id = self.result(ann.create_room(self.game_id(ann), public=False))["room_id"]
        code = self.result(ann.room(room_id))["party_code"]
        self.assertEqual(self.result(bob.rooms()), [])
        self.assertEqual(self.result(bob.join_party(code))["room_id"], room_id)
        self.assertEqual(self.result(bob.join_room(room_id))["room_id"], room_id)
        self.assertEqual([room["players"] for room in self.result(bob.rooms())], [["ann", "bob"]])
        self.result(ann.chat(room_id, "hello"))
        self.flush()
        self.assertIn(("CHAT", {"room_id": room_id, "from": "ann", "text": "hello"}), heard)
        self.result(bob.room_message(room_id, {"type": "ready", "ready": True}))
        self.assertRaises(Forbidden, self.result, bob.start_room(room_id))
        started = self.result(ann.start_room(room_id))
        self.assertEqual((started["game_host"], started["game_port"]), ("play.example", 8080))
        self.flush()
        self.assertEqual(self.result(ann.room(room_id))["status"], "PLAYING")
        self.result(ann.kick(room_id, "bob"))
        self.assertRaises(BadState, self.result, bob.leave_room(room_id))
        self.result(ann.leave_room(room_id))
        self.assertRaises(NotFound, self.result, ann.room(room_id))

    def test_presence(self) -> None:
        """Who comes is told to those who have asked."""
        ann = self.client("ann")
        heard: list[Any] = []
        ann.on_push("PLAYER_PRESENCE", heard.append)
        self.world.clock.advance(1)
        self.result(ann.subscribe(presence=True))
        self.client("bob")
        self.world.clock.advance(1)
        self.flush()
        self.assertEqual(heard, [{"online": ["bob"], "offline": []}])

    def test_the_lobby_goes_down(self) -> None:
        """Who waits for nothing is told all the same."""
        ann = self.client("ann")
        lost: list[str] = []
        ann.on_lost(lost.append)
        self.world.lobby.stop()
        self.world.clock.advance(0)
        self.flush()
        self.assertEqual(lost, ["the server closed the connection"])
        self.assertRaises(ConnectionFailed, self.result, ann.ping())
