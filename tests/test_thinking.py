"""Computer players in a process of their own, which is played by the test."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import orjson
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IReactorProcess
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from gameroom.errors import InvalidRequest
from gameroom.rules.turn_games.connect_four import ConnectFour
from gameroom.thinking import Thinking
from gameroom.thinking_process import answer

VIEW = ConnectFour.new((1, 2), 1).view(1)
WINNING = {**VIEW, "board": ["111", "222", "", "", "", "", ""]}
"""Where a quick move is 0."""
KILLED = ProcessTerminated(signal=9)


class Process(StringTransport):
    """What was written to it, and whether it was killed."""

    def __init__(self, protocol: ProcessProtocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.signals: list[str] = []
        self.ended = False

    def signalProcess(self, signal: str) -> None:
        if self.ended:
            raise ProcessExitedAlready
        self.signals.append(signal)

    def asked(self) -> list[Any]:
        return [orjson.loads(line) for line in self.value().splitlines()]

    def say(self, place: int, *, last: bool, number: int | None = None) -> None:
        line = orjson.dumps({"id": number or self.asked()[-1]["id"], "place": place, "last": last}) + b"\n"
        for split in (line[:5], line[5:]):
            self.protocol.outReceived(split)

    def end(self, reason: Exception = KILLED) -> None:
        self.ended = True
        self.protocol.processEnded(Failure(reason))


@implementer(IReactorProcess)
class Reactor(MemoryReactorClock):
    """Starts such processes, unless it cannot."""

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[Process] = []
        self.started: list[Any] = []
        self.error: OSError | None = None

    def spawnProcess(self, protocol: ProcessProtocol, *arguments: Any, **options: Any) -> Any:  # type: ignore[override]
        if self.error is not None:
            raise self.error
        self.started.append((arguments, options))
        self.processes.append(Process(protocol))
        protocol.makeConnection(self.processes[-1])
        return self.processes[-1]


class ThinkingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Reactor()
        self.thinking = Thinking(
            processes=self.reactor,
            clock=self.reactor,
            random=lambda: 0.25,
            command=["python", "-m", "thinks"],
            environment={"PYTHONPATH": "/lib"},
            limit=3,
            patience=10,
            idle=60,
        )

    def choose(self, view: Any = VIEW, level: int = 3) -> Deferred[int]:
        return self.thinking.choose("connect-four", view, player=1, level=level)

    @property
    def process(self) -> Process:
        return self.reactor.processes[-1]

    def left(self) -> list[Any]:
        return list(self.reactor.getDelayedCalls())

    def test_a_move(self) -> None:
        """The process starts with the first move; the last that it says is the move."""
        self.assertEqual(self.reactor.processes, [])
        done = self.choose()
        self.assertEqual(self.reactor.started, [(("python", ["python", "-m", "thinks"], {"PYTHONPATH": "/lib"}), {"path": "/"})])
        [asked] = self.process.asked()
        self.assertEqual(asked, {"id": asked["id"], "game": "connect-four", "view": VIEW, "player": 1, "level": 3, "luck": 0.25})
        self.process.say(2, last=False)
        self.assertNoResult(done)
        self.process.say(3, last=True)
        self.assertEqual(self.successResultOf(done), 3)

    def test_one_after_the_other(self) -> None:
        """Others wait in a row, for the same process."""
        first, second = self.choose(), self.choose(WINNING)
        self.assertEqual(len(self.process.asked()), 1)
        self.process.say(1, last=True)
        self.assertEqual([asked["view"] for asked in self.process.asked()], [VIEW, WINNING])
        self.process.say(4, last=True)
        self.assertEqual((self.successResultOf(first), self.successResultOf(second)), (1, 4))
        self.assertEqual(len(self.reactor.processes), 1)

    def test_what_nobody_knows(self) -> None:
        """A level or a game that is not there is refused before anything is started."""
        self.assertRaises(InvalidRequest, self.choose, VIEW, 99)
        self.assertRaises(InvalidRequest, self.thinking.choose, "chess", VIEW, player=1, level=1)
        self.assertEqual((self.reactor.processes, self.left()), ([], []))

    def test_too_long(self) -> None:
        """At the limit it does the best that was found; the process is killed, and the next move has a new one."""
        slow, after = self.choose(WINNING), self.choose()
        self.process.say(5, last=False)
        self.reactor.advance(2.9)
        self.assertNoResult(slow)
        self.reactor.advance(0.2)
        self.assertEqual(self.successResultOf(slow), 5)
        old, new = self.reactor.processes
        self.assertEqual((old.signals, new.signals, len(new.asked())), (["KILL"], [], 1))
        old.say(0, last=True, number=new.asked()[0]["id"])
        old.end()
        self.assertNoResult(after)
        new.say(3, last=True)
        self.assertEqual(self.successResultOf(after), 3)

    def test_nothing_found(self) -> None:
        """Where nothing was said until the limit, it moves quickly."""
        done = self.choose(WINNING)
        self.reactor.advance(3)
        self.assertEqual(self.successResultOf(done), 0)

    def test_a_long_row(self) -> None:
        """Who waits for too long moves quickly, and its limit begins with its turn."""
        moves = [self.choose(WINNING) for _ in range(5)]
        for _ in range(3):
            self.reactor.advance(2.9)
            self.process.say(2, last=True)
        self.assertEqual([self.successResultOf(move) for move in moves[:3]], [2, 2, 2])
        self.reactor.advance(1.4)
        self.assertNoResult(moves[3])
        self.assertEqual(self.successResultOf(moves[4]), 0)
        self.reactor.advance(1.4)
        self.process.say(6, last=True)
        self.assertEqual(self.successResultOf(moves[3]), 6)
        self.assertEqual(len(self.process.asked()), 4)

    def test_it_dies(self) -> None:
        """The process ends in the middle of it: a quick move, and a new process for the next."""
        first, second = self.choose(WINNING), self.choose()
        self.process.end()
        self.assertEqual(self.successResultOf(first), 0)
        self.assertEqual(len(self.reactor.processes), 2)
        self.process.say(3, last=True)
        self.assertEqual(self.successResultOf(second), 3)

    def test_it_dies_at_rest(self) -> None:
        """Then the next move starts another; nothing is left of the first's timer."""
        self.choose()
        self.process.say(3, last=True)
        self.process.end(ProcessDone(0))
        self.assertEqual(self.left(), [])
        done = self.choose()
        self.process.say(1, last=True)
        self.assertEqual((self.successResultOf(done), len(self.reactor.processes)), (1, 2))

    def test_it_cannot_be_started(self) -> None:
        """Where there is no process to be had, all moves are quick."""
        self.reactor.error = OSError(11, "no more processes")
        moves = [self.choose(WINNING), self.choose(WINNING)]
        self.assertEqual([self.successResultOf(move) for move in moves], [0, 0])
        self.assertEqual((len(self.flushLoggedErrors()), self.left()), (0, []))
        self.reactor.error = None
        done = self.choose(WINNING)
        self.process.say(4, last=True)
        self.assertEqual(self.successResultOf(done), 4)

    def test_idle(self) -> None:
        """With nothing to do for a while it is ended; each move puts that off."""
        self.choose()
        self.process.say(3, last=True)
        self.reactor.advance(50)
        self.choose()
        self.process.say(3, last=True)
        self.reactor.advance(59)
        self.assertEqual(self.process.signals, [])
        self.reactor.advance(1)
        self.assertEqual(self.process.signals, ["KILL"])
        self.process.end()
        self.choose()
        self.assertEqual(len(self.reactor.processes), 2)

    def test_nobody_wants_to_know(self) -> None:
        """Moves may be cancelled, while they wait and while they are thought over; the row goes on."""
        current, waiting, after = self.choose(), self.choose(), self.choose()
        for move in (current, waiting):
            move.cancel()
            self.failureResultOf(move, CancelledError)
        self.process.say(3, last=True)
        self.process.say(5, last=True)
        self.assertEqual(self.successResultOf(after), 5)
        self.assertEqual(len(self.process.asked()), 2)
        slow = self.choose()
        slow.cancel()
        self.reactor.advance(3)
        self.assertEqual(self.process.signals, ["KILL"])
        self.failureResultOf(slow, CancelledError)

    def test_stop(self) -> None:
        """It fires when the process is gone; what was not found yet is cancelled, and nothing begins any more."""
        moves = [self.choose(), self.choose()]
        stopped = self.thinking.stop()
        for move in (*moves, self.choose()):
            self.failureResultOf(move, CancelledError)
        self.assertEqual(self.process.signals, ["KILL"])
        self.assertNoResult(stopped)
        self.process.end()
        self.successResultOf(stopped)
        self.assertEqual((self.left(), len(self.reactor.processes)), ([], 1))

    def test_stop_at_rest(self) -> None:
        """Without a process it has stopped at once; one that is gone already, or was killed before, is waited for as well."""
        self.successResultOf(self.thinking.stop())
        for ends_first in (True, False):
            self.setUp()
            self.choose()
            self.reactor.advance(3)
            if ends_first:
                self.process.end()
                self.successResultOf(self.thinking.stop())
            else:
                stopped = self.thinking.stop()
                self.assertNoResult(stopped)
                self.process.end()
                self.successResultOf(stopped)

    def test_it_is_gone_before_we_know(self) -> None:
        """A process that has ended, of which we have not heard, cannot be killed; that is all right."""
        done = self.choose(WINNING)
        self.process.ended = True
        self.reactor.advance(3)
        self.assertEqual(self.successResultOf(done), 0)

    def test_this_python(self) -> None:
        """In a daemon it is the same Python with the same libraries, and nothing of its environment but where they lie."""
        thinking = Thinking.in_process(self.reactor, lambda: 0.0)
        thinking.choose("loners", VIEW, player=1, level=1)
        [((program, command, environment), options)] = self.reactor.started
        self.assertEqual(command, [program, "-P", "-m", "gameroom.thinking_process"])
        self.assertEqual((set(environment), options), ({"PYTHONPATH"}, {"path": "/"}))


class AnswerTests(SynchronousTestCase):
    def test_answer(self) -> None:
        """Each place that is found is a line, and the last says that it is."""
        out = BytesIO()
        answer(orjson.dumps({"id": 7, "game": "connect-four", "view": WINNING, "player": 1, "level": 2, "luck": 0.5}), out)
        found = [orjson.loads(line) for line in out.getvalue().splitlines()]
        self.assertEqual(found, [{"id": 7, "place": 0, "last": False}, {"id": 7, "place": 0, "last": True}])
