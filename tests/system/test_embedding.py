"""Every .tac file in tap/ runs, and answers."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.system.harness import ENDS_WITHIN, LOOPBACK, PATIENCE, STARTS_WITHIN, free_port, twistd, wait_until
from tests.system.lobby import LobbyPeer

SERVICE = Path(__file__).parents[2] / "gameroom/cli/templates/service/service.py"
TAP = Path(__file__).parents[2] / "tap"
ALL = {"authproxy.tac", "daemon.tac", "developer.tac", "embedded.tac", "lobby.tac", "table.tac"}


@contextmanager
def _running(tac: str, folder: Path, ports: list[int], **environment: str) -> Iterator[None]:
    """`twistd --python` of one file, while all these ports take connections."""
    folder.mkdir(exist_ok=True)
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GAMEROOM_")}
    command = [twistd(), "--nodaemon", "--pidfile=", "--python", str(TAP / tac)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=clean | environment)
    try:
        wait_until(lambda: process.poll() is not None or all(_listens(port) for port in ports), f"{tac} is up", STARTS_WITHIN)
        assert process.poll() is None, (folder / "log").read_text()
        yield
        process.terminate()
        process.wait(ENDS_WITHIN)
        assert "Traceback" not in (folder / "log").read_text()
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def _page(port: int, path: str = "/") -> tuple[int, str]:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers={"Accept": "text/html"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def _assert_lobby_plays(port: int) -> str:
    """Register, open a room, see it; gives its id."""
    with LobbyPeer(port) as peer:
        token = peer.register("guest-of-honour")
        [game] = [each for each in peer.good("LIST_GAMES", token=token)["games"] if each["name"] == "Wet Paint"]
        room = peer.good("CREATE_ROOM", {"game_id": game["game_id"]}, token)
        assert [entry["room_id"] for entry in peer.good("LIST_ROOMS", token=token)["rooms"]] == [room["room_id"]]
        return str(room["room_id"])


def test_every_file_is_run_here() -> None:
    """A new file in tap/ wants a test; authproxy.tac has its own in test_authproxy.py."""
    assert {path.name for path in TAP.glob("*.tac")} == ALL


def test_the_whole_daemon(tmp_path: Path) -> None:
    """tap/daemon.tac: every door, settings from the environment."""
    ports = lobby, developer, web, admin = [free_port() for _ in range(4)]
    doors = {f"GAMEROOM_{door}": f"tcp:{port}:interface={LOOPBACK}" for door, port in zip(("LOBBY", "DEVELOPER", "WEB", "ADMIN"), ports, strict=True)}
    with _running("daemon.tac", tmp_path / "daemon", ports, GAMEROOM_DATA="var", **doors):
        wait_until(lambda: _page(admin, "/readyz")[0] == 200, "it is ready")
        _assert_lobby_plays(lobby)
        assert _page(web)[0] == 200
        with LobbyPeer(developer) as peer:
            assert peer.good("PING") == {}


def test_the_lobby_alone(tmp_path: Path) -> None:
    """tap/lobby.tac: JSON lines and nothing else."""
    lobby = free_port()
    with _running("lobby.tac", tmp_path / "lobby", [lobby], GAMEROOM_DATA="var", GAMEROOM_LOBBY=f"tcp:{lobby}:interface={LOOPBACK}"):
        _assert_lobby_plays(lobby)


@pytest.mark.parametrize("runs", [1, 2], ids=["fresh", "again-on-the-same-data"])
def test_one_factory_in_another_application(tmp_path: Path, runs: int) -> None:
    """tap/embedded.tac: somebody else's web site shows the rooms of a lobby that runs inside of it."""
    lobby, site = free_port(), free_port()
    for run in range(runs):
        with _running(
            "embedded.tac",
            tmp_path / "club",
            [lobby, site],
            CLUB_DATA="club",
            CLUB_LOBBY=f"tcp:{lobby}:interface={LOOPBACK}",
            CLUB_SITE=f"tcp:{site}:interface={LOOPBACK}",
        ):
            if run == 0:
                room_id = _assert_lobby_plays(lobby)
            status, page = _page(site)
            assert status == 200
            assert room_id in page


def test_the_developer_door_in_another_application(tmp_path: Path) -> None:
    """tap/developer.tac: builds that are uploaded are in the application's folder; a second start knows them."""
    port = free_port()
    for run in range(2):
        doors = {"STUDIO_DATA": "studio", "STUDIO_DEVELOPER": f"tcp:{port}:interface={LOOPBACK}"}
        with _running("developer.tac", tmp_path / "studio", [port], **doors), LobbyPeer(port) as peer:
            account = {"username": "ada", "password": "correct horse"}
            token = str(peer.good("REGISTER_DEV" if run == 0 else "LOGIN_DEV", account)["session_token"])
            if run == 0:
                said = {"name": "Dots", "description": "", "game_type": "gui", "max_players": 2}
                game_id = str(peer.good("CREATE_GAME", said, token)["game_id"])
            version = f"1.{run}.0"
            begun = peer.good("UPLOAD_BEGIN", {"game_id": game_id, "version": version, "size_bytes": 5}, token)
            peer.good("UPLOAD_CHUNK", {"upload_id": begun["upload_id"], "seq": 0, "data_b64": "aGVsbG8="}, token)
            assert peer.good("UPLOAD_END", {"upload_id": begun["upload_id"]}, token) == {"version": version, "is_latest": True}
            assert (tmp_path / "studio" / "studio" / "uploadedGame" / game_id / version / "bundle.bin").read_bytes() == b"hello"
            assert len(peer.good("LIST_VERSIONS", {"game_id": game_id}, token)["versions"]) == run + 1


def test_a_micro_game_service_in_another_application(tmp_path: Path) -> None:
    """tap/table.tac: somebody else's program has the rules of a micro game service, which is killed and started again in the midst of a game."""
    table, service = free_port(), free_port()
    doors = {"TABLE_SERVICE": f"tcp:{LOOPBACK}:{service}", "TABLE_PORT": f"tcp:{table}:interface={LOOPBACK}"}
    with _running("table.tac", tmp_path / "table", [table], **doors), socket.create_connection((LOOPBACK, table), timeout=PATIENCE) as player:
        lines = player.makefile("rwb", buffering=0)

        def heard(count: int) -> list[Any]:
            return [json.loads(lines.readline()) for _ in range(count)]

        with _service(service):
            assert heard(2)[0]["points"] == {"0": 0}
        for points in (1, 2):
            lines.write(b'{"pick": 30}\n')
            # The one that was called before is gone, and this one knows nothing of it.
            with _service(service):
                assert heard(4)[1]["points"] == {"0": points}
                lines.write(b'{"pick": -1}\n')
                assert heard(1) == [{"error": 100}]


@contextmanager
def _service(port: int) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, str(SERVICE), "--listen", f"{LOOPBACK}:{port}"])
    try:
        yield
    finally:
        process.kill()
        process.wait()
