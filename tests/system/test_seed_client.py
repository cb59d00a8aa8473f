"""A developer's and a player's client written from the first protocol description alone: its field names, and nothing optional of ours."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import random
import re
import socket
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.harness import LOOPBACK, PATIENCE, Daemon

CHUNK_BYTES = 4096
PAGE = Path(__file__).parents[2] / "docs" / "protocol" / "developer.md"

NUMBERS = random.Random("seed client")
PLAIN = NUMBERS.randbytes(3 * CHUNK_BYTES + 17)
"""A game that is one file; no chunk of it is like another."""


def bundle() -> bytes:
    """A ZIP with a game.toml, a bit more than four chunks long."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("game.toml", '[hosting]\nkind = "relay"\nmin_players = 1\nmax_players = 2\n\n[client]\nweb = "index.html"\n')
        archive.writestr("index.html", "<!DOCTYPE html><title>Game</title>")
        archive.writestr("pictures/noise.bin", NUMBERS.randbytes(4 * CHUNK_BYTES))
    return buffer.getvalue()


class SeedClient:
    """One connection: a line of JSON is sent, a line of JSON comes back; messages with a `type` may come at any time."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((LOOPBACK, port), timeout=PATIENCE)
        self._lines = self._socket.makefile("rb")
        self.token: str | None = None
        self.messages: list[dict[str, Any]] = []

    def __enter__(self) -> SeedClient:
        return self

    def __exit__(self, *problem: object) -> None:
        self._lines.close()
        self._socket.close()

    def _read(self) -> dict[str, Any]:
        line = self._lines.readline()
        assert line.endswith(b"\n"), "the server closed the connection"
        message: dict[str, Any] = json.loads(line)
        return message

    def ask(self, type_: str, payload: dict[str, Any]) -> dict[str, Any]:
        """The response."""
        request: dict[str, Any] = {"type": type_, "payload": payload}
        if self.token is not None:
            request["token"] = self.token
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        while "status" not in (message := self._read()):
            self.messages.append(message)
        assert message.keys() == {"status", "code", "message", "payload"}, message
        assert (message["status"] == "ok") == (message["code"] == 0), message
        return message

    def ok(self, type_: str, payload: dict[str, Any], *fields: str) -> dict[str, Any]:
        """The payload of a response that has to be ok, and to have exactly these fields."""
        response = self.ask(type_, payload)
        assert response["status"] == "ok", response
        result: dict[str, Any] = response["payload"]
        assert result.keys() == set(fields), result
        return result

    def message(self) -> dict[str, Any]:
        """The next message that was not asked for."""
        return self.messages.pop(0) if self.messages else self._read()

    def begin_session(self, type_: str, username: str) -> None:
        self.token = self.ok(type_, {"username": username, "password": "correct horse"}, "session_token")["session_token"]

    def upload(self, game_id: str, version: str, data: bytes) -> dict[str, Any]:
        """UPLOAD_BEGIN, all chunks, UPLOAD_END: what that answers."""
        said = {"game_id": game_id, "version": version, "size_bytes": len(data), "checksum": hashlib.sha256(data).hexdigest()}
        begun = self.ok("UPLOAD_BEGIN", said, "upload_id", "chunk_size")
        assert begun["chunk_size"] == CHUNK_BYTES
        for seq, chunk in enumerate(chunks_of(data)):
            self.ok("UPLOAD_CHUNK", {"upload_id": begun["upload_id"], "seq": seq, "data_b64": chunk})
        return self.ok("UPLOAD_END", {"upload_id": begun["upload_id"]}, "version", "is_latest")

    def download(self, game_id: str, version: str | None = None) -> bytes:
        """The whole file, chunk by chunk, with its checksum looked at."""
        wanted = {"game_id": game_id} if version is None else {"game_id": game_id, "version": version}
        begun = self.ok("DOWNLOAD_BEGIN", wanted, "download_id", "version", "size_bytes", "chunk_size")
        data = b""
        seq = 0
        while (message := self.message())["type"] == "DOWNLOAD_CHUNK":
            fields = message["payload"]
            assert fields.keys() == {"download_id", "seq", "data_b64"}
            assert (fields["download_id"], fields["seq"]) == (begun["download_id"], seq)
            data += base64.b64decode(fields["data_b64"], validate=True)
            seq += 1
        end = {"download_id": begun["download_id"], "version": begun["version"], "checksum": hashlib.sha256(data).hexdigest()}
        assert message == {"type": "DOWNLOAD_END", "payload": end}
        assert (len(data), seq) == (begun["size_bytes"], -(-len(data) // begun["chunk_size"]))
        return data


def chunks_of(data: bytes) -> list[str]:
    return [base64.b64encode(data[start : start + CHUNK_BYTES]).decode() for start in range(0, len(data), CHUNK_BYTES)]


@pytest.fixture
def developer(daemon: Daemon) -> Iterator[SeedClient]:
    with SeedClient(daemon.developer_port) as client:
        client.begin_session("REGISTER_DEV", "ada")
        yield client


@pytest.fixture
def player(daemon: Daemon) -> Iterator[SeedClient]:
    with SeedClient(daemon.lobby_port) as client:
        client.begin_session("REGISTER_PLAYER", "bob")
        yield client


def new_game(developer: SeedClient, name: str = "Dots") -> str:
    said = {"name": name, "description": "Join the dots.", "game_type": "gui", "max_players": 4}
    return str(developer.ok("CREATE_GAME", said, "game_id")["game_id"])


def test_from_a_developer_to_a_player(daemon: Daemon, developer: SeedClient, player: SeedClient) -> None:
    """A game is made, uploaded, found, reviewed and downloaded, and every byte of it is the same; only the fields that were written down come."""
    zipped = bundle()
    game_id = new_game(developer)
    assert developer.upload(game_id, "1.0.0", PLAIN) == {"version": "1.0.0", "is_latest": True}
    assert developer.upload(game_id, "1.1.0", zipped) == {"version": "1.1.0", "is_latest": True}
    assert developer.upload(game_id, "0.9.0", PLAIN) == {"version": "0.9.0", "is_latest": False}
    listed = developer.ok("LIST_VERSIONS", {"game_id": game_id}, "versions")["versions"]
    assert [version.keys() for version in listed] == [{"version", "uploaded_at", "is_latest"}] * 3
    assert {version["version"]: version["is_latest"] for version in listed} == {"1.1.0": True, "1.0.0": False, "0.9.0": False}

    [game] = [game for game in player.ok("LIST_GAMES", {}, "games")["games"] if game["game_id"] == game_id]
    assert game == {"game_id": game_id, "name": "Dots", "status": "ONLINE", "latest_version": "1.1.0", "avg_score": None}
    latest = player.ok("LATEST_VERSION", {"game_id": game_id}, "version", "size_bytes", "checksum")
    assert latest == {"version": "1.1.0", "size_bytes": len(zipped), "checksum": hashlib.sha256(zipped).hexdigest()}
    assert player.download(game_id) == zipped
    assert player.download(game_id, "1.0.0") == player.download(game_id, "0.9.0") == PLAIN

    player.ok("ADD_REVIEW", {"game_id": game_id, "score": 4, "comment": "Many dots."})
    [review] = player.ok("LIST_REVIEWS", {"game_id": game_id}, "reviews")["reviews"]
    created_at = review.pop("created_at")
    assert review == {"player": "bob", "score": 4, "comment": "Many dots."}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", created_at)
    detail = player.ask("GET_GAME_DETAIL", {"game_id": game_id})["payload"]
    assert detail["reviews_sample"] == [review]
    assert (detail["avg_score"], detail["latest_version"], detail["description"]) == (4, "1.1.0", "Join the dots.")

    for version, data, file in (("1.0.0", PLAIN, "bundle.bin"), ("1.1.0", zipped, "bundle.zip")):
        folder = daemon.folder / "var" / "uploadedGame" / game_id / version
        assert sorted(path.name for path in folder.iterdir()) == [file, "manifest.json"]
        assert (folder / file).read_bytes() == data
        kept = json.loads((folder / "manifest.json").read_text())
        assert {"game_id": game_id, "version": version, "size_bytes": len(data), "developer": "ada"}.items() <= kept.items()


def test_its_developer_alone(daemon: Daemon, developer: SeedClient, player: SeedClient) -> None:
    """Games are changed by their developer, hidden and shown, and by nobody else; tokens of the other role and old ones are refused."""
    game_id = new_game(developer)
    developer.upload(game_id, "1.0.0", b"game")
    assert developer.ok("UPDATE_GAME_META", {"game_id": game_id, "description": "More dots.", "max_players": 2}) == {}
    assert developer.ok("SET_GAME_STATUS", {"game_id": game_id, "status": "OFFLINE"}) == {}
    mine = {"game_id": game_id, "name": "Dots", "description": "More dots.", "status": "OFFLINE", "latest_version": "1.0.0"}
    assert developer.ok("LIST_MY_GAMES", {}, "games")["games"] == [mine]
    assert game_id not in [game["game_id"] for game in player.ok("LIST_GAMES", {}, "games")["games"]]
    assert player.ask("DOWNLOAD_BEGIN", {"game_id": game_id})["code"] == 105
    with SeedClient(daemon.developer_port) as other:
        other.token = player.token
        assert other.ask("LIST_MY_GAMES", {})["code"] == 102
        other.begin_session("REGISTER_DEV", "eve")
        assert other.ask("SET_GAME_STATUS", {"game_id": game_id, "status": "ONLINE"})["code"] == 102
        assert other.ask("UPLOAD_BEGIN", {"game_id": game_id, "version": "2.0.0", "size_bytes": 1})["code"] == 102
        player.token, kept = developer.token, player.token
        assert player.ask("LIST_GAMES", {})["code"] == 102
        player.token = kept
        other.begin_session("LOGIN_DEV", "ada")
        assert [developer.ask("LIST_MY_GAMES", {})["code"] for _ in range(2)] == [105, 105]
        assert other.ok("LIST_MY_GAMES", {}, "games")["games"] == [mine]


def test_a_transfer_that_is_begun_anew(daemon: Daemon, developer: SeedClient) -> None:
    """A client that has lost its connection and knows nothing of going on sends all chunks again from 0; and a wrong number is 120."""
    game_id, chunks = new_game(developer), chunks_of(PLAIN)
    said = {"game_id": game_id, "version": "1.0.0", "size_bytes": len(PLAIN), "checksum": hashlib.sha256(PLAIN).hexdigest()}
    with SeedClient(daemon.developer_port) as first:
        first.token = developer.token
        upload_id = first.ok("UPLOAD_BEGIN", said, "upload_id", "chunk_size")["upload_id"]
        for seq in (0, 1):
            first.ok("UPLOAD_CHUNK", {"upload_id": upload_id, "seq": seq, "data_b64": chunks[seq]})
    daemon.kill9()
    daemon.start_again()
    with SeedClient(daemon.developer_port) as second:
        second.token = developer.token
        assert second.ok("UPLOAD_BEGIN", said, "upload_id", "chunk_size")["upload_id"] == upload_id
        wrong = second.ask("UPLOAD_CHUNK", {"upload_id": upload_id, "seq": 3, "data_b64": chunks[3]})
        assert (wrong["code"], wrong["payload"]) == (120, {"expected_seq": 2})
        assert second.upload(game_id, "1.0.0", PLAIN) == {"version": "1.0.0", "is_latest": True}
        assert second.ask("UPLOAD_CHUNK", {"upload_id": upload_id, "seq": 0, "data_b64": chunks[0]})["code"] == 105
        assert second.ask("UPLOAD_BEGIN", said)["code"] == 104


def test_cancelled(developer: SeedClient) -> None:
    """After CANCEL_UPLOAD the upload is gone, and its version can be uploaded."""
    game_id = new_game(developer)
    begun = developer.ok("UPLOAD_BEGIN", {"game_id": game_id, "version": "1.0.0", "size_bytes": 9}, "upload_id", "chunk_size")
    assert developer.ok("CANCEL_UPLOAD", {"upload_id": begun["upload_id"]}) == {}
    assert developer.ask("UPLOAD_END", {"upload_id": begun["upload_id"]})["code"] == 105
    assert developer.upload(game_id, "1.0.0", b"something else")["is_latest"]


def test_the_shell_of_the_docs(daemon: Daemon, developer: SeedClient, tmp_path: Path) -> None:
    """The loop of split, base64 and nc in docs/protocol/developer.md uploads a file."""
    [script] = re.findall(r"```shell\n(split.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    game_id = new_game(developer)
    begun = developer.ok("UPLOAD_BEGIN", {"game_id": game_id, "version": "1.0.0", "size_bytes": len(PLAIN)}, "upload_id", "chunk_size")
    (tmp_path / "game.bin").write_bytes(PLAIN)
    variables = {**os.environ, "FILE": "game.bin", "TOKEN": str(developer.token), "UPLOAD": begun["upload_id"]}
    command = ["sh", "-e", "-c", script.replace("7001", str(daemon.developer_port))]
    shown = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, check=True, timeout=PATIENCE)
    assert [json.loads(line)["code"] for line in shown.stdout.splitlines()] == [0] * len(chunks_of(PLAIN)), shown
    assert developer.ok("UPLOAD_END", {"upload_id": begun["upload_id"]}, "version", "is_latest")["is_latest"]
    folder = daemon.folder / "var" / "uploadedGame" / game_id / "1.0.0"
    assert (folder / "bundle.bin").read_bytes() == PLAIN
