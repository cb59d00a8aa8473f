"""gameroom.doors.rounds"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gameroom.doors.rounds import BUDGET, SLICE, WINDOW, Rounds


class Reactor(Clock):
    """Lets a test see one round of the reactor after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.next: list[Callable[[], object]] = []

    def callLater(self, when: float, what: Callable[..., object], *args: object, **kwargs: object) -> Any:  # type: ignore[override]
        self.next.append(lambda: what(*args, **kwargs))

    def round(self) -> None:
        calls, self.next = self.next, []
        for call in calls:
            call()


class RoundsTests(SynchronousTestCase):
    """The budget, on a clock that stands still but for what the test says is spent."""

    def setUp(self) -> None:
        self.clock = Reactor()
        self.clock.advance(1000.0)
        self.rounds = Rounds(self.clock)
        self.log: list[str] = []
        self.marks: dict[str, float] = {}

    def left(self) -> float:
        now = self.clock.seconds()
        return round(self.rounds.until(now, 0.0) - now, 6)

    def works(self, who: str, slices: int) -> Callable[[], None]:
        """Somebody who has so much to do."""

        def go_on() -> None:
            self.log.append(who)
            self.clock.rightNow += SLICE
            self.marks[who] = self.rounds.spend(SLICE, self.marks.get(who, 0.0))
            if self.log.count(who) < slices:
                self.rounds.turn(go_on, self.marks[who])

        return go_on

    def test_budget(self) -> None:
        """Each peer has a slice until the budget is used up, and there is a new one in the next window."""
        for _ in range(round(BUDGET / SLICE)):
            self.assertEqual(self.left(), SLICE)
            self.rounds.spend(SLICE, 0.0)
        self.assertLessEqual(self.left(), 0.0)
        self.clock.advance(2 * WINDOW)
        self.assertEqual(self.left(), SLICE)

    def test_clock_that_is_set_back(self) -> None:
        """Nobody waits for a time that comes again."""
        self.assertEqual(self.left(), SLICE)
        self.assertEqual(self.rounds.spend(-500.0, 1.0), 1.0)
        self.assertLess(self.rounds.spend(500.0, 1.0), 1.1)
        self.assertLessEqual(self.left(), 0.0)
        self.clock.rightNow -= 500.0
        self.assertEqual(self.left(), SLICE)

    def test_turns(self) -> None:
        """A round takes its budget and no more; all have a turn before one has a second; nothing is called when nobody waits."""
        people = [chr(ord("a") + number) for number in range(12)]
        for who in people:
            self.rounds.turn(self.works(who, 2), 0.0)
        lengths = []
        while self.clock.next:
            self.clock.round()
            lengths.append(len(self.log))
        self.assertEqual("".join(self.log), "".join(people) * 2)
        self.assertEqual(lengths, [8, 16, 24])

    def test_who_has_had_least_is_first(self) -> None:
        """Somebody who comes while others have been at work for long has a turn before them, and is not kept from it by what came before."""
        for who in "abcdefghij":
            self.rounds.turn(self.works(who, 10), 0.0)
        for _ in range(5):
            self.clock.round()
        self.rounds.turn(self.works("z", 2), 0.0)
        self.assertLessEqual(self.rounds.until(0.0, 1.0), 0.0)
        before = len(self.log)
        self.clock.round()
        self.assertEqual(self.log[before], "z")
        while self.clock.next:
            self.clock.round()
        self.assertEqual({who: self.log.count(who) for who in "aejz"}, {"a": 10, "e": 10, "j": 10, "z": 2})

    def test_one_fails(self) -> None:
        """What goes wrong in one's turn does not take the others' from them."""

        def broken() -> None:
            raise ValueError

        self.rounds.turn(broken, 0.0)
        self.rounds.turn(self.works("a", 1), 0.0)
        self.assertRaises(ValueError, self.clock.round)
        self.clock.round()
        self.assertEqual(self.log, ["a"])
