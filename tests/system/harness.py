"""A real `twistd gameroom` for one test: started in a folder of its own on free ports, and ended by its pid."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from gameroom.settings import SandboxSettings
from tests.system import fork_server
from tests.system.fork_server import Forked

PATIENCE = 60.0
"""Seconds for whatever is waited for and would else be waited for without end. A machine that is busy with other things may stand still for some."""
BUSY = 4
"""By so much longer may a busy machine take for what has a time of its own."""
STARTS_WITHIN = 2 * PATIENCE
ENDS_WITHIN = PATIENCE
AGAIN_AFTER = 0.2
"""Seconds between two SIGTERMs."""
LOOPBACK = "127.0.0.1"
FOR_PROGRAMS = range(SandboxSettings().direct_ports[0], SandboxSettings().direct_ports[1] + 1)
SHARE = 500
"""Ports that one process of the tests has for itself; many more than one test takes."""
REACTOR = os.environ.get("REACTOR", "gameroom")
"""What the daemon runs on, as in `make run`."""

Settings = Mapping[str, Mapping[str, Any]]
DaemonMaker = Callable[..., "Daemon"]
"""The fixture `make_daemon`."""

QUICK: Settings = {
    "accounts": {"bcrypt_cost": 4},
    "limits": {"login_tries": 1000, "unauthenticated_seconds": 60.0},
    "lockstep": {"lag_after": 0.5},
}
"""What makes tests quick: cheap passwords, and lag that shows soon. Who is away is waited for as long as ever."""


def _own_ports() -> Iterator[int]:
    """Those of a share that no other process has, whoever's tests it runs, round and round; the kernel gives none of them to outgoing connections.

    Whoever listens on the first of a share has all of it, for as long as he lives.
    A daemon that was killed finds its ports free when it starts again: no other process takes them meanwhile, and this one not soon.
    """
    # What games' programs are given for themselves is left to them.
    ports = [port for port in range(12_000, 32_000) if port not in FOR_PROGRAMS]
    for start in range(0, len(ports), SHARE):
        first, *others = ports[start : start + SHARE]
        with contextlib.suppress(OSError), socket.create_server((LOOPBACK, first)):
            yield from itertools.cycle(others)
    raise AssertionError("other tests have all ports")


PORTS = _own_ports()


def free_port() -> int:
    """A port that nobody listens on, and that is not given again soon."""
    for port in PORTS:
        try:
            socket.create_server((LOOPBACK, port)).close()
        except OSError:
            continue
        return port
    raise AssertionError("ports go round and round")


def toml_of(settings: Settings) -> str:
    """Tables of plain values as TOML; JSON's strings, numbers, booleans and lists are written alike."""
    return "".join(f"[{table}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items()) for table, keys in settings.items())


def merged(*all_settings: Settings) -> Settings:
    """Later tables' keys beat earlier ones'."""
    result: dict[str, dict[str, Any]] = {}
    for settings in all_settings:
        for table, keys in settings.items():
            result.setdefault(table, {}).update(keys)
    return result


def twistd() -> str:
    """The twistd that belongs to this Python."""
    return str(Path(sys.executable).with_name("twistd"))


def hear_ctrl_c() -> None:
    """For `preexec_fn`: whoever runs the tests in the background of a shell has SIGINT ignored, and so would what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Daemon:
    """One `twistd gameroom`, which may be killed and started again on the same ports and data.

    `descriptors` is its limit of open files, `expects` what stands in the tracebacks that its log may hold.
    As a context manager it is running inside, and gone outside.
    """

    def __init__(
        self,
        folder: Path,
        *,
        database: str | None = None,
        settings: Settings | None = None,
        options: tuple[str, ...] = (),
        descriptors: int | None = None,
        expects: str | None = None,
    ) -> None:
        self.folder = folder
        self.database = database
        self.options = options
        self.descriptors = descriptors
        self.expects = expects
        self.lobby_port, self.developer_port, self.game_port, self.web_port, self.admin_port = (free_port() for _ in range(5))
        self.process: Forked | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "gameroom.toml").write_text(toml_of(merged(QUICK, settings or {})))

    def command(self) -> list[str]:
        doors = {
            "lobby": self.lobby_port,
            "developer": self.developer_port,
            "game": self.game_port,
            "web": self.web_port,
            "admin": self.admin_port,
        }
        command = [twistd(), f"--reactor={REACTOR}", "--nodaemon", "--pidfile=", "gameroom", "--config", "gameroom.toml", "--data", "var"]
        for door, port in doors.items():
            command += [f"--{door}", f"tcp:{port}:interface={LOOPBACK}"]
        if self.database is not None:
            command += ["--database", self.database]
        return command + list(self.options)

    # -- its life

    def start(self) -> None:
        """Start it and wait until it is ready; raises with the log's end where it does not come up."""
        with self.log_path.open("ab") as log:
            self.process = fork_server.start(self.command(), self.folder, self._environment(), log)
        if self.descriptors is not None:
            resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (self.descriptors, self.descriptors))
        wait_until(self._is_up, "the daemon is ready", STARTS_WITHIN)

    start_again = start

    def _environment(self) -> dict[str, str]:
        """Ours without settings of gameroom that the machine may have."""
        return {key: value for key, value in os.environ.items() if not key.startswith("GAMEROOM_")}

    def _is_up(self) -> bool:
        if not self.running:
            raise AssertionError(f"the daemon ended with {self._process.returncode} before it was ready:\n{self.log()[-4000:]}")
        return self.ready()

    def kill9(self) -> None:
        """End it as a power cut would, from its own point of view."""
        self._process.kill()
        self._process.wait(ENDS_WITHIN)

    def terminate(self) -> None:
        """One SIGTERM; the daemon drains."""
        self._process.terminate()

    def wait_ended(self, within: float = ENDS_WITHIN) -> int:
        """The exit status."""
        return self._process.wait(within)

    def stop(self) -> None:
        """End it without waiting for rooms that play; nothing happens where it is gone already."""
        if self.process is None or not self.running:
            return
        deadline = time.monotonic() + ENDS_WITHIN
        while time.monotonic() < deadline:
            # Two that come before the daemon has looked at the first are one to it.
            self.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(AGAIN_AFTER)
                return
        self.kill9()
        raise AssertionError("the daemon did not end at the second SIGTERM")

    def __enter__(self) -> Daemon:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    # -- looking at it

    @property
    def _process(self) -> Forked:
        assert self.process is not None, "the daemon was never started"
        return self.process

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def log_path(self) -> Path:
        return self.folder / "log"

    def log(self) -> str:
        """All that its runs have written to stdout and stderr."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def complaints(self) -> str:
        """The tracebacks in its log, each with the line above it that says what went wrong; those that are expected aside."""
        blocks: list[list[str]] = []
        for line in self.log().splitlines():
            if blocks and line.startswith("\t"):
                blocks[-1].append(line)
            else:
                blocks.append([line])
        texts = ["\n".join(block) for block in blocks if len(block) > 1]
        return "\n\n".join(text for text in texts if "Traceback" in text and not (self.expects and self.expects in text))

    def ready(self) -> bool:
        """What /readyz says."""
        return self.admin("/readyz")[0] == 200

    def admin(self, path: str) -> tuple[int, str]:
        """Status and body of a page of the admin door; status 0 where nobody answers."""
        connection = http.client.HTTPConnection(LOOPBACK, self.admin_port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    def resident_bytes(self) -> int:
        """The memory that it holds."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("the daemon is gone")


def wait_until(happened: Callable[[], object], what: str, within: float = PATIENCE) -> None:
    """Ask again and again until it has happened."""
    deadline = time.monotonic() + within
    while not happened():
        if time.monotonic() > deadline:
            raise AssertionError(f"{within} s have gone by until {what}")
        time.sleep(0.02)
