"""How a game's program is found, and what its end is."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gameroom.cli.play_process import spawn
from gameroom.cli.reacting import CannotDo


class Reactor(MemoryReactorClock):
    """Notes what is spawned."""

    def __init__(self) -> None:
        super().__init__()
        self.spawned: list[Any] = []
        self.signals: list[str] = []
        self.error: OSError | None = None

    def spawnProcess(self, *arguments: Any, **options: Any) -> Any:
        if self.error is not None:
            raise self.error
        self.spawned.append((arguments, options))
        protocol = arguments[0]
        protocol.transport = self
        return self

    def signalProcess(self, name: str) -> None:
        self.signals.append(name)


class SpawnTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.reactor = Reactor()
        self.before = signal.getsignal(signal.SIGINT)
        self.addCleanup(lambda: self.assertIs(signal.getsignal(signal.SIGINT), self.before))

    def spawn(self, *command: str) -> Any:
        return spawn(self.reactor, command, self.folder, {"PATH": "/bin:/usr/bin", "A": "b"})

    def end(self, reason: Exception) -> None:
        self.reactor.spawned[-1][0][0].processEnded(Failure(reason))

    def test_a_program_of_the_machine(self) -> None:
        """It has our terminal, and Ctrl-C is its own as long as it runs."""
        running = self.spawn("sh", "-c", "exit")
        [(arguments, options)] = self.reactor.spawned
        self.assertEqual(arguments[1:], (os.path.join("/bin", "sh"), ["sh", "-c", "exit"], {"PATH": "/bin:/usr/bin", "A": "b"}, str(self.folder)))
        self.assertEqual(options, {"childFDs": {0: 0, 1: 1, 2: 2}})
        handler = signal.getsignal(signal.SIGINT)
        self.assertNotIn(handler, (self.before, signal.SIG_IGN, signal.SIG_DFL))
        self.assertNoResult(running)
        self.end(ProcessDone(None))
        self.assertEqual(self.successResultOf(running), 0)

    def test_statuses(self) -> None:
        """As a shell has them."""
        for reason, status in ((ProcessTerminated(exitCode=3), 3), (ProcessTerminated(signal=9), 137)):
            running = self.spawn("sh")
            self.end(reason)
            self.assertEqual(self.successResultOf(running), status)

    def test_a_program_of_the_bundle(self) -> None:
        """A path is one inside of its folder, and may be run even where its archive did not say so."""
        (self.folder / "run").write_text("#!/bin/sh\n")
        running = self.spawn("./run")
        self.assertEqual(self.reactor.spawned[0][0][1], str(self.folder / "run"))
        self.assertTrue(os.access(self.folder / "run", os.X_OK))
        self.end(ProcessDone(None))
        self.successResultOf(running)

    def test_no_program(self) -> None:
        """It is said which, and nothing has changed."""
        for command, words in (("no-such-program-here", "not installed here"), ("./gone", "is not there")):
            with self.assertRaises(CannotDo) as caught:
                self.spawn(command)
            self.assertIn(words, str(caught.exception))
        self.reactor.error = OSError(8, "Exec format error")
        with self.assertRaises(CannotDo) as caught:
            self.spawn("sh")
        self.assertIn("Exec format error", str(caught.exception))

    def test_cancelled(self) -> None:
        """Whoever leaves takes the program along."""
        running = self.spawn("sh")
        running.cancel()
        self.failureResultOf(running, CancelledError)
        self.assertEqual(self.reactor.signals, ["TERM"])
        self.end(ProcessTerminated(signal=15))
