"""Lines that go ahead of their recordings: where they are read, when they come to the file, and that a kill loses none."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from unittest import mock

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from gameroom.store.ahead_recovery import ahead_in, lines_ahead, pieces_of, recover
from gameroom.store.recording import Recording
from gameroom.store.recordings import Recordings
from gameroom.store.to_disk import SYNC_AFTER
from gameroom.store.write_ahead import AT_ONCE, SETTLE_AFTER
from tests.store.test_recordings import OTHER, PLAY, START, RecordingsCase, json_master
from tests.store.write_ahead_machine import FOREVER, HALF, WriteAheadMachine, all_of, patches, say

NO_SPACE = OSError(errno.ENOSPC, "No space left on device")
JUST = 1e-6
"""Seconds that are less than anything that is waited for."""


class AheadCase(RecordingsCase):
    """Recordings whose lines go ahead."""

    half = HALF

    def setUp(self) -> None:
        super().setUp()
        self.stopped: list[Recordings] = []
        for patched in patches(self.half):
            patched.start()
            self.addCleanup(patched.stop)
        self.start()

    def again(self) -> Recordings:
        return Recordings(self.folder, clock=self.clock, defer_to_thread=self.threads.defer, keep=FOREVER)

    def start(self) -> None:
        self.successResultOf(self.recordings.start())
        self.addCleanup(self.stop, self.recordings)

    def stop(self, recordings: Recordings) -> None:
        self.threads.holding = False
        if recordings not in self.stopped:
            recordings.stop()
        while self.threads.held:
            self.threads.release()

    def ahead_files(self) -> list[Path]:
        return list(self.folder.glob("*.*"))

    def ahead(self, recording: Recording) -> bytes:
        """What the file lacks, as the file ahead of it has it."""
        return lines_ahead(ahead_in(self.folder).get(recording.path.stem, ()), recording.path.stat().st_size)

    def in_file(self, play_id: str = PLAY) -> int:
        """How many masters are in the file, which has no gaps."""
        generations = [line["generation"] for line in self.lines(play_id) if line["type"] == "master"]
        self.assertEqual(generations, list(range(len(generations))))
        return len(generations)

    def fill(self, recording: Recording) -> int:
        """Say masters until one has no room in the half that is filled; it is in the other, or in the file. Gives how many there are."""
        file = self.ahead_files()[0]
        begin = self.begins(file)
        while self.begins(file) == begin and not self.in_file():
            say(recording)
        return recording.masters

    def begins(self, file: Path) -> tuple[bytes, bytes]:
        """The epochs of a file: they are others when a half was begun."""
        return (data := file.read_bytes())[:16], data[HALF : HALF + 16]


class LaterTests(AheadCase):
    """Lines are ahead at first, and in the file a second later."""

    def test_later(self) -> None:
        """The head is in the file at once; what is said is not, but is read, kept ahead, and there when it is time."""
        recording = self.create()
        head = recording.path.read_bytes()
        masters = [say(recording), say(recording)]
        recording.note({"type": "over", "reason": "finished"}, START + 5)
        self.clock.advance(SETTLE_AFTER - JUST)
        self.assertEqual((recording.path.read_bytes(), all_of(recording)), (head, masters))
        ahead = self.ahead(recording)
        self.assertEqual(len(head + ahead), recording.size)
        self.clock.advance(JUST)
        self.assertEqual((recording.path.read_bytes(), all_of(recording), self.ahead(recording)), (head + ahead, masters, b""))
        self.assertEqual([line["type"] for line in self.lines()], ["play", "master", "master", "over"])

    def test_again(self) -> None:
        """Each time a second after the first line that is not in the file; where nothing is said nothing is waited for."""
        recording = self.create()
        for number in range(1, 5):
            say(recording)
            self.clock.advance(SETTLE_AFTER / 2)
            say(recording)
            self.clock.advance(SETTLE_AFTER / 2 - JUST)
            self.assertEqual(self.in_file(), 2 * number - 2)
            self.clock.advance(JUST)
            self.assertEqual(self.in_file(), 2 * number)
            self.clock.advance(SYNC_AFTER * number)
        waiting = len(self.clock.getDelayedCalls())
        self.clock.advance(SETTLE_AFTER * 3)
        self.assertEqual(len(self.clock.getDelayedCalls()), waiting)

    def test_readers(self) -> None:
        """Who reads on is given every master once, wherever it stands by then; so is who begins anywhere, in either codec."""
        for play, binary in ((PLAY, False), (OTHER, True)):
            recording = self.create(play, binary=binary)
            said, reader, read = list[bytes](), recording.reader(0), list[bytes]()
            for number in range(60):
                said.append(say(recording, quick=number % 7 == 6))
                if number % 3 == 0:
                    read += reader.batch(recording.masters - 1)
                if number % 11 == 0:
                    self.clock.advance(SETTLE_AFTER)
                for first in (0, number // 2, number, number + 1):
                    self.assertEqual(recording.reader(first).batch(number + 1), said[first:])
            self.assertEqual(read + reader.batch(60), said)

    def test_directly(self) -> None:
        """What somebody waits for until it is on the disk never goes ahead, nor do masters that come quickly after others."""
        sync, recording = self.create(OTHER, sync=True), self.create()
        say(sync)
        sync.note({"type": "divergence"}, START + 3)
        self.assertEqual((len(self.lines(OTHER)), self.ahead(sync)), (3, b""))
        say(recording)
        self.assertEqual(self.in_file(), 0)
        say(recording, quick=True)
        self.assertEqual((self.in_file(), self.ahead(recording)), (2, b""))
        say(recording, quick=True)
        self.assertEqual(self.in_file(), 3)
        say(recording)
        self.assertEqual(self.in_file(), 3)

    def test_open(self) -> None:
        """Who opens a recording has all of it, whether or not its play is on."""
        recording, other = self.create(), self.create(OTHER)
        say(recording)
        say(other)
        file, size = self.successResultOf(self.recordings.open(PLAY))
        with file:
            self.assertEqual((len(file.read()), size), (recording.size, recording.size))
        self.assertEqual((self.in_file(), self.in_file(OTHER)), (1, 0))


class ManyTests(AheadCase):
    half = 1 << 16

    def test_slices(self) -> None:
        """Many recordings are written to in parts, between which all else has its turn."""
        recordings = [self.create(f"{number:08}-2222-4333-8444-555555555555") for number in range(2 * AT_ONCE + 5)]
        for recording in recordings:
            say(recording)
        counts = list[int]()

        def count() -> None:
            counts.append(sum(not recording.ahead for recording in recordings))
            if len(counts) < 9:
                self.clock.callLater(0, count)

        self.clock.callLater(SETTLE_AFTER, count)
        self.clock.advance(SETTLE_AFTER)
        self.assertEqual(sorted(set(counts)), [0, AT_ONCE, 2 * AT_ONCE, len(recordings)])


class HalvesTests(AheadCase):
    """There are two halves, and a full one is used again when nobody needs it."""

    def test_full(self) -> None:
        """Where a half is full the other is gone on with, and what is in the first comes to the file at once, with what was said since."""
        recording, other = self.create(), self.create(OTHER)
        say(other)
        said = self.fill(recording)
        self.assertEqual((self.in_file(), self.in_file(OTHER)), (0, 0))
        say(recording)
        self.clock.advance(0)
        self.assertEqual((self.in_file(), self.in_file(OTHER)), (said + 1, 1))
        say(recording)
        self.assertEqual(self.in_file(), said + 1)
        self.clock.advance(SETTLE_AFTER)
        self.assertEqual(self.in_file(), said + 2)

    def test_not_before_the_disk(self) -> None:
        """While what was in a half is not on the disk it is kept; when the other one is full as well lines go directly, in order."""
        recording, other = self.create(), self.create(OTHER)
        self.threads.holding = True
        say(other)
        said = self.fill(recording)
        file = self.ahead_files()[0]
        begin = self.begins(file)
        self.clock.advance(0)
        self.assertEqual((self.in_file(), self.in_file(OTHER)), (said, 1))
        say(other)
        while self.in_file() == said:
            say(recording)
        both = list(pieces_of(file.read_bytes()))
        for _ in range(5):
            say(recording)
            self.assertEqual(self.in_file(), recording.masters)
        self.clock.advance(3 * SETTLE_AFTER)
        say(recording)
        self.assertEqual((self.in_file(), self.in_file(OTHER)), (recording.masters, 1))
        self.assertEqual((self.begins(file), list(pieces_of(file.read_bytes()))), (begin, both))
        self.threads.release()
        self.clock.advance(SYNC_AFTER)
        self.threads.release()
        self.clock.advance(SETTLE_AFTER)
        self.assertNotEqual(self.begins(file), begin)
        self.assertEqual(self.in_file(OTHER), 2)
        said = recording.masters
        say(recording)
        self.assertEqual((self.in_file(), all_of(recording)[-1]), (said, json_master(said)))

    def test_written_while_on_its_way(self) -> None:
        """What was written while the disk was busy with what was before it is not on the disk when that is."""
        recording = self.create()
        self.threads.holding = True
        self.clock.advance(SYNC_AFTER)
        say(recording)
        self.clock.advance(SETTLE_AFTER)
        self.threads.release()
        say(recording)
        begin = self.begins(self.ahead_files()[0])
        self.clock.advance(SETTLE_AFTER)
        self.assertEqual((self.begins(self.ahead_files()[0]), self.in_file()), (begin, 1))
        self.threads.release()
        self.clock.advance(SETTLE_AFTER)
        self.assertEqual(self.in_file(), 2)

    def test_direct_before(self) -> None:
        """What was ahead and came to the file with what was written directly is waited for as well."""
        recording = self.create()
        self.clock.advance(SYNC_AFTER)
        say(recording)
        say(recording, quick=True)
        self.threads.holding = True
        self.clock.advance(SYNC_AFTER)
        file = self.ahead_files()[0]
        self.clock.advance(SETTLE_AFTER)
        begin = self.begins(file)
        for _ in range(3):
            say(recording)
            self.clock.advance(SETTLE_AFTER)
        self.assertEqual(self.begins(file), begin)

    def test_others_quick(self) -> None:
        """One that is written to directly all the time holds up no half."""
        quick, recording = self.create(OTHER), self.create()
        file = self.ahead_files()[0]
        epochs = set()
        for _ in range(4):
            say(recording)
            for _ in range(100):
                say(quick, quick=True)
                self.threads.holding = True
                self.clock.advance(0.02)
                say(quick, quick=True)
                self.threads.release()
            epochs.add(self.begins(file))
            self.assertEqual(self.in_file(), recording.masters)
        self.assertEqual(len(epochs), 4)

    def test_to_the_disk(self) -> None:
        """What goes ahead comes to the disk as the file ahead, 50 ms later, and as the recording when it is in that: each once."""
        recording, synced = self.create(), list[int]()
        self.clock.advance(SYNC_AFTER)
        with mock.patch("gameroom.store.dirty.os.fdatasync", lambda fd: synced.append(os.fstat(fd).st_ino)):
            for _ in range(3):
                say(recording)
            for seconds in (SYNC_AFTER, SETTLE_AFTER, SYNC_AFTER, 3 * SETTLE_AFTER):
                self.clock.advance(seconds)
        self.assertEqual(synced, [path.stat().st_ino for path in (*self.ahead_files(), recording.path)])


class EndTests(AheadCase):
    """What is left when a play, or the daemon, is over."""

    def test_close(self) -> None:
        """Everything is in the file at once, and who reads on in it has it all."""
        recording, other = self.create(), self.create(OTHER)
        said, reader = [say(recording), say(recording)], recording.reader(0)
        say(other)
        self.recordings.close(recording)
        self.assertEqual((self.in_file(), self.in_file(OTHER)), (2, 0))
        self.clock.advance(2 * SETTLE_AFTER)
        self.assertEqual((recording.file, reader.batch(2), self.in_file(), self.in_file(OTHER)), (None, said, 2, 1))

    def test_discard(self) -> None:
        """There is nothing then, nor is there later, or after a kill."""
        recording, other = self.create(), self.create(OTHER)
        say(recording)
        say(other)
        self.recordings.discard(recording)
        self.assertFalse(recording.path.exists())
        copy = Path(self.mktemp())
        shutil.copytree(self.folder, copy)
        self.assertGreater(recover(copy), 0)
        self.clock.advance(2 * SETTLE_AFTER)
        for folder in (self.folder, copy):
            self.assertEqual([path.stem for path in folder.glob("*/*")], [OTHER])

    def test_stop(self) -> None:
        """When the daemon goes down everything is in the recordings, what is said meanwhile as well, and on the disk before there is no such file."""
        recordings = [self.create(), self.create(OTHER)]
        self.fill(recordings[0])
        say(recordings[1])
        self.threads.holding = True
        self.stopped.append(self.recordings)
        stopped = self.recordings.stop()
        self.assertEqual((self.in_file(), self.in_file(OTHER)), (recordings[0].masters, 1))
        say(recordings[1])
        self.assertEqual((self.in_file(OTHER), len(self.ahead_files())), (2, 1))
        while self.threads.held:
            self.threads.release()
        self.successResultOf(stopped)
        self.assertEqual((self.ahead_files(), [recording.file for recording in recordings]), ([], [None, None]))
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_start(self) -> None:
        """The next daemon puts back what one that was killed has left, and goes on behind that; it does not begin where it cannot."""
        said = [say(recording) for recording in [self.create()] * 3]
        old, self.folder = self.folder, Path(self.mktemp())
        shutil.copytree(old, self.folder)
        self.recordings = self.again()
        with mock.patch("gameroom.store.ahead_recovery.os.pwrite", side_effect=NO_SPACE):
            self.failureResultOf(self.recordings.start(), OSError)
        self.assertEqual((self.in_file(), len(self.ahead_files())), (0, 1))
        self.start()
        self.assertEqual((self.in_file(), len(self.ahead_files())), (3, 1))
        recording, _ = self.successResultOf(self.recordings.take_up(PLAY, sync=False))
        said.append(say(recording))
        self.assertEqual((self.in_file(), all_of(recording)), (3, said))
        self.clock.advance(SETTLE_AFTER)
        self.assertEqual(self.in_file(), 4)

    def test_without(self) -> None:
        """Where there can be no such file lines go directly, as they do before the start."""
        for name, how in (("keeps_mapped", {"return_value": False}), ("mmap", {"side_effect": NO_SPACE})):
            self.folder = Path(self.mktemp())
            self.recordings = self.again()
            with mock.patch(f"gameroom.store.ahead_file.{name}", **how):
                self.start()
            recording = self.create()
            for number in range(3):
                say(recording)
                self.assertEqual((self.in_file(), self.ahead_files()), (number + 1, []))


class MachineTests(SynchronousTestCase):
    def test_machine(self) -> None:
        """Whatever is said, read, ended and held up, and whenever the daemon is killed: every recording has every line, in order."""
        run_state_machine_as_test(WriteAheadMachine, settings=settings(max_examples=80, stateful_step_count=50, deadline=None))
