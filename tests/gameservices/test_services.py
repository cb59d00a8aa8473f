"""Services that rooms lease, with programs, sockets and answers that the test plays."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import BadState, ServerError
from gameroom.gameservices.service import LINGER, ServiceLease
from gameroom.gameservices.services import GameServices
from gameroom.gameservices.values import ServiceOrder
from gameroom.metrics import Metrics
from gameroom.rules.manifest import Service
from gameroom.settings import Limits, SandboxSettings, ServiceSettings
from gameroom.wire.game_service import State, state_from_bytes, update_from_bytes
from gameroom.wire.update_file import pairs_from_bytes
from tests.gameservers.world import FakePorts, FakeProgram
from tests.gameservices.world import Calls, ProgramsOfAddresses, update

CRASHED = "ended with status 1"
HERE = Service(command=("python3", "service.py"))
ELSEWHERE = Service(endpoint="tcp:192.0.2.7:7100")
NOT_ALLOWED = Service(endpoint="tcp:192.0.2.7:7101")


class Impossible(Exception):
    """What nobody raises."""


class House:
    """The services of a daemon."""

    def __init__(self, **settings: Any) -> None:
        self.reactor, self.programs, self.ports = MemoryReactorClock(), ProgramsOfAddresses(), FakePorts()
        self.calls = Calls(self.reactor)
        self.log: list[tuple[str, str]] = []
        self.metrics = Metrics()
        self.services = GameServices(
            programs=self.programs,  # type: ignore[arg-type]  # a double
            reactor=self.reactor,
            settings=ServiceSettings(allow=("tcp:192.0.2.7:7100", "tls:nowhere:1:trustRoots=/nowhere"), **settings),
            sandbox=SandboxSettings(),
            limits=Limits,
            log=lambda game_id, text: self.log.append((game_id, text)),
            ports=self.ports,  # type: ignore[arg-type]  # a double
            metrics=self.metrics,
            in_thread=lambda function, *args: succeed(function(*args)),
        )

    def lease(self, game_id: str = "dice", version: str = "1.0.0", service: Service = HERE, made_from: str = "192.0.2.1") -> ServiceLease:
        folder = Path("/unpacked/x") if service.command else None
        return self.services.lease(ServiceOrder(game_id=game_id, version=version, folder=folder, service=service, made_from=made_from))

    @property
    def program(self) -> FakeProgram:
        return self.programs.programs[-1]

    @property
    def running(self) -> int:
        return sum(program.running for program in self.programs.programs)

    def end(self) -> None:
        """The daemon ends, and so does everything."""
        stopping = self.services.stop()
        for program in self.programs.programs:
            if program.running:
                program.gone("was ended")
        self.calls.cut()
        assert stopping.called


class Course:
    """What happens to a service and to the rooms that lease it."""

    def __init__(self) -> None:
        self.house = House()
        self.leases: list[ServiceLease] = []
        self.asks: list[tuple[ServiceLease, bool, list[Any]]] = []
        """Who asked, whether it was the play's first, and what came of it."""

    def lease(self) -> None:
        with contextlib.suppress(BadState):
            self.leases.append(self.house.lease())

    def release(self) -> None:
        if self.leases:
            self.leases.pop(0).release()

    def ask(self, *, first: bool = False) -> None:
        if self.leases:
            lease, results = self.leases[-1], list[Any]()
            (lease.ask_first if first else lease.ask)(update(len(self.asks) + 1)).addBoth(results.append)
            self.asks.append((lease, first, results))

    def crash(self) -> None:
        if self.house.programs.programs and self.house.program.running:
            self.house.program.gone(CRASHED)
            self.house.calls.cut()

    def gone(self) -> None:
        """What was ended is gone."""
        for program in self.house.programs.programs:
            if program.running and program.ends:
                program.gone("was ended")

    def refuse(self, problem: BadState | None) -> None:
        self.house.programs.refuses = problem


