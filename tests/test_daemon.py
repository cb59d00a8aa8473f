"""In which order the daemon starts and goes down, and what of it is told."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from gameroom.daemon import READY, STOPPING, Daemon, DataFolder, Door, NotReady, Part, Stack, StartFailed, notify_systemd
from gameroom.metrics import Metrics
from gameroom.store import DatabaseUnavailable


class Refusing:
    """An endpoint whose port is in use."""

    def listen(self, factory: Any) -> Deferred[Any]:
        return fail(CannotListenError("", 1, OSError(98, "Address already in use")))


class TooHigh:
    """An endpoint of a port that no machine has."""

    def listen(self, factory: Any) -> Deferred[Any]:
        return fail(OverflowError("bind(): port must be 0-65535."))


class DaemonCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.told: list[str] = []
        self.drained: Deferred[None] = Deferred()
        self.database: Deferred[None] = succeed(None)
        self.rooms: Deferred[None] = Deferred()
        self.metrics = Metrics()

    def part(self, name: str, started: Deferred[None] | None = None) -> Part:
        def start() -> Deferred[None] | None:
            self.told.append(f"start {name}")
            return started

        def stop() -> None:
            self.told.append(f"stop {name}")

        return Part(name=name, start=start, stop=stop)

    def daemon(self, *parts: Part, endpoint: Any = None, early: bool = False) -> Daemon:
        endpoint = endpoint or serverFromString(self.reactor, "tcp:1")
        self.door = Door(name="lobby", endpoints={"tcp:1": endpoint}, factory=Factory(), goodbye=lambda: self.told.append("goodbye"))
        return Daemon(
            clock=self.reactor,
            doors=[self.door],
            behind=Stack(parts or [self.part("database"), self.part("rooms", self.rooms)]),
            metrics=self.metrics,
            drain_seconds=3.0,
            drain_rooms=lambda: self.drained,
            check_database=lambda: self.database,
            opened=lambda doors: self.told.append(f"opened {','.join(doors)}"),
            announce=self.told.append,
            failed=lambda message: self.told.append(f"failed: {message}"),
            raise_early=early,
        )

    def started(self) -> Daemon:
        daemon = self.daemon()
        daemon.startService()
        self.rooms.callback(None)
        self.told.clear()
        return daemon


class StartTests(DaemonCase):
    def test_order(self) -> None:
        """Ports, then what is behind them one after the other, and only then the word that it is ready."""
        daemon = self.daemon()
        daemon.startService()
        self.assertEqual(self.told, ["opened lobby", "start database", "start rooms"])
        self.assertEqual(len(self.reactor.tcpServers), 1)
        self.failureResultOf(daemon.ready(), NotReady)
        self.rooms.callback(None)
        self.assertEqual(self.told[3:], [READY])
        self.successResultOf(daemon.ready())

    def test_privileged(self) -> None:
        """Ports are opened while we are still root, and once."""
        daemon = self.daemon()
        daemon.privilegedStartService()
        self.assertEqual((len(self.reactor.tcpServers), self.told), (1, []))
        daemon.startService()
        self.assertEqual(len(self.reactor.tcpServers), 1)

    def test_who_knocks_early_waits(self) -> None:
        """While we start nobody is accepted; then everybody who waits is."""
        calls: list[str] = []

        class Port:
            def stopReading(self) -> None:
                calls.append("stop")

            def startReading(self) -> None:
                calls.append("start")

            def getHost(self) -> None: ...

        class Endpoint:
            def listen(self, factory: Any) -> Deferred[Any]:
                return succeed(Port())

        self.daemon(endpoint=Endpoint()).startService()
        self.assertEqual(calls, ["stop"])
        self.rooms.callback(None)
        self.assertEqual(calls, ["stop", "start"])

    def test_port_in_use(self) -> None:
        """A port in use is one line, and nothing behind it was touched."""
        self.daemon(endpoint=Refusing()).startService()
        self.assertEqual(self.told, ["failed: lobby: cannot listen on tcp:1: Address already in use; end what uses it, or choose another --lobby"])

    def test_a_port_that_no_machine_has(self) -> None:
        """A number past the last port is one line like any other."""
        self.daemon(endpoint=TooHigh()).startService()
        self.assertEqual(self.told, ["failed: lobby: cannot listen on tcp:1: ports go up to 65535; choose another --lobby"])

    def test_port_in_use_in_the_background(self) -> None:
        """Where twistd waits for the ports it gets an exception."""
        daemon = self.daemon(endpoint=Refusing(), early=True)
        self.assertRaises(StartFailed, daemon.privilegedStartService)

    def test_database_unavailable(self) -> None:
        """A database that cannot be reached is its own one line; what had started is stopped at the end, and no more."""
        daemon = self.daemon(self.part("folder"), self.part("database", fail(DatabaseUnavailable("it is away;\nstart it"))), self.part("rooms"))
        daemon.startService()
        self.assertEqual(self.told[-1], "failed: database: it is away; start it")
        self.assertNotIn("start rooms", self.told)
        self.successResultOf(daemon.stopService())
        self.assertEqual([word for word in self.told if word.startswith("stop")], ["stop folder"])

    def test_something_else(self) -> None:
        """What nobody thought of is one line too, and the log has the rest."""
        self.daemon(self.part("rooms", fail(ZeroDivisionError("x")))).startService()
        self.assertEqual(self.told[-1], "failed: could not start: ZeroDivisionError: x; the log has more")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class ReadyTests(DaemonCase):
    def test_database_away(self) -> None:
        """Not ready while the database does not answer, and ready again when it does."""
        daemon = self.started()
        self.database = fail(OSError("secret detail"))
        self.assertEqual(self.failureResultOf(daemon.ready(), NotReady).getErrorMessage(), "the database does not answer")
        self.database = succeed(None)
        self.successResultOf(daemon.ready())

    def test_lag(self) -> None:
        """How late the reactor calls is measured twice a second."""
        self.started()
        self.reactor.advance(0.5)
        self.assertIn(b"gameroom_reactor_lag_seconds 0.0", self.metrics.render())
        self.reactor.rightNow += 0.25
        self.reactor.advance(0.5)
        self.assertIn(b"gameroom_reactor_lag_seconds 0.25", self.metrics.render())


class StopTests(DaemonCase):
    def test_drain(self) -> None:
        """Draining says so, is not ready any more, and is over when no room plays."""
        daemon = self.started()
        draining = daemon.drain()
        self.assertEqual(self.told, [STOPPING])
        self.assertEqual(self.failureResultOf(daemon.ready(), NotReady).getErrorMessage(), "going down")
        self.assertNoResult(draining)
        self.drained.callback(None)
        self.successResultOf(draining)

    def test_drain_too_long(self) -> None:
        """Rooms that still play after `drain_seconds` are not waited for."""
        draining = self.started().drain()
        self.reactor.advance(2.9)
        self.assertNoResult(draining)
        self.reactor.advance(0.2)
        self.successResultOf(draining)

    def test_drain_while_starting(self) -> None:
        """There is nothing to wait for before it is ready."""
        daemon = self.daemon()
        daemon.startService()
        self.successResultOf(daemon.drain())

    def test_stop(self) -> None:
        """Doors first, then what is behind them, the last first."""
        daemon = self.started()
        self.successResultOf(daemon.stopService())
        self.assertEqual(self.told, [STOPPING, "goodbye", "stop rooms", "stop database"])
        self.assertEqual(self.door.ports, {})

    def test_stop_while_starting(self) -> None:
        """A start under way is given up, without a word of failure."""
        daemon = self.daemon()
        daemon.startService()
        self.successResultOf(daemon.stopService())
        self.assertEqual(self.told[3:], [STOPPING, "goodbye", "stop database"])

    def test_one_that_fails_to_stop(self) -> None:
        """The others are stopped all the same."""

        def broken() -> None:
            raise ZeroDivisionError

        daemon = self.daemon(self.part("database"), Part(name="rooms", start=lambda: None, stop=broken))
        daemon.startService()
        self.successResultOf(daemon.stopService())
        self.assertEqual(self.told[-1], "stop database")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class DataFolderTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "a", "var")

    def folder(self, *, exclusive: bool = True) -> DataFolder:
        folder = DataFolder(self.path, exclusive=exclusive)
        self.addCleanup(folder.release)
        return folder

    def test_made_for_nobody_else(self) -> None:
        """The folder is made with those above it, and nobody else may read it."""
        self.folder().take()
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o700)

    def test_one_daemon(self) -> None:
        """A second daemon on the same embedded database is refused, until the first is gone."""
        first = self.folder()
        first.take()
        error = self.assertRaises(StartFailed, self.folder().take)
        self.assertEqual(str(error), f"data: {self.path} is in use by another gameroom; end that one, or choose another folder with --data")
        first.release()
        self.folder().take()

    def test_shared(self) -> None:
        """Nodes with a database server may share a folder."""
        self.folder(exclusive=False).take()
        self.folder(exclusive=False).take()

    def test_cannot_be_made(self) -> None:
        """A folder that cannot be made is named."""
        self.path.parent.mkdir()
        self.path.write_text("")
        self.assertIn(f"data: {self.path} cannot be used", str(self.assertRaises(StartFailed, self.folder().take)))


class SystemdTests(SynchronousTestCase):
    def test_notify(self) -> None:
        """The word goes as a datagram to $NOTIFY_SOCKET, by path or abstract name; without one nowhere."""
        with TemporaryDirectory() as folder:
            for address in (f"{folder}/notify", f"@gameroom-test-{os.getpid()}"):
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                    manager.bind(address.replace("@", "\0", 1))
                    notify_systemd(address)(READY)
                    self.assertEqual(manager.recv(100), b"READY=1")
        notify_systemd("")(READY)

    def test_manager_is_gone(self) -> None:
        """A manager that cannot be told is logged, and nothing else happens."""
        notify_systemd("/nowhere/notify")(READY)
        self.assertEqual(len(self.flushLoggedErrors(FileNotFoundError)), 1)
