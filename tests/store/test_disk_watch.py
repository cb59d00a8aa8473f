"""The disk of recordings: who plays may not fill it for everyone else."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

from gameroom.store.disk_watch import EVERY, SPARED_BYTES, RecordingFull
from gameroom.store.recording import Recording
from gameroom.store.recordings import Recordings
from tests.store.test_recordings import OTHER, START, RecordingsCase, json_master

MIB, GIB = 1 << 20, 1 << 30


class DiskCase(RecordingsCase):
    """A disk of which the test says how much is free."""

    def setUp(self) -> None:
        super().setUp()
        self.disk(size=100 * GIB, free=50 * GIB)

    def disk(self, *, size: int, free: int) -> None:
        """From now on the disk has so many bytes, and so many of them are free."""
        block = 4096
        result = os.statvfs_result((block, block, size // block, free // block, free // block, 0, 0, 0, 0, 255))
        patcher = mock.patch("gameroom.store.disk_watch.os.statvfs", return_value=result)
        patcher.start()
        self.addCleanup(patcher.stop)

    def again(self) -> Recordings:
        recordings = Recordings(self.folder, clock=self.clock, defer_to_thread=self.threads.defer, keep=1000.0, most=MIB)
        recordings.start()
        return recordings

    def heeded(self, recording: Recording) -> list[OSError]:
        """What a recording is told."""
        told: list[OSError] = []
        recording.failed = told.append
        return told


class LengthTests(DiskCase):
    """How long a recording may be."""

    def test_too_long(self) -> None:
        """One that is longer than it may be is told within a second; others are not."""
        long, short = self.heeded(recording := self.create()), self.heeded(self.create(OTHER))
        recording.append([json_master(0, MIB - 1000)], START)
        self.clock.advance(EVERY)
        self.assertEqual((long, short), ([], []))
        recording.append([json_master(1, 1000)], START)
        self.clock.advance(EVERY)
        self.assertEqual(([type(error) for error in long], short), ([RecordingFull], []))

    def test_nobody_listens(self) -> None:
        """One that nobody plays any more, or that is gone, is nothing to anybody."""
        recording, gone = self.create(), self.create(OTHER)
        recording.append([json_master(0, MIB)], START)
        gone.path.unlink()
        self.clock.advance(EVERY)
        self.assertEqual(self.flushLoggedErrors(), [])


class SpaceTests(DiskCase):
    """What is left of the disk."""

    def test_nearly_full(self) -> None:
        """All that are open are told, none begins, and the operator is told once; when there is space again they do."""
        told = self.heeded(self.create())
        self.disk(size=100 * GIB, free=SPARED_BYTES - 1)
        self.clock.pump([EVERY] * 3)
        self.assertEqual({type(error) for error in told}, {RecordingFull})
        self.assertRaises(RecordingFull, self.create, OTHER)
        self.assertFalse(self.recordings.exists(OTHER))
        self.disk(size=100 * GIB, free=SPARED_BYTES)
        self.clock.advance(EVERY)
        self.create(OTHER)

    def test_a_small_disk(self) -> None:
        """Of a small disk less is left to others."""
        self.disk(size=100 * MIB, free=6 * MIB)
        told = self.heeded(self.create())
        self.clock.advance(EVERY)
        self.assertEqual(told, [])
        self.disk(size=100 * MIB, free=4 * MIB)
        self.clock.advance(EVERY)
        self.assertEqual(len(told), 1)

    def test_before_the_first_play(self) -> None:
        """Without a folder there is nothing to look at."""
        with mock.patch("gameroom.store.disk_watch.os.statvfs", side_effect=FileNotFoundError):
            self.clock.advance(EVERY)
        self.create()

    def test_goes_on_looking(self) -> None:
        """A look that broke is logged, and is not the last; `stop` is."""
        with mock.patch("gameroom.store.disk_watch.os.statvfs", side_effect=PermissionError(13, "Permission denied")):
            self.clock.advance(EVERY)
        self.assertEqual(len(self.flushLoggedErrors(PermissionError)), 1)
        self.disk(size=100 * GIB, free=0)
        self.clock.advance(EVERY)
        self.assertRaises(RecordingFull, self.create)
        self.successResultOf(self.recordings.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped_meanwhile(self) -> None:
        """The daemon goes down while a thread looks: nothing is called any more."""
        self.threads.holding = True
        self.clock.advance(EVERY)
        stopped = self.recordings.stop()
        self.threads.release()
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class SweepTests(RecordingsCase):
    """What is swept may go by itself meanwhile."""

    def test_gone_meanwhile(self) -> None:
        """A snapshot that its play takes away while it is looked at does not end the sweep."""
        recording = self.create()
        self.recordings.close(recording)
        self.clock.advance(1)
        os.utime(recording.path, (START - 5000, START - 5000))
        snapshot = recording.path.with_suffix(".7.snapshot")
        real = Path.stat

        def stat(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
            if path == snapshot:
                snapshot.unlink()
            return real(path, follow_symlinks=follow_symlinks)

        snapshot.write_bytes(b"{}")
        with mock.patch.object(Path, "stat", stat):
            self.assertEqual(self.successResultOf(self.recordings.sweep()), 1)
