"""User numbers for programs."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from gameroom.programs.uids import Uids


class UidsTests(SynchronousTestCase):
    def test_each_has_its_own(self) -> None:
        """No two at a time; one that was given back comes last again."""
        uids = Uids(((100, 4),), start=2)
        self.assertEqual([uids.take(), uids.take()], [102, 103])
        uids.give_back(102)
        self.assertEqual([uids.take(), uids.take(), uids.take()], [100, 101, 102])

    def test_none_left(self) -> None:
        """Where all are taken there is none."""
        uids = Uids(((100, 2),))
        self.assertEqual([uids.take(), uids.take(), uids.take()], [100, 101, None])
        self.assertIsNone(Uids(()).take())
        self.assertFalse(Uids(()).some)

    def test_here(self) -> None:
        """This machine has some."""
        self.assertTrue(Uids.here().some)
