"""The peers as servers under test; `peer_setup.py` has put them there, and `peers/` is what they run."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import IO, Any

from processes import start_on
from servers import STARTS_WITHIN, STOPS_WITHIN, Seat, Shape, free_port, post


class Peer:
    """A program that is told its port; a WebSocket is at /<room>/<seat>/<players>/<input delay>, and rooms begin by themselves."""

    framing = "gameroom"

    def __init__(self, command: Sequence[str], extra: Sequence[str] = ()) -> None:
        self.command, self.extra = command, extra
        self.port = free_port()
        self.process: subprocess.Popen[Any] | None = None
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as the program runs

    def start(self, core: int | None) -> None:
        environment = os.environ | {"NODE_ENV": "production"}
        self.process = start_on(core, [*self.command, str(self.port), *self.extra], env=environment, stdout=self._log, stderr=self._log)
        deadline = time.monotonic() + STARTS_WITHIN
        while not self._listens():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self._log.seek(0)
                raise RuntimeError(f"{self.command[-1]} did not start: {self._log.read().decode(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def _listens(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5):
                return True
        except OSError:
            return False

    def seats(self, shape: Shape) -> list[Seat]:
        return [
            Seat(room=room, number=number, path=f"/{room}/{number}/{shape.players}/{shape.window}", token="none")
            for room in range(shape.rooms)
            for number in range(shape.players)
        ]

    def pids(self) -> list[int]:
        return [self.process.pid] if self.process else []

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(STOPS_WITHIN)
        self._log.close()


class Colyseus(Peer):
    """Its seats are made by matchmaking over HTTP, as its own client does."""

    framing = "colyseus"

    def seats(self, shape: Shape) -> list[Seat]:
        web = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            return [seat for room in range(shape.rooms) for seat in self._room(web, shape, room)]
        finally:
            web.close()

    def _room(self, web: http.client.HTTPConnection, shape: Shape, room: int) -> list[Seat]:
        content = {"players": shape.players, "delay": shape.window, "seat": 0}
        taken = [post(web, "/matchmake/create/lockstep", content)]
        taken += [post(web, f"/matchmake/joinById/{taken[0]['roomId']}", {"seat": number}) for number in range(1, shape.players)]
        return [
            Seat(room=room, number=number, path=f"/{seat['processId']}/{seat['roomId']}?sessionId={seat['sessionId']}", token="none")
            for number, seat in enumerate(taken)
        ]
