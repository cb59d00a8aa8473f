"""The window of packets, against a dictionary."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from gameroom.rules.gathering import Gathering

SEATS = (0, 2, 3)


class GatheringTests(SynchronousTestCase):
    """Seats 0, 2 and 3; nobody sits in 1."""

    def gathering(self, delay: int = 3) -> Gathering:
        return Gathering(delay=delay, seats=4, counting=SEATS, generation=5, now=10.0)

    def test_complete_with_the_last(self) -> None:
        """It is complete when all who count have sent, and gives what they said, by seat."""
        gathering = self.gathering()
        for seat, commands in ((3, b"d"), (0, b"a")):
            self.assertIs(gathering.put(seat, 5, commands, 11.0), False)
            self.assertFalse(gathering.complete())
        self.assertEqual(gathering.awaited(), [2])
        gathering.put(2, 5, b"", 12.0)
        self.assertTrue(gathering.complete())
        self.assertEqual((gathering.close(13.5), gathering.generation), (([b"a", None, b"", b"d"], 2.5), 6))
        self.assertEqual(gathering.awaited(), [0, 2, 3])

    def test_held_and_gaps(self) -> None:
        """A second packet is nothing; one after a hole says so, and which are missing."""
        gathering = self.gathering()
        self.assertIs(gathering.put(0, 7, b"c", 11.0), True)
        self.assertEqual((list(gathering.gap(0, 7)), gathering.newest(0)), ([5, 6], 4))
        self.assertIsNone(gathering.put(0, 7, b"x", 11.0))
        gathering.put(0, 5, b"a", 11.0)
        self.assertEqual(gathering.newest(0), 5)
        gathering.put(0, 6, b"b", 11.0)
        self.assertEqual(gathering.newest(0), 7)

    def test_waiting_since(self) -> None:
        """Somebody waits from the first packet on, or from when it became the next; nobody when all or none are there."""
        gathering = self.gathering()
        self.assertIsNone(gathering.waiting_since())
        for seat in SEATS:
            gathering.put(seat, 5, b"", 11.0)
        self.assertIsNone(gathering.waiting_since())
        gathering.put(0, 6, b"", 12.0)
        gathering.close(20.0)
        self.assertEqual(gathering.waiting_since(), 20.0)

    def test_counting_no_longer(self) -> None:
        """Who does not count is not waited for, and what it had sent is gone; then it counts with what came ahead."""
        gathering = self.gathering()
        gathering.put(0, 5, b"a", 11.0)
        gathering.put(2, 5, b"b", 11.0)
        gathering.put(3, 6, b"gone", 11.0)
        gathering.count(3, False, 12.0)
        self.assertTrue(gathering.complete())
        gathering.put_ahead(3, 6, b"back")
        gathering.put_ahead(3, 6, b"again")
        self.assertEqual(gathering.close(12.0)[0], [b"a", None, b"b", None])
        gathering.count(3, True, 13.0)
        self.assertEqual((gathering.awaited(), gathering.waiting_since(), gathering.newest(3)), ([0, 2], 13.0, 6))
        for seat in (0, 2):
            gathering.put(seat, 6, b"", 14.0)
        self.assertEqual(gathering.close(14.0)[0], [b"", None, b"", b"back"])

    @given(st.integers(1, 5), st.lists(st.tuples(st.sampled_from(SEATS), st.integers(0, 4)), max_size=60))
    def test_any_order(self, delay: int, arrivals: list[tuple[int, int]]) -> None:
        """Whatever comes in whatever order, it holds what a dictionary would hold."""
        gathering, held, closed = self.gathering(delay), dict[tuple[int, int], bytes](), 0
        for number, (seat, ahead) in enumerate(arrivals):
            generation = gathering.generation + ahead % delay
            commands = b"%d" % number
            put = gathering.put(seat, generation, commands, 11.0)
            self.assertEqual(put is None, (seat, generation) in held)
            if put is not None:
                held[seat, generation] = commands
                gap = generation > gathering.generation and (seat, generation - 1) not in held
                self.assertEqual(put, gap)
            while gathering.complete():
                due = [held.pop((each, gathering.generation)) for each in SEATS]
                said = gathering.close(11.0)[0]
                self.assertEqual(([said[each] for each in SEATS], said[1]), (due, None))
                closed += 1
            self.assertEqual(gathering.generation, 5 + closed)
            self.assertEqual(gathering.awaited(), [each for each in SEATS if (each, gathering.generation) not in held])
            for each in SEATS:
                newest = gathering.generation - 1
                while (each, newest + 1) in held:
                    newest += 1
                self.assertEqual(gathering.newest(each), newest)
