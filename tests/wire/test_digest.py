"""What is kept for long of a hash in sections."""

from __future__ import annotations

from operator import eq, ne

from twisted.trial.unittest import SynchronousTestCase

from gameroom.wire.digest import Digest


class DigestTests(SynchronousTestCase):
    """A digest beside other values, on either side of the comparison."""

    def test_equal(self) -> None:
        """It is equal to what has the same sections, in any order."""
        sections = {"units": "1", "map": "2"}
        digest = Digest(sections)
        for same in ({"map": "2", "units": "1"}, Digest(sections)):
            self.assertEqual([operation(*pair) for operation in (eq, ne) for pair in ((digest, same), (same, digest))], [True, True, False, False])
        self.assertEqual(len({digest, Digest(sections)}), 1)

    def test_not_equal(self) -> None:
        """It is equal to nothing else."""
        digest = Digest({"units": "1", "map": "2"})
        for other in ({"units": "1"}, {}, digest.text, 5, Digest({"units": "1"}), None):
            self.assertEqual([operation(*pair) for operation in (eq, ne) for pair in ((digest, other), (other, digest))], [False, False, True, True])
