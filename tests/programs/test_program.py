"""One program's life: how it ends, and who hears of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gameroom.programs.output import Output
from gameroom.programs.processes import Use
from gameroom.programs.program import Program


class Processes:
    """A program's processes, as the test says."""

    def __init__(self) -> None:
        self.begun, self.left, self.signals, self.killed = True, False, list[int](), 0
        self.used = Use(own={2: 0.0}, waited=0.0, resident=0, files=0)

    def use(self) -> Use | None:
        return self.used

    def counter(self) -> Callable[[], int]:
        return lambda: self.used.resident

    def signal(self, number: int) -> bool:
        if self.begun:
            self.signals.append(number)
        return self.begun

    def kill(self) -> None:
        self.killed += 1

    def gone(self) -> bool:
        return not self.left


class Transport:
    pid = 7

    def __init__(self) -> None:
        self.signals: list[str] = []
        self.ended = False

    def signalProcess(self, name: str) -> None:
        if self.ended:
            raise ProcessExitedAlready
        self.signals.append(name)


class ProgramTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.processes, self.told = MemoryReactorClock(), Processes(), list[str]()
        self.transport: Any = Transport()
        self.program = Program(about="a test", memory_mb=64, clock=self.clock, in_thread=maybeDeferred, tell=self.told.append)
        reading, self.writing = os.pipe()
        self.lifeline = os.dup(self.writing)
        self.program.begin(self.transport, self.processes, Output(self.clock, reading, self.told.append), self.lifeline)  # type: ignore[arg-type]
        self.addCleanup(os.close, self.writing)

    def exit(self, reason: Exception) -> None:
        self.transport.ended = True
        self.program.child.processEnded(Failure(reason))

    def test_how_it_ended(self) -> None:
        """In words: a status, or a signal, which bubblewrap tells as a shell does."""
        for reason, expected in (
            (ProcessDone(0), "ended with status 0"),
            (ProcessTerminated(exitCode=1), "ended with status 1"),
            (ProcessTerminated(exitCode=139), "was killed by SIGSEGV"),
            (ProcessTerminated(signal=9), "was killed by SIGKILL"),
            (ProcessTerminated(exitCode=255), "ended with status 255"),
        ):
            program = Program(about="a test", memory_mb=64, clock=self.clock, in_thread=maybeDeferred, tell=self.told.append)
            early = program.ended()
            program.child.processEnded(Failure(reason))
            self.assertEqual(self.successResultOf(early), expected)
            self.assertEqual(self.successResultOf(program.ended()), expected)
        self.exit(ProcessDone(0))

    def test_until_the_last_is_gone(self) -> None:
        """It has ended when no process of it is left; then nothing of it is kept open."""
        self.processes.left = True
        ended = self.program.ended()
        self.exit(ProcessDone(0))
        self.clock.advance(0.01)
        self.assertNoResult(ended)
        self.assertTrue(self.program.running)
        self.processes.left = False
        self.clock.advance(0.01)
        self.assertEqual(self.successResultOf(ended), "ended with status 0")
        self.assertFalse(self.program.running)
        self.assertRaises(OSError, os.fstat, self.lifeline)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_end(self) -> None:
        """SIGTERM first; who has gone before patience ends is not killed."""
        ended = self.program.end(5.0)
        self.assertEqual(self.processes.signals, [signal.SIGTERM])
        self.exit(ProcessTerminated(exitCode=143))
        self.successResultOf(ended)
        self.assertEqual(self.successResultOf(self.program.ended()), "was ended")
        self.clock.advance(0.0)
        self.assertEqual((self.processes.killed, self.clock.getDelayedCalls()), (0, []))

    def test_no_patience(self) -> None:
        """Who has not is killed; asked again, the smallest patience counts and SIGTERM is sent once."""
        first, second, third = self.program.end(5.0), self.program.end(1.0), self.program.end(60.0)
        self.clock.advance(0.9)
        self.assertEqual(self.processes.killed, 0)
        self.clock.advance(0.2)
        self.assertEqual((self.processes.killed, self.transport.signals, self.processes.signals), (1, ["KILL"], [signal.SIGTERM]))
        self.exit(ProcessTerminated(signal=9))
        for ended in (first, second, third, self.program.end()):
            self.successResultOf(ended)

    def test_not_begun(self) -> None:
        """Who is still being set up is killed at once."""
        self.processes.begun = False
        self.program.end(5.0)
        self.assertEqual(self.transport.signals, ["KILL"])
        self.exit(ProcessTerminated(signal=9))

    def test_memory(self) -> None:
        """Who uses too much is killed, and the developer reads why."""
        self.processes.used = Use(own={2: 0.0}, waited=0.0, resident=65 << 20, files=0)
        self.clock.pump([0.25, 0.25])
        self.assertEqual(self.processes.killed, 1)
        self.assertEqual(self.told, ["gameroom: the program used more than its 64 MB of memory, and was ended"])
        self.exit(ProcessTerminated(signal=9))
        self.assertEqual(self.successResultOf(self.program.ended()), "used more than its 64 MB of memory")

    def test_kill_is_again_fine(self) -> None:
        """Killing what is gone does nothing."""
        self.exit(ProcessDone(0))
        self.program.kill()
        self.assertEqual((self.processes.killed, self.transport.signals), (0, []))
