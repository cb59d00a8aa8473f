"""The queue of requests that have no answer yet."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gameroom.client.pending import Unanswered
from gameroom.client.stream import ConnectionFailed


class UnansweredTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.late: list[str] = []
        self.queue = Unanswered(self.clock, self.late.append)

    def test_in_order(self) -> None:
        """First come, first taken; where nobody waits there is none."""
        first, second = self.queue.add("A", 5), self.queue.add("B", 5)
        taken = [self.queue.take() for _ in range(3)]
        self.assertEqual([each and each.answered for each in taken], [first, second, None])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_clock_for_all(self) -> None:
        """Only the oldest one's time runs, however many wait."""
        for number in range(100):
            self.queue.add(f"R{number}", 5)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(4)
        self.queue.take()
        self.clock.advance(4)
        self.assertEqual(self.late, [])
        self.clock.advance(1)
        self.assertEqual(self.late, ["the server has not answered R1 within 5 seconds"])

    def test_fail(self) -> None:
        """All that wait are told; who has stopped waiting is not."""
        gone, there = self.queue.add("A", 5), self.queue.add("B", 5)
        gone.addErrback(lambda _: None)
        gone.cancel()
        self.queue.fail("lost")
        self.assertEqual(str(self.failureResultOf(there, ConnectionFailed).value), "lost")
        self.assertIsNone(self.queue.take())
        self.assertEqual(self.clock.getDelayedCalls(), [])
