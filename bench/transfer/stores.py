"""The servers that transfers are put on: gameroom as anybody would run it, and one written for Node."""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

HERE = Path(__file__).parent
# What the benches share stands beside the rooms' own.
sys.path.append(str(HERE.parent / "lockstep"))
generator, processes, servers = (import_module(name) for name in ("generator", "processes", "servers"))


class Transfers(Protocol):
    """A server that files go to and come from; made anew for each run."""

    upload_port: int
    download_port: int
    developer: str
    """The session token of a developer who has the game `game_id`."""
    player: str
    game_id: str

    def start(self, core: int | None) -> None:
        """Start it on this core; return when it answers, with accounts and game."""

    def pids(self) -> list[int]:
        """The processes whose time and memory count."""

    def stop(self) -> None:
        """End it and remove what it left."""


def ask(port: int, kind: str, payload: dict[str, Any], token: str | None = None) -> dict[str, Any]:
    """The payload of an answer that is ok; raises RuntimeError for another one."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(json.dumps({"type": kind, "token": token, "payload": payload}).encode() + b"\n")
        answer = json.loads(connection.makefile("rb").readline())
    if answer["status"] != "ok":
        raise RuntimeError(f"{kind} was answered {answer}")
    fields: dict[str, Any] = answer["payload"]
    return fields


class Gameroom(servers.Gameroom):  # type: ignore[name-defined]
    """`twistd gameroom` on its embedded database; nothing of it is turned off."""

    def __init__(self, reactor: str = "gameroom") -> None:
        super().__init__(reactor)
        self.upload_port, self.download_port = servers.free_port(), servers.free_port()
        self.developer = self.player = self.game_id = ""

    def command(self) -> list[str]:
        doors = {"lobby": self.download_port, "developer": self.upload_port}
        command: list[str] = super().command()
        for door, port in doors.items():
            command[command.index(f"--{door}") + 1] = f"tcp:{port}:interface=127.0.0.1"
        return command

    def start(self, core: int | None) -> None:
        super().start(core)
        account = {"username": f"bench-{secrets.token_hex(4)}", "password": secrets.token_hex(8)}
        self.developer = ask(self.upload_port, "REGISTER_DEV", account)["session_token"]
        self.player = ask(self.download_port, "REGISTER_PLAYER", account)["session_token"]
        game = {"name": "bench", "description": "", "game_type": "cli", "max_players": 2}
        self.game_id = ask(self.upload_port, "CREATE_GAME", game, self.developer)["game_id"]


class Node:
    """`peers/server.mjs`."""

    developer = player = "bench"
    game_id = "bench"

    def __init__(self) -> None:
        self.upload_port = self.download_port = servers.free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="gameroom-bench-"))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, core: int | None) -> None:
        command = ["node", str(HERE / "peers" / "server.mjs"), str(self.upload_port), str(self.folder)]
        self.process = processes.start_on(core, command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        if self.process.stdout.readline() != b"ready\n":
            raise RuntimeError("the Node server did not start")

    def pids(self) -> list[int]:
        return [self.process.pid] if self.process else []

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            # Let go of what it has written, so that the next one does not wait for it.
            time.sleep(0.1)
        shutil.rmtree(self.folder, ignore_errors=True)
