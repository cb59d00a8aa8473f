"""A gameroom of one's own for as long as one tries a game: a daemon on this machine alone, in a folder that is gone with it."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from gameroom.cli.reacting import CannotDo

LOOPBACK = "127.0.0.1"
STARTS_WITHIN, ENDS_WITHIN = 30.0, 5.0
LOOKS_EVERY = 0.1
ANSWERS_WITHIN = 10.0
LAST_LINES = 3

# Where this program is killed the daemon ends, too, since Linux sends it SIGTERM then; and takes its folder away itself.
BOOT = """
import atexit, ctypes, os, shutil, signal, sys
parent, folder = int(sys.argv.pop(1)), sys.argv.pop(1)
def is_orphan():
    # Right after a parent's main thread was killed others of it may still be ending, and it is the parent until they have.
    try:
        with open(f"/proc/{parent}/stat") as stat:
            return os.getppid() != parent or stat.read().rpartition(") ")[2][:1] in "ZX"
    except OSError:
        return os.getppid() != parent
atexit.register(lambda: is_orphan() and shutil.rmtree(folder, ignore_errors=True))
try:
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
except (AttributeError, OSError):
    pass
if os.getppid() != parent:
    sys.exit(0)
sys.argv[0] = "twistd"
from twisted.scripts.twistd import run
run()
"""

SETTINGS = """
[accounts]
bcrypt_cost = 4
[limits]
login_tries = 1000
[rooms]
room_ttl = 86400
"""
PATIENT = """
reconnect_window = 600
"""
NO_SANDBOX = """
[sandbox]
kind = "none"
"""


class PrivateDaemon:
    """A running `twistd gameroom`; `stop` ends it and takes its folder away.

    `quietly`: its log goes into the folder instead of to standard error.
    `patient`: a seat waits for its browser as long as one may look into it, instead of the usual minute.
    `sandboxed`: whether it runs programs of games in a sandbox.
    `allow`: the micro game services elsewhere that it may call. `record`: the folder into which it writes updates and answers.
    """

    def __init__(
        self,
        clock: IReactorTime,
        *,
        quietly: bool,
        patient: bool = True,
        sandboxed: bool = True,
        allow: Sequence[str] = (),
        record: Path | None = None,
    ) -> None:
        self._clock = clock
        self.folder = Path(tempfile.mkdtemp(prefix="gameroom-dev-"))
        self.developer_port, self.web_port, self.game_port, self.admin_port = _free_ports(4)
        try:
            settings = SETTINGS + (PATIENT if patient else "") + ("" if sandboxed else NO_SANDBOX) + _service(allow, record)
            (self.folder / "gameroom.toml").write_text(settings, "utf-8")
            with (self.folder / "log").open("wb") as log:
                self._process = subprocess.Popen(
                    self._command(),
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log if quietly else sys.stderr.fileno(),
                    stderr=subprocess.STDOUT,
                    env={key: value for key, value in os.environ.items() if not key.startswith("GAMEROOM_")},
                    # Ctrl-C is for us; we tell it when to end.
                    start_new_session=True,
                )
        except OSError:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def _command(self) -> list[str]:
        twistd = [sys.executable, "-c", BOOT, str(os.getpid()), str(self.folder), "--nodaemon", "--pidfile="]
        command = [*twistd, "gameroom", "--config", "gameroom.toml", "--data", "var"]
        doors = {"developer": self.developer_port, "web": self.web_port, "game": self.game_port, "admin": self.admin_port}
        for door, port in doors.items():
            command += [f"--{door}", f"tcp:{port}:interface={LOOPBACK}"]
        return [*command, "--lobby", "off", "--drain", "0"]

    @property
    def web_url(self) -> str:
        return f"http://{LOOPBACK}:{self.web_port}"

    async def ready(self) -> None:
        """Returns once its doors are open. Raises `CannotDo` where it ends before, or takes too long."""
        until = self._clock.seconds() + STARTS_WITHIN
        while not self._is_ready():
            self.check()
            if self._clock.seconds() > until:
                raise CannotDo(f"the private server has not started within {STARTS_WITHIN:.0f} seconds{self._last_lines()}")
            await deferLater(self._clock, LOOKS_EVERY)

    def check(self) -> None:
        """Raises `CannotDo` where it has ended."""
        status = self._process.poll()
        if status is not None:
            raise CannotDo(f"the private server has ended with status {status}{self._last_lines()}")

    def _is_ready(self) -> bool:
        try:
            return self._request(self.admin_port, "GET", "/readyz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None, token: str | None = None) -> tuple[int, dict[str, Any]]:
        """Status and JSON of an answer of the web door; it blocks for so long. Raises `CannotDo` where there is none."""
        try:
            status, content = self._request(self.web_port, method, path, body, token)
            return status, json.loads(content) if content else {}
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.check()
            raise CannotDo(f"the private server does not answer: {error}") from None

    def _request(self, port: int, method: str, path: str, body: dict[str, Any] | None = None, token: str | None = None) -> tuple[int, bytes]:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=ANSWERS_WITHIN)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _last_lines(self) -> str:
        try:
            lines = (self.folder / "log").read_text(errors="replace").split("\n")
        except OSError:
            return ""
        last = " / ".join(line.strip() for line in [line for line in lines if line.strip()][-LAST_LINES:])
        return f": {last}" if last else ""

    def stop(self) -> None:
        """End it and remove its folder. It has nothing that anybody would miss."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(ENDS_WITHIN)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def _service(allow: Sequence[str], record: Path | None) -> str:
    """`[service]` of its configuration; JSON's strings and arrays are TOML's, too."""
    keep = f"record = {json.dumps(str(record.resolve()), ensure_ascii=False)}\n" if record is not None else ""
    return f"[service]\nallow = {json.dumps(list(allow), ensure_ascii=False)}\n{keep}"


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on just now."""
    sockets = [socket.create_server((LOOPBACK, 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
