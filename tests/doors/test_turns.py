"""gameroom.doors.turns"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from gameroom.doors.turns import AT_ONCE, Turns


class Rounds:
    """A clock on which a test sees one round of the reactor after the other."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def callLater(self, delay: float, call: Callable[[], None]) -> None:
        self.calls.append(call)

    def next(self) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            call()


class TurnsTests(SynchronousTestCase):
    def _sends(self, turns: Turns, who: str, cost: int, pieces: int, sent: list[str]) -> Callable[[], None]:
        def send() -> None:
            sent.append(who)
            if sent.count(who) < pieces:
                turns.ask(send, cost)

        return send

    def test_together(self) -> None:
        """However many are sent files, a round sends a few pieces, and each has its turn; when all is sent, nothing is left to be called."""
        rounds, sent = Rounds(), list[str]()
        turns = Turns(cast("Any", rounds))
        for who in "abcdef":
            turns.ask(self._sends(turns, who, 1, 3, sent), 1)
        lengths = []
        while rounds.calls:
            rounds.next()
            lengths.append(len(sent))
        self.assertEqual(("".join(sent), lengths), ("abcdef" * 3, [4, 8, 12, 16, 18]))

    def test_what_takes_long(self) -> None:
        """What counts as a whole round is done for one of them in each."""
        rounds, sent = Rounds(), list[str]()
        turns = Turns(cast("Any", rounds))
        for who in "abc":
            turns.ask(self._sends(turns, who, AT_ONCE, 2, sent), AT_ONCE)
        for number in range(7):
            self.assertEqual("".join(sent), "abcabc"[:number])
            rounds.next()
        self.assertEqual(rounds.calls, [])

    def test_one_that_breaks(self) -> None:
        """What goes wrong with one costs the others nothing."""
        rounds, sent = Rounds(), list[str]()
        turns = Turns(cast("Any", rounds))
        turns.ask(partial(next, iter(())), 1)
        turns.ask(self._sends(turns, "a", 1, 1, sent), 1)
        self.assertRaises(StopIteration, rounds.next)
        rounds.next()
        self.assertEqual((sent, rounds.calls), (["a"], []))
