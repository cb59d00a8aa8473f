"""Who counts, who is away, who is to be dropped."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import BadState, Forbidden
from gameroom.rules.seats import DROPPED, LEFT, PLAYS, Seats


class SeatsTests(SynchronousTestCase):
    """Three players, of whom the last is away from the beginning."""

    def setUp(self) -> None:
        self.seats = Seats((0, 1, 2), (0, 1), 100.0)

    def test_overdue(self) -> None:
        """Trouble counts from its beginning, as long as it lasts, whether away or lagging."""
        self.assertEqual((self.seats.overdue(159.9, 60.0), self.seats.overdue(160.0, 60.0)), ([], [2]))
        self.seats.connect(2, lagging=True)
        self.assertEqual(self.seats.overdue(160.0, 60.0), [2])
        self.seats.lagging((), 160.0)
        self.seats.disconnect(2, 170.0)
        self.assertEqual(self.seats.overdue(200.0, 60.0), [])

    def test_somebody_carries_on(self) -> None:
        """Nobody is dropped while all are in trouble."""
        self.seats.lagging((0, 1), 100.0)
        self.assertEqual(self.seats.overdue(500.0, 60.0), [])
        self.seats.lagging((1,), 500.0)
        self.assertEqual(self.seats.overdue(500.0, 60.0), [2, 1])

    def test_deserted(self) -> None:
        """Since when nobody is there; also when the last who was there leaves."""
        self.assertIsNone(self.seats.deserted)
        self.seats.disconnect(0, 110.0)
        self.seats.become(1, LEFT, 120.0)
        self.assertEqual((self.seats.deserted, self.seats.having(PLAYS)), (120.0, [0, 2]))
        self.seats.connect(2, lagging=False)
        self.assertIsNone(self.seats.deserted)

    def test_proposals(self) -> None:
        """All connected others who play must have proposed; a vote of one who is dropped since does not count."""
        self.seats.propose(0, 2, ())
        self.assertEqual(self.seats.carried(), [])
        self.seats.propose(1, 2, ())
        self.assertEqual(self.seats.carried(), [2])
        self.seats.become(1, DROPPED, 100.0)
        self.assertEqual(self.seats.carried(), [2])
        self.seats.become(0, DROPPED, 100.0)
        self.assertEqual(self.seats.carried(), [])

    def test_refused(self) -> None:
        """Who may not propose, and who may not be proposed."""
        for by, seat, error in ((0, 1, BadState), (0, 0, BadState), (0, 9, BadState)):
            self.assertRaises(error, self.seats.propose, by, seat, ())
        self.seats.propose(0, 1, (1,))
        self.seats.become(0, DROPPED, 100.0)
        self.assertRaises(Forbidden, self.seats.propose, 0, 2, ())
