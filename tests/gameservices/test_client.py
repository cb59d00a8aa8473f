"""The pool of connections to a service: every ask is answered once, whatever the service does."""

from __future__ import annotations

import itertools
from typing import Any

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import BadState
from gameroom.gameservices.client import LONGEST_WAIT, MOST_CONNECTIONS, wait_before
from gameroom.gameservices.connection import DOUBT, MOST_OWED, REMEMBERED
from gameroom.gameservices.lines import FewLines
from gameroom.wire.game_service import ANSWER_BYTES, STATE_BYTES, Rejected, Said, State, state_to_bytes, update_to_bytes
from gameroom.wire.prefixed import framed
from tests.gameservices.fake_service import MOST_BYTES, Network, an_update, answer_to


class ClientTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.network = Network()
        self.client = self.network.client()

    def asked(self, sequence: int = 1, **about: Any) -> list[State]:
        """A list that gets the answer, when it is there."""
        answers: list[State] = []
        self.client.ask(an_update(sequence, **about)).addCallback(answers.append)
        return answers


class AskTests(ClientTestCase):
    def test_answer(self) -> None:
        """An update goes out with a number of its own, and its answer comes back."""
        self.assertFalse(self.client.answered)
        answer = self.client.ask(an_update(7))
        [(line, update)] = self.network.waiting()
        self.assertEqual(attrs.evolve(update, request=0), an_update(7))
        self.assertTrue(1_700_000_000_000_000 < update.request < 2**53)
        self.assertNoResult(answer)
        self.network.clock.advance(0.25)
        line.answer(update)
        self.assertEqual(self.successResultOf(answer), answer_to(update))
        self.assertTrue(self.client.answered)
        self.assertEqual(self.network.seconds, [0.25])
        self.assertEqual(self.network.recorded, [(update_to_bytes(update), state_to_bytes(answer_to(update)))])
        self.assertEqual((self.network.retries, self.network.told), (0, []))

    def test_any_order(self) -> None:
        """A hundred in flight; the last is answered first."""
        answers = [self.asked(1, room_id=f"r{number}") for number in range(100)]
        waiting = self.network.waiting()
        self.assertEqual(len(waiting), 100)
        for line, update in reversed(waiting):
            line.answer(update)
        for number, [state] in enumerate(answers):
            self.assertEqual(state.broadcast[0].data, b'{"of":"r%d"}' % number)

    def test_connections(self) -> None:
        """One is enough while each answer comes before the next update; eight are the most, and each has its share."""
        for sequence in range(1, 20):
            self.asked(sequence)
            self.assertEqual(self.network.open[0].answer_all(), 1)
        self.assertEqual(len(self.network.lines), 1)
        for number in range(80):
            self.asked(1, room_id=f"r{number}")
        self.assertEqual(len(self.network.lines), MOST_CONNECTIONS)
        self.network.waiting()
        self.assertLessEqual(max(len(line.unanswered) for line in self.network.open), 18)

    def test_rejected(self) -> None:
        """An update that was rejected is answered, too."""
        answers = self.asked()
        [(line, update)] = self.network.waiting()
        line.answer(update, rejected=Rejected(105, "no"))
        self.assertEqual(answers, [State(request=update.request, sequence=1, rejected=Rejected(105, "no"))])

    def test_cancel(self) -> None:
        """Who gives up hears so, and an answer that still comes is nobody's fault."""
        deferred = self.client.ask(an_update())
        [(line, update)] = self.network.waiting()
        deferred.cancel()
        self.failureResultOf(deferred, CancelledError)
        line.answer(update)
        self.assertTrue(line.open and not line.aborted)
        self.network.hangs = True
        line.lose()
        waiting = self.client.ask(an_update(2))
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        made, factory = self.network.attempts[0]
        self.network.let_in(made, factory)
        self.assertEqual(self.network.waiting(), [])

    def test_unsayable(self) -> None:
        """An update that has no bytes fails alone."""
        self.failureResultOf(self.client.ask(an_update(-1)), ValueError)
        self.assertEqual(self.network.tried, 0)


