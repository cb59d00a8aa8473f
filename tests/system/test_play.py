"""`gameroom play` against a real daemon: menus at a terminal, a game's own program, and commands without a terminal."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.system.developer import Developer
from tests.system.harness import PATIENCE, Daemon, hear_ctrl_c, wait_until
from tests.system.pty_player import GAMEROOM, PASSWORD, AtTerminal, Shell

CLIENT = """\
import json, os, sys
print("the game runs for", os.environ["GAMEROOM_PLAYER"])
json.dump({key: value for key, value in os.environ.items() if key.startswith("GAMEROOM_")}, open("seen.json", "w"))
if sys.stdin.isatty():
    print("you said", input("say: "))
sys.exit(3)
"""
GAME = """\
[game]
name = "Dice"
description = "Throw them."
game_type = "cli"
max_players = 4
version = "1.0.0"
[hosting]
kind = "relay"
[client]
command = ["python3", "client.py"]
"""


@pytest.fixture
def dice(daemon: Daemon, tmp_path: Path) -> str:
    """A game with a program of its own; its id."""
    developer = Developer(daemon, tmp_path / "developer")
    developer.done("register", "maker")
    folder = developer.folder / "dice"
    folder.mkdir()
    (folder / "game.toml").write_text(GAME)
    (folder / "client.py").write_text(CLIENT)
    return str(developer.said("push", "dice")["game_id"])


@pytest.fixture
def ann(daemon: Daemon, tmp_path: Path) -> Shell:
    return Shell(daemon, tmp_path / "ann")


@pytest.fixture
def bob(daemon: Daemon, tmp_path: Path) -> Shell:
    return Shell(daemon, tmp_path / "bob")


def registered(at: AtTerminal, name: str) -> None:
    at.sees("1 log in, 2 register, or quit: ")
    at.line("2")
    at.sees("Username: ")
    at.line(name)
    at.sees("Password: ")
    at.line(PASSWORD)
    at.sees("Password, once more: ")
    at.line(PASSWORD)
    assert PASSWORD not in at.sees(f"you are {name}")


def test_an_evening(ann: Shell, bob: Shell, dice: str) -> None:
    """Register, find a game, review it, open a room; a friend joins by the party code, they talk, and the game's program runs at the terminal."""
    with AtTerminal(ann) as at:
        registered(at, "ann")
        at.line("games")
        at.sees("Dice")
        at.line("1")
        at.sees("Throw them.")
        at.line("review")
        at.sees("Score, 1 to 5: ")
        at.line("5")
        at.sees("Comment: ")
        at.line("Näh, well made 🎲")
        at.sees("Näh, well made 🎲")
        at.sees("Your review is there.")
        at.line("create")
        at.sees("0  ann (host)")
        at.sees("party  ")
        code = at.sees("page").split()[0]
        at.sees("> ")

        # What bob does is seen at once, and what is being typed stays.
        at.type("chat he")
        assert bob.call("register", "bob").returncode == 0
        with subprocess.Popen(
            [GAMEROOM, "play", "join", code.lower(), "--stay", "--json"],
            cwd=bob.folder,
            env=bob.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=hear_ctrl_c,  # noqa: PLW1509 - it takes no lock
        ) as staying:
            assert staying.stdout is not None
            room = json.loads(staying.stdout.readline())
            assert room["players"] == ["ann", "bob"]
            at.sees("1  bob")
            at.sees("> chat he")
            at.line("llo there")
            at.sees("ann: hello there")
            while (push := json.loads(staying.stdout.readline()))["type"] != "CHAT":
                pass
            assert push["payload"]["text"] == "hello there"

            at.sees("> ")
            at.line("start")
            at.sees("Run it? [y/N] ")
            at.line("y")
            at.sees("the game runs for ann")
            at.sees("say: ")
            at.line("hi, game")
            at.sees("you said hi, game")
            at.sees("has ended with status 3")
            staying.send_signal(signal.SIGINT)
            assert staying.wait(PATIENCE) == 130
            assert staying.stderr is not None
            assert staying.stderr.read() == ""
        at.sees("> ")
        at.line("leave")
        at.sees("Throw them.")
        at.type("\x04")
        assert at.ended() == 0
    folder = ann.folder / "user" / "downloads" / "ann" / "Dice"
    assert {path.name for path in folder.iterdir()} == {".game_id", "1.0.0", "1.0.0.json"}
    seen = json.loads((folder / "1.0.0" / "seen.json").read_text())
    assert seen["GAMEROOM_PARTY_CODE"] == code
    assert (seen["GAMEROOM_ROOM_ID"], seen["GAMEROOM_GAME_ID"], seen["GAMEROOM_VERSION"]) == (room["room_id"], dice, "1.0.0")
    assert (seen["GAMEROOM_PORT"], seen["GAMEROOM_SEAT"]) == (str(ann.daemon.web_port), "0")
    assert seen["GAMEROOM_JOIN_URL"].endswith(f"/join/{room['room_id']}")
    assert len(seen["GAMEROOM_SESSION_TOKEN"]) == 43