STEPS: dict[str, Callable[[Course], None]] = {
    "lease": Course.lease,
    "release": Course.release,
    "ask": Course.ask,
    "ask first": lambda course: course.ask(first=True),
    "answer": lambda course: course.house.calls.answer(),
    "crash": Course.crash,
    "cut": lambda course: course.house.calls.cut(),
    "gone": Course.gone,
    "a moment": lambda course: course.house.reactor.pump([0.1] * 3),
    "a while": lambda course: course.house.reactor.pump([5] * 8),
    "refuse": lambda course: course.refuse(BadState("full")),
    "allow": lambda course: course.refuse(None),
}


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House()

    def tearDown(self) -> None:
        """Nothing is left of anything once the daemon has ended."""
        self.house.end()
        self.assertEqual(self.house.reactor.getDelayedCalls(), [])
        self.assertFalse(self.house.services._all or self.house.services._services)
        self.assertEqual([each for each in self.house.ports.given if not each.closed], [])

    def answers(self, asked: Deferred[State]) -> State:
        """The service answers all that it has been asked."""
        self.house.reactor.advance(0)
        self.house.calls.answer()
        return self.successResultOf(asked)

    def fails(self, asked: Deferred[State], words: str) -> None:
        error = self.failureResultOf(asked, ServerError).value
        self.assertIn(words, error.message)
        self.assertRegex(error.incident, "^[0-9a-f-]{36}$")
        self.assertNotIn("\n", error.message)


class LeaseTests(Case):
    def test_shared(self) -> None:
        """Rooms of one version share its program and its connections; another version is another program."""
        first, second = self.house.lease(), self.house.lease(made_from="192.0.2.2")
        self.assertEqual(len(self.house.programs.programs), 1)
        for lease in (first, second, first):
            self.assertEqual(self.answers(lease.ask(update())).state, b"1")
        self.assertEqual(len(self.house.calls.wires), 1)
        self.house.lease(version="1.0.1")
        self.house.lease(game_id="other")
        self.assertEqual(len(self.house.programs.programs), 3)

    def test_counted(self) -> None:
        """Answers and what was sent again are counted."""
        lease = self.house.lease()
        self.answers(lease.ask(update()))
        asked = lease.ask(update(2))
        self.house.reactor.advance(0)
        self.house.calls.cut()
        self.answers(asked)
        self.assertEqual(self.house.metrics.service_retries, 1)
        self.assertIn(b"gameroom_service_seconds_count 2.0", self.house.metrics.render())

    def test_lingers(self) -> None:
        """A program without a room is kept for a while, and is the same one for a room that comes meanwhile."""
        lease = self.house.lease()
        lease.release()
        lease.release()
        self.house.reactor.advance(LINGER - 1)
        lease = self.house.lease()
        self.house.reactor.advance(LINGER + 1)
        self.assertEqual((self.house.program.ends, len(self.house.programs.programs)), ([], 1))
        self.assertEqual(self.answers(lease.ask(update())).sequence, 1)
        lease.release()
        self.house.reactor.advance(LINGER)
        self.assertEqual(len(self.house.program.ends), 1)

    def test_while_it_ends(self) -> None:
        """A room that comes while the program is being ended has one of its own."""
        self.house.lease().release()
        self.house.reactor.advance(LINGER)
        lease = self.house.lease()
        self.assertEqual(len(self.house.programs.programs), 2)
        self.house.programs.programs[0].gone("was ended")
        self.assertEqual(self.answers(lease.ask(update())).sequence, 1)
        self.assertEqual(lease.problem, "")

    def test_refused(self) -> None:
        """Where programs cannot be run nothing is begun, and the next one who comes may be luckier."""
        self.house.programs.refuses = BadState("no bubblewrap here")
        self.assertIn("bubblewrap", str(self.assertRaises(BadState, self.house.lease)))
        self.house.programs.refuses, self.house.programs.breaks = None, BadState("not just now")
        self.assertIn("not just now", str(self.assertRaises(BadState, self.house.lease)))
        self.assertFalse(self.house.services._all)
        self.house.programs.breaks = None
        self.answers(self.house.lease().ask(update()))

    def test_one_that_runs(self) -> None:
        """Is leased also where no more programs may be started, and by an address that has used up its share."""
        self.house.lease()
        self.house.programs.refuses = BadState("as many as it may")
        self.assertEqual(self.answers(self.house.lease().ask(update())).sequence, 1)

    def test_in_the_way(self) -> None:
        """Where no more programs may be run, those that no room needs are ended, and those of rooms are not."""
        self.house.lease()
        self.house.lease("cards").release()
        self.house.programs.refuses = BadState("as many as it may")
        self.assertRaises(BadState, self.house.lease, "go")
        self.assertEqual([program.ends for program in self.house.programs.programs], [[], [1.0]])
        self.house.programs.programs[1].gone("was ended")
        self.house.programs.refuses = None
        self.answers(self.house.lease("go").ask(update()))

    def test_nothing_to_run(self) -> None:
        """An order without a folder, as of a version whose files are gone."""
        order = ServiceOrder(game_id="dice", version="1.0.0", folder=None, service=HERE)
        self.assertIn("tell its developer", str(self.assertRaises(BadState, self.house.services.lease, order)))

    def test_released(self) -> None:
        """What a room has asked is given up with its lease, and it can ask nothing more."""
        self.house.lease()
        lease = self.house.lease()
        asked = lease.ask(update())
        lease.release()
        self.failureResultOf(asked, CancelledError)
        self.failureResultOf(lease.ask(update()), BadState)
        self.failureResultOf(lease.ask_first(update()), BadState)
        self.assertEqual(lease.problem, "")

    def test_given_up(self) -> None:
        """Whoever asks may give up, without any other room noticing."""
        lease, other = self.house.lease(), self.house.lease()
        asked, first, of_other = lease.ask(update()), lease.ask_first(update()), other.ask(update())
        asked.cancel()
        first.cancel()
        self.failureResultOf(asked, CancelledError)
        self.failureResultOf(first, CancelledError)
        self.assertEqual(self.answers(of_other).sequence, 1)
        self.assertEqual((lease._asked, lease._service.firsts), (set(), set()))

    def test_stop(self) -> None:
        """With the daemon all programs are ended, quickly, and whoever waits is told; nothing is leased any more."""
        lease = self.house.lease()
        self.house.lease(version="1.0.1").release()
        asked = lease.ask(update())
        stopping = self.house.services.stop()
        self.assertIn("try again in a moment", self.failureResultOf(asked, BadState).getErrorMessage())
        self.assertEqual([program.ends for program in self.house.programs.programs], [[1.0], [1.0]])
        self.assertNoResult(stopping)
        self.house.programs.programs[0].gone("was ended")
        self.assertNoResult(stopping)
        self.house.programs.programs[1].gone("was ended")
        self.successResultOf(stopping)
        self.assertIn("shutting down", str(self.assertRaises(BadState, self.house.lease)))
        self.failureResultOf(lease.ask(update()), BadState)
        lease.release()

    def test_stop_while_it_ends(self) -> None:
        """A program that is being ended with patience has less of it now."""
        self.house.lease().release()
        self.house.reactor.advance(LINGER)
        stopping = self.house.services.stop()
        self.assertEqual(self.house.program.ends, [5.0, 1.0])
        self.house.program.gone("was ended")
        self.successResultOf(stopping)


