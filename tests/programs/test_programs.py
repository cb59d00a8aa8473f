"""Programs of bundles, where none can be run; where they can: tests/system/test_programs.py."""

from __future__ import annotations

import os
import socket
from errno import ENOSYS
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import BadState
from gameroom.programs.order import Order
from gameroom.programs.programs import Programs
from gameroom.programs.sandbox import Sandbox
from gameroom.programs.uids import Uids
from gameroom.settings import SandboxSettings


class Transport:
    pid = 1 << 30

    def signalProcess(self, name: str) -> None:
        """There is none."""


class Reactor(MemoryReactorClock):
    """Starts nothing, but says so."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[Any] = []
        self.error: OSError | None = None

    def spawnProcess(self, protocol: Any, executable: Any, *rest: Any, **options: Any) -> Any:
        if self.error is not None:
            raise self.error
        self.started.append((protocol, rest, options))
        return Transport()


class ProgramsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Reactor()

    def programs(self, kind: str, **settings: Any) -> Programs:
        return Programs(reactor=self.reactor, settings=SandboxSettings(kind=kind, **settings), log=lambda game_id, text: None)

    def order(self, made_from: str = "") -> Order:
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)
        listening.setblocking(False)
        return Order(
            game_id="g", version="1", folder=Path("/"), command=("true",), memory_mb=64, listening=listening, made_from=made_from, about="a test"
        )

    def test_without_bubblewrap(self) -> None:
        """Whoever wants a program is told whom to ask, and the operator what to do."""
        with patch.dict(os.environ, {"PATH": "/nowhere"}), capturedLogs() as logs:
            programs = self.programs("bubblewrap")
            self.successResultOf(programs.start())
        self.assertEqual(len(logs), 1)
        error = self.assertRaises(BadState, programs.run, self.order())
        self.assertEqual(error.message, "this server cannot run games' programs: bubblewrap is not installed; ask whoever runs it")
        self.successResultOf(programs.stop())

    def test_old_kernel(self) -> None:
        """Where processes cannot be held by descriptors nothing is run, and it is said what is missing."""
        with patch("os.pidfd_open", side_effect=OSError(ENOSYS, "Function not implemented")), capturedLogs() as logs:
            programs = self.programs("none")
            self.successResultOf(programs.start())
        self.assertIn("Linux 5.3", formatEvent(logs[0]))
        error = self.assertRaises(BadState, programs.run, self.order())
        self.assertEqual(error.message, "this server cannot run games' programs: its system is too old; ask whoever runs it")
        self.successResultOf(programs.stop())

    def test_not_yet(self) -> None:
        """Before it was looked at, nothing is run."""
        self.assertRaises(BadState, self.programs("none").require)

    def started(self, **settings: Any) -> Programs:
        programs = self.programs("none", **settings)
        with capturedLogs() as logs:
            self.successResultOf(programs.start())
        self.assertEqual(len(logs), 1)
        return programs

    def test_as_many_as_may_run(self) -> None:
        """Past the operator's limit 105, and half of that for one address; one that ends makes room."""
        programs = self.started(programs=3)
        for _ in range(2):
            programs.run(self.order("192.0.2.1"))
        self.assertIn("rooms made from your address run as many", self.assertRaises(BadState, programs.run, self.order("192.0.2.1")).message)
        programs.require("192.0.2.2")
        programs.run(self.order("192.0.2.2"))
        for who in ("192.0.2.2", "192.0.2.3", ""):
            self.assertIn("as many games' programs as it may", self.assertRaises(BadState, programs.require, who).message)
        self.reactor.started[0][0].processEnded(Failure(ProcessDone(0)))
        self.assertEqual(programs.count, 2)
        programs.run(self.order("192.0.2.1"))
        self.assertRaises(BadState, programs.require, "192.0.2.3")

    def test_in_the_way(self) -> None:
        """Whoever keeps programs that are not needed is told each time that one is refused for those that run."""
        programs = self.started(programs=3)
        told: list[int] = []
        programs.when_full(lambda: told.append(programs.count))
        for _ in range(2):
            programs.run(self.order("192.0.2.1"))
        self.assertEqual(told, [])
        self.assertRaises(BadState, programs.require, "192.0.2.1")
        programs.run(self.order("192.0.2.2"))
        self.assertRaises(BadState, programs.require, "192.0.2.3")
        self.assertEqual(told, [2, 3])

    def test_run(self) -> None:
        """A program is counted until it is gone; its socket is in blocking mode, and it is given what the plan says and no more."""
        programs, order = self.started(), self.order()
        before = len(os.listdir("/proc/self/fd"))
        program = programs.run(order)
        self.assertTrue(order.listening.getblocking())
        ((protocol, _, options),) = self.reactor.started
        self.assertEqual(set(options["childFDs"]), {0, 1, 2, 3, 4})
        self.assertEqual((programs.count, program.running), (1, True))
        protocol.processEnded(Failure(ProcessDone(0)))
        self.assertEqual((programs.count, program.running), (0, False))
        self.reactor.advance(0.0)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_cannot_be_started(self) -> None:
        """Without descriptors, say, it is tried again later; nothing is left open."""
        programs, order = self.started(), self.order()
        before = len(os.listdir("/proc/self/fd"))
        self.reactor.error = OSError(24, "Too many open files")
        with capturedLogs():
            self.assertRaises(BadState, programs.run, order)
        self.assertEqual((programs.count, len(os.listdir("/proc/self/fd"))), (0, before))

    def test_users(self) -> None:
        """The user of a program is another's when it is gone, or was never there."""
        programs = self.started()
        programs._uids = Uids(((100, 1),))
        self.reactor.error = OSError(24, "Too many open files")
        with capturedLogs():
            self.assertRaises(BadState, programs.run, self.order())
        self.reactor.error = None
        for _ in range(2):
            programs.run(self.order())
            self.assertIn("as many programs as it can", self.assertRaises(BadState, programs.run, self.order()).message)
            self.reactor.started.pop()[0].processEnded(Failure(ProcessDone(0)))

    def test_a_sandbox_that_hangs(self) -> None:
        """It is looked at for some seconds; the daemon begins all the same, and says what is wrong."""
        with patch("gameroom.programs.programs.Sandbox.here", return_value=Sandbox(bwrap="/usr/bin/bwrap", is_root=False)), capturedLogs() as logs:
            programs = self.programs("bubblewrap")
            begun = programs.start()
            self.reactor.pump([0.01] * 900)
            self.assertNoResult(begun)
            self.reactor.pump([0.01] * 101)
            self.successResultOf(begun)
        self.assertEqual([event["said"] for event in logs], ["no program was seen in it within 10 s"])
        self.assertRaises(BadState, programs.require)

    def test_stop(self) -> None:
        """Stopping ends all that run, and fires when none is left; after it none is run."""
        programs = self.started()
        programs.run(self.order())
        stopped: Deferred[None] = programs.stop()
        self.assertNoResult(stopped)
        ((protocol, *_),) = self.reactor.started
        protocol.processEnded(Failure(ProcessDone(0)))
        self.successResultOf(stopped)
        self.assertRaises(BadState, programs.run, self.order())
