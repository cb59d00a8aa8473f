"""gameroom.doors.web.ahead: chunks that come before their turn."""

from __future__ import annotations

from random import Random

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gameroom.doors.web.ahead import FURTHEST, LONGEST, MOST_HELD, Ahead, preferred_wait
from gameroom.errors import BadState, ChunkOutOfOrder


class AheadTests(SynchronousTestCase):
    """Two uploads whose chunks are counted."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.ahead = Ahead(self.clock)
        self.taken: dict[str, list[int]] = {"one": [], "other": []}

    def put(self, seq: int, patience: float = 5, upload: str = "one") -> Deferred[None]:
        def deed() -> None:
            expected = len(self.taken[upload])
            if seq > expected:
                raise ChunkOutOfOrder("go on from there", expected_seq=expected)
            self.taken[upload].append(seq)

        return Deferred.fromCoroutine(self.ahead.put(upload, seq, deed, patience))

    def test_in_order(self) -> None:
        """Chunks in order are taken at once."""
        for seq in range(3):
            self.successResultOf(self.put(seq, patience=0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_in_any_order(self) -> None:
        """Chunks that are under way together are taken in order, whichever comes first, and no time goes by."""
        for seed in range(20):
            self.taken["one"] = []
            order = list(range(FURTHEST + 1))
            Random(seed).shuffle(order)
            done = [self.put(seq) for seq in order]
            self.assertEqual(self.taken["one"], list(range(FURTHEST + 1)))
            for each in done:
                self.successResultOf(each)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_others(self) -> None:
        """A chunk of another upload is not what one waits for."""
        waits = self.put(1)
        self.successResultOf(self.put(0, upload="other"))
        self.assertNoResult(waits)
        self.successResultOf(self.put(0))
        self.successResultOf(waits)

    def test_in_vain(self) -> None:
        """Who waits in vain is told which is the next, after so long as was asked for; who did not ask, at once."""
        self.failureResultOf(self.put(1, patience=0), ChunkOutOfOrder)
        waits = self.put(2, patience=3)
        self.clock.pump([0.25] * 11)
        self.assertNoResult(waits)
        self.clock.pump([0.25])
        self.assertEqual(self.failureResultOf(waits, ChunkOutOfOrder).value.expected_seq, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_by_another_door(self) -> None:
        """The chunks before may come in without being heard of here."""
        waits = self.put(1)
        self.taken["one"].append(0)
        self.clock.advance(0.5)
        self.successResultOf(waits)

    def test_too_far(self) -> None:
        """Only the next few may wait."""
        self.failureResultOf(self.put(FURTHEST + 1), ChunkOutOfOrder)
        self.assertNoResult(self.put(FURTHEST))

    def test_twice(self) -> None:
        """Of the same chunk twice one waits."""
        self.assertNoResult(self.put(1))
        self.failureResultOf(self.put(1), ChunkOutOfOrder)

    def test_too_many(self) -> None:
        """So many chunks wait, of all uploads together, and then no more until some have gone."""
        for upload in range(MOST_HELD // FURTHEST):
            self.taken[str(upload)] = []
            for seq in range(1, FURTHEST + 1):
                self.assertNoResult(self.put(seq, upload=str(upload)))
        self.failureResultOf(self.put(1), ChunkOutOfOrder)
        self.successResultOf(self.put(0, upload="0"))
        self.assertNoResult(self.put(1))

    def test_other_errors(self) -> None:
        """What else goes wrong is told at once, also to those who waited."""
        waits = self.put(1)
        self.taken = {}
        self.clock.advance(0.5)
        self.failureResultOf(waits, KeyError)

        def gone() -> None:
            raise BadState("there is no such upload")

        self.failureResultOf(Deferred.fromCoroutine(self.ahead.put("one", 5, gone, 5)), BadState)


class PreferTests(SynchronousTestCase):
    """The header."""

    def test_read(self) -> None:
        """`wait` is read among other preferences, as far as it goes; anything else is no wait."""
        for text, seconds in [
            ("wait=5", 5),
            ("respond-async, wait=3", 3),
            ('Wait="2"', 2),
            ("wait = 1; x=y", 1),
            ("wait=100000", LONGEST),
            ("wait=0", 0),
            ("", 0),
            ("wait", 0),
            ("wait=-1", 0),
            ("await=5", 0),
            ("wait=" + "9" * 5000, LONGEST),
        ]:
            self.assertEqual(preferred_wait(text), seconds, text)
