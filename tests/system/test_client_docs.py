"""The programs of docs/client.md, as they stand there, against a real daemon."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.system.harness import LOOPBACK, PATIENCE, Daemon
from tests.system.lobby import LobbyPeer
from tests.system.store import upload

PAGE = Path(__file__).parents[2] / "docs" / "client.md"
EXAMPLE = Path(__file__).parents[2] / "examples" / "game-server-python"
SHIPPED = ["Connect Four", "Loners", "Wet Paint", "Liar's Dice"]


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with the page's files in it."""
    for name, text in re.findall(r"<!-- file: (\S+) -->\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_bot(daemon: Daemon, programs: Path) -> None:
    """It lists the games, is refused in words, and greets who comes in by its party code."""
    with (
        subprocess.Popen(
            [sys.executable, "bot.py", f"{LOOPBACK}:{daemon.lobby_port}"], cwd=programs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as bot,
        LobbyPeer(daemon.lobby_port) as peer,
    ):
        assert bot.stdout is not None
        said = [bot.stdout.readline() for _ in range(len(SHIPPED) + 1)]
        assert [line.rsplit(maxsplit=2)[0] for line in said[:-1]] == SHIPPED
        assert said[-1].startswith("103 ")
        word, code = bot.stdout.readline().split()
        assert word == "party"
        token = peer.register("bob")
        peer.good("SUBSCRIBE", {"rooms": True}, token)
        peer.good("JOIN_PARTY", {"party_code": code}, token)
        assert peer.push("CHAT")["text"] == "Welcome, bob!"
        out, err = bot.communicate(timeout=PATIENCE)
        assert (bot.returncode, err) == (0, "")
        assert "Welcome, bob!" in out


def test_the_build_server(daemon: Daemon, programs: Path) -> None:
    """It uploads a first version with a new account and game, and a second one with both."""
    content = os.urandom(600_000)
    (programs / "dots.bin").write_bytes(content)
    for version in ("1.0.0", "1.1.0"):
        done = subprocess.run(
            [sys.executable, "publish.py", f"{LOOPBACK}:{daemon.developer_port}", "Dots", version, "dots.bin"],
            cwd=programs,
            env={**os.environ, "PASSWORD": "correct horse"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        *_, there, last = done.stdout.splitlines()
        assert there == "600000 of 600000 bytes"
        assert last == f"{version} is the latest 600000"
    [path] = (daemon.folder / "var" / "uploadedGame").glob("*/1.1.0/bundle.bin")
    assert path.read_bytes() == content


def test_the_player(daemon: Daemon, programs: Path) -> None:
    """One hosts and one joins by the party code; they play, come back behind the end, and both hear who has won."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in EXAMPLE.glob("*.*"):
            text = path.read_text().replace("steps_per_second = 8", "steps_per_second = 50").replace("countdown_seconds = 3", "countdown_seconds = 0")
            archive.writestr(path.name, text)
    game_id = upload(daemon, packed.getvalue(), max_players=4)

    def player(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "player.py", f"{LOOPBACK}:{daemon.game_port}", *arguments]
        return subprocess.Popen(command, cwd=programs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    players = [player("host", game_id)]
    try:
        assert players[0].stdout is not None
        _, code = players[0].stdout.readline().split()
        players.append(player("join", code))
        said = [each.communicate(timeout=PATIENCE) for each in players]
    finally:
        for each in players:
            each.kill()
            each.communicate()
    assert [err for _, err in said] == ["", ""]
    results = {out for out, _ in said}
    assert len(results) == 1
    assert results <= {"won by Cleo\n", "won by Dan\n", "won by None\n"}