class EndTests(Case):
    """Programs that end."""

    def test_in_flight(self) -> None:
        """What the program was asked when it ended is asked of the next one, the same bytes, and nobody who waits is told anything."""
        lease = self.house.lease()
        asked = [lease.ask(update(number)) for number in (1, 2, 3)]
        self.house.reactor.advance(0)
        before = self.house.calls.asked()
        self.house.program.gone(CRASHED)
        self.house.calls.cut()
        self.assertIn("ended with status 1 and is started again", lease.problem)
        self.house.reactor.pump([0.1] * 5)
        self.assertEqual(sorted(self.house.calls.asked()), sorted(before))
        self.house.calls.answer()
        self.assertEqual([self.successResultOf(each).sequence for each in asked], [1, 2, 3])
        self.assertEqual(lease.problem, "")
        self.assertIn(("dice", "gameroom: the service of version 1.0.0 ended with status 1; it is started again in 0.1 s"), self.house.log)

    def test_before_it_answered(self) -> None:
        """A play does not begin with a program that ends without having answered anything, and its developer is told."""
        lease = self.house.lease()
        first, second = lease.ask_first(update()), self.house.lease().ask_first(update())
        again = lease.ask(update())
        self.house.program.gone("ended with status 2")
        for each in (first, second):
            self.fails(each, "the game's service ended with status 2 before it had answered anything; try again, or tell the game's developer")
        line = "gameroom: room room-1 could not start: the game's service ended with status 2 before it had answered anything"
        self.assertIn(("dice", line), self.house.log)
        self.assertNoResult(again)
        self.house.reactor.pump([0.1] * 3)
        self.assertEqual(self.answers(again).sequence, 1)

    def test_before_it_was_called(self) -> None:
        """It has ended between the lease and the first update: it has one more try, and the room is told of the end of that."""
        lease = self.house.lease()
        self.house.program.gone(CRASHED)
        asked = lease.ask_first(update())
        self.assertNoResult(asked)
        self.house.reactor.advance(0.1)
        self.house.program.gone(CRASHED)
        self.fails(asked, CRASHED)

    def test_after_it_answered(self) -> None:
        """A program that has been good is waited for, also by a play that begins."""
        lease = self.house.lease()
        self.answers(lease.ask(update()))
        asked = lease.ask_first(update())
        self.house.program.gone(CRASHED)
        self.house.calls.cut()
        self.assertNoResult(asked)
        self.house.reactor.pump([0.1] * 3)
        self.assertEqual(self.answers(asked).sequence, 1)

    def test_told_again(self) -> None:
        """The same again is told to the developer when the service has answered meanwhile, and only then."""
        lease = self.house.lease()
        service = self.house.services._services["dice", "1.0.0"]
        for _ in range(2):
            service.told("it is slow")
        self.assertEqual(len(self.house.log), 1)
        self.answers(lease.ask(update()))
        service.told("it is slow")
        self.assertEqual(self.house.log, [("dice", "gameroom: it is slow")] * 2)

    def test_no_answer_at_all(self) -> None:
        """One that never accepts, or never answers, fails the start after a while; what was asked is given up with it."""
        lease = self.house.lease()
        asked = lease.ask_first(update())
        self.house.reactor.pump([5] * 11 + [4.9])
        self.assertNoResult(asked)
        self.house.reactor.advance(0.2)
        self.fails(asked, "the game's service has not answered within 60 s; try again")
        self.assertEqual(lease._asked, set())

    def test_released_while_it_is_started_again(self) -> None:
        """Nobody wants it any more: it is not started."""
        lease = self.house.lease()
        self.house.program.gone(CRASHED)
        lease.release()
        self.house.reactor.advance(60)
        self.assertEqual(len(self.house.programs.programs), 1)
        self.assertFalse(self.house.services._all)

    def test_ends_without_a_room(self) -> None:
        """One that ends while it is kept for the next room is not started before that comes."""
        self.house.lease().release()
        self.house.program.gone(CRASHED)
        self.house.reactor.advance(LINGER)
        self.assertEqual((len(self.house.programs.programs), self.house.services._all), (1, set()))

    def test_stop_while_it_is_started_again(self) -> None:
        """Nothing is started behind the daemon's end."""
        lease = self.house.lease()
        self.house.program.gone(CRASHED)
        asked = lease.ask(update())
        self.successResultOf(self.house.services.stop())
        self.failureResultOf(asked, BadState)
        self.house.reactor.advance(60)
        self.assertEqual(len(self.house.programs.programs), 1)

    def test_refused_again(self) -> None:
        """A room says why its service is not there."""
        lease = self.house.lease()
        self.house.program.gone(CRASHED)
        self.house.programs.refuses = BadState("as many as it may")
        self.house.reactor.advance(1)
        self.assertEqual(lease.problem, "as many as it may")

    @given(steps=st.lists(st.sampled_from(sorted(STEPS)), max_size=30))
    def test_whatever_happens(self, steps: list[str]) -> None:
        """No more than one program is meant to run, every ask ends once, what was leased is answered in the end, and nothing is left over."""
        course = Course()
        self.house = house = course.house
        for step in steps:
            STEPS[step](course)
            self.assertLessEqual(sum(program.running and not program.ends for program in house.programs.programs), 1)
            self.assertLessEqual(len(house.services._services), 1)
        house.programs.refuses = None
        for _ in range(120):
            house.reactor.advance(1)
            house.calls.answer()
        for lease, first, results in course.asks:
            self.assertEqual(len(results), 1)
            if not isinstance(results[0], State):
                self.assertTrue(results[0].check(ServerError if first else Impossible, Impossible if lease in course.leases else CancelledError))
        self.tearDown()
        self.house = House()


