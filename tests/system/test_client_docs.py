"""The programs of docs/client.md, as they stand there, against a real daemon."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.harness import LOOPBACK, Daemon
from tests.system.lobby import LobbyPeer

PAGE = Path(__file__).parents[2] / "docs" / "client.md"
PATIENCE = 30.0
SHIPPED = ["Connect Four", "Loners", "Wet Paint"]


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
