"""GameServers, with a program, sockets and connections that the test plays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import BadState, ServerError
from gameroom.gameservers.server import DIRECT_SECONDS, FINISHED_SECONDS, HURRY, MOMENT, PATIENCE, GameServer
from gameroom.gameservers.servers import GameServers
from gameroom.gameservers.values import (
    FINISHED,
    SERVER_CRASHED,
    SERVER_ENDED,
    SERVER_MISBEHAVED,
    SERVER_SILENT,
    ServerEnd,
    ServerOrder,
)
from gameroom.rules.manifest import Server
from gameroom.settings import SandboxSettings, ServerSettings
from gameroom.wire import game_port
from gameroom.wire.envelope import Envelope
from tests.gameservers.world import ADA, BOB, FakePorts, FakeProgram, FakePrograms, Wire, about

CRASHED = "ended with status 1"
CLEAN = "ended with status 0"


class House:
    """The GameServers of a daemon, and one start."""

    def __init__(self) -> None:
        self.reactor, self.programs, self.ports = MemoryReactorClock(), FakePrograms(), FakePorts()
        self.log: list[tuple[str, str]] = []
        self.ends: list[ServerEnd] = []
        self.gameservers = GameServers(
            programs=self.programs,  # type: ignore[arg-type]  # a double
            reactor=self.reactor,
            settings=ServerSettings(ping_interval=10),
            sandbox=SandboxSettings(),
            random_bytes=lambda count: bytes(range(count)),
            log=lambda game_id, text: self.log.append((game_id, text)),
            ports=self.ports,  # type: ignore[arg-type]  # a double
        )
        self.on_end = self.ends.append

    def start(self, *, players: tuple[Any, ...] = (ADA, BOB), **server: Any) -> Deferred[GameServer]:
        order = ServerOrder(
            room_id="room-1",
            game_id="islands",
            version="1.2.0",
            folder=Path("/unpacked/x"),
            server=Server(command=("python3", "server.py"), **{"config": {"map": 3}, **server}),
            max_players=4,
            players=players,
        )
        return self.gameservers.start(order, self.on_end)

    def connected(self) -> Wire:
        """The oldest connection that was asked for is made."""
        host, port, factory, _timeout, _bind = self.reactor.tcpClients.pop(0)
        assert host == "127.0.0.1"
        assert port >= 40000
        return Wire(factory.buildProtocol(None))

    @property
    def program(self) -> FakeProgram:
        return self.programs.programs[-1]

    def lines(self) -> str:
        """All that the developer's log has."""
        assert {game_id for game_id, _ in self.log} <= {"islands"}
        return "\n".join(text for _, text in self.log)


class _Course:
    """What happens to a start, a play and its end."""

    def __init__(self, house: House, starting: Deferred[GameServer], wire: Wire | None) -> None:
        self.house, self.starting, self.wire = house, starting, wire
        self.results: list[Any] = []
        self.ends_at_its_end: int | None = None
        """How many ends had been told when the room or the daemon needed it no more."""
        starting.addBoth(self.results.append)

    def send(self, data: bytes) -> None:
        if self.wire is not None and not self.wire.gone:
            self.wire.send(data)

    def hang_up(self) -> None:
        if self.wire is not None:
            self.wire.hang_up()

    def gone(self, why: str) -> None:
        if self.house.program.running:
            self.house.program.gone(why)

    def end(self) -> None:
        """The room ends the play, or gives up the start."""
        self._needs_it_no_more()
        if self.results and isinstance(self.results[0], GameServer):
            self.results[0].end()
        self.starting.cancel()

    def stop(self) -> None:
        """The daemon ends."""
        self._needs_it_no_more()
        self.house.gameservers.stop()

    def _needs_it_no_more(self) -> None:
        if self.ends_at_its_end is None:
            self.ends_at_its_end = len(self.house.ends)


