"""`gameroom play` at a terminal of its own, as a person has it, and as a command."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.system.harness import LOOPBACK, PATIENCE, Daemon

PASSWORD = "correct horse"
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
GAMEROOM = str(Path(sys.executable).with_name("gameroom"))


class Shell:
    """Somebody with a folder and a kept session, who calls commands."""

    def __init__(self, daemon: Daemon, folder: Path) -> None:
        self.daemon = daemon
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def environment(self, **more: str) -> dict[str, str]:
        ours = {key: value for key, value in os.environ.items() if not key.startswith("GAMEROOM_")}
        server = f"{LOOPBACK}:{self.daemon.lobby_port}"
        return {**ours, "GAMEROOM_SERVER": server, "XDG_CONFIG_HOME": str(self.folder / "config"), "TERM": "xterm", "LANG": "C.UTF-8", **more}

    def call(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """`gameroom play …` without a terminal."""
        return subprocess.run(
            [GAMEROOM, "play", *arguments],
            cwd=self.folder,
            env=self.environment(GAMEROOM_PASSWORD=PASSWORD),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def said(self, *arguments: str) -> Any:
        """What a command says as JSON."""
        done = self.call(*arguments, "--json")
        assert done.returncode == 0, done
        return json.loads(done.stdout)


class AtTerminal:
    """`gameroom play`, or another command, and what its person sees and types. As a context manager it is running inside."""

    def __init__(self, shell: Shell, *arguments: str, columns: int = 100) -> None:
        self._begin([GAMEROOM, "play", *arguments], shell.folder, shell.environment(), columns)

    @classmethod
    def running(cls, command: list[str], folder: Path, environment: dict[str, str]) -> AtTerminal:
        """Another command than `gameroom play`."""
        terminal = cls.__new__(cls)
        terminal._begin(command, folder, environment, 80)
        return terminal

    def _begin(self, command: list[str], folder: Path, environment: dict[str, str], columns: int) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.modes = termios.tcgetattr(slave)
        self._slave = slave
        self._raw = ""
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=_own_terminal,  # noqa: PLW1509 - it takes no lock
        )

    def __enter__(self) -> AtTerminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)
        os.close(self._master)
        os.close(self._slave)

    def type(self, text: str) -> None:
        """Keys, as they are."""
        os.write(self._master, text.encode())

    def line(self, text: str) -> None:
        self.type(f"{text}\r")

    def sees(self, words: str) -> str:
        """Wait until the words stand somewhere; gives all up to them and goes on behind them."""
        deadline = time.monotonic() + PATIENCE
        while words not in (text := _ESCAPES.sub("", self._raw)):
            left = deadline - time.monotonic()
            assert left > 0, f"{words!r} did not come; there was:\n{text}"
            self._read(left)
        before, _, rest = text.partition(words)
        self._raw = rest
        return before

    def _read(self, seconds: float) -> None:
        if select.select([self._master], [], [], min(seconds, 0.2))[0]:
            try:
                self._raw += os.read(self._master, 65536).decode(errors="replace")
            except OSError:
                pass
        elif self.process.poll() is not None:
            raise AssertionError(f"it has ended with {self.process.returncode}:\n{self._raw}")

    def ended(self) -> int:
        """The exit status; the terminal is as it was."""
        status = self.process.wait(PATIENCE)
        assert termios.tcgetattr(self._slave) == self.modes, "the terminal was left in another mode"
        return status


def _own_terminal() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