class RetryTests(ClientTestCase):
    def test_silence(self) -> None:
        """No answer in time: the same bytes on another connection; the silent one is closed."""
        answers = self.asked()
        [(first, update)] = self.network.waiting()
        self.network.advance(4.9)
        self.assertEqual(len(self.network.lines), 1)
        self.network.advance(0.1)
        self.assertFalse(first.open)
        [(second, again)] = self.network.waiting()
        self.assertIsNot(first, second)
        self.assertEqual(first.frames, second.frames)
        second.answer(again)
        self.assertEqual(answers, [answer_to(update)])
        self.assertEqual(self.network.retries, 1)
        self.assertIn("said nothing for 5 s", self.network.told[0])

    def test_one_left_out(self) -> None:
        """A connection on which others are answered stays; what it left out goes to another one, and its late answer counts as well."""
        answers = self.asked()
        [(first, update)] = self.network.waiting()
        self.network.advance(4.0)
        self.asked(1, room_id="r2")
        self.asked(1, room_id="r3")
        for line in self.network.open:
            for other in list(line.read()):
                if other.room_id != "r1":
                    line.answer(other)
        self.network.advance(1.0)
        self.assertTrue(first.open)
        copies = [(line, other) for line, other in self.network.waiting() if other == update]
        self.assertEqual(len(copies), 2)
        self.assertIn("sequence 1 unanswered for 5 s", self.network.told[0])
        (line, other), (second, _) = copies
        self.assertIs(line, first)
        first.answer(other)
        self.assertEqual(answers, [answer_to(update)])
        second.answer(update)
        self.assertEqual(len(answers), 1)
        self.assertTrue(second.open and not second.aborted)

    def test_closed(self) -> None:
        """A closed connection: all in flight on it goes elsewhere at once, bytes for bytes."""
        answers = [self.asked(1, room_id=f"r{number}") for number in range(3)]
        self.network.waiting()
        frames = {frame for line in self.network.open for frame in line.frames}
        for line in self.network.open:
            line.lose()
        again = {frame for line in self.network.open for update in line.read() for frame in line.frames}
        self.assertLessEqual(again, frames)
        for _ in range(10):
            self.network.advance(1.0)
            for line in self.network.open:
                line.answer_all()
        self.assertEqual([len(each) for each in answers], [1, 1, 1])

    def test_back_off(self) -> None:
        """Again at once, then after 0.1 s, 0.2 s … 3 s, for ever."""
        self.assertEqual([wait_before(times) for times in (0, 1, 2, 3, 4)], [0.0, 0.0, 0.1, 0.2, 0.4])
        self.assertEqual(wait_before(10_000), LONGEST_WAIT)
        answers = self.asked()
        sent: list[float] = []
        began = self.network.clock.seconds()
        while len(sent) < 12:
            for line, update in self.network.waiting():
                if update.sequence == 1:
                    sent.append(self.network.clock.seconds() - began)
                line.lose()
            self.network.advance(0.05)
        self.assertLess(sent[1], 0.06)
        waits = [round(after - before, 2) for before, after in itertools.pairwise(sent)]
        self.assertEqual(waits, sorted(waits))
        self.assertTrue(LONGEST_WAIT - 0.1 <= waits[-1] <= LONGEST_WAIT + 0.2, waits)
        self.network.advance(600)
        self.network.open[0].answer_all()
        self.assertEqual(len(answers), 1)

    def test_cannot_be_reached(self) -> None:
        """Attempts at a connection are rarer each time, however many ask; the first that succeeds serves all."""
        self.network.refuses = True
        answers = [self.asked(1, room_id=f"r{number}") for number in range(50)]
        for _ in range(600):
            self.network.advance(0.1)
        self.assertTrue(15 < self.network.tried < 30, self.network.tried)
        self.assertIn("cannot be reached", self.network.told[0])
        self.assertLess(len(self.network.told), 30)
        self.network.refuses = False
        self.network.advance(LONGEST_WAIT)
        self.assertEqual(sum(line.answer_all() for line in self.network.open), 50)
        self.assertEqual({len(each) for each in answers}, {1})

    def test_no_other_to_be_had(self) -> None:
        """A service that takes one connection alone: what it left out is sent on that again."""
        answers = self.asked()
        [(line, update)] = self.network.waiting()
        self.network.refuses = True
        self.network.advance(4.0)
        self.asked(1, room_id="r2")
        line.answer(line.read()[1])
        self.network.advance(1.0)
        self.network.advance(1.0)
        self.assertEqual(line.read(), [update, update])
        line.answer(update)
        self.assertEqual(len(answers), 1)

    def test_another_one(self) -> None:
        """Another connection is one from which it does not come, also where that has less to do."""
        self.asked()
        self.asked(1, room_id="r2")
        first, second = self.network.open
        self.network.hangs = True
        self.network.advance(4.0)
        first.answer(first.read()[1])
        for number in range(5):
            self.asked(1, room_id=f"more{number}")
        first.read()
        for update in [update for update in first.unanswered if update.sequence == 1 and update.room_id != "r1"]:
            first.answer(update)
        self.assertGreater(len(second.read()), len(first.read()))
        self.network.advance(1.0)
        self.assertIn("r1", [update.room_id for update in second.read()])
        self.assertEqual([update.room_id for update in first.read()], ["r1"])

    def test_good_one_lost(self) -> None:
        """However often others could not be opened: behind a connection that was good the next is tried at once."""
        self.asked()
        [(line, update)] = self.network.waiting()
        line.answer(update)
        self.network.refuses = True
        answers = [self.asked(1, room_id=f"r{number}") for number in range(2)]
        for _ in range(3):
            self.network.advance(1.0)
            self.asked(1, room_id="more")
        self.network.refuses = False
        line.lose()
        self.assertEqual(sum(each.answer_all() for each in self.network.open), 5)
        self.assertEqual([len(each) for each in answers], [1, 1])

    def test_hangs_up_at_once(self) -> None:
        """A service that takes connections and closes them is connected to less often each time."""
        answers = self.asked()
        for _ in range(600):
            for line in self.network.open:
                line.lose()
            self.network.advance(0.1)
        self.assertTrue(15 < self.network.tried < 40, self.network.tried)
        self.assertIn("had answered nothing", self.network.told[0])
        self.network.advance(LONGEST_WAIT)
        self.network.advance(LONGEST_WAIT)
        self.network.open[0].answer_all()
        self.assertEqual(len(answers), 1)

    def test_what_holds_it_up(self) -> None:
        """What was sent before has a connection to itself while there are others."""
        self.asked()
        [(first, _)] = self.network.waiting()
        first.lose()
        [(second, _)] = self.network.waiting()
        for number in range(10):
            self.asked(1, room_id=f"other{number}")
        self.assertEqual([each.room_id for each in second.read()][:2], ["r1", "other0"])
        for number in range(20):
            self.asked(1, room_id=f"more{number}")
        self.assertLessEqual(len(second.read()), 2)

    def test_bounded(self) -> None:
        """A connection owes so many answers at most; what is more waits here, in its order, and its time does not run."""
        total = MOST_CONNECTIONS * MOST_OWED + 100
        answers = [self.asked(1, room_id=f"r{number}") for number in range(total)]
        self.assertEqual(len(self.network.waiting()), total - 100)
        self.network.advance(4.0)
        for line in self.network.open:
            for update in list(line.unanswered):
                line.answer(update)
        self.assertEqual(len(self.network.waiting()), 100)
        self.network.advance(4.0)
        self.assertEqual(self.network.retries, 0)
        for line in self.network.open:
            line.answer_all()
        self.assertEqual({len(each) for each in answers}, {1})

    def test_does_not_read(self) -> None:
        """Nothing more is written to a service that does not read; others take it, and what none takes waits."""
        answers = [self.asked()]
        first = self.network.open[0]
        first.protocol.pauseProducing()
        answers += [self.asked(1, room_id="r2")]
        second = self.network.open[1]
        self.assertEqual([update.room_id for update in second.read()], ["r2"])
        for _ in range(MOST_CONNECTIONS):
            answers += [self.asked(1, room_id="more")]
            for line in self.network.open:
                line.protocol.pauseProducing()
        before = sum(len(line.read()) for line in self.network.open)
        answers += [self.asked(1, room_id="last")]
        self.assertEqual(sum(len(line.read()) for line in self.network.open), before)
        self.assertEqual(len(self.network.open), MOST_CONNECTIONS)
        second.protocol.resumeProducing()
        self.assertIn("last", [update.room_id for update in second.read()])
        for line in self.network.open:
            line.protocol.resumeProducing()
            line.answer_all()
        self.assertEqual({len(each) for each in answers}, {1})


