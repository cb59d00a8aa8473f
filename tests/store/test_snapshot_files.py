"""Snapshots beside a recording: whole or not there, and gone with the play or the sweep."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gameroom.store.recordings import Recordings
from tests.store.test_recordings import OTHER, PLAY, START, Threads


class SnapshotFilesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(START)
        self.threads = Threads()
        self.folder = Path(self.mktemp())
        self.recordings = Recordings(self.folder, clock=self.clock, defer_to_thread=self.threads.defer, keep=1000.0)
        self.recordings.create(PLAY, {"seed": 5}, binary=False, sync=False)
        self.files = self.recordings.snapshots(PLAY)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("*/*") if path.suffix != ".ndjson")

    def test_written_and_read(self) -> None:
        """What was written is found, oldest first, and read; what is not there is an OSError. Other plays' are not found."""
        for generation in (1200, 99):
            self.successResultOf(self.files.write(generation, b"state %d" % generation))
        self.assertEqual(self.successResultOf(self.recordings.snapshots(PLAY).found()), [99, 1200])
        self.assertEqual(self.successResultOf(self.files.read(99)), b"state 99")
        self.failureResultOf(self.files.read(5), FileNotFoundError)
        self.assertEqual(self.successResultOf(self.recordings.snapshots(OTHER).found()), [])

    def test_whole_or_not_at_all(self) -> None:
        """A full disk leaves nothing behind, and what was there before."""
        self.successResultOf(self.files.write(7, b"before"))
        with mock.patch("gameroom.store.snapshot_files.os.fsync", side_effect=OSError(28, "No space left on device")):
            self.failureResultOf(self.files.write(7, b"after"), OSError)
        self.assertEqual((self.names(), self.successResultOf(self.files.read(7))), ([f"{PLAY}.7.snapshot"], b"before"))

    def test_deleted(self) -> None:
        """All but those to keep; none, when the play is over."""
        for generation in (1, 2, 3):
            self.successResultOf(self.files.write(generation, b"x"))
        self.successResultOf(self.files.keep_only([2]))
        self.assertEqual(self.successResultOf(self.files.found()), [2])
        self.successResultOf(self.files.keep_only(()))
        self.assertEqual(self.names(), [])

    def test_one_after_the_other(self) -> None:
        """A deletion that was asked for while a thread still writes comes after it."""
        self.threads.holding = True
        written, gone = self.files.write(1, b"x"), self.files.keep_only(())
        self.assertEqual(len(self.threads.held), 1)
        self.threads.release()
        self.successResultOf(written)
        self.threads.release()
        self.successResultOf(gone)
        self.assertEqual(self.names(), [])

    def test_swept(self) -> None:
        """Leftovers go when recordings of their age do, but not those of a play that is on, nor young ones."""
        for files in (self.files, self.recordings.snapshots(OTHER)):
            self.successResultOf(files.write(1, b"x"))
        half = self.folder / PLAY[:2] / f"{OTHER}.8.half"
        half.write_bytes(b"x")
        young = self.folder / PLAY[:2] / f"{OTHER}.9.snapshot"
        young.write_bytes(b"x")
        for path in self.folder.glob("*/*"):
            os.utime(path, (START - 1001, START - 1001))
        os.utime(young, (START - 999, START - 999))
        self.successResultOf(self.recordings.sweep())
        self.assertEqual(self.names(), [f"{PLAY}.1.snapshot", f"{OTHER}.9.snapshot"])
