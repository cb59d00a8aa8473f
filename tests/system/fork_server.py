"""Daemons without the second that Python takes to import them: they are forked from a process that has imported all of it.

Each is `twistd` itself from the reading of its arguments to its last word, in its own folder and environment. That `twistd` also starts from
nothing is held by those tests that run it as a command (`test_startup_errors.py`, `test_embedding.py`, the tutorials).
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import attrs

ROOT = Path(__file__).parents[2]
LONGEST_REQUEST = 1 << 17
REACTOR = "twisted.internet.reactor"


class Forked:
    """A process that the server forked, with what tests use of `subprocess.Popen`."""

    def __init__(self, channel: socket.socket) -> None:
        """`channel` says its pid, and then how it ended."""
        self._channel = channel
        self.pid = int(channel.recv(64))
        self.returncode: int | None = None
        self._one_at_a_time = threading.Lock()

    def poll(self) -> int | None:
        """How it ended; None while it runs."""
        return self._look(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """How it ended, once it has; raises `subprocess.TimeoutExpired`."""
        status = self._look(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
        return status

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._channel], [], [], timeout)[0]:
            with self._one_at_a_time:
                if self.returncode is None:
                    said = self._channel.recv(64)
                    assert said, "the fork server is gone"
                    self.returncode = int(said)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                # It may end just now, and the server is quick to wait for it.
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(command: Sequence[str], cwd: Path, environment: Mapping[str, str], log: IO[bytes]) -> Forked:
    """Run a command line of twistd's in this folder and environment, with all that it prints in the log."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        request = json.dumps({"command": [*command], "cwd": str(cwd), "environment": {**environment}}).encode()
        socket.send_fds(_server().control, [request], [theirs.fileno(), log.fileno()])
    return Forked(ours)


@attrs.frozen
class _Server:
    """It ends when nobody has the way to it open any more."""

    process: subprocess.Popen[bytes]
    control: socket.socket


@functools.cache
def _server() -> _Server:
    """That of this process of pytest's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        # As with a daemon's own start, what is standard output is no terminal.
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(theirs.fileno())],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
    return _Server(process, ours)


# -- the server


def serve(control: socket.socket) -> dict[str, Any] | None:
    """Fork for each request, and tell how each child ended. Gives its request in a child, and None once nobody asks any more."""
    running: dict[int, tuple[int, socket.socket]] = {}
    while True:
        for ready in select.select([control.fileno(), *running], [], [])[0]:
            if ready in running:
                pid, channel = running.pop(ready)
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with contextlib.suppress(OSError):
                    # Who asked for it may be gone.
                    channel.send(str(status).encode())
                channel.close()
                os.close(ready)
                continue
            data, descriptors, _, _ = socket.recv_fds(control, LONGEST_REQUEST, 2)
            if not data:
                return None
            channel, log = socket.socket(fileno=descriptors[0]), descriptors[1]
            pid = os.fork()
            if pid == 0:
                os.dup2(log, 1)
                os.dup2(log, 2)
                others = [each.detach() for _, each in running.values()]
                for descriptor in (log, *running, *others, channel.detach(), control.detach()):
                    os.close(descriptor)
                request: dict[str, Any] = json.loads(data)
                return request
            with contextlib.suppress(OSError):
                channel.send(str(pid).encode())
            os.close(log)
            running[os.pidfd_open(pid)] = pid, channel


def import_all() -> Callable[[], object]:
    """Import what a daemon does, and give what runs it. Which reactor it runs on is not settled: that is for its command line to say."""
    # Klein imports the reactor, for `Klein.run` only: that is not to install one here.
    nobodys = sys.modules[REACTOR] = types.ModuleType(REACTOR)
    from twisted.scripts.twistd import run

    import gameroom.reactor
    import gameroom.tap  # noqa: F401

    users = {name for name, module in [*sys.modules.items()] if any(value is nobodys for value in [*vars(module).values()])}
    assert users <= {"klein._app", "twisted.internet"}, users
    del sys.modules[REACTOR]
    # Or the first look of each daemon's collector would copy all of it.
    gc.freeze()
    return run


def main() -> None:
    """Become a daemon whenever that is asked for."""
    run = import_all()
    # Who presses Ctrl-C means the tests, which close the way to here.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    request = serve(socket.socket(fileno=int(sys.argv[1])))
    if request is None:
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["cwd"])
    sys.argv = request["command"]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    ended_well = False

    @atexit.register
    def leave() -> None:
        """Behind what `run` registers. Python would spend a fifth of a second on taking all modules apart."""
        if ended_well:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)

    run()
    ended_well = True


if __name__ == "__main__":
    main()