class AccountTests(ClientTestCase):
    """What a connection has to do, and what is kept of it."""

    def test_answered_elsewhere(self) -> None:
        """What another connection has answered is owed still by the one that left it out, and its bytes are not kept."""
        connection = self._left_out()
        [owed] = connection.owed.values()
        self.assertEqual((owed.frame, connection.load), (b"", 1))

    def test_owes_and_is_silent(self) -> None:
        """It is closed so long after it was last heard, though what it owes is in flight elsewhere."""
        connection = self._left_out()
        [line] = [each for each in self.network.open if each.protocol is connection]
        self.network.advance(3.9)
        self.assertTrue(line.open)
        self.network.advance(0.2)
        self.assertFalse(line.open)

    def _left_out(self) -> Any:
        """A connection that owes an update which another has answered, 5 s after it was sent; it was heard a second ago."""
        answers = self.asked()
        [(line, update)] = self.network.waiting()
        self.network.advance(4.0)
        self.asked(1, room_id="r2")
        self.asked(1, room_id="r3")
        for each in self.network.open:
            for other in list(each.read()):
                if other.room_id != "r1":
                    each.answer(other)
        # Whichever it is given, the first is heard now.
        while line.protocol.heard_at < self.network.clock.seconds():
            self.asked(1, room_id="r4")
            for other in [other for other in line.read() if other.room_id != "r1"]:
                line.answer(other)
        self.network.advance(1.0)
        for each in self.network.open:
            if each is not line:
                each.answer_all()
        self.assertEqual(answers, [answer_to(update)])
        return line.protocol

    def test_no_doubt_left(self) -> None:
        """An update that was sent before weighs much until it is answered, and nothing from then on."""
        self.asked()
        self.network.open[0].lose()
        second = self.network.open[0]
        self.assertEqual(second.protocol.load, 1 + DOUBT)
        second.answer_all()
        self.assertEqual(second.protocol.load, 0)

    def test_reads_again_and_owes_too_much(self) -> None:
        """One that reads again gets no more than it may owe."""
        for _ in range(MOST_OWED):
            self.asked()
        self.network.hangs = True
        while self.network.open[0].protocol.usable:
            self.asked()
        protocol = self.network.open[0].protocol
        owed = len(protocol.owed)
        self.assertEqual(owed, MOST_OWED)
        protocol.pauseProducing()
        protocol.resumeProducing()
        self.assertFalse(protocol.usable)

    def test_one_more_that_is_good(self) -> None:
        """However long none could be opened: where one is good, the next one is opened at once."""
        self.network.refuses = True
        self.asked()
        for _ in range(100):
            self.network.advance(0.1)
        self.network.refuses = False
        self.network.advance(LONGEST_WAIT)
        [first] = self.network.open
        first.answer_all()
        self.asked()
        self.asked()
        self.assertEqual(len(self.network.open), 2)


