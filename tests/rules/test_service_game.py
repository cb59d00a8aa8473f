"""One play of a service room, without a room: timers, what waits, and what members are shown again."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gameroom.rules.service_game import MOST_MESSAGES, Held, Kept, Outcome, ServiceGame
from gameroom.rules.service_shown import ALL, MOST_BYTES, Shown
from gameroom.wire.game_service import Event, Finished, Player, Rejected, Said, State, Timer, View


class GameTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.game = ServiceGame(room_id="r", game_id="g", version="1.0.0", kept=Kept(play_id="p", sequence=0))
        self.game.begin([Player(0, "ada", "Ada", True)], b"{}", 5, 0)
        self.turn(0)

    def turn(self, now_ms: int, **fields: Any) -> tuple[Event, Outcome]:
        """The next update is asked, answered so, and stored."""
        update = self.game.ask(Held())
        outcome = self.game.take(State(request=1, sequence=update.sequence, **fields), now_ms)
        self.game.settled()
        return update.event, outcome

    def say(self) -> None:
        self.game.say("ada", b"1", True, 0, None)

    def test_timer_once(self) -> None:
        """What is due is told of once, neither while that waits nor while it is in flight once more."""
        self.say()
        self.turn(0, timer_ms=100)
        for _ in range(3):
            self.game.tick(100)
        self.assertEqual(len(self.game._queue), 1)
        update = self.game.ask(Held())
        self.assertEqual(update.event, Timer(100))
        self.game.tick(200)
        self.assertFalse(self.game.waits)
        self.game.take(State(request=1, sequence=update.sequence), 200)
        self.game.settled()
        self.game.tick(300)
        self.assertFalse(self.game.waits)

    def test_rejected_timer(self) -> None:
        """An update that is rejected leaves the timer as it is."""
        self.say()
        self.turn(0, timer_ms=100)
        self.say()
        _, outcome = self.turn(50, timer_ms=500, rejected=Rejected(105, "no"))
        self.assertEqual((outcome.kept.timer_ms, outcome.held), (100, None))

    def test_finished(self) -> None:
        """Behind the end there is no timer."""
        self.say()
        _, outcome = self.turn(0, timer_ms=100, finished=Finished(b""))
        self.assertIsNone(outcome.kept.timer_ms)

    def test_end(self) -> None:
        """What waited counts no more."""
        for _ in range(MOST_MESSAGES):
            self.say()
        self.assertEqual(self.game.end(), [])
        self.say()

    def test_views(self) -> None:
        """Those of seats that nobody has are for nobody."""
        self.say()
        _, outcome = self.turn(0, views=(View(0, b"1", True), View(7, b"2", True)))
        self.assertEqual(outcome.views, (View(0, b"1", True),))


class ShownTests(SynchronousTestCase):
    def after(self, shown: Shown, seats: tuple[int, ...] = (0, 1, 2, 3, 4, 5), **fields: Any) -> Shown:
        return shown.after(State(request=0, sequence=0, **fields), seats)

    def test_newest(self) -> None:
        """What is shown anew is in the place of what was there, and all else stays."""
        shown = self.after(Shown(), broadcast=(Said(b"1", True),), views=(View(0, b"2", True), View(1, b"3", True)))
        shown = self.after(shown, views=(View(0, b"4", True),))
        self.assertEqual((shown.broadcasts(), shown.views(0), shown.views(1)), ((Said(b"1", True),), (View(0, b"4", True),), (View(1, b"3", True),)))
        self.assertEqual(list(shown.parts), [ALL, 1, 0])
        self.assertEqual(Shown.from_bytes(shown.to_bytes()), shown)

    def test_seats(self) -> None:
        """What was shown to one who has left is forgotten."""
        shown = self.after(Shown(), views=(View(0, b"2", True), View(1, b"3", True)))
        self.assertEqual(list(self.after(shown, (1,)).parts), [1])

    def test_bounded(self) -> None:
        """Of too much, the oldest goes."""
        shown = Shown()
        for seat in range(6):
            shown = self.after(shown, views=(View(seat, bytes(MOST_BYTES // 4 - 100), False),))
            self.assertLessEqual(shown.size, MOST_BYTES)
        self.assertEqual(list(shown.parts), [2, 3, 4, 5])
