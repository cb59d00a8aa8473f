"""What a developer's program may say, and what it is answered."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from gameroom.doors.line_conversation import Desk
from gameroom.store import DatabaseUnavailable
from gameroom.wire.developer import DEVELOPER
from tests.doors.developer_world import DeveloperWorld, b64

NOBODYS = "00000000-0000-4000-8000-000000000000"


class AccountTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = DeveloperWorld()

    def test_register_and_log_in(self) -> None:
        """As at the lobby, in the developers' role; a newer log-in supersedes with 105."""
        peer = self.world.developer("Ada")
        first = peer.token
        self.assertEqual({"username": "Ada", "role": "developer", "room_id": None}, peer.ok("WHOAMI"))
        peer.token = peer.ok("LOGIN_DEV", username="ada", password="correct horse")["session_token"]
        self.assertEqual("Ada", peer.ok("WHOAMI")["username"])
        peer.token = first
        self.assertEqual([105, 105], [peer.code("LIST_MY_GAMES"), peer.code("WHOAMI")])

    def test_log_out_and_new_password(self) -> None:
        """The session that changes the password goes on; after LOGOUT its token is 101."""
        peer = self.world.developer("ada")
        peer.ok("CHANGE_PASSWORD", old_password="correct horse", new_password="battery staple")
        peer.ok("LIST_MY_GAMES")
        peer.ok("LOGOUT")
        self.assertEqual(101, peer.code("LIST_MY_GAMES"))
        self.assertEqual(101, peer.code("LOGIN_DEV", username="ada", password="correct horse"))
        peer.ok("LOGIN_DEV", username="ada", password="battery staple")

    def test_roles_are_apart(self) -> None:
        """A player's token is 102 here and a developer's at the lobby, for every command; the same name may be both."""
        player, developer = self.world.peer("ada"), self.world.developer("ada")
        player.token, developer.token = developer.token, player.token
        for command in DEVELOPER:
            if command.token:
                self.assertEqual(102, developer.code(command.type), command.type)
        for type_ in ("LIST_GAMES", "WHOAMI", "CREATE_ROOM", "LOGOUT"):
            self.assertEqual(102, player.code(type_), type_)
        self.assertEqual(101, self.world.developer().code("LOGIN_DEV", username="nobody", password="correct horse"))

    def test_not_among_the_players(self) -> None:
        """LIST_PLAYERS at the lobby tells of players."""
        self.world.developer("ada").ok("WHOAMI")
        self.assertEqual({"online_players": ["bob"]}, self.world.peer("bob").ok("LIST_PLAYERS"))

    def test_our_own_name(self) -> None:
        """Nobody can be taken for the developer of the games that ship with the daemon; as a player one may be called so."""
        for name in ("gameroom", "GameRoom", "g\u0430meroom", "garneroom"):
            self.assertEqual(104, self.world.developer().code("REGISTER_DEV", username=name, password="correct horse"), name)
        self.world.peer("gameroom")
        self.world.developer("gameroom-fan")

    def test_without_a_token(self) -> None:
        """Only what comes before a token needs none."""
        for command in DEVELOPER:
            if command.token:
                self.assertEqual(101, self.world.developer().code(command.type), command.type)
        peer = self.world.developer()
        self.assertEqual({}, peer.ok("PING"))
        self.assertEqual(DEVELOPER.help(), peer.ok("HELP")["commands"])

    def test_everything_is_carried_out(self) -> None:
        """A command that is declared and not carried out is found when the door is made."""
        with self.assertRaisesRegex(ValueError, "GET_LOGS"):
            Desk(door="developer", role="developer", table=DEVELOPER, handlers={}, accounts=self.world.accounts, limits=None, arrive=None)  # type: ignore[arg-type]


class GameTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = DeveloperWorld()
        self.ada = self.world.developer("ada")

    def test_made_and_listed(self) -> None:
        """A game is made OFFLINE, without a version, and listed with exactly the seed's fields."""
        answer = self.ada.ok("CREATE_GAME", name="Dots", description="Two\nlines.", game_type="cli", max_players=2)
        self.assertEqual(["game_id"], list(answer))
        expected = {"game_id": answer["game_id"], "name": "Dots", "description": "Two\nlines.", "status": "OFFLINE", "latest_version": None}
        self.assertEqual({"games": [expected]}, self.ada.ok("LIST_MY_GAMES"))
        self.assertEqual({"games": []}, self.world.developer("eve").ok("LIST_MY_GAMES"))

    def test_bad_fields(self) -> None:
        """What a game may not be is 100, and so are fields that are missing, unknown or of another type."""
        good = {"name": "Dots", "description": "", "game_type": "gui", "max_players": 2}
        for bad in (
            {"name": ""},
            {"name": "x" * 65},
            {"name": "a\u202eb"},
            {"name": 1},
            {"description": "x" * 4097},
            {"description": "\u001b[2J"},
            {"description": None},
            {"game_type": "GUI!"},
            {"max_players": 0},
            {"max_players": 65},
            {"max_players": True},
            {"max_players": "2"},
            {"version": "1.0.0"},
        ):
            self.assertEqual(100, self.ada.code("CREATE_GAME", **{**good, **bad}), bad)
        for name in good:
            self.assertEqual(100, self.ada.code("CREATE_GAME", **{key: value for key, value in good.items() if key != name}), name)
        self.assertEqual({"games": []}, self.ada.ok("LIST_MY_GAMES"))
        self.ada.ok("CREATE_GAME", **good)

    def test_name_is_taken(self) -> None:
        """104 for one's own second game of a name; others may have one."""
        self.world.game(self.ada)
        self.assertEqual(104, self.ada.code("CREATE_GAME", name="Dots", description="", game_type="gui", max_players=2))
        self.world.game(self.world.developer("eve"))

    def test_another_developers(self) -> None:
        """On every command: unknown is 103, another developer's 102, and that comes before anything about the game's state."""
        game_id, eve = self.world.game(self.ada), self.world.developer("eve")
        for type_, payload in (
            ("UPDATE_GAME_META", {"description": "mine"}),
            ("SET_GAME_STATUS", {"status": "ONLINE"}),
            ("LIST_VERSIONS", {}),
            ("YANK_VERSION", {"version": "1.0.0"}),
            ("GET_LOGS", {}),
        ):
            self.assertEqual(103, eve.code(type_, game_id=NOBODYS, **payload), type_)
            self.assertEqual(103, eve.code(type_, game_id="a\0b", **payload), type_)
            self.assertEqual(102, eve.code(type_, game_id=game_id, **payload), type_)
        self.assertEqual([103, 102], [eve.code("LIST_MY_GAMES", before=before) for before in (NOBODYS, game_id)])
        built_in = self.world.game_id(self.world.peer("bob"))
        self.assertEqual(102, eve.code("SET_GAME_STATUS", game_id=built_in, status="OFFLINE"))

    def test_payload_before_existence(self) -> None:
        """100 comes before 103, as everywhere."""
        for type_, payload in (
            ("UPDATE_GAME_META", {"max_players": 0}),
            ("UPDATE_GAME_META", {"name": "Other"}),
            ("SET_GAME_STATUS", {"status": "online"}),
            ("SET_GAME_STATUS", {}),
            ("YANK_VERSION", {"version": "one"}),
            ("LIST_VERSIONS", {"before": "one"}),
            ("LIST_VERSIONS", {"limit": 0}),
            ("GET_LOGS", {"lines": 0}),
            ("GET_LOGS", {"lines": 10_001}),
        ):
            self.assertEqual(100, self.ada.code(type_, game_id=NOBODYS, **payload), (type_, payload))

    def test_meta(self) -> None:
        """What is given changes, what is left out stays, and nothing to change is fine."""
        game_id = self.world.game(self.ada)
        player = self.world.peer("bob")

        def shown() -> Any:
            detail = player.ok("GET_GAME_DETAIL", game_id=game_id)
            return detail["description"], detail["max_players"], detail["game_type"]

        for changes, expected in (
            ({}, ("Join the dots.", 4, "gui")),
            ({"description": ""}, ("", 4, "gui")),
            ({"max_players": 64}, ("", 64, "gui")),
            ({"game_type": "board", "description": "New."}, ("New.", 64, "board")),
        ):
            self.assertEqual({}, self.ada.ok("UPDATE_GAME_META", game_id=game_id, **changes))
            self.assertEqual(expected, shown())

    def test_status(self) -> None:
        """ONLINE needs a version; what is set is what players see."""
        game_id, player = self.world.game(self.ada), self.world.peer("bob")
        self.assertEqual(105, self.ada.code("SET_GAME_STATUS", game_id=game_id, status="ONLINE"))
        self.world.publish(game_id, "1.0.0")
        for status, seen in (("ONLINE", True), ("ONLINE", True), ("OFFLINE", False), ("ONLINE", True)):
            self.assertEqual({}, self.ada.ok("SET_GAME_STATUS", game_id=game_id, status=status))
            self.assertEqual(seen, game_id in [game["game_id"] for game in player.ok("LIST_GAMES")["games"]])
        self.assertEqual("ONLINE", self.ada.ok("LIST_MY_GAMES")["games"][0]["status"])

    def test_versions(self) -> None:
        """The highest first, with exactly the seed's fields; more of each is told to who asks."""
        game_id = self.world.game(self.ada)
        for version in ("1.9.0", "2.0.0-rc.1", "1.10", "0.1.0+linux"):
            self.world.publish(game_id, version)
        listed = self.ada.ok("LIST_VERSIONS", game_id=game_id)["versions"]
        self.assertEqual(["2.0.0-rc.1", "1.10", "1.9.0", "0.1.0+linux"], [version["version"] for version in listed])
        self.assertEqual([False, True, False, False], [version["is_latest"] for version in listed])
        for version in listed:
            self.assertEqual((["version", "uploaded_at", "is_latest"], "2023-11-14T22:13:20.000Z"), (list(version), version["uploaded_at"]))
        [first, *_] = self.ada.ok("LIST_VERSIONS", game_id=game_id, details=True)["versions"]
        self.assertEqual({**listed[0], "size_bytes": 3, "checksum": "ab" * 32, "yanked": False}, first)
        self.assertEqual(listed, self.ada.ok("LIST_VERSIONS", game_id=game_id, details=False)["versions"])

    def test_yanked(self) -> None:
        """A yanked version stays listed and is not the latest; the one below is. All yanked: nothing to be had without naming it."""
        game_id, player = self.world.game(self.ada), self.world.peer("bob")
        for version in ("1.0.0", "2.0.0"):
            self.world.publish(game_id, version)
        self.ada.ok("SET_GAME_STATUS", game_id=game_id, status="ONLINE")
        self.assertEqual(103, self.ada.code("YANK_VERSION", game_id=game_id, version="3.0.0"))
        for _ in range(2):
            self.assertEqual({}, self.ada.ok("YANK_VERSION", game_id=game_id, version="2.0.0"))
            listed = self.ada.ok("LIST_VERSIONS", game_id=game_id, details=True)["versions"]
            self.assertEqual([("2.0.0", False, True), ("1.0.0", True, False)], [(v["version"], v["is_latest"], v["yanked"]) for v in listed])
            self.assertEqual("1.0.0", player.ok("LATEST_VERSION", game_id=game_id)["version"])
        # The same version, said in another way.
        self.ada.ok("YANK_VERSION", game_id=game_id, version="1")
        self.assertEqual([103, 105], [player.code(type_, game_id=game_id) for type_ in ("LATEST_VERSION", "CREATE_ROOM")])
        [game] = self.ada.ok("LIST_MY_GAMES")["games"]
        self.assertEqual(("ONLINE", None), (game["status"], game["latest_version"]))
        self.ada.ok("SET_GAME_STATUS", game_id=game_id, status="OFFLINE")
        self.assertEqual(105, self.ada.code("SET_GAME_STATUS", game_id=game_id, status="ONLINE"))

    def test_pages(self) -> None:
        """Long lists come in parts; `before` goes on from the last entry."""
        games = []
        for number in range(5):
            games.append(self.world.game(self.ada, f"Game {number}"))
            self.world.clock.advance(1)
            self.world.publish(games[0], f"0.{number}.0")
        games.reverse()
        seen: list[str] = []
        before: dict[str, str] = {}
        for expected in (2, 2, 1, 0):
            part = [game["game_id"] for game in self.ada.ok("LIST_MY_GAMES", limit=2, **before)["games"]]
            self.assertEqual(expected, len(part))
            seen += part
            before = {"before": seen[-1]}
        self.assertEqual(games, seen)
        versions = self.ada.ok("LIST_VERSIONS", game_id=games[-1], limit=2, before="0.3.0")["versions"]
        self.assertEqual(["0.2.0", "0.1.0"], [version["version"] for version in versions])
        self.assertEqual(5, len(self.ada.ok("LIST_MY_GAMES", limit=1_000_000)["games"]))

    def test_logs(self) -> None:
        """What the game's programs said, oldest first, as many of the last lines as are asked for."""
        game_id = self.world.game(self.ada)
        self.assertEqual({"lines": []}, self.ada.ok("GET_LOGS", game_id=game_id))
        for number in range(300):
            self.world.logs.write(game_id, f"line {number}")
        self.assertEqual(200, len(self.ada.ok("GET_LOGS", game_id=game_id)["lines"]))
        self.assertEqual(300, len(self.ada.ok("GET_LOGS", game_id=game_id, lines=10_000)["lines"]))
        self.assertEqual({"lines": ["2023-11-14T22:13:20.000Z line 299"]}, self.ada.ok("GET_LOGS", game_id=game_id, lines=1))

    def test_our_fault(self) -> None:
        """A database that is away is 199 with an incident."""
        self.world.database.interact = lambda *_: fail(DatabaseUnavailable("away"))
        answer = self.ada.ask("LIST_MY_GAMES")
        self.assertEqual((199, {"incident": "incident-1"}), (answer["code"], answer["payload"]))
        self.assertEqual(1, len(self.flushLoggedErrors(DatabaseUnavailable)))


class UploadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = DeveloperWorld()
        self.ada = self.world.developer("ada")
        self.game_id = self.world.game(self.ada)

    def begin(self, **fields: Any) -> Any:
        return self.ada.ok("UPLOAD_BEGIN", game_id=self.game_id, version="1.0.0", size_bytes=6, **fields)

    def test_flow(self) -> None:
        """BEGIN, chunks, END, with exactly the seed's fields."""
        begun = self.begin()
        self.assertEqual({"upload_id": "0", "chunk_size": 4096}, begun)
        self.assertEqual({}, self.ada.ok("UPLOAD_CHUNK", upload_id="0", seq=0, data_b64=b64(b"abc")))
        self.assertEqual({"next_seq": 1, "received_bytes": 3, "size_bytes": 6}, self.ada.ok("UPLOAD_STATUS", upload_id="0"))
        self.assertEqual(105, self.ada.code("UPLOAD_END", upload_id="0"))
        self.assertEqual({}, self.ada.ok("UPLOAD_CHUNK", upload_id="0", seq=1, data_b64=b64(b"\0\xff!")))
        self.assertEqual({"version": "1.0.0", "is_latest": True}, self.ada.ok("UPLOAD_END", upload_id="0"))
        self.assertEqual(b"abc\0\xff!", self.world.uploads.asked[0].data)
        self.assertEqual({}, self.ada.ok("CANCEL_UPLOAD", upload_id="0"))

    def test_what_begin_passes_on(self) -> None:
        """The account, the checksum as it was sent, and a chunk size that fits into a line."""
        for wish, suggested in ((1000, 1000), (262_144, 262_144), (2**40, 262_144)):
            self.assertEqual(suggested, self.begin(chunk_size=wish, checksum="sha256:" + "0" * 64)["chunk_size"])
        asked = self.world.uploads.asked[0]
        self.assertEqual(("ada", "sha256:" + "0" * 64), (asked.account.username, asked.checksum))
        self.world.limits = type(self.world.limits)(line_bytes=16_384)
        self.assertEqual([4096, 11_520], [self.begin(**wish)["chunk_size"] for wish in ({}, {"chunk_size": 262_144})])
        self.ada.ok("UPLOAD_CHUNK", upload_id="4", seq=0, data_b64=b64(b"x" * 11_520))
        for bad in ({"chunk_size": 0}, {"size_bytes": "6"}, {"checksum": 1}):
            payload = {"game_id": self.game_id, "version": "1.0.0", "size_bytes": 6, **bad}
            self.assertEqual(100, self.ada.code("UPLOAD_BEGIN", **payload), bad)

    def test_wrong_chunks(self) -> None:
        """Bad base64 is 100; out of order is 120 and tells which one is next; nothing changes."""
        self.begin()
        for bad in ("%", "YWJj\n", "YWJ", "YW Jj", "YWJj=", "é", "YWJj====", "_-_-", "\u0000"):
            answer = self.ada.ask("UPLOAD_CHUNK", upload_id="0", seq=0, data_b64=bad)
            self.assertEqual(100, answer["code"], bad)
            self.assertIn("base64", answer["message"])
        typed: tuple[dict[str, Any], ...] = ({"data_b64": 1}, {"data_b64": None}, {"seq": "0"}, {"seq": 0.0}, {"seq": True}, {"upload_id": 0})
        for wrong in typed:
            self.assertEqual(100, self.ada.code("UPLOAD_CHUNK", **{"upload_id": "0", "seq": 0, "data_b64": "YWJj", **wrong}), wrong)
        for seq in (1, -1, 2**63):
            answer = self.ada.ask("UPLOAD_CHUNK", upload_id="0", seq=seq, data_b64="YWJj")
            self.assertEqual((120, {"expected_seq": 0}), (answer["code"], answer["payload"]))
        self.assertEqual(0, self.ada.ok("UPLOAD_STATUS", upload_id="0")["next_seq"])

    def test_anothers_and_unknown(self) -> None:
        """An upload of another developer is 102, an unknown one 105, on each command."""
        self.begin()
        eve = self.world.developer("eve")
        for type_, payload in (
            ("UPLOAD_CHUNK", {"seq": 0, "data_b64": "YWJj"}),
            ("UPLOAD_STATUS", {}),
            ("UPLOAD_END", {}),
            ("CANCEL_UPLOAD", {}),
        ):
            self.assertEqual([102, 105], [eve.code(type_, upload_id=upload_id, **payload) for upload_id in ("0", "1")], type_)

    def test_listed(self) -> None:
        """LIST_UPLOADS is about one's own, of one game where it is named."""
        self.begin()
        for fields, expected in (({}, ["1.0.0"]), ({"game_id": self.game_id}, ["1.0.0"]), ({"game_id": "another"}, [])):
            self.assertEqual({"uploads": [{"version": version} for version in expected]}, self.ada.ok("LIST_UPLOADS", **fields))
        self.assertEqual({"uploads": []}, self.world.developer("eve").ok("LIST_UPLOADS"))
        self.assertEqual(100, self.ada.code("LIST_UPLOADS", game_id=1))

    def test_slow_chunk(self) -> None:
        """A chunk whose upload has to be found first is answered when it is written, and answers keep their order."""
        self.begin()
        slow: Deferred[None] = Deferred()
        self.world.uploads.slow = slow
        self.ada.send("UPLOAD_CHUNK", upload_id="0", seq=0, data_b64="YWJj")
        self.ada.send("PING")
        self.assertEqual([], self.ada.answers())
        self.world.uploads.slow = None
        slow.callback(None)
        self.assertEqual([0, 0], [answer["code"] for answer in self.ada.answers()])
