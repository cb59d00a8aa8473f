"""Messages that are answered: one on its way, repeats, ids."""

from __future__ import annotations

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import BadState
from gameroom.rules.transactions import AGAIN_AFTER, BLOCK, MOST_WAITING, REMEMBERED, Ids, New, Receiver, Repeat, Sender, Sent, UnderWay
from tests.rules.transactions_machine import Transactions


class SenderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sender = Sender(Ids().take)

    def say(self, *names: str, key: str | None = None) -> None:
        for name in names:
            self.sender.put({"type": name}, key)

    def told(self) -> list[str]:
        """Everything that waits, each answered at once."""
        names = []
        while (sent := self.sender.next(0.0)) is not None:
            names.append(sent.message["type"])
            self.assertTrue(self.sender.answered(sent.id))
        return names

    def test_one_at_a_time(self) -> None:
        """The next is sent when the one before is answered, and with the next id."""
        self.say("a", "b")
        self.assertEqual(self.sender.next(0.0), Sent(1, {"type": "a"}))
        self.assertIsNone(self.sender.next(0.0))
        for wrong in (0, 2, 99):
            self.assertFalse(self.sender.answered(wrong))
        self.assertTrue(self.sender.answered(1))
        self.assertFalse(self.sender.answered(1))
        self.assertEqual(self.sender.next(0.0), Sent(2, {"type": "b"}))

    def test_again(self) -> None:
        """What was not answered for five seconds is sent again, with its id, and so every five seconds; a new connection has it at once."""
        self.say("a")
        sent = self.sender.next(10.0)
        self.assertEqual(
            [self.sender.again(10.0 + after) for after in (AGAIN_AFTER - 0.1, AGAIN_AFTER, AGAIN_AFTER + 0.1, 2 * AGAIN_AFTER)],
            [None, sent, None, sent],
        )
        self.assertEqual(self.sender.connected(23.0), sent)
        self.assertIsNone(self.sender.again(23.0 + AGAIN_AFTER - 0.1))
        self.sender.answered(1)
        self.assertEqual((self.sender.again(99.0), self.sender.connected(99.0)), (None, None))

    def test_replaced(self) -> None:
        """A newer one takes the place of an older one of its key that waits, behind what waits already; what was sent stays sent."""
        self.say("p1", key="players")
        self.sender.next(0.0)
        self.say("p2", key="players")
        self.say("b1", key="board")
        self.say("chat")
        self.say("p3", key="players")
        self.assertEqual(self.sender.unanswered, Sent(1, {"type": "p1"}, "players"))
        self.sender.answered(1)
        self.assertEqual(self.told(), ["b1", "chat", "p3"])

    def test_dropped(self) -> None:
        """What is out of date is not said."""
        self.say("a")
        self.say("b", key="board")
        self.sender.drop({"board"})
        self.assertEqual(self.told(), ["a"])

    def test_who_never_answers(self) -> None:
        """Not more than so many wait; the oldest of what does not replace itself goes."""
        self.say("p", key="players")
        self.say(*(f"c{number}" for number in range(MOST_WAITING + 3)))
        self.assertEqual(self.sender.waiting, MOST_WAITING + 1)
        self.assertEqual(self.told()[:2], ["p", "c3"])

    def test_no_ids(self) -> None:
        """While there are no ids nothing is sent, and nothing is lost."""
        ids = Ids()
        ids.forgotten(7)
        self.sender = Sender(ids.take)
        self.say("a")
        self.assertIsNone(self.sender.next(0.0))
        ids.set_aside(100)
        self.assertEqual(self.sender.next(0.0), Sent(8, {"type": "a"}))


class ReceiverTests(SynchronousTestCase):
    def test_repeat(self) -> None:
        """A repeat is answered as the first time; one that is under way waits for that."""
        receiver = Receiver()
        self.assertEqual(receiver.take(5), New())
        self.assertEqual(receiver.take(5), UnderWay())
        receiver.done(5, {"type": "ack"})
        self.assertEqual(receiver.take(5), Repeat({"type": "ack"}))
        self.assertEqual(receiver.take(6), New())

    def test_old(self) -> None:
        """The last 64 are remembered; an older one is refused, and so is one that was passed over."""
        receiver = Receiver()
        for number in range(0, 2 * REMEMBERED + 4, 2):
            receiver.take(number)
            receiver.done(number, {"n": number})
        self.assertEqual(receiver.take(4), Repeat({"n": 4}))
        self.assertEqual(receiver.last_id, 2 * REMEMBERED + 2)
        for number in (0, 2, 5):
            with self.assertRaises(BadState):
                receiver.take(number)

    def test_failed(self) -> None:
        """What nothing came of is new when it comes again, also when newer ones came meanwhile."""
        receiver = Receiver()
        receiver.take(1)
        receiver.take(2)
        receiver.done(2, {})
        receiver.failed(1)
        self.assertEqual((receiver.take(1), receiver.take(1)), (New(), UnderWay()))

    def test_restored(self) -> None:
        """What was kept is known after a restart."""
        receiver = Receiver({9: {"n": 9}, 3: {"n": 3}})
        self.assertEqual((receiver.last_id, receiver.take(3), receiver.take(10)), (9, Repeat({"n": 3}), New()))


class IdsTests(SynchronousTestCase):
    def test_ahead(self) -> None:
        """More are wanted in good time; without them there are none."""
        ids = Ids()
        taken = 0
        while ids.wanted is None:
            self.assertEqual(ids.take(), taken + 1)
            taken += 1
        self.assertTrue(0 < taken < BLOCK)
        wanted = ids.wanted
        rest = [ids.take() for _ in range(BLOCK - taken + 1)]
        self.assertEqual(rest[-2:], [BLOCK, None])
        ids.set_aside(wanted)
        self.assertEqual(ids.take(), BLOCK + 1)

    def test_forgotten(self) -> None:
        """After a restart ids go on behind all that may have been used, once more are set aside."""
        ids = Ids()
        ids.take()
        again = Ids()
        again.forgotten(ids.ahead)
        self.assertEqual((again.take(), again.wanted), (None, 2 * BLOCK))
        again.set_aside(2 * BLOCK)
        self.assertEqual(again.take(), BLOCK + 1)


class MachineTests(SynchronousTestCase):
    def test_machine(self) -> None:
        """Any loss, repeat, reconnection and restart: each message acts exactly once and in order."""
        run_state_machine_as_test(Transactions, settings=settings(max_examples=150, stateful_step_count=60, deadline=None))