EVENTS: dict[str, Callable[[_Course], None]] = {
    "ready": lambda course: course.send(game_port.encode(game_port.STATUS, {"state": "ready"})),
    "finished": lambda course: course.send(game_port.encode(game_port.STATUS, {"state": "finished"})),
    "garbage": lambda course: course.send(b"garbage"),
    "refusal": lambda course: course.send(game_port.encode(game_port.ERROR, {"code": 105, "message": "no"})),
    "pong": lambda course: course.send(Envelope(game_port.PONG, b"{}").to_bytes()),
    "hangs up": _Course.hang_up,
    "exits": lambda course: course.gone(CLEAN),
    "crashes": lambda course: course.gone(CRASHED),
    "is ended": _Course.end,
    "daemon ends": _Course.stop,
    "a moment": lambda course: course.house.reactor.advance(MOMENT / 2),
    "a while": lambda course: course.house.reactor.advance(FINISHED_SECONDS),
    "a long time": lambda course: course.house.reactor.pump([10] * 4),
}


class GameServersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House()
        self.reactor = self.house.reactor

    def tearDown(self) -> None:
        """Once program and connection are gone nothing is left, whatever happened."""
        if self.house.programs.programs and self.house.program.running:
            self.house.program.gone()
        wire = getattr(self, "wire", None)
        if wire is not None:
            wire.hang_up()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        for listening in self.house.ports.given:
            self.assertTrue(listening.closed)
        self.assertFalse(self.house.gameservers._servers or self.house.gameservers._starting)

    def launch(self, **server: Any) -> Deferred[GameServer]:
        """One that is not ready yet."""
        starting = self.house.start(**server)
        self.wire = self.house.connected()
        return starting

    def play(self, **server: Any) -> GameServer:
        """One that plays."""
        starting = self.launch(**server)
        self.wire.say(game_port.STATUS, state="ready")
        self.wire.clear()
        return self.successResultOf(starting)

    def assertFails(self, starting: Deferred[GameServer], words: str) -> None:
        error = self.failureResultOf(starting, ServerError).value
        self.assertIn(words, error.message)
        self.assertRegex(error.incident, "^[0-9a-f-]{36}$")
        self.assertNotIn("\n", error.message)
        self.assertEqual(self.house.ends, [])

    # Starting.

    def test_in_this_order(self) -> None:
        """A socket that listens, a connection to it, and only then the program, which so accepts that connection first."""
        starting = self.house.start()
        self.assertEqual((len(self.house.ports.given), self.house.programs.programs), (1, []))
        self.assertEqual(self.reactor.tcpClients[0][:2], ("127.0.0.1", self.house.ports.given[0].port))
        self.wire = self.house.connected()
        order = self.house.program.order
        self.assertTrue(self.house.ports.given[0].closed)
        self.assertEqual((order.command, order.memory_mb, order.folder), (("python3", "server.py"), 256, Path("/unpacked/x")))
        self.assertEqual((order.game_id, order.version, order.about), ("islands", "1.2.0", "GameServer of room room-1"))
        port = self.house.ports.given[0].port
        named = {"GAMEROOM_ROOM_ID": "room-1", "GAMEROOM_GAME_ID": "islands", "GAMEROOM_VERSION": "1.2.0", "GAMEROOM_PORT": str(port)}
        self.assertEqual(order.environment, named)
        self.assertNoResult(starting)
        self.wire.say(game_port.STATUS, state="ready")
        server = self.successResultOf(starting)
        self.assertEqual((server.port, server.direct), (port, False))

    def test_what_it_is_told(self) -> None:
        """The token is 256 random bits, and the one that its clients come with."""
        starting = self.launch()
        (_, control) = self.wire.said()
        options = {"max_players": 4, "players": about([ADA, BOB]), "config": {"map": 3}}
        token = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
        self.assertEqual(control, ("CONTROL", {"token": token, "id": "room-1", "options": options}))
        self.wire.say(game_port.STATUS, state="ready")
        self.assertEqual(self.successResultOf(starting).token, token)

    def test_without_a_sandbox(self) -> None:
        """Nothing is begun."""
        self.house.programs.refuses = BadState("no bubblewrap here")
        self.assertRaises(BadState, self.house.gameservers.check)
        self.failureResultOf(self.house.start(), BadState)
        self.assertEqual(self.house.ports.given, [])

    def test_what_does_not_fit(self) -> None:
        """Is refused before anything is begun, and the developer finds out."""
        self.failureResultOf(self.house.start(config={"a": "x" * (32 * 1024)}), BadState)
        self.assertEqual(self.house.ports.given, [])
        self.assertIn("32 KiB", self.house.lines())

    def test_program_that_cannot_be_run(self) -> None:
        """The connection to its socket goes, too."""
        self.house.programs.breaks = BadState("too many programs")
        starting = self.launch()
        self.failureResultOf(starting, BadState)
        self.assertTrue(self.wire.disconnecting)

    def test_control_connection_that_cannot_be_made(self) -> None:
        """Nothing is run."""
        starting = self.house.start()
        factory: Any = self.reactor.tcpClients.pop()[2]
        factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))
        self.assertFails(starting, "cannot be reached; try again")
        self.assertEqual(self.house.programs.programs, [])

    def test_not_ready_in_time(self) -> None:
        """It is ended, and person and developer are told."""
        starting = self.launch(ready_timeout=7.5)
        self.reactor.advance(7.4)
        self.assertNoResult(starting)
        self.reactor.advance(0.1)
        self.assertFails(starting, "was not ready within 7.5 s; try again")
        self.assertEqual(self.house.program.ends, [PATIENCE])
        self.assertTrue(self.wire.disconnecting)
        self.assertIn("room room-1: the game's server was not ready within 7.5 s", self.house.lines())
        self.assertIn("STATUS ready", self.house.lines())

    def test_ends_before_it_is_ready(self) -> None:
        """Whether the program is heard of first or its connection."""
        for program_first in (True, False):
            starting = self.launch()
            if program_first:
                self.house.program.gone(CRASHED)
            self.assertNoResult(starting)
            self.wire.hang_up()
            if not program_first:
                self.assertNoResult(starting)
                self.house.program.gone(CRASHED)
            self.assertFails(starting, "the game's server ended with status 1 before it was ready; try again")
            self.assertIn("ended with status 1 before", self.house.lines())

    def test_half_gone_before_it_is_ready(self) -> None:
        """Where one of the two says nothing more, the other is believed after a moment."""
        starting = self.launch()
        self.house.program.gone(CRASHED)
        self.reactor.advance(MOMENT)
        self.assertFails(starting, "ended with status 1")
        self.wire.hang_up()
        starting = self.launch()
        self.wire.hang_up()
        self.reactor.advance(MOMENT)
        self.assertFails(starting, "hung up its control connection before it was ready")
        self.assertEqual(self.house.program.ends, [PATIENCE])

    def test_garbage_before_it_is_ready(self) -> None:
        """It is ended at once."""
        starting = self.launch()
        self.wire.send(b"HTTP/1.1 400 Bad Request\r\n")
        self.assertFails(starting, "does not belong there")
        self.assertEqual(self.house.program.ends, [PATIENCE])

    def test_refuses_the_play(self) -> None:
        """With a sentence of its own."""
        starting = self.launch()
        self.wire.say(game_port.ERROR, code=105, message="no such map")
        self.assertFails(starting, "ERROR 105: no such map")

    def test_nobody_waits_any_more(self) -> None:
        """Cancelling the start ends the program, and gives up a connection that is not made yet."""
        starting = self.launch()
        starting.cancel()
        self.failureResultOf(starting, CancelledError)
        self.assertEqual(self.house.program.ends, [PATIENCE])
        self.wire.say(game_port.STATUS, state="ready")
        earlier = self.house.start()
        self.reactor.tcpClients.clear()
        earlier.cancel()
        self.failureResultOf(earlier, CancelledError)
        self.assertEqual(len(self.house.programs.programs), 1)

    # Playing, and its end.

    def test_finished(self) -> None:
        """The room hears the results at once; the program has 5 s to end by itself, then it is ended."""
        server = self.play()
        self.wire.say(game_port.STATUS, state="finished", results={"winner": 1})
        self.assertEqual(self.house.ends, [ServerEnd(reason=FINISHED, results={"winner": 1})])
        self.assertNoResult(server.end())
        self.reactor.advance(FINISHED_SECONDS - 0.1)
        self.assertEqual((self.house.program.ends, self.wire.disconnecting), ([], False))
        self.reactor.advance(0.1)
        self.assertEqual((self.house.program.ends, self.wire.disconnecting), ([PATIENCE], True))
        self.assertEqual(self.house.log, [])

    def test_finished_and_gone(self) -> None:
        """It ends by itself."""
        server = self.play()
        self.wire.say(game_port.STATUS, state="finished")
        gone = server.end()
        self.wire.hang_up()
        self.house.program.gone()
        self.successResultOf(gone)
        self.assertEqual((len(self.house.ends), self.house.program.ends, self.reactor.getDelayedCalls()), (1, [], []))

    def test_finished_is_read_last(self) -> None:
        """A program that says so and ends at once may be gone before it is heard."""
        self.play()
        self.house.program.gone()
        self.assertEqual(self.house.ends, [])
        self.wire.say(game_port.STATUS, state="finished", results=[0, 1])
        self.assertEqual(self.house.ends, [ServerEnd(reason=FINISHED, results=[0, 1])])

    def test_ends_while_it_plays(self) -> None:
        """By itself or not, as its program says."""
        for why, reason in ((CLEAN, SERVER_ENDED), (CRASHED, SERVER_CRASHED), ("was killed by SIGKILL", SERVER_CRASHED)):
            self.play()
            self.wire.hang_up()
            self.assertEqual(self.house.ends, [])
            self.reactor.advance(MOMENT / 2)
            self.house.program.gone(why)
            self.assertEqual(self.house.ends, [ServerEnd(reason=reason, message=f"the game's server {why}")])
            self.assertIn(why, self.house.lines())
            self.house.ends.clear()

    def test_hangs_up_while_it_plays(self) -> None:
        """A program that goes on without its control connection is no GameServer any more."""
        self.play()
        self.wire.hang_up()
        self.reactor.advance(MOMENT)
        self.assertEqual(
            [(end.reason, end.message) for end in self.house.ends], [(SERVER_CRASHED, "the game's server hung up its control connection")]
        )
        self.assertEqual(self.house.program.ends, [PATIENCE])

    def test_garbage_while_it_plays(self) -> None:
        """Ends it."""
        self.play()
        self.wire.say(game_port.STATUS, state="ready")
        self.wire.say(game_port.LEAVE)
        self.assertEqual([end.reason for end in self.house.ends], [SERVER_MISBEHAVED])
        self.assertEqual(self.house.program.ends, [PATIENCE])
        self.assertIn("LEAVE", self.house.lines())

    def test_silent(self) -> None:
        """Three PINGs without a PONG end it."""
        self.play()
        self.reactor.pump([10] * 4)
        self.assertEqual([end.reason for end in self.house.ends], [SERVER_SILENT])
        self.assertEqual(self.house.program.ends, [PATIENCE])

    def test_ended_by_its_room(self) -> None:
        """Nothing is told of it, whatever the GameServer says then; asking again is fine."""
        server = self.play()
        gone = [server.end(), server.end()]
        self.assertEqual((self.house.program.ends, self.wire.disconnecting), ([PATIENCE], True))
        self.wire.say(game_port.STATUS, state="finished")
        self.wire.hang_up()
        self.house.program.gone("was killed by SIGTERM")
        for each in [*gone, server.end()]:
            self.successResultOf(each)
        self.assertEqual((self.house.ends, self.house.log), ([], []))

    def test_ended_by_its_room_in_between(self) -> None:
        """Its program is gone already, and what its connection has to say is not waited for."""
        server = self.play()
        self.house.program.gone(CRASHED)
        self.successResultOf(server.end())
        self.assertTrue(self.wire.disconnecting)
        self.reactor.advance(MOMENT)
        self.assertEqual(self.house.ends, [])

    def test_a_room_that_breaks(self) -> None:
        """Does not keep the program."""

        def breaks(end: ServerEnd) -> None:
            raise ZeroDivisionError

        self.house.on_end = breaks
        self.play()
        self.wire.send(b"garbage")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.house.program.ends, [PATIENCE])

    def test_somebody_is_gone(self) -> None:
        """CONTROL is said again."""
        self.play().players_are([BOB])
        ((name, said),) = self.wire.said()
        self.assertEqual((name, said["options"]["players"]), ("CONTROL", about([BOB])))

    def test_links(self) -> None:
        """Its clients come with its token, and what it does to them is in the developer's log."""
        server = self.play()
        opening = server.link(ADA).open()
        self.assertEqual(self.reactor.tcpClients[0][1], server.port)
        wire = self.house.connected()
        self.assertEqual(wire.said()[1], ("CLIENT_AUTH", {"id": "ada", "seat": 0, "name": "Ada", "token": server.token}))
        wire.say_data(32, b"")
        self.failureResultOf(opening, BadState)
        self.assertIn("seat 0", self.house.lines())
        self.assertEqual(self.house.ends, [])
        wire.hang_up()

    # Clients connect to it themselves.

    def test_direct(self) -> None:
        """It listens where clients reach it, is told of players by its environment, and is ready when it is still there after a moment."""
        starting = self.house.start(connect="direct")
        self.assertEqual(self.reactor.tcpClients, [])
        self.assertEqual(orjson.loads(self.house.program.order.environment["GAMEROOM_PLAYERS"]), about([ADA, BOB]))
        self.assertEqual(self.house.program.order.environment["GAMEROOM_PORT"], "20000")
        self.reactor.advance(DIRECT_SECONDS - 0.1)
        self.assertNoResult(starting)
        self.reactor.advance(0.1)
        server = self.successResultOf(starting)
        self.assertEqual((server.port, server.direct), (20000, True))
        self.assertRaises(BadState, server.link, ADA)
        server.players_are([BOB])
        server.end()
        self.assertEqual(self.house.program.ends, [PATIENCE])

    def test_direct_and_gone_at_once(self) -> None:
        """What cannot even be begun fails the start."""
        starting = self.house.start(connect="direct")
        self.house.program.gone("ended with status 127")
        self.assertFails(starting, "ended with status 127 before it was ready")

    def test_direct_and_gone_later(self) -> None:
        """Its program's end is the play's."""
        for why, reason in ((CLEAN, SERVER_ENDED), (CRASHED, SERVER_CRASHED)):
            self.house.start(connect="direct")
            self.reactor.advance(DIRECT_SECONDS)
            self.house.program.gone(why)
            self.assertEqual([end.reason for end in self.house.ends], [reason])
            self.house.ends.clear()

    # With the daemon.

    def test_stop(self) -> None:
        """All are ended at once: those that start, that play, and that have 5 s left; then none is started any more."""
        self.play()
        playing, wires = self.house.program, [self.wire]
        self.play()
        finishing = self.house.program
        wires.append(self.wire)
        self.wire.say(game_port.STATUS, state="finished")
        starting = self.launch()
        stopped = self.house.gameservers.stop()
        self.failureResultOf(starting, CancelledError)
        self.assertEqual([program.ends[-1] for program in self.house.programs.programs], [HURRY] * 3)
        self.failureResultOf(self.house.start(), BadState)
        playing.gone()
        finishing.gone()
        self.assertNoResult(stopped)
        self.house.program.gone()
        self.successResultOf(stopped)
        for wire in wires:
            wire.hang_up()
        self.assertEqual(len(self.house.ends), 1)

    @given(st.lists(st.sampled_from(sorted(EVENTS)), max_size=12), st.booleans())
    def test_any_course(self, events: list[str], direct: bool) -> None:
        """In whatever order things happen: one answer to the start, one end of a play at most and none after the room's own, and nothing left."""
        house = House()
        course = _Course(house, house.start(connect="direct" if direct else "proxy"), None if direct else house.connected())
        for event in events:
            EVENTS[event](course)
        house.program.gone(CRASHED)
        if course.wire is not None:
            course.wire.hang_up()
        house.reactor.advance(MOMENT)
        self.assertEqual(len(course.results), 1)
        played = isinstance(course.results[0], GameServer)
        self.assertEqual(len(house.ends), course.ends_at_its_end if course.ends_at_its_end is not None else int(played))
        self.assertLessEqual(len(house.ends), int(played))
        self.assertEqual(house.reactor.getDelayedCalls(), [])
        self.assertFalse(house.gameservers._servers or house.gameservers._starting)

    def test_stop_without_any(self) -> None:
        """Is done."""
        self.successResultOf(self.house.gameservers.stop())
