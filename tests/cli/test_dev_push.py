"""`gameroom dev push`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from gameroom.cli.dev_publish import FIRST_WAIT, PATIENCE, bumped
from gameroom.client.stream import ConnectionFailed
from gameroom.errors import InvalidRequest, RateLimited
from tests.cli import bundles
from tests.cli.dev_world import DevCase, Server

LOST = ConnectionFailed("the connection was lost")


def lost_midway(server: Server, about: dict[str, Any]) -> Exception:
    """Half of it is there when the connection goes."""
    server.received[about["game_id"], about["version"]] = len(about["content"]) // 2
    return LOST


def lost_without_progress(server: Server, about: dict[str, Any]) -> Exception:
    return LOST


def answer_lost(server: Server, about: dict[str, Any]) -> Exception:
    """It is published, and nobody hears of it."""
    server.publish(about["game_id"], about["version"], about["content"], about["checksum"])
    return LOST


def somebody_else_was_quicker(server: Server, about: dict[str, Any]) -> Exception:
    server.publish(about["game_id"], about["version"], b"other", "0" * 64)
    return LOST


def too_often(server: Server, about: dict[str, Any]) -> Exception:
    return RateLimited("too many at a time; wait", retry_after=42.0)


def refused(server: Server, about: dict[str, Any]) -> Exception:
    return InvalidRequest("engine.js: no")


class PushCase(DevCase):
    def setUp(self) -> None:
        super().setUp()
        self.dots = bundles.dots(self.folder / "dots")

    def change(self, text: str = "more") -> None:
        bundles.write(self.dots, {"more.txt": text})

    def versions(self) -> list[str]:
        return [each["version"] for there in self.server.versions.values() for each in there]


class PushTests(PushCase):
    def test_first_push(self) -> None:
        """The game is made from [game], its version is published, and where to play it is said."""
        said = self.said("push", self.dots)
        [game] = self.server.games
        self.assertEqual((game["name"], game["description"], game["max_players"], game["status"]), ("Dots", "Join the dots.", 4, "ONLINE"))
        content = self.server.content[game["game_id"], "1.0.0"]
        self.assertEqual(said["checksum"], bundles.checksum_of(content))
        self.assertEqual(said["play_url"], f"http://127.0.0.1:8080/games/{game['game_id']}")
        self.assertEqual(
            {key: said[key] for key in ("version", "changed", "is_latest", "created", "status", "sent_bytes", "dry_run")},
            {
                "version": "1.0.0",
                "changed": True,
                "is_latest": True,
                "created": True,
                "status": "ONLINE",
                "sent_bytes": len(content),
                "dry_run": False,
            },
        )

    def test_in_words(self) -> None:
        """The preview, then the version, whether it is the latest, and the URL of the web door that was named."""
        shown = self.done("push", self.dots, "--web", "https://play.example/")
        for words in ("3 files", "Dots 1.0.0 (a new game) is published and is the latest version", "Play it: https://play.example/games/"):
            self.assertIn(words, shown)
        self.change()
        self.assertIn("0.9.0 is published but is not the latest version", self.done("push", self.dots, "--version", "0.9.0"))

    def test_which_version(self) -> None:
        """That of the command line, the next one, or that of game.toml; never one that is there."""
        self.done("push", self.dots)
        self.assertIn("1.0.0 is uploaded already, with just these files", self.refused_after_preview(1, "push", self.dots))
        self.change()
        self.assertIn("1.0.0 is uploaded already, with other files; push with --bump patch", self.refused_after_preview(1, "push", self.dots))
        self.assertIn("uploaded already", self.refused_after_preview(1, "push", self.dots, "--version", "1.0"))
        for arguments in (("--bump", "patch"), ("--bump", "minor"), ("--bump", "major"), ("--version", "2.0.0-beta.1"), ("--bump", "patch")):
            self.done("push", self.dots, *arguments)
        self.assertEqual(self.versions(), ["1.0.0", "1.0.1", "1.1.0", "2.0.0", "2.0.0-beta.1", "2.0.1"])

    def refused_after_preview(self, status: int, *arguments: Any) -> str:
        """As `refused`, where the preview was shown before."""
        result = self.call(*arguments)
        self.assertEqual((result.exit_code, len(result.stderr.splitlines())), (status, 1), result.output)
        self.assertIn("SHA-256", result.stdout)
        return str(result.stderr)

    def test_bumped(self) -> None:
        """The next after the highest by precedence, however it is written; a pre-release is followed by its release."""
        self.assertEqual(bumped(["1", "0.9"], "patch"), "1.0.1")
        self.assertEqual(bumped(["1.10.0", "1.9.0"], "minor"), "1.11.0")
        self.assertEqual(bumped(["2.0.0-beta.1", "1.5.0"], "patch"), "2.0.0")

    def test_if_changed(self) -> None:
        """Nothing is sent where the latest version is the same, and something is where it is not."""
        self.said("push", self.dots, "--if-changed")
        again = self.said("push", self.dots, "--if-changed")
        self.assertEqual((again["changed"], again["version"], again["sent_bytes"]), (False, "1.0.0", 0))
        self.assertIn("nothing was sent", self.done("push", self.dots, "--if-changed"))
        self.change()
        self.assertEqual(self.said("push", self.dots, "--if-changed", "--bump", "patch")["version"], "1.0.1")
        (self.dots / "more.txt").unlink()
        # The same as 1.0.0, but that is not what one gets now.
        self.assertEqual(self.said("push", self.dots, "--if-changed", "--bump", "patch")["version"], "1.0.2")

    def test_dry_run(self) -> None:
        """It is said what would be, for a game that is not there too, and nothing is."""
        said = self.said("push", self.dots, "--dry-run")
        self.assertEqual((said["dry_run"], said["created"], said["game_id"], said["version"]), (True, True, "", "1.0.0"))
        self.assertEqual(self.server.games, [])
        self.done("push", self.dots)
        self.assertIn("1.0.1 would be published; nothing was sent", self.done("push", self.dots, "--dry-run", "--bump", "patch"))
        self.assertEqual(self.versions(), ["1.0.0"])

    def test_a_file(self) -> None:
        """Any file goes as it is, as a version of a game that is there."""
        path = bundles.write(self.folder, {"game.exe": b"MZ" * 50}) / "game.exe"
        self.assertIn("say which game", self.refused_after_preview(2, "push", path, "--version", "1"))
        self.assertIn("you have no game Exe", self.refused_after_preview(2, "push", path, "--version", "1", "--game", "Exe"))
        self.done("create", "--name", "Exe")
        self.assertIn("say which version", self.refused_after_preview(2, "push", path, "--game", "exe"))
        said = self.said("push", path, "--game", "exe", "--bump", "minor")
        self.assertEqual((said["version"], self.server.content[said["game_id"], "0.1.0"]), ("0.1.0", b"MZ" * 50))

    def test_another_game(self) -> None:
        """--game takes a name or an id; one that is not there is not made under another name than game.toml's."""
        self.assertIn("game.toml speaks of Dots", self.refused_after_preview(2, "push", self.dots, "--game", "Other"))
        made = self.said("create", "--name", "Other")["game_id"]
        self.assertEqual(self.said("push", self.dots, "--game", made)["name"], "Other")
        self.assertEqual([game["name"] for game in self.server.games], ["Other"])

    def test_an_offline_game_is_said(self) -> None:
        """Whoever has set a game OFFLINE hears that nobody can play the new version."""
        self.done("push", self.dots)
        self.done("offline", "Dots")
        self.assertIn("gameroom dev online 'Dots'", self.done("push", self.dots, "--bump", "patch"))

    def test_refused_before_anything_is_sent(self) -> None:
        """What is wrong here is told without a connection."""
        for status, words, arguments in (
            (2, "exclude each other", ("--version", "1", "--bump", "patch")),
            (2, "--version: must be up to 64", ("--version", "one")),
            (2, "names no server", ("--server", "a b")),
            (2, "not logged in at other.example:7001", ("--server", "other.example")),
        ):
            self.assertIn(words, self.refused(status, "push", self.dots, *arguments))
        (self.dots / "engine.js").unlink()
        self.assertIn("engine.js", self.refused(1, "push", self.dots))
        self.assertEqual(self.server.connections, 0)

    def test_refused_by_the_server(self) -> None:
        """What the server says is a line and exit status 1; it is not tried again."""
        self.server.troubles = [refused]
        self.assertIn("engine.js: no", self.refused_after_preview(1, "push", self.dots))
        self.assertEqual(self.server.connections, 1)