class MisbehavingTests(ClientTestCase):
    def cut_off(self, said: bytes, words: str) -> None:
        """This closes the connection, the developer reads why, and another connection answers."""
        network = self.network = Network()
        self.client = network.client()
        answers = self.asked()
        [(line, _)] = network.waiting()
        line.say(said)
        self.assertTrue(line.aborted, words)
        self.assertIn(words, network.told[0])
        line.say(framed(b"more"))
        line.lose()
        self.assertEqual(len(network.told), 1)
        network.advance(1.0)
        [(other, update)] = network.waiting()
        other.answer(update)
        self.assertEqual(answers, [answer_to(update)])

    def state(self, **fields: Any) -> bytes:
        """A frame, for the first update that a client asks."""
        return framed(state_to_bytes(State(**{"request": 1_700_000_000_000_001, "sequence": 1, **fields})))

    def test_misbehaving(self) -> None:
        """What is no answer to what was sent here ends the connection."""
        self.cut_off(framed(b"\xff\xff\xff"), "this is no GameState in Protocol Buffers")
        self.cut_off(bytes(4), "a frame of length 0")
        self.cut_off(b"\xff\xff\xff\xff", "a frame of 4294967295 bytes")
        self.cut_off((MOST_BYTES + 1).to_bytes(4, "big"), f"at most {MOST_BYTES}")
        self.cut_off((ANSWER_BYTES + 1).to_bytes(4, "big"), "at most")
        self.cut_off(self.state(request=7), "request 7, which was not sent on this connection")
        self.cut_off(self.state(sequence=2), "has sequence 2, and the update had 1")
        self.cut_off(self.state(state=bytes(STATE_BYTES + 1)), "state may have at most 1024 KiB")
        self.cut_off(self.state(broadcast=(Said(b"{", True),)), "broadcast[0].data, which says that it is text, is not JSON")

    def test_good_ones_before(self) -> None:
        """What came whole before the fault counts."""
        answers = self.asked()
        [(line, update)] = self.network.waiting()
        line.say(framed(state_to_bytes(answer_to(update))) + bytes(4))
        self.assertEqual(answers, [answer_to(update)])
        self.assertTrue(line.aborted)

    def test_good_ones_behind(self) -> None:
        """What comes behind the fault does not."""
        answers = self.asked()
        [(line, update)] = self.network.waiting()
        line.say(framed(b"\xff") + framed(state_to_bytes(answer_to(update))))
        self.assertTrue(line.aborted)
        self.assertEqual(answers, [])

    def test_dies_within_a_frame(self) -> None:
        """Half an answer is none."""
        answers = self.asked()
        [(line, update)] = self.network.waiting()
        line.say(framed(state_to_bytes(answer_to(update)))[:-1])
        line.lose()
        self.assertEqual(answers, [])
        [(other, again)] = self.network.waiting()
        other.answer(again)
        self.assertEqual(answers, [answer_to(update)])

    def test_twice(self) -> None:
        """A second answer is no fault, with the same sequence, and a thousand in a row are too many."""
        self.asked()
        [(line, update)] = self.network.waiting()
        for _ in range(REMEMBERED + 1):
            line.answer(update)
        self.assertFalse(line.aborted)
        line.answer(update)
        self.assertTrue(line.aborted)
        self.assertIn("answered before", self.network.told[0])

    def test_remembers_so_many(self) -> None:
        """Nothing grows with what was answered, and what was answered long ago is not known any more."""
        self.asked()
        [(line, first)] = self.network.waiting()
        line.answer(first)
        for sequence in range(REMEMBERED):
            self.asked(sequence)
            line.answer_all()
        self.assertEqual(len(line.protocol._done), REMEMBERED)
        line.answer(first)
        self.assertTrue(line.aborted)

    def test_closes_after_each(self) -> None:
        """A service that closes behind each answer is slow, and does no harm."""
        answers = [self.asked(1, room_id=f"r{number}") for number in range(20)]
        for _ in range(600):
            for line in self.network.open:
                for update in line.read()[:1]:
                    line.answer(update)
                    line.lose()
            self.network.advance(0.1)
        self.assertEqual({len(each) for each in answers}, {1})
        self.assertLessEqual(self.network.most_open, MOST_CONNECTIONS)

    def test_lines(self) -> None:
        """The log gets no more than a few lines a second of it."""
        lines: list[str] = []
        tell = FewLines(lines.append, self.network.clock.seconds)
        for number in range(1000):
            tell("the same")
            tell(f"another {number}")
        self.assertEqual(len(lines), 10)
        self.network.clock.advance(1.0)
        tell("the same")
        self.assertEqual(lines[-1], "the same")


