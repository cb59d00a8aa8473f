"""Accounts and games at `gameroom dev`."""

from __future__ import annotations

import stat
from pathlib import Path

from click.testing import CliRunner

from gameroom.cli.dev_link import web_url
from gameroom.client.sessions import Sessions
from tests.cli import bundles
from tests.cli.dev_world import PASSWORD, SERVER, DevCase, inside


class AccountTests(DevCase):
    def test_register_log_in_log_out(self) -> None:
        """The session is kept for its server alone, readable for its user alone, and whoever logs out has none."""
        self.sessions = Sessions(self.folder / "new" / "sessions.json")
        said = self.said("register", "bob", environment={"GAMEROOM_PASSWORD": PASSWORD})
        self.assertEqual((said["username"], said["role"], said["server"]), ("bob", "developer", SERVER))
        self.assertEqual(stat.S_IMODE((self.folder / "new" / "sessions.json").stat().st_mode), 0o600)
        self.assertEqual(self.done("whoami"), f"bob, developer at {SERVER}\n")
        self.assertIn("not logged in", self.refused(2, "whoami", "--server", "localhost:7999"))
        self.assertIn("not logged in at localhost:7998", self.refused(2, "--server", "localhost:7998", "whoami"))
        self.done("logout")
        self.assertIn("gameroom dev login", self.refused(2, "whoami"))
        self.assertIn("Logged in, bob", self.done("login", "bob", "--password-stdin", given=f"{PASSWORD}\n"))
        self.assertEqual(self.said("whoami")["username"], "bob")

    def test_password(self) -> None:
        """It is never shown, and where nobody can be asked for it, it is said how to give it."""
        self.assertIn("--password-stdin or GAMEROOM_PASSWORD", self.refused(2, "login", "ann"))
        self.assertIn("no password on standard input", self.refused(2, "login", "ann", "--password-stdin", given="\n"))
        self.assertIn("wrong username or password", self.refused(1, "login", "ann", "--password-stdin", given="wrong\n"))
        self.assertIn("say the username", self.refused(2, "login", "--password-stdin", given="x\n"))
        result = self.call("register", "zoe", "--password-stdin", given=PASSWORD)
        self.assertNotIn(PASSWORD, result.output)
        self.assertIn("taken", self.refused(1, "register", "zoe", "--password-stdin", given=PASSWORD))

    def test_a_session_that_is_over(self) -> None:
        """The server's word is told, with the command that helps; logging out of it works."""
        self.server.tokens.clear()
        self.assertIn("log in again", self.refused(1, "whoami"))
        for arguments in (["games"], ["push", bundles.dots(self.folder / "dots")]):
            self.assertIn("gameroom dev login begins a new session", self.call(*arguments).stderr)
        self.done("logout")
        self.assertIsNone(self.sessions.get("developer", SERVER))

    def test_superseded(self) -> None:
        """A newer login elsewhere is told as what it is; another 105 is not taken for it."""
        self.done("create", bundles.dots(self.folder / "dots"))
        self.assertNotIn("dev login", self.refused(1, "online", "Dots"))
        self.server.superseded |= self.server.tokens.keys()
        self.assertIn("gameroom dev login takes ann back", self.refused(1, "games"))

    def test_nowhere_to_keep_it(self) -> None:
        """A session that cannot be kept is a line, not a traceback."""
        bundles.write(self.folder, {"file": "x"})
        self.sessions = Sessions(self.folder / "file" / "sessions.json")
        self.assertIn("cannot be kept", self.refused(2, "login", "ann", "--password-stdin", given=PASSWORD))