class TroubleTests(PushCase):
    def pushed(self, *arguments: str, troubles: Sequence[Any] = ()) -> tuple[dict[str, Any], str]:
        """What it said as JSON, and its standard error."""
        self.server.troubles = list(troubles)
        result = self.call("push", self.dots, *arguments, "--json")
        self.assertEqual(result.exit_code, 0, result.output)
        return json.loads(result.stdout), result.stderr

    def test_a_lost_connection(self) -> None:
        """It dials again and goes on, says so on standard error, and counts what it has sent itself."""
        said, trouble = self.pushed(troubles=[lost_midway])
        self.assertEqual((said["version"], self.server.connections), ("1.0.0", 2))
        self.assertIn("the connection was lost; trying again in", trouble)
        self.assertEqual(said["sent_bytes"], said["size_bytes"])

    def test_a_restart(self) -> None:
        """While nobody listens it waits ever longer, and a game that was made is not made twice."""

        def dies(server: Server, about: dict[str, Any]) -> Exception:
            server.down = 5
            return lost_midway(server, about)

        said, trouble = self.pushed(troubles=[dies])
        self.assertEqual((said["created"], len(self.server.games), len(trouble.splitlines())), (True, 1, 6))
        self.assertGreater(self.seconds, 31 * FIRST_WAIT / 2)

    def test_only_the_answer_was_lost(self) -> None:
        """A version that is there with the same bytes is the one that was sent, also with --bump."""
        said, _ = self.pushed(troubles=[answer_lost])
        self.assertEqual((said["version"], said["changed"]), ("1.0.0", True))
        self.change()
        self.server.troubles = [answer_lost]
        self.assertEqual(self.call("push", self.dots, "--bump", "patch").exit_code, 0)
        self.assertEqual(self.versions(), ["1.0.0", "1.0.1"])

    def test_somebody_else_was_quicker(self) -> None:
        """The version is there with other bytes: that is no success."""
        self.server.troubles = [somebody_else_was_quicker]
        result = self.call("push", self.dots)
        self.assertEqual(result.exit_code, 1)
        self.assertIn("uploaded already, with other files", result.stderr)

    def test_too_often(self) -> None:
        """It waits for as long as the server says."""
        self.pushed(troubles=[too_often])
        self.assertGreaterEqual(self.seconds, 42.0)

    def test_patience_ends(self) -> None:
        """Without any progress it is given up after ten minutes, with exit status 2."""
        self.server.troubles = [lost_without_progress] * 1000
        result = self.call("push", self.dots)
        self.assertEqual(result.exit_code, 2)
        self.assertIn("the connection was lost", result.stderr.splitlines()[-1])
        self.assertLess(PATIENCE - 60, self.seconds)
        self.assertLess(self.seconds, PATIENCE + 60)

    def test_no_server_at_all(self) -> None:
        """Where there never was a connection it is told at once."""
        self.server.down = 1
        result = self.call("push", self.dots)
        self.assertEqual((result.exit_code, self.seconds < 2), (2, True))
        self.assertIn("127.0.0.1:7001: cannot connect: Connection refused; is the server there?", result.stderr)

    def test_interrupted(self) -> None:
        """Ctrl-C ends it with a line that says how to go on, and exit status 130."""
        self.server.hangs = True
        self.interrupt_after = 3.0
        result = self.call("push", self.dots)
        self.assertEqual(result.exit_code, 130)
        self.assertIn("the same command goes on", result.stderr)
        self.server.hangs = False
        self.assertEqual(self.said("push", self.dots)["version"], "1.0.0")

    def break_off(self, *arguments: str) -> None:
        """A push that Ctrl-C ends."""
        self.server.hangs = True
        self.interrupt_after = self.seconds = 3.0
        self.assertEqual(self.call("push", self.dots, *arguments).exit_code, 130)
        self.server.hangs = False

    def test_other_files_after_an_interrupt(self) -> None:
        """An upload of other files under this version is dropped, which is said, and the new files go out; another version's stays."""
        self.break_off()
        self.break_off("--version", "2.0.0")
        [dropped, stays] = [upload_id for upload_id, _ in self.server.unfinished.values()]
        self.change()
        # However it is written, it is the same version.
        said, trouble = self.pushed("--version", "1.0")
        self.assertEqual((said["version"], self.server.cancelled), ("1.0", [dropped]))
        self.assertIn("unfinished upload of other files, begun 2026-01-02T03:04:05.000Z: it is dropped", trouble)
        self.assertEqual([upload_id for upload_id, _ in self.server.unfinished.values()], [stays])

    def test_other_files_while_it_is_published(self) -> None:
        """What is being published at this moment is not replaced: the server's words are told."""
        self.break_off()
        self.server.finishing = {upload_id for upload_id, _ in self.server.unfinished.values()}
        self.change()
        result = self.call("push", self.dots)
        self.assertEqual(result.exit_code, 1)
        self.assertIn("of another size or checksum", result.stderr.splitlines()[-1])

    def test_cancel(self) -> None:
        """All are dropped, wherever they were begun, but for one that is too late; with --game only those of that game."""
        self.break_off()
        self.break_off("--version", "2.0.0")
        self.break_off("--version", "3.0.0")
        other = self.said("create", "--name", "Other")["game_id"]
        self.server.unfinished[other, "1.0.0"] = "begun elsewhere", "0" * 64
        self.assertEqual(self.said("cancel", "--game", "other"), {"cancelled": 1})
        self.assertEqual(self.server.cancelled, ["begun elsewhere"])
        self.server.finishing = {next(iter(self.server.unfinished.values()))[0]}
        self.assertEqual(self.said("cancel"), {"cancelled": 2})
        self.assertEqual(self.done("cancel"), "0 unfinished uploads dropped\n")
        self.assertIn("you have no game Dot;", self.refused(2, "cancel", "--game", "Dot"))