class CloseTests(ClientTestCase):
    def test_close(self) -> None:
        """Who waits is failed, connections end, and nothing is left to be called."""
        flying = self.client.ask(an_update())
        self.network.open[0].lose()
        waiting = [self.client.ask(an_update(1, room_id=f"r{number}")) for number in range(20)]
        self.network.hangs = True
        closed = self.client.close()
        for each in (flying, *waiting):
            self.failureResultOf(each, BadState)
        self.assertNoResult(closed)
        self.network.settle()
        self.successResultOf(closed)
        self.successResultOf(self.client.close())
        self.failureResultOf(self.client.ask(an_update()), BadState)
        self.assertEqual(self.network.clock.getDelayedCalls(), [])

    def test_while_connecting(self) -> None:
        """An attempt at a connection is given up."""
        self.network.hangs = True
        answer = self.client.ask(an_update())
        closed = self.client.close()
        self.failureResultOf(answer, BadState)
        self.successResultOf(closed)
        self.assertEqual(self.network.told, [])
        # Where another attempt than the one that was given up succeeds, as of two addresses.
        _, factory = self.network.attempts[0]
        self.network.hangs = False
        self.network.let_in(Deferred(), factory)
        self.assertTrue(self.network.open[0].aborted)

    def test_while_it_waits(self) -> None:
        """So is the next attempt."""
        self.network.refuses = True
        answer = self.client.ask(an_update())
        self.network.advance(1.0)
        self.successResultOf(self.client.close())
        self.failureResultOf(answer, BadState)
        self.assertEqual(self.network.clock.getDelayedCalls(), [])


