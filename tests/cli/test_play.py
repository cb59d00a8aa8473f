"""`gameroom play …` as commands, against a real lobby in memory."""

from __future__ import annotations

import json

import attrs

from gameroom.cli.play_link import World
from gameroom.client.sessions import Kept
from tests.cli.play_world import PASSWORD, SERVER, PlayCase


class AccountTests(PlayCase):
    def test_register_and_log_in(self) -> None:
        """The session is kept by server, and taken up by the next command."""
        self.assertEqual(self.said("register", "Ann"), {"server": SERVER, "username": "Ann", "role": "player", "room_id": None})
        kept = self.sessions.get("player", SERVER)
        assert kept is not None
        self.assertEqual(kept.username, "Ann")
        self.assertEqual(self.said("whoami")["username"], "Ann")
        self.assertIn("Logged in, Ann.", self.done("login", "ann", "--password-stdin", input=f"{PASSWORD}\n", env={"GAMEROOM_PASSWORD": ""}))
        self.assertEqual(self.said("players"), ["Ann"])
        self.assertEqual(self.done("logout"), f"Logged out of {SERVER}.\n")
        self.assertIsNone(self.sessions.get("player", SERVER))

    def test_refused(self) -> None:
        """What the lobby says is one line, and exit status 1."""
        self.done("register", "ann")
        self.assertIn("taken", self.refused(1, "register", "ann"))
        self.assertNotIn("gameroom dev", self.refused(1, "login", "ann", env={"GAMEROOM_PASSWORD": "wrong horse"}))
        self.assertIn("say the username", self.refused(2, "login"))

    def test_nobody_is_logged_in(self) -> None:
        """It says how to, and asks nobody."""
        self.assertIn("gameroom play login", self.refused(2, "games"))
        self.assertEqual(self.linked, [])

    def test_superseded(self) -> None:
        """A newer login elsewhere is told as what it is; another 105 is not taken for it."""
        self.done("register", "ann")
        old = self.sessions.get("player", SERVER)
        assert old is not None
        self.done("login", "ann")
        self.sessions.keep("player", SERVER, old)
        self.assertIn("gameroom play login takes ann back", self.refused(1, "games"))
        self.done("login", "ann")
        self.assertNotIn("play login", self.refused(1, "leave", "no-such-room"))

    def test_expired(self) -> None:
        self.sessions.keep("player", SERVER, Kept("ann", "never issued"))
        said = self.refused(1, "games")
        self.assertIn("gameroom play login begins a new session", said)
        self.assertNotIn("gameroom dev", said)

    def test_logging_out_of_a_session_that_is_over(self) -> None:
        """It is forgotten all the same."""
        self.sessions.keep("player", SERVER, Kept("ann", "never issued"))
        self.done("logout")
        self.assertIsNone(self.sessions.get("player", SERVER))

    def test_no_server(self) -> None:
        """It says which, and how to name another."""
        self.down = True
        self.assertIn(f"{SERVER}: cannot connect: refused; is the server there?", self.refused(2, "login", "ann"))

    def test_no_endpoint(self) -> None:
        """An endpoint that only connecting finds to be wrong is a line as well."""
        self.world = attrs.evolve(self.world, connect=World().connect)
        self.assertIn("--server: 'foo:1:2' names no server", self.refused(2, "login", "ann", "--server", "foo:1:2"))

    def test_which_server(self) -> None:
        """--server before or behind the command, or GAMEROOM_SERVER; the nearest counts."""
        for arguments, env, expected in (
            (("whoami", "--server", "a.example"), {}, "a.example:7000"),
            (("--server", "b.example:7100", "whoami"), {"GAMEROOM_SERVER": "no.example"}, "b.example:7100"),
            (("whoami",), {"GAMEROOM_SERVER": "c.example"}, "c.example:7000"),
            (("--server", "no.example", "whoami", "--server", "d.example"), {}, "d.example:7000"),
        ):
            self.assertIn(f"not logged in at {expected}:", self.refused(2, *arguments, env=env))
        self.assertIn("names no server", self.refused(2, "whoami", "--server", "a b"))