def test_the_session_is_kept(ann: Shell) -> None:
    """A second visit needs no password; one that was superseded says so and asks."""
    assert ann.call("register", "ann").returncode == 0
    with AtTerminal(ann) as at:
        at.sees("you are ann")
        elsewhere = Shell(ann.daemon, ann.folder / "elsewhere")
        assert elsewhere.call("login", "ann").returncode == 0
        at.line("players")
        at.sees("1 log in, 2 register, or quit: ")
        at.line("1")
        at.sees("Username: ")
        at.line("ann")
        at.sees("Password: ")
        at.line(PASSWORD)
        at.sees("Players")
        at.line("back")
        at.sees("you are ann")
        at.line("quit")
        assert at.ended() == 0
    superseded = elsewhere.call("whoami")
    assert superseded.returncode == 1
    assert "gameroom play login takes ann back" in superseded.stderr
    assert len(superseded.stderr.splitlines()) == 1


def test_ctrl_c(ann: Shell) -> None:
    """It leaves at once, and the terminal is as it was."""
    assert ann.call("register", "ann").returncode == 0
    with AtTerminal(ann) as at:
        at.sees("> ")
        at.type("half a li\x03")
        assert at.ended() == 130


def test_the_daemon_goes_and_comes_back(ann: Shell) -> None:
    """It is told while one looks at the menu, and Enter goes on once the daemon is there again."""
    assert ann.call("register", "ann").returncode == 0
    with AtTerminal(ann) as at:
        at.sees("> ")
        ann.daemon.kill9()
        at.sees("Enter goes on")
        at.line("")
        at.sees("Enter connects again, Ctrl-D leaves: ")
        at.line("")
        at.sees("is the server there?")
        ann.daemon.start_again()
        at.line("")
        at.sees("you are ann")
        at.line("quit")
        assert at.ended() == 0


def test_plain_lines(ann: Shell, dice: str) -> None:
    """Without a terminal the same menus read lines, and leave at the end of them."""
    typed = f"register\nann\n{PASSWORD}\ngames\n1\ndownload\ncreate private\n"
    done = ann.call(stdin=typed)
    assert done.returncode == 0, done
    assert "is downloaded: user/downloads/ann/Dice/1.0.0" in done.stdout
    assert "0  ann (host)" in done.stdout
    assert "\x1b" not in done.stdout
    assert (ann.folder / "user/downloads/ann/Dice/1.0.0/client.py").read_text() == CLIENT


def test_commands(ann: Shell, dice: str) -> None:
    """Every menu action as a command, with JSON."""
    assert ann.said("register", "ann")["username"] == "ann"
    first, *shipped = [game["name"] for game in ann.said("games")]
    assert first == "Dice"
    assert "Wet Paint" in shipped
    assert ann.said("game", "dice")["description"] == "Throw them."
    assert ann.said("review", "Dice", "4", "Good.")["score"] == 4
    assert [review["comment"] for review in ann.said("reviews", dice)] == ["Good."]
    first, again = ann.said("download", "Dice"), ann.said("download", "Dice", "1.0.0")
    assert (first["new"], again["new"], first["command"]) == (True, False, ["python3", "client.py"])
    room_id = ann.said("create", "Dice")["room_id"]
    assert [room["room_id"] for room in ann.said("rooms")] == [room_id]
    assert ann.said("players") == ["ann"]
    assert ann.said("start")["room_id"] == room_id
    refused = ann.call("run")
    assert (refused.returncode, "--yes runs it" in refused.stderr) == (2, True)
    ran = ann.call("run", "--yes")
    assert (ran.returncode, "the game runs for ann" in ran.stdout) == (2, True)
    assert ran.stderr == "gameroom: the game's program has ended with status 3\n"
    assert ann.said("leave")["room_id"] == room_id
    wait_until(lambda: ann.said("rooms") == [], "the room is gone")
    assert ann.said("logout")["logged_in"] is False


def test_a_download_that_was_broken_off(ann: Shell, daemon: Daemon, tmp_path: Path) -> None:
    """What has come is kept in `<version>.part`, and the next download goes on with it."""
    developer = Developer(daemon, tmp_path / "developer")
    developer.done("register", "maker")
    content = bytes(range(256)) * (16 << 12)
    (developer.folder / "big.bin").write_bytes(content)
    developer.done("create", "--name", "Big")
    developer.done("push", "big.bin", "--game", "Big", "--version", "1.0.0")
    assert ann.call("register", "ann").returncode == 0
    folder = ann.folder / "user" / "downloads" / "ann" / "Big"
    folder.mkdir(parents=True)
    (folder / "1.0.0.part").write_bytes(content[: 3 * 262_144 + 17])
    said = ann.said("download", "Big")
    assert (said["new"], said["bundle"]) == (True, False)
    assert (folder / "1.0.0" / "bundle.bin").read_bytes() == content
    assert not (folder / "1.0.0.part").exists()


def test_errors_are_one_line(ann: Shell) -> None:
    """And no traceback."""
    assert ann.call("register", "ann").returncode == 0
    for status, words, arguments in (
        (2, "there is no game nope", ("game", "nope")),
        (1, "", ("join", "BCDFGH")),
        (2, "you are in no room", ("leave",)),
        (2, "names no server", ("games", "--server", "a b")),
        (2, "you are not logged in", ("games", "--server", "127.0.0.1:1")),
        (2, "is the server there?", ("login", "ann", "--server", "127.0.0.1:1")),
        (1, "", ("register", "ann")),
    ):
        done = ann.call(*arguments)
        assert (done.returncode, len(done.stderr.splitlines())) == (status, 1), done
        assert words in done.stderr
        assert done.stderr.startswith("gameroom: ")
