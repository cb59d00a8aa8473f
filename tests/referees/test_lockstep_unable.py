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
        self.send("cat", newest + 2)
        self.assertEqual(cat.story(), ["start", f"0-{newest}", "divergence", "start", f"0-{newest + 2}"])

    def give(self, *user_ids: str) -> int:
        """Those of them who are asked give their state; its generation."""
        [(user_id, newest)] = [
            (user_id, asked["generation"]) for user_id in user_ids for asked in self.room.here[user_id][0].texts("snapshot_request")
        ]
        for generation in (newest + 1, newest + 2):
            # The room may wait for their hash of it.
            for other in user_ids:
                self.send(other, generation, checksum={"generation": generation - 2, "value": f"h{generation - 2}"})
        self.say(user_id, {"type": "snapshot", "generation": newest, "checksum": f"h{newest}", "state": "good"})
        return int(newest)


class PutOutTests(RefereeCase):
    """`evict`, the same."""

    third = True
    options: ClassVar = {"on_divergence": "evict"}

    def test_was_put_out(self) -> None:
        """Sent from its seat, the daemon killed before it knew: it begins anew, whatever it says that it has, and only that once."""
        self.begin()
        self.hashed(0, 3)
        self.hashed(4, 4, cat="wrong")
        self.referee, self.room.here = self.make(), {}
        self.successResultOf(self.referee.restore(PLAY, self.players))
        for user_id in ("ann", "bob"):
            self.come(user_id, PLAY, 4)
        self.assertEqual(self.come("cat", PLAY, 4, snapshots=False).story(), ["start", "start", "0-4"])
        self.assertEqual(self.come("cat", PLAY, 4, snapshots=False).story(), ["start"])