class StoreTests(PlayCase):
    def setUp(self) -> None:
        super().setUp()
        self.done("register", "ann")

    def test_games(self) -> None:
        """For people and for programs."""
        self.dice()
        self.assertEqual({game["name"] for game in self.said("games")}, {"Dots", "Dice"})
        table = self.done("games")
        self.assertIn("Dots", table)
        self.assertIn("–", table)

    def test_a_game(self) -> None:
        """By its id or its name, in any case."""
        game_id = self.dice()
        self.assertEqual(self.said("game", game_id), self.said("game", "DICE"))
        shown = self.done("game", "dice")
        for words in ("About Dice.", "up to 4", "1.0.0", game_id):
            self.assertIn(words, shown)
        self.assertIn("there is no game nope", self.refused(2, "game", "nope"))

    def test_reviews(self) -> None:
        """A review replaces one's earlier one; what others have written obeys no terminal, and a comment keeps its lines."""
        self.assertIn("Nobody has reviewed it yet", self.done("reviews", "dots"))
        self.assertIn("You give Dots 2 of 5.", self.done("review", "dots", "2"))
        self.done("review", "dots", "4", "Good.\nReally.")
        [review] = self.said("reviews", "dots", "--limit", "3")
        self.assertEqual((review["score"], review["comment"]), (4, "Good.\nReally."))
        self.assertIn("★★★★☆  ann, 2023-11-14 22:13\n    Good.\n    Really.\n", self.done("reviews", "dots"))
        self.assertIn("★★★★☆  ann\n", self.done("game", "dots"))
        self.assertEqual(self.call("review", "dots", "6").exit_code, 2)

    def test_download(self) -> None:
        """Checked, unpacked and writable; a second time nothing is brought."""
        self.dice()
        where = self.folder / "downloads"
        said = self.said("download", "dice", "--folder", str(where))
        folder = where / "ann" / "Dice" / "1.0.0"
        self.assertEqual((said["folder"], said["new"], said["command"]), (str(folder), True, ["python3", "client.py"]))
        self.assertNotIn("allowed", said)
        self.assertEqual((folder / "client.py").read_text(), "print('hi')")
        (folder / "mine.txt").write_text("saved")
        self.assertFalse(self.said("download", "dice", "1.0.0", "--folder", str(where))["new"])
        self.assertIn("was there already", self.done("download", "dice", "--folder", str(where)))
        self.assertTrue((folder / "mine.txt").exists())
        self.assertIn("no version", self.refused(1, "download", "dice", "9.9.9", "--folder", str(where)))

    def test_a_folder_that_cannot_be(self) -> None:
        blocked = self.folder / "blocked"
        blocked.write_text("")
        self.assertIn(str(blocked), self.refused(2, "download", "dots", "--folder", str(blocked)))


