"""Runs a game's client program at our own terminal, and waits for its end."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from gameroom.cli.reacting import CannotDo


class _Ends(ProcessProtocol):
    """Tells how it ended: the exit status, or 128 and the number of the signal, as a shell has it."""

    def __init__(self) -> None:
        self.ended: Deferred[int] = Deferred(self._cancel)

    def processEnded(self, reason: Failure) -> None:
        if self.ended.called:
            return
        value = reason.value
        if isinstance(value, ProcessTerminated) and value.signal is not None:
            self.ended.callback(128 + value.signal)
        else:
            self.ended.callback(value.exitCode or 0 if isinstance(value, ProcessDone | ProcessTerminated) else 1)

    def _cancel(self, _: Any) -> None:
        """Whoever stops waiting ends it."""
        transport: Any = self.transport
        transport.signalProcess("TERM")


def spawn(reactor: Any, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Deferred[int]:
    """Run `command` in `folder`, with our standard input and output. Fires with its exit status; cancelling ends it.

    Ctrl-C is for the program as long as it runs. Raises `CannotDo` where there is no such program.
    """
    program = _found(command[0], folder, environment)
    protocol = _Ends()
    held = _interrupts_are_its()
    held.__enter__()
    protocol.ended.addBoth(lambda result: held.__exit__(None, None, None) or result)
    try:
        reactor.spawnProcess(protocol, program, [command[0], *command[1:]], dict(environment), str(folder), childFDs={0: 0, 1: 1, 2: 2})
    except OSError as error:
        held.__exit__(None, None, None)
        raise CannotDo(f"{command[0]} cannot be started: {error.strerror}") from None
    return protocol.ended


@contextmanager
def _interrupts_are_its() -> Iterator[None]:
    """Ctrl-C reaches everybody at the terminal; while a program runs there it is not meant for us.

    By a handler, since what is ignored stays ignored in programs that are started.
    """
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _found(name: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Where the program is: a file of the bundle, or one of the machine's."""
    if "/" in name:
        inside = (folder / name).absolute()
        if not inside.is_file():
            raise CannotDo(f"the game's program {name} is not there")
        if not os.access(inside, os.X_OK):
            inside.chmod(inside.stat().st_mode | 0o100)
        return str(inside)
    found = shutil.which(name, path=environment.get("PATH"))
    if found is None:
        raise CannotDo(f"the game is started by {name}, which is not installed here")
    return found
