"""Sums of files."""

from __future__ import annotations

from hashlib import sha256
from io import BytesIO

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gameroom.client.files import SLICE, sum_of


class SumTests(SynchronousTestCase):
    def test_small_files_at_once(self) -> None:
        found = self.successResultOf(Deferred.fromCoroutine(sum_of(BytesIO(b"abc"), Clock())))
        self.assertEqual(found.hexdigest(), sha256(b"abc").hexdigest())

    def test_large_files_let_others_have_their_turn(self) -> None:
        """A turn for each slice."""
        data = bytes(range(256)) * (SLICE // 256 * 2 + 1)
        clock, turns = Clock(), []
        clock.callLater = lambda delay, turn: turns.append(turn)  # type: ignore[method-assign, assignment, misc]
        summing = Deferred.fromCoroutine(sum_of(BytesIO(data), clock))
        for number in range(2):
            self.assertNoResult(summing)
            self.assertEqual(len(turns), number + 1)
            turns[-1]()
        self.assertEqual(self.successResultOf(summing).hexdigest(), sha256(data).hexdigest())

    def test_a_part(self) -> None:
        found = self.successResultOf(Deferred.fromCoroutine(sum_of(BytesIO(b"abcdef"), Clock(), 3)))
        self.assertEqual(found.hexdigest(), sha256(b"abc").hexdigest())
