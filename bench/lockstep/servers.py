"""The servers that the load is put on.

A `ServerUnderTest` is started on one core, makes the seats of a shape, tells which processes are to be measured, and is
stopped.
The peers are in `peer_servers.py`.
"""

from __future__ import annotations

import http.client
import json
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import attrs
from processes import start_on

STARTS_WITHIN = 30.0
STOPS_WITHIN = 10.0


@attrs.frozen(kw_only=True)
class Shape:
    """How many rooms of how many players play what."""

    rooms: int
    players: int
    encoding: str
    window: int

    def __str__(self) -> str:
        return f"{self.rooms} × {self.players} {self.encoding}"


@attrs.frozen(kw_only=True)
class Seat:
    """One connection to be opened: the seat `number` of the `room`-th room, by its seat token."""

    room: int
    number: int
    path: str
    token: str


class ServerUnderTest(Protocol):
    """A server that the load can be put on; made anew for each run."""

    port: int
    framing: str
    """How packets travel: "gameroom", as they are, "colyseus", in its messages, or "envelopes", in those of the game port."""

    def start(self, core: int | None) -> None:
        """Start it on this core; return when it answers."""

    def seats(self, shape: Shape) -> list[Seat]:
        """Make the rooms and take all seats of them; they begin when all players have said that they are ready."""

    def pids(self) -> list[int]:
        """The processes whose time and memory count."""

    def stop(self) -> None:
        """End it and remove what it left."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


class Gameroom:
    """`twistd gameroom` on its embedded database, with recordings, as anybody would run it, on the reactor of that name.

    `twistd` is that of another build than what runs this.
    """

    framing = "gameroom"
    config = "[limits]\nconnections_per_address = 100000\nrooms_per_address = 100000\n"

    def __init__(self, reactor: str = "gameroom", twistd: str | None = None) -> None:
        self.reactor = reactor
        self.twistd = twistd or str(Path(sys.executable).with_name("twistd"))
        self.port = self.web_port = free_port()
        self.admin_port = another_port(self.web_port)
        self.folder = Path(tempfile.mkdtemp(prefix="gameroom-bench-"))
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        doors = {
            "lobby": "off",
            "developer": "off",
            "game": "off",
            "web": f"tcp:{self.web_port}:interface=127.0.0.1",
            "admin": f"tcp:{self.admin_port}:interface=127.0.0.1",
        }
        command = [self.twistd, f"--reactor={self.reactor}", "--nodaemon", "--pidfile=", "gameroom", "--config", "gameroom.toml", "--data", "var"]
        return command + [part for door, endpoint in doors.items() for part in (f"--{door}", endpoint)]

    def start(self, core: int | None) -> None:
        (self.folder / "gameroom.toml").write_text(self.config)
        with (self.folder / "log").open("wb") as log:
            self.process = start_on(core, self.command(), cwd=self.folder, stdout=log, stderr=log)
        deadline = time.monotonic() + STARTS_WITHIN
        while not self._ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                log_end = (self.folder / "log").read_text(errors="replace")[-4000:]
                raise RuntimeError(f"the server did not start:\n{log_end}")
            time.sleep(0.05)

    def _ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def seats(self, shape: Shape) -> list[Seat]:
        web = http.client.HTTPConnection("127.0.0.1", self.web_port, timeout=30)
        try:
            return self._take_seats(web, shape)
        finally:
            web.close()

    def _take_seats(self, web: http.client.HTTPConnection, shape: Shape) -> list[Seat]:
        account = {"username": "bench", "password": secrets.token_hex(8)}
        session = post(web, "/register", account)["session_token"]
        content = {
            "engine": {"url": "http://127.0.0.1/bench.js"},
            "seed": 1,
            "min_players": shape.players,
            "max_players": shape.players,
            "encoding": shape.encoding,
            "input_delay": shape.window,
        }
        taken = []
        for room in range(shape.rooms):
            join = post(web, "/create", content, session)["join"]
            for _ in range(shape.players):
                seat = post(web, urlsplit(join).path, {})
                taken.append(Seat(room=room, number=seat["seat"], path=urlsplit(seat["socket"]).path, token=seat["token"]))
        return taken

    def pids(self) -> list[int]:
        return [self.process.pid] if self.process else []

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            # The rooms still play: the second SIGTERM is what stops at once.
            for _ in range(2):
                self.process.send_signal(signal.SIGTERM)
                time.sleep(0.2)
            try:
                self.process.wait(STOPS_WITHIN)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class GamePort(Gameroom):
    """The same, played at the game port: in envelopes over TCP."""

    framing = "envelopes"

    def __init__(self, reactor: str = "gameroom", twistd: str | None = None) -> None:
        super().__init__(reactor, twistd)
        self.port = another_port(self.web_port, self.admin_port)

    def command(self) -> list[str]:
        command = super().command()
        command[command.index("--game") + 1] = f"tcp:{self.port}:interface=127.0.0.1"
        return command


def another_port(*ports: int) -> int:
    """A free port that is none of these: what was let go of may be given again."""
    while (port := free_port()) in ports:
        pass
    return port


def post(web: http.client.HTTPConnection, path: str, body: dict[str, Any], session: str | None = None) -> dict[str, Any]:
    """What a server answers to JSON; raises RuntimeError where it refuses."""
    headers = {"Content-Type": "application/json"}
    if session is not None:
        headers["Authorization"] = f"Bearer {session}"
    web.request("POST", path, json.dumps(body), headers)
    answer = web.getresponse()
    content = answer.read()
    if answer.status not in (200, 201):
        raise RuntimeError(f"POST {path} was answered {answer.status}: {content[:500]!r}")
    fields: dict[str, Any] = json.loads(content)
    return fields
