"""Clients that can load no snapshot, when their state turns out not to be the play's."""

from __future__ import annotations

from typing import ClassVar

from tests.referees.lockstep_world import PLAY, RefereeCase


class UnableTests(RefereeCase):
    """`resync` where cat, whose state is wrong, can load none."""

    third = True
    options: ClassVar = {"on_divergence": "resync"}

    def test_begins_anew(self) -> None:
        """It is told `start` once more, and gets all masters from the beginning."""
        self.begin()
        cat = self.come("cat", PLAY, None, snapshots=False)
        self.hashed(0, 3)
        self.hashed(4, 4, cat="wrong")
        newest = self.give("ann", "bob")
        self.hashed(newest + 1, newest + 2)
        self.assertEqual(cat.story(), ["start", f"0-{newest}", "divergence", "start", f"0-{newest + 2}"])

    def test_was_away(self) -> None:
        """If it was away then, it begins anew when it comes, whatever it says that it has; and only that once."""
        self.begin()
        self.hashed(0, 3)
        for user_id, value in (("ann", "h2"), ("bob", "h2"), ("cat", "wrong")):
            self.send(user_id, 4, checksum={"generation": 2, "value": value})
        self.go("cat")
        newest = self.give("ann", "bob")
        self.assertEqual(self.come("cat", PLAY, newest, snapshots=False).story(), ["start", "start", f"0-{newest}"])
        self.assertEqual(self.come("cat", PLAY, newest, snapshots=False).story(), ["start"])

    def give(self, *user_ids: str) -> int:
        """Those of them who are asked give their state; its generation."""
        [(user_id, newest)] = [(user_id, asked["generation"]) for user_id in user_ids for asked in self.room.here[user_id][0].texts("snapshot_request")]
        for other in user_ids:
            # The room may wait for their hash of it.
            self.send(other, newest + 1, checksum={"generation": newest, "value": "good"})
        self.say(user_id, {"type": "snapshot", "generation": newest, "checksum": "good", "state": "good"})
        return int(newest)