class ElsewhereTests(Case):
    """Services that somebody else runs."""

    def test_allowed(self) -> None:
        """Exactly what the operator has written may be called, by every game; nothing is run here."""
        first, second = (self.house.lease(game_id, service=ELSEWHERE) for game_id in ("dice", "cards"))
        asked = [first.ask(update()), second.ask(update())]
        self.house.reactor.advance(0)
        self.assertEqual([call[:2] for call in self.house.reactor.tcpClients], [("192.0.2.7", 7100)])
        self.house.calls.answer()
        self.assertEqual([self.successResultOf(each).sequence for each in asked], [1, 1])
        self.assertEqual(self.house.programs.programs, [])
        problem = self.assertRaises(BadState, self.house.lease, service=NOT_ALLOWED)
        self.assertIn("tcp:192.0.2.7:7101, which this server may not call", str(problem))

    def test_without_a_sandbox(self) -> None:
        """It is nothing to them."""
        self.house.programs.refuses = BadState("no bubblewrap here")
        self.answers(self.house.lease(service=ELSEWHERE).ask(update()))

    def test_cannot_be_tried(self) -> None:
        """An endpoint that is none any more, since a file of it is gone, is one sentence for a person and one line for the operator."""
        problem = self.assertRaises(BadState, self.house.lease, service=Service(endpoint="tls:nowhere:1:trustRoots=/nowhere"))
        self.assertIn("cannot be reached from this server", str(problem))
        self.assertNotIn("/nowhere", str(problem))
        self.assertFalse(self.house.services._all)

    def test_unreached(self) -> None:
        """Every game's developer is told once, until it has answered again; rooms go on as soon as it does."""
        leases = [self.house.lease(game_id, service=ELSEWHERE) for game_id in ("dice", "cards")]
        asked = leases[0].ask(update())
        for _ in range(5):
            self.house.reactor.advance(5)
            self.house.calls.refuse(ConnectionRefusedError())
        self.assertEqual([lease.problem for lease in leases], ["the game's service cannot be reached"] * 2)
        lines = [entry for entry in self.house.log if "cannot be reached" in entry[1]]
        self.assertEqual([game_id for game_id, _ in lines], ["dice", "cards"])
        self.assertIn("the service cannot be reached: Connection was refused", lines[0][1])
        self.house.reactor.advance(5)
        self.assertEqual(self.answers(asked).sequence, 1)
        self.assertEqual(leases[1].problem, "")

    def test_starts_unreached(self) -> None:
        """A play does not begin with it."""
        asked = self.house.lease(service=ELSEWHERE).ask_first(update())
        for _ in range(13):
            self.house.reactor.advance(5)
            self.house.calls.refuse(ConnectionRefusedError())
        self.fails(asked, "the game's service has not answered within 60 s: the game's service cannot be reached")

    def test_lingers(self) -> None:
        """Connections are kept for a while, and closed then."""
        lease = self.house.lease(service=ELSEWHERE)
        self.answers(lease.ask(update()))
        lease.release()
        self.house.reactor.advance(LINGER)
        self.assertEqual([wire.aborted or wire.disconnecting for wire in self.house.calls.wires], [True])
        self.house.calls.cut()
        self.assertFalse(self.house.services._all)