class RoomTests(PlayCase):
    def setUp(self) -> None:
        super().setUp()
        self.done("register", "ann")
        self.downloads = ("--folder", str(self.folder / "downloads"))

    def as_bob(self, *arguments: str) -> str:
        """Somebody else calls a command."""
        mine = self.sessions.get("player", SERVER)
        assert mine is not None
        if self.call("login", "bob").exit_code:
            self.done("register", "bob")
        try:
            return self.done(*arguments)
        finally:
            self.sessions.keep("player", SERVER, mine)

    def test_a_room(self) -> None:
        """Open it, look, let somebody in by the party code in any writing, talk, send away, leave."""
        room = self.said("create", "dots")
        self.assertEqual((room["host"], room["players"]), ("ann", ["ann"]))
        self.assertEqual(self.said("room"), room)
        self.assertEqual([each["room_id"] for each in self.said("rooms")], [room["room_id"]])
        table = self.done("rooms")
        for words in ("Dots", "ann", "waiting", room["room_id"]):
            self.assertIn(words, table)
        code = f"{room['party_code'][:3].lower()}-{room['party_code'][3:]}"
        self.assertEqual(json.loads(self.as_bob("join", code, "--json"))["players"], ["ann", "bob"])
        self.assertIn("1  bob", self.done("room"))
        self.assertEqual(self.done("chat", "hello", "there"), "")
        self.done("kick", "bob")
        self.assertEqual(self.said("room")["players"], ["ann"])
        self.assertIn("You have left", self.done("leave"))
        self.assertEqual(self.said("rooms"), [])
        self.assertIn("There is no room", self.done("rooms"))
        self.assertIn("you are in no room", self.refused(2, "leave"))

    def test_private(self) -> None:
        """It is in nobody else's list, and its id lets in who has it."""
        room = self.said("create", "dots", "--private")
        self.assertEqual(json.loads(self.as_bob("rooms", "--json")), [])
        self.as_bob("join", room["room_id"])
        self.assertEqual(self.said("room")["players"], ["ann", "bob"])

    def test_start(self) -> None:
        """It names where the room is played; without enough players it says so."""
        room = self.said("create", "dots")
        self.assertIn("2 players", self.refused(1, "start"))
        self.as_bob("join", room["room_id"])
        said = self.said("start")
        self.assertEqual((said["game_host"], said["game_port"]), ("play.example", 8080))
        self.assertEqual(said["join_url"], room["join_url"])
        self.assertIn(room["join_url"], self.done("start"))

    def test_run(self) -> None:
        """The program runs once it is allowed to, in its folder, and knows all that it needs; it may run again from then on."""
        game_id = self.dice()
        room = self.said("create", "dice")
        self.assertIn("--yes runs it", self.refused(2, "run", *self.downloads))
        self.assertEqual(self.ran, [])
        self.done("run", "--yes", *self.downloads)
        self.done("run", *self.downloads)
        command, folder, environment = self.ran[1]
        self.assertEqual((tuple(command), folder.name), (("python3", "client.py"), "1.0.0"))
        kept = self.sessions.get("player", SERVER)
        assert kept is not None
        ours = {name: value for name, value in environment.items() if name.startswith("GAMEROOM_")}
        expected = {
            "GAMEROOM_SERVER": SERVER,
            "GAMEROOM_ROOM_ID": room["room_id"],
            "GAMEROOM_GAME_ID": game_id,
            "GAMEROOM_VERSION": "1.0.0",
            "GAMEROOM_HOSTING": "lockstep",
            "GAMEROOM_PLAYER": "ann",
            "GAMEROOM_SEAT": "0",
            "GAMEROOM_SESSION_TOKEN": kept.token,
            "GAMEROOM_PARTY_CODE": room["party_code"],
            "GAMEROOM_JOIN_URL": room["join_url"],
        }
        self.assertEqual(ours, expected)
        self.assertIn("PATH", environment)

    def test_a_program_that_fails(self) -> None:
        self.dice()
        self.done("create", "dice")
        self.status = 7
        self.assertIn("ended with status 7", self.refused(2, "run", "--yes", *self.downloads))

    def test_no_program(self) -> None:
        """The page is named instead, and opened where that is wanted."""
        room = self.said("create", "dots")
        self.assertIn(room["join_url"], self.refused(2, "run", *self.downloads))
        self.assertIn(room["join_url"], self.done("run", "--browser"))
        self.assertEqual(self.browsed, [room["join_url"]])

    def test_help(self) -> None:
        """Each command has a line, and all of them are there."""
        shown = self.done("--help")
        for name in ("games", "game", "reviews", "review", "download", "rooms", "create", "join", "leave", "start", "players", "login", "logout"):
            self.assertRegex(shown, rf"\n  {name} +[A-Z]")
