"""A disk that is full: who uploads is told so in words, everybody else goes on, and it recovers by itself."""

from __future__ import annotations

import base64
import hashlib
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.harness import Daemon, DaemonMaker, wait_until
from tests.system.lobby import PASSWORD, LobbyPeer
from tests.system.store import fetch

MIB = 1 << 20
DISK = 64 * MIB
CHUNK = 262_144
DATA = random.Random("disk full").randbytes(12 * MIB)
WORDS = "the disk of this server is full"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own in memory; without the right to mount one there is nothing to see."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("only root may mount a small disk")
    mounted = subprocess.run([mount, "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Developer:
    """A developer with a game."""

    def __init__(self, daemon: Daemon) -> None:
        self.peer = LobbyPeer(daemon.developer_port)
        self.token = self.peer.good("REGISTER_DEV", {"username": "developer", "password": PASSWORD})["session_token"]
        game = {"name": "game", "description": "", "game_type": "cli", "max_players": 2}
        self.game_id = str(self.peer.good("CREATE_GAME", game, self.token)["game_id"])

    def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        return self.peer.ask(kind, fields, self.token)

    def begin(self, version: str, data: bytes) -> dict[str, Any]:
        return self.ask("UPLOAD_BEGIN", game_id=self.game_id, version=version, size_bytes=len(data), checksum=hashlib.sha256(data).hexdigest())

    def chunk(self, upload_id: str, seq: int, data: bytes) -> dict[str, Any]:
        encoded = base64.b64encode(data[seq * CHUNK : (seq + 1) * CHUNK]).decode()
        return self.ask("UPLOAD_CHUNK", upload_id=upload_id, seq=seq, data_b64=encoded)

    def send(self, upload_id: str, data: bytes, first: int = 0) -> int:
        """Send chunks from this one on until one is refused for want of room; gives which, or how many there are."""
        chunks = -(-len(data) // CHUNK)
        for seq in range(first, chunks):
            answer = self.chunk(upload_id, seq, data)
            if answer["status"] != "ok":
                assert (answer["code"], WORDS in answer["message"]) == (105, True), answer
                return seq
        return chunks


def fill(folder: Path, left: int) -> Path:
    """Somebody else's file, after which so much is free."""
    path = folder / "somebody else's"
    disk = os.statvfs(folder)
    with path.open("ab") as file:
        file.write(bytes(disk.f_bavail * disk.f_frsize - left))
    return path


def goes_on(daemon: Daemon, game_id: str, token: str, data: bytes) -> None:
    """Players read, review and download."""
    with LobbyPeer(daemon.lobby_port) as peer:
        assert game_id in {game["game_id"] for game in peer.good("LIST_GAMES", token=token)["games"]}
        peer.good("ADD_REVIEW", {"game_id": game_id, "score": 5, "comment": "still here"}, token)
        fetched = fetch(peer, game_id, token)
        assert (fetched.whole, fetched.size) == (True, len(data))


@pytest.mark.parametrize("left", [4 * MIB, 2 * MIB])
def test_full_while_it_is_uploaded(make_daemon: DaemonMaker, small_disk: Path, left: int) -> None:
    """The disk is filled under an upload, down to the reserve or below it: 105 in words, nothing that was accepted is lost, and it goes on."""
    daemon = make_daemon(options=("--data", str(small_disk / "var")))
    developer = Developer(daemon)
    with LobbyPeer(daemon.lobby_port) as peer:
        player = peer.register()
    first = developer.begin("1.0.0", DATA)["payload"]["upload_id"]
    assert developer.send(first, DATA) * CHUNK >= len(DATA)
    assert developer.ask("UPLOAD_END", upload_id=first)["status"] == "ok"
    second = developer.begin("2.0.0", DATA[::-1])["payload"]["upload_id"]
    for seq in range(5):
        assert developer.chunk(second, seq, DATA[::-1])["status"] == "ok"
    stranger = fill(small_disk, left)
    stopped = developer.send(second, DATA[::-1], 5)
    assert 5 <= stopped * CHUNK < len(DATA)
    assert developer.ask("UPLOAD_STATUS", upload_id=second)["payload"]["next_seq"] == stopped
    refused = developer.begin("3.0.0", DATA)
    assert (refused["code"], WORDS in refused["message"]) == (105, True), refused
    goes_on(daemon, developer.game_id, player, DATA)
    daemon.kill9()
    daemon.start_again()
    goes_on(daemon, developer.game_id, player, DATA)
    stranger.unlink()
    developer.peer.socket.close()
    developer.peer = LobbyPeer(daemon.developer_port)
    assert developer.ask("UPLOAD_STATUS", upload_id=second)["payload"]["next_seq"] == stopped
    wait_until(lambda: developer.send(second, DATA[::-1], stopped) * CHUNK >= len(DATA), "there is room again")
    published = developer.ask("UPLOAD_END", upload_id=second)
    assert published["payload"] == {"version": "2.0.0", "is_latest": True}, published
    goes_on(daemon, developer.game_id, player, DATA[::-1])
    assert list((small_disk / "var" / "uploads").iterdir()) == []