class RecordTests(Case):
    def test_record(self) -> None:
        """Each update that was answered is written down with its answer, by game and version, also those of a service that games share."""
        with TemporaryDirectory() as folder:
            self.house = House(record=str(Path(folder) / "updates"))
            self.answers(self.house.lease().ask(update(7)))
            for game_id in ("dice", "cards"):
                self.answers(self.house.lease(game_id, "2.0.0", ELSEWHERE).ask(update(8, game_id=game_id, version="2.0.0")))
            files = {path.name: list(pairs_from_bytes(path.read_bytes())) for path in (Path(folder) / "updates").iterdir()}
            self.assertEqual(sorted(files), ["cards-2.0.0.updates", "dice-1.0.0.updates", "dice-2.0.0.updates"])
            ((asked, answered),) = files["dice-1.0.0.updates"]
            self.assertEqual((update_from_bytes(asked).sequence, state_from_bytes(answered).sequence), (7, 7))

    def test_stop(self) -> None:
        """The daemon's end waits for what is being written."""
        written: list[Deferred[None]] = []
        with TemporaryDirectory() as folder:
            self.house = House(record=folder)
            records = self.house.services._records
            assert records is not None

            def in_thread(function: Any, *args: Any) -> Deferred[None]:
                written.append(Deferred())
                return written[-1]

            records._in_thread = in_thread
            self.answers(self.house.lease().ask(update()))
            stopping = self.house.services.stop()
            self.house.program.gone("was ended")
            self.house.calls.cut()
            self.assertNoResult(stopping)
            written[0].callback(None)
            self.successResultOf(stopping)
