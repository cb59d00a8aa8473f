"""A service's program that ends and is started again, on a clock and with programs that the test plays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectionRefusedError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import BadState
from gameroom.gameservices.program import FIRST_WAIT, LIVED, LONGEST_WAIT, ServiceProgram
from gameroom.gameservices.values import ServiceOrder
from gameroom.rules.manifest import Service
from tests.gameservers.world import FakePorts, FakeProgram
from tests.gameservices.world import ProgramsOfAddresses

CRASHED = "ended with status 1"


class ServiceProgramTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor, self.programs, self.ports = MemoryReactorClock(), ProgramsOfAddresses(), FakePorts()
        self.addresses = ["192.0.2.1"]
        self.lines: list[str] = []
        self.ends: list[str] = []
        self.program = ServiceProgram(
            ServiceOrder(
                game_id="dice",
                version="1.2.0",
                folder=Path("/unpacked/x"),
                service=Service(command=("python3", "service.py"), memory_mb=64),
                made_from="192.0.2.9",
            ),
            programs=self.programs,  # type: ignore[arg-type]  # a double
            ports=self.ports,  # type: ignore[arg-type]  # a double
            reactor=self.reactor,
            addresses=lambda: self.addresses,
            told=self.lines.append,
            ended=self.ends.append,
        )

    def tearDown(self) -> None:
        """Nothing is left behind a program that is ended for good, and no socket without its program is open."""
        self.program.end()
        for program in self.programs.programs:
            if program.running:
                program.gone()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual([each for each in self.ports.given if not each.closed], [])

    @property
    def one(self) -> FakeProgram:
        return self.programs.programs[-1]

    def crash(self, why: str = CRASHED) -> None:
        self.one.gone(why)

    def connect(self) -> Deferred[Any]:
        return self.program.connect(Factory.forProtocol(Protocol))

    def accept(self) -> tuple[int, StringTransport]:
        """The port that was called, and what it is connected by now."""
        host, port, factory, _timeout, _bind = self.reactor.tcpClients.pop(0)
        self.assertEqual(host, "127.0.0.1")
        transport = StringTransport()
        protocol: Any = factory.buildProtocol(None)
        protocol.makeConnection(transport)
        return port, transport

    # One program.

    def test_what_is_run(self) -> None:
        """The command of the bundle in its folder, with a listening socket and what it is of; there is no room that it would be of."""
        self.program.start()
        order, port = self.one.order, self.ports.given[0].port
        self.assertEqual((order.command, order.memory_mb, order.folder), (("python3", "service.py"), 64, Path("/unpacked/x")))
        self.assertEqual((order.game_id, order.version, order.made_from), ("dice", "1.2.0", "192.0.2.1"))
        self.assertEqual(order.environment, {"GAMEROOM_GAME_ID": "dice", "GAMEROOM_VERSION": "1.2.0", "GAMEROOM_PORT": str(port)})
        self.assertIs(order.listening, self.ports.given[0])

    def test_once(self) -> None:
        """One that runs is not started again."""
        self.program.start()
        self.program.start()
        self.assertEqual((len(self.programs.programs), self.program.running), (1, True))

    def test_the_port_is_kept(self) -> None:
        """Ours of the socket is open as long as its program is there: nobody else is given the port to which the service is called."""
        self.program.start()
        self.assertFalse(self.ports.given[0].closed)
        self.crash()
        self.assertTrue(self.ports.given[0].closed)

    def test_refused(self) -> None:
        """What cannot be run is said, and leaves no socket."""
        self.programs.refuses = BadState("no bubblewrap here")
        self.assertIn("bubblewrap", str(self.assertRaises(BadState, self.program.start)))
        self.programs.refuses, self.programs.breaks = None, BadState("it cannot be started just now")
        self.assertRaises(BadState, self.program.start)
        self.assertFalse(self.program.running)

    def test_whose_share(self) -> None:
        """Where one address runs as much as it may, the program is run for another that wants it."""
        self.addresses = ["192.0.2.1", "192.0.2.1", "192.0.2.2"]
        self.programs.full = {"192.0.2.1"}
        self.program.start()
        self.assertEqual(self.one.order.made_from, "192.0.2.2")
        self.crash()
        self.programs.full = {"192.0.2.1", "192.0.2.2"}
        self.assertIn("192.0.2.1", str(self.assertRaises(BadState, self.program.start)))

    # Again and again.

    def test_again(self) -> None:
        """It is started again, with a new socket; its developer and whoever asks are told how it ended."""
        self.program.start()
        self.assertEqual(self.program.problem, "")
        self.crash()
        self.assertEqual(self.program.problem, "the game's service ended with status 1 and is started again")
        self.assertEqual(self.ends, ["the game's service ended with status 1"])
        self.assertEqual(self.lines, ["the service of version 1.2.0 ended with status 1; it is started again in 0.1 s"])
        self.assertFalse(self.program.running)
        self.reactor.advance(FIRST_WAIT)
        self.assertEqual((len(self.programs.programs), self.program.running), (2, True))
        self.assertNotEqual(self.ports.given[0].port, self.ports.given[1].port)
        self.assertNotEqual(self.program.problem, "")
        self.program.answered()
        self.assertEqual(self.program.problem, "")

    def waits(self, count: int) -> list[float]:
        """Seconds from each of so many ends to the next program."""
        found = []
        for _ in range(count):
            self.crash()
            since, before = self.reactor.seconds(), len(self.programs.programs)
            while len(self.programs.programs) == before:
                (call,) = self.reactor.getDelayedCalls()
                self.reactor.advance(call.getTime() - self.reactor.seconds())
            found.append(round(self.reactor.seconds() - since, 6))
        return found

    def test_one_that_ends_at_once(self) -> None:
        """Is started less and less often."""
        self.program.start()
        self.assertEqual(self.waits(12), [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30, 30])

    def test_one_that_has_lived(self) -> None:
        """Is started again quickly, whatever was before."""
        self.program.start()
        self.assertEqual(self.waits(5)[-1], 1.6)
        self.reactor.advance(LIVED)
        self.assertEqual(self.waits(2), [0.1, 0.2])

    def test_somebody_cannot_wait(self) -> None:
        """A new room starts it at once, and the waits go on where they were."""
        self.program.start()
        self.waits(6)
        self.crash()
        self.program.start()
        self.assertTrue(self.program.running)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.waits(1), [12.8])

    def test_refused_again(self) -> None:
        """What is refused meanwhile is tried again, and whoever asks is told why."""
        self.program.start()
        self.crash()
        self.programs.refuses = BadState("this server runs as many games' programs as it may")
        self.reactor.advance(FIRST_WAIT)
        self.assertEqual(self.program.problem, "this server runs as many games' programs as it may")
        self.programs.refuses = None
        self.reactor.advance(2 * FIRST_WAIT)
        self.assertTrue(self.program.running)

    # Connecting.

    def test_connect(self) -> None:
        """One that runs is called at its port."""
        self.program.start()
        connecting = self.connect()
        port, transport = self.accept()
        self.assertEqual(port, self.ports.given[0].port)
        self.assertIs(self.successResultOf(connecting).transport, transport)

    def test_connect_fails(self) -> None:
        """As endpoints do."""
        self.program.start()
        connecting = self.connect()
        factory: Any = self.reactor.tcpClients.pop(0)[2]
        factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))
        self.failureResultOf(connecting, ConnectError)

    def test_connect_before(self) -> None:
        """Who comes while no program is there is connected with the next one, and nobody calls a port that is nobody's."""
        self.program.start()
        self.crash()
        connecting = [self.connect(), self.connect()]
        self.assertEqual(self.reactor.tcpClients, [])
        self.reactor.advance(FIRST_WAIT)
        for each in connecting:
            port, transport = self.accept()
            self.assertEqual(port, self.ports.given[1].port)
            self.assertIs(self.successResultOf(each).transport, transport)

    def test_cancelled(self) -> None:
        """Who gives up while waiting is not connected; who gives up while connecting has the connection given up."""
        self.program.start()
        self.crash()
        waiting = self.connect()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual(self.program._waiting, [], "a service that is away for days is not to remember who has given up")
        late = self.connect()
        self.reactor.advance(FIRST_WAIT)
        self.assertEqual(len(self.reactor.tcpClients), 1)
        late.cancel()
        self.assertEqual([connector.stoppedConnecting for connector in self.reactor.connectors], [True])
        self.failureResultOf(late)

    # Its end.

    def test_end(self) -> None:
        """SIGTERM and some patience; it is not started again, and nobody is told of an end that was wanted."""
        self.program.start()
        ending = self.program.end(3)
        self.assertEqual(self.one.ends, [3])
        self.assertNoResult(ending)
        self.one.gone("was ended")
        self.successResultOf(ending)
        self.assertEqual((self.ends, self.lines), ([], []))
        self.successResultOf(self.program.end())

    def test_end_while_waiting(self) -> None:
        """Nothing is started any more, and who waits is told."""
        self.program.start()
        self.crash()
        waiting = self.connect()
        self.successResultOf(self.program.end())
        self.failureResultOf(waiting, BadState)
        self.failureResultOf(self.connect(), BadState)
        self.reactor.advance(LONGEST_WAIT)
        self.assertEqual(len(self.programs.programs), 1)

    def test_at_its_end(self) -> None:
        """Whoever hears of its end may end it for good."""
        self.program.start()

        def end(why: str) -> None:
            self.program.end()

        self.program._on_end = end
        self.crash()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    @given(steps=st.lists(st.sampled_from(["start", "crash", "connect", "cancel", "a moment", "a while", "refuse", "allow", "end"]), max_size=25))
    def test_whatever_happens(self, steps: list[str]) -> None:
        """One program at a time, one open socket with it, every call answered once there is a program, and nothing left at the end."""
        self.setUp()
        connecting: list[Deferred[Any]] = []
        ended = False
        for step in steps:
            if step == "start" and not ended:
                try:
                    self.program.start()
                except BadState:
                    pass
            elif step == "crash" and self.program.running:
                self.crash()
            elif step == "connect":
                connecting.append(self.connect().addErrback(lambda _: None))
            elif step == "cancel" and connecting:
                connecting[-1].cancel()
            elif step in ("a moment", "a while"):
                self.reactor.advance(FIRST_WAIT if step == "a moment" else LONGEST_WAIT)
            elif step in ("refuse", "allow"):
                self.programs.refuses = BadState("full") if step == "refuse" else None
            elif step == "end":
                ended = True
                self.program.end()
            self.assertLessEqual(sum(program.running for program in self.programs.programs), 1)
            self.assertEqual(sum(not each.closed for each in self.ports.given), int(self.program.running))
            self.assertTrue(not self.program.running or not self.program._waiting)
        self.tearDown()
