"""Time for turns."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gameroom.rules.room import RoomOptions
from gameroom.rules.turn_clock import TurnClock


def clock(**options: float) -> TurnClock:
    made = TurnClock.of(RoomOptions(**options), [1, 2])  # type: ignore[arg-type]
    assert made is not None
    return made


class TurnClockTests(SynchronousTestCase):
    def test_none(self) -> None:
        """A room that says nothing of time has no clock; an increment alone is no limit."""
        self.assertIsNone(TurnClock.of(RoomOptions(increment_seconds=5.0), [1, 2]))

    def test_move(self) -> None:
        """The time for a turn is anew with each turn, and runs out at its very end."""
        begun = clock(move_seconds=10.0).begun([1], 100.0, [1, 2])
        self.assertEqual([begun.run_out(now) for now in (100.0, 109.9, 110.0, 200.0)], [[], [], [1], [1]])
        again = begun.made([1], 109.0).begun([1], 150.0, [1])
        self.assertEqual((again.run_out(159.0), again.run_out(160.0)), ([], [1]))

    def test_total(self) -> None:
        """The total is for all turns together, and each that is made gives some of it back."""
        hands = clock(total_seconds=10.0, increment_seconds=2.0)
        for _ in range(2):
            hands = hands.begun([1], 0.0, [1]).made([1], 5.0)
        self.assertEqual((hands.hands[1].left, hands.hands[2].left), (4.0, 10.0))
        self.assertEqual(hands.begun([1], 0.0, [1]).run_out(4.0), [1])

    def test_both(self) -> None:
        """Where there are both limits, the first that is reached counts."""
        hands = clock(move_seconds=5.0, total_seconds=8.0).begun([1], 0.0, [1])
        self.assertEqual(hands.run_out(5.0), [1])
        self.assertEqual(hands.made([1], 4.0).begun([1], 10.0, [1]).run_out(14.0), [1])

    def test_away(self) -> None:
        """A hand stands while its player is away, from the beginning or later; pausing twice and resuming twice change nothing."""
        away = clock(move_seconds=10.0).begun([1], 0.0, [2])
        self.assertEqual(away.run_out(1000.0), [])
        there = away.resumed(1, 1000.0).resumed(1, 1004.0)
        paused = there.paused(1, 1006.0).paused(1, 1009.0)
        self.assertEqual((paused.run_out(9999.0), paused.hands[1].used), ([], 6.0))
        on = paused.resumed(1, 2000.0)
        self.assertEqual((on.run_out(2003.9), on.run_out(2004.0)), ([], [1]))

    def test_backwards(self) -> None:
        """A clock of the machine that is set back gives nobody time."""
        hands = clock(total_seconds=10.0).begun([1], 100.0, [1]).made([1], 50.0)
        self.assertEqual(hands.hands[1].left, 10.0)

    def test_kept(self) -> None:
        """What is kept is what is left, with no hand running."""
        hands = clock(total_seconds=10.0).begun([1], 0.0, [1]).paused(1, 3.0).resumed(1, 5.0)
        again = clock(total_seconds=10.0).restored(hands.to_json())
        self.assertEqual((again.hands[1].left, again.hands[1].used, again.hands[1].since), (10.0, 3.0, None))
        damaged: list[dict[str, Any]] = [{"1": {}}, {"x": {"left": 1, "used": 0}}, {"1": {"left": 1, "used": None}}]
        for wrong in damaged:
            with self.assertRaises((KeyError, TypeError, ValueError)):
                hands.restored(wrong)

    def test_event(self) -> None:
        """What is told is what is left of each limit there is, never below zero."""
        hands = clock(move_seconds=5.0, total_seconds=60.0).begun([1], 0.0, [1])
        told = hands.event([1, 2], 7.04)
        self.assertEqual(
            told["players"],
            [
                {"player": 1, "running": True, "move_seconds": 0.0, "total_seconds": 53.0},
                {"player": 2, "running": False, "move_seconds": 5.0, "total_seconds": 60.0},
            ],
        )
