"""Patience: a generation is sealed when its time has come, not when somebody looks."""

from __future__ import annotations

from typing import ClassVar
from unittest import mock

from tests.referees.lockstep_world import RefereeCase


class PatienceTests(RefereeCase):
    """Nothing but the clock moves here: the room's own looks at the time are left out."""

    options: ClassVar = {"patience": 250}

    def systems(self) -> list[object]:
        return [line.get("system") for line in self.lines() if line["type"] == "master"]

    def test_sealed(self) -> None:
        """A quarter of a second after its first packet, without those who are missing; however long nothing happened before."""
        self.begin()
        for step in (3.0, 0.1, 0.07):
            self.clock.advance(step)
        self.send("ann", 0, ["a"])
        self.clock.advance(0.24)
        self.assertEqual(self.systems(), [])
        self.clock.advance(0.02)
        self.assertEqual(self.systems(), [[{"missed": [1]}]])
        self.assertEqual(self.room.here["vic"][0].texts("master")[0]["commands"], {"0": ["a"]})

    def test_each_in_turn(self) -> None:
        """One slow player holds each turn for so long and no longer."""
        self.begin()
        for generation in range(4):
            self.send("ann", generation)
            self.clock.advance(0.26)
            self.assertEqual(len(self.systems()), generation + 1)

    def test_in_time(self) -> None:
        """Who is in time is in the master."""
        self.begin()
        for generation in range(4):
            self.send("ann", generation)
            self.clock.advance(0.2)
            self.send("bob", generation)
            self.clock.advance(0.2)
        self.assertEqual(self.systems(), [None] * 4)

    def test_no_timer_is_left(self) -> None:
        """The play's end stops it, and a room without patience has none."""
        self.begin()
        self.assertEqual(len([call for call in self.clock.getDelayedCalls() if "Patience" in repr(call)]), 1)
        self.referee.end()
        self.assertEqual([call for call in self.clock.getDelayedCalls() if "Patience" in repr(call)], [])
        self.lay()
        self.begin()
        self.assertEqual([call for call in self.clock.getDelayedCalls() if "Patience" in repr(call)], [])

    def test_over_while_it_looks(self) -> None:
        """A seal that ends the play is its last."""
        self.begin()
        self.send("ann", 0)
        with mock.patch("gameroom.store.recording.os.write", side_effect=OSError(28, "No space left on device")):
            self.clock.advance(0.3)
        self.assertEqual(self.room.ended, [("recording_failed", None)])
        self.clock.advance(5)
        self.assertEqual([call for call in self.clock.getDelayedCalls() if "Patience" in repr(call)], [])
