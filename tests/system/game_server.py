"""A GameServer for one test, and who starts it and speaks to it as gameroom does: control first, then a connection for each player.

It needs no gameroom: an author of a GameServer may test one just so.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

LOOPBACK = "127.0.0.1"
PATIENCE = 60.0
CONTROL, TYPE, CLIENT_AUTH, CONNECTED, GAME_CONFIG, ERROR, PING, PONG, STATUS = 1, 2, 4, 5, 6, 9, 10, 11, 13
RAW, JSON = 0, 1
TOKEN = "the token of this room"


class Wire:
    """A connection to the GameServer, envelope by envelope."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        self.socket = connection
        self._came = b""

    def send(self, type_: int, value: Any, en: int = JSON) -> None:
        self.socket.sendall(envelope(type_, value, en))

    def next(self) -> tuple[int, Any]:
        """The next envelope's type and value. Raises EOFError once the GameServer has ended it."""
        while True:
            if len(self._came) >= 4:
                version, head, length = struct.unpack_from("!BBH", self._came)
                assert version == 1
                if len(self._came) >= 4 + length:
                    body, self._came = self._came[4 : 4 + length], self._came[4 + length :]
                    return head >> 2, json.loads(body) if head & 3 == JSON else body
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                raise EOFError
            self._came += data

    def until(self, type_: int) -> Any:
        """The value of the next envelope of this type; others before it are passed over."""
        while True:
            kind, value = self.next()
            if kind == type_:
                return value

    def ended(self) -> bool:
        """Reads to the end, which comes."""
        try:
            while True:
                self.next()
        except EOFError:
            return True

    def close(self) -> None:
        self.socket.close()


def envelope(type_: int, value: Any, en: int = JSON) -> bytes:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return struct.pack("!BBH", 1, type_ << 2 | en, len(body)) + body


class GameServerProcess:
    """A GameServer that runs for so many players. As a context manager it is running inside, and gone outside."""

    def __init__(self, folder: Path, command: list[str], players: list[str], **config: Any) -> None:
        self.players = [{"seat": seat, "id": name.lower(), "name": name} for seat, name in enumerate(players)]
        self.config = config
        self._wires: list[Wire] = []
        with socket.create_server((LOOPBACK, 0)) as listening:
            self.address = listening.getsockname()
            self.control = self._wire()
            self.process: subprocess.Popen[bytes] = subprocess.Popen(
                ["/bin/sh", "-c", 'exec "$@" 3<&0 0</dev/null', "sh", *command],
                cwd=folder,
                stdin=listening.fileno(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={"PATH": os.environ["PATH"], "LISTEN_FDS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            )
        self.control.send(TYPE, {"type": "control"})
        self.say_players()

    def say_players(self) -> None:
        """CONTROL, for the first time or once more."""
        self.control.send(CONTROL, {"token": TOKEN, "id": "a room", "options": {"max_players": 4, "players": self.players, "config": self.config}})

    def ready(self) -> None:
        assert self.control.until(STATUS) == {"state": "ready"}

    def enter(self, seat: int, token: str = TOKEN) -> Wire:
        """A player's connection, behind CLIENT_AUTH."""
        wire = self._wire()
        wire.send(TYPE, {"type": "client"})
        player = self.players[seat] if seat < len(self.players) else {"seat": seat, "id": "x", "name": "X"}
        wire.send(CLIENT_AUTH, {**player, "token": token})
        return wire

    def _wire(self) -> Wire:
        wire = Wire(socket.create_connection(self.address))
        self._wires.append(wire)
        return wire

    def ended(self, within: float = PATIENCE) -> int:
        """The exit status."""
        return self.process.wait(within)

    def output(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.read().decode()

    def __enter__(self) -> GameServerProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        for wire in self._wires:
            wire.close()
        self.process.kill()
        self.process.communicate()
