"""Masters on their way into the recording, and to members from there."""

from __future__ import annotations

import json
from typing import ClassVar
from unittest import mock

from gameroom.errors import BadState
from tests.referees.lockstep_world import PLAY, RefereeCase


class SyncJournalTests(RefereeCase):
    """`journal` `sync`: masters wait for the disk."""

    options: ClassVar = {"journal": "sync"}

    def test_told_when_on_the_disk(self) -> None:
        """No master is told, shown as history or repeated before it is on the disk; then all are, in order."""
        self.begin()
        ann = self.room.here["ann"][0]
        self.threads = []
        self.turns(0, 1)
        self.send("bob", 0)
        late = self.come("vic")
        self.assertEqual((ann.generations(), late.generations(), late.texts("start")[0]["generation"]), ([], [], 0))
        self.assertRaises(BadState, self.come, "bob", PLAY, 0)
        self.release()
        self.assertEqual((ann.generations(), late.generations()), ([0, 1], [0, 1]))

    def test_disk_fails(self) -> None:
        """When they do not come to the disk the play is over, and nobody is sent them."""
        self.begin()
        with mock.patch("gameroom.store.recording.os.fdatasync", side_effect=OSError(5, "Input/output error")):
            self.turns(0, 0)
        self.assertEqual(self.room.ended, [("recording_failed", None)])
        self.assertEqual(self.room.here["ann"][0].generations(), [])


class EvictedBySyncTests(RefereeCase):
    """Put out in a room whose masters wait for the disk."""

    third = True
    options: ClassVar = {"journal": "sync", "on_divergence": "evict"}

    def test_told_first(self) -> None:
        """The master that puts it out reaches it before the snapshot at which it begins anew."""
        self.begin()
        self.hashed(0, 9)
        self.threads = []
        self.hashed(10, 10, cat="other")
        cat = self.room.here["cat"][0]
        self.assertEqual(cat.story(), ["start", "0-8", "divergence"])
        self.release()
        self.say("ann", {"type": "snapshot", "generation": 10, "checksum": "h10", "state": {}})
        for generation in range(11, 14):
            for name in ("ann", "bob"):
                self.send(name, generation, checksum={"generation": generation - 2, "value": f"h{generation - 2}"})
            self.release()
        masters = [json.loads(outgoing.data) for outgoing in cat.got if b'"type":"master"' in outgoing.data]
        self.assertIn({"evicted": 2}, [event for master in masters for event in master.get("system", [])])
        self.assertEqual(cat.story()[-2], "snapshot 10")


class DiskFullTests(RefereeCase):
    """A disk that takes no more."""

    def test_play_ends(self) -> None:
        """The play is over with a clear reason; what was not written nobody was sent."""
        self.begin()
        self.turns(0, 0)
        with mock.patch("gameroom.store.recording.os.write", side_effect=OSError(28, "No space left on device")):
            self.turns(1, 1)
        self.assertEqual(self.room.ended, [("recording_failed", None)])
        self.assertEqual(self.room.here["ann"][0].generations(), [0])
        self.assertEqual([line["type"] for line in self.lines()], ["play", "master"])
        self.referee.end()
        self.assertEqual(json.loads(self.recordings.path(PLAY).read_bytes().splitlines()[-1])["generation"], 0)