class Misbehaving(RuleBasedStateMachine):
    """A service that does whatever it likes, and rooms that ask one update after another."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Network()
        self.client = self.network.client()
        self.rooms: dict[str, int] = {}
        """The sequence that each waits for."""
        self.answers: dict[tuple[str, int], int] = {}
        self.bytes: dict[int, bytes] = {}
        self.given_up: set[tuple[str, int]] = set()
        self.asked: dict[tuple[str, int], Deferred[Any]] = {}

    @initialize(rooms=st.integers(1, 12))
    def begin(self, rooms: int) -> None:
        for number in range(rooms):
            self.ask(f"r{number}")

    def ask(self, room_id: str) -> None:
        sequence = self.rooms[room_id] = self.rooms.get(room_id, 0) + 1
        key = (room_id, sequence)
        deferred = self.asked[key] = self.client.ask(an_update(sequence, room_id))
        deferred.addCallbacks(self.answered, lambda failure: failure.trap(CancelledError), callbackArgs=(key,))

    def answered(self, state: State, key: tuple[str, int]) -> None:
        """It fits; the room asks on."""
        room_id, sequence = key
        assert state.sequence == sequence
        assert state.broadcast[0].data == b'{"of":"%s"}' % room_id.encode()
        assert key not in self.given_up
        self.answers[key] = self.answers.get(key, 0) + 1
        if sequence < 60:
            self.ask(room_id)

    def line(self, data: Any) -> Any:
        lines = [line for line in self.network.open if not line.aborted]
        return data.draw(st.sampled_from(lines)) if lines else None

    @rule(data=st.data(), times=st.integers(1, 3))
    def answer(self, data: Any, times: int) -> None:
        """Something that came on this connection, also again and late."""
        line = self.line(data)
        if line is not None and (updates := line.read()):
            update = data.draw(st.sampled_from(updates))
            for _ in range(times):
                line.answer(update)

    @rule(data=st.data())
    def misbehave(self, data: Any) -> None:
        line = self.line(data)
        if line is None:
            return
        updates = line.read()
        wrong = [b"", bytes(4), b"\xff\xff\xff\xff", framed(b"\xff"), b"\x00", framed(state_to_bytes(State(request=5, sequence=1)))]
        if updates:
            good = answer_to(data.draw(st.sampled_from(updates)))
            wrong += [
                framed(state_to_bytes(attrs.evolve(good, sequence=good.sequence + 1))),
                framed(state_to_bytes(attrs.evolve(good, request=good.request + 1000))),
                framed(state_to_bytes(attrs.evolve(good, broadcast=(Said(b"\xff", True),)))),
                framed(state_to_bytes(good))[:-2],
            ]
        line.say(data.draw(st.sampled_from(wrong)))

    @rule(data=st.data())
    def lose(self, data: Any) -> None:
        if (line := self.line(data)) is not None:
            line.read()
            line.lose()

    @rule(data=st.data(), paused=st.booleans())
    def read_slowly(self, data: Any, paused: bool) -> None:
        if (line := self.line(data)) is not None:
            (line.protocol.pauseProducing if paused else line.protocol.resumeProducing)()

    @rule(refuses=st.booleans(), hangs=st.booleans())
    def reachable(self, refuses: bool, hangs: bool) -> None:
        self.network.refuses, self.network.hangs = refuses, hangs

    @precondition(lambda self: self.network.attempts)
    @rule(well=st.booleans())
    def attempt(self, well: bool) -> None:
        made, factory = self.network.attempts.pop(0)
        if well:
            refuses, self.network.refuses = self.network.refuses, False
            self.network.let_in(made, factory)
            self.network.refuses = refuses
        else:
            made.errback(ConnectionRefusedError())

    @rule(seconds=st.sampled_from([0.01, 0.1, 1.0, 4.0, 5.0, 30.0]))
    def wait(self, seconds: float) -> None:
        for line in self.network.open:
            line.read()
        self.network.advance(seconds)

    @rule(data=st.data())
    def give_up(self, data: Any) -> None:
        open_ = [key for key, deferred in self.asked.items() if not deferred.called]
        if open_:
            key = data.draw(st.sampled_from(open_))
            self.given_up.add(key)
            self.asked[key].cancel()
            self.ask(key[0])

    @invariant()
    def bounded(self) -> None:
        """Never more than eight, and nothing but the same bytes is ever sent again."""
        assert self.network.most_open <= MOST_CONNECTIONS
        assert len(self.network.open) + len(self.network.attempts) <= MOST_CONNECTIONS
        for line in self.network.lines:
            line.read()
            for frame in line.frames:
                # The number stands first: a tag, then so many bytes.
                request = int(frame[1:9].hex(), 16)
                assert self.bytes.setdefault(request, frame) == frame
            line.frames.clear()
        assert all(times == 1 for times in self.answers.values())

    def teardown(self) -> None:
        """The service behaves at last: every ask that was not given up is answered, once."""
        self.network.refuses = self.network.hangs = False
        while self.network.attempts:
            self.attempt(True)
        for _ in range(100):
            self.network.advance(1.0)
            for line in self.network.open:
                line.protocol.resumeProducing()
                line.answer_all()
            self.network.settle()
        for key, deferred in self.asked.items():
            assert deferred.called, key
            assert self.answers.get(key, 0) == (key not in self.given_up), key
        closed: list[None] = []
        self.client.close().addCallback(closed.append)
        self.network.settle()
        assert closed == [None]
        assert self.network.clock.getDelayedCalls() == []


def test_misbehaving_machine() -> None:
    """Whatever a service does, every ask is answered exactly once, by a State that fits."""
    run_state_machine_as_test(Misbehaving)