class GamesTests(DevCase):
    def setUp(self) -> None:
        super().setUp()
        self.dots = bundles.dots(self.folder / "dots")

    def push(self, *versions: str) -> None:
        for version in versions:
            self.done("push", self.dots, "--version", version)

    def test_create(self) -> None:
        """From [game], or from options, which beat it."""
        self.done("create", self.dots)
        said = self.said("create", self.dots, "--name", "Other", "--max-players", "2", "--type", "cli")
        self.assertEqual((said["name"], said["description"], said["game_type"], said["max_players"]), ("Other", "Join the dots.", "cli", 2))
        self.assertEqual([game["name"] for game in self.server.games], ["Other", "Dots"])
        self.assertIn("already", self.refused(1, "create", self.dots))
        self.assertIn("--name", self.refused(2, "create", self.folder))
        said = self.said("create", self.folder, "--name", "Bare")
        self.assertEqual((said["description"], said["game_type"], said["max_players"]), ("", "gui", 8))

    def test_games(self) -> None:
        """A line each."""
        self.assertIn("gameroom dev init", self.done("games"))
        self.assertEqual(self.said("games"), [])
        self.push("1.0.0")
        self.done("create", "--name", "Other")
        shown = self.done("games")
        self.assertIn("none yet", shown)
        self.assertIn("1.0.0", shown)
        self.assertEqual([game["name"] for game in self.said("games")], ["Other", "Dots"])

    def test_update(self) -> None:
        """What is given changes; without options it is what game.toml in this folder says, and the game is its own."""
        self.push("1.0.0")
        self.assertIn("max_players", self.done("update", "dots", "--max-players", "3"))
        self.assertEqual(self.server.games[0]["max_players"], 3)
        self.assertEqual(self.server.games[0]["description"], "Join the dots.")
        with inside(self.dots):
            self.done("update")
            self.assertEqual(self.server.games[0]["max_players"], 4)
            self.assertEqual(len(self.said("versions")), 1)
        self.assertIn("--description", self.refused(2, "update", "Dots"))
        self.assertIn("you have no game Else", self.refused(2, "update", "Else", "--type", "gui"))

    def test_versions_and_yank(self) -> None:
        """The latest and the yanked are marked; which one is the latest then is said."""
        self.push("1.0.0", "1.1.0")
        self.assertIn("the latest is 1.0.0 now", self.done("yank", "1.1.0", "Dots"))
        shown = self.done("versions", "Dots")
        self.assertIn("latest", next(line for line in shown.splitlines() if "1.0.0" in line))
        self.assertIn("yanked", next(line for line in shown.splitlines() if "1.1.0" in line))
        self.assertEqual([each["yanked"] for each in self.said("versions", "Dots")], [False, True])
        self.assertEqual(self.said("yank", "1.0.0", "Dots")["latest_version"], None)
        self.assertIn("no such version", self.refused(1, "yank", "9.9.9", "Dots"))

    def test_status(self) -> None:
        """ONLINE and OFFLINE, however they are asked for."""
        self.done("create", self.dots)
        self.assertIn("no version yet", self.refused(1, "online", "Dots"))
        self.push("1.0.0")
        for arguments, wanted in (
            (("offline", "Dots"), "OFFLINE"),
            (("status", "online", "Dots"), "ONLINE"),
            (("status", "OFFLINE", "dots"), "OFFLINE"),
        ):
            self.assertEqual(self.said(*arguments)["status"], wanted)
            self.assertEqual(self.server.games[0]["status"], wanted)
        self.assertEqual(self.call("status", "AWAY", "Dots").exit_code, 2)

    def test_logs(self) -> None:
        """The lines as they are, with nothing that a terminal obeys."""
        self.push("1.0.0")
        self.assertEqual(self.said("logs", "Dots"), [])
        self.server.logs = ["one", "two \x1b[31m", "three"]
        self.assertEqual(self.done("logs", "Dots", "--lines", "2"), "two \\x1b[31m\nthree\n")

    def test_which_game(self) -> None:
        """By name or id; without one it is that of game.toml in this folder; two names that differ in small letters are told apart."""
        self.push("1.0.0")
        [game] = self.said("games")
        self.assertEqual(len(self.said("versions", game["game_id"])), 1)
        self.done("create", "--name", "dots")
        self.assertEqual([len(self.said("versions", name)) for name in ("dots", "Dots")], [0, 1])
        with inside(self.folder):
            self.assertIn("say which game", self.refused(2, "versions"))
            bundles.write(Path(), {"game.toml": "what = ["})
            self.assertIn("game.toml", self.refused(2, "versions"))

    def test_where_to_play(self) -> None:
        """The usual port of the same host, however it is written, unless it is said."""
        for server, web, url in (
            ("play.example", None, "http://play.example:8080"),
            ("play.example:7111", None, "http://play.example:8080"),
            ("[::1]:7001", None, "http://[::1]:8080"),
            ("tls:play.example:7001", None, "http://play.example:8080"),
            ("play.example", "https://play.example/", "https://play.example"),
        ):
            self.assertEqual(web_url(server, web), url)


def test_help_of_each_command() -> None:
    """Every command says what it does, and takes --json."""
    from gameroom.cli.dev import dev

    for name, command in dev.commands.items():
        result = CliRunner().invoke(dev, [name, "--help"])
        assert result.exit_code == 0
        assert command.short_help
        assert "--json" in result.stdout, name
