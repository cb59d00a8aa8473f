"""Lines that go ahead of their recordings, where the disk fails."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any
from unittest import mock

from gameroom.store.ahead_recovery import recover
from gameroom.store.recording import Recording
from gameroom.store.recording_scan import scan
from gameroom.store.to_disk import SYNC_AFTER
from gameroom.store.write_ahead import SETTLE_AFTER
from tests.store.test_recordings import OTHER, PLAY, START
from tests.store.test_write_ahead import JUST, NO_SPACE, AheadCase
from tests.store.write_ahead_machine import all_of, say


class FailingTests(AheadCase):
    """A disk that fails loses nothing that is still there."""

    def failing(self, recording: Recording) -> Any:
        """While this is so, nothing more of a recording than a few bytes can be written."""
        real, name, calls = os.write, recording.fileno(), list[bytes]()

        def write(fd: int, data: bytes) -> int:
            if fd != name:
                return real(fd, data)
            calls.append(data)
            if len(calls) % 2 == 0:
                raise NO_SPACE
            return real(fd, data[:10])

        return mock.patch("gameroom.store.recording.os.write", write)

    def killed(self) -> Path:
        """What the next daemon makes of what stands there now."""
        copy = Path(self.mktemp())
        shutil.copytree(self.folder, copy)
        recover(copy)
        return copy

    def test_settle(self) -> None:
        """What cannot be written to its file stays ahead for as long as that is so, whatever others say; its play cannot go on."""
        recording, other = self.create(), self.create(OTHER)
        said = [say(recording), say(recording)]
        say(other)
        with self.failing(recording):
            self.clock.advance(SETTLE_AFTER)
            self.assertEqual((self.in_file(), self.in_file(OTHER)), (0, 1))
            for _ in range(3):
                self.assertRaises(OSError, say, recording)
                self.assertRaises(OSError, recording.note, {"type": "over", "reason": "failed"}, START + 9)
                for _ in range(60):
                    say(other)
                self.clock.advance(SETTLE_AFTER)
                self.clock.advance(SYNC_AFTER)
            self.assertEqual((self.in_file(), self.in_file(OTHER)), (0, other.masters))
            self.assertEqual((all_of(recording), len(self.ahead(recording)) + recording.path.stat().st_size), (said, recording.size))
            found = scan(self.killed() / recording.path.relative_to(self.folder))
            self.assertEqual((found.masters, found.end), (2, recording.size))
        self.clock.advance(SETTLE_AFTER)
        self.assertEqual((self.in_file(), self.ahead(recording)), (2, b""))
        begin = self.begins(self.ahead_files()[0])
        say(other)
        self.clock.advance(SYNC_AFTER)
        self.clock.advance(SETTLE_AFTER)
        self.assertNotEqual(self.begins(self.ahead_files()[0]), begin)

    def test_closed(self) -> None:
        """A recording that was closed meanwhile is written to when it can be, and is closed then."""
        recording = self.create()
        reader, said = recording.reader(0), say(recording)
        with self.failing(recording):
            self.recordings.close(recording)
            self.clock.advance(3 * SETTLE_AFTER)
            self.assertEqual(self.in_file(), 0)
        self.assertIsNotNone(recording.file)
        self.clock.advance(SETTLE_AFTER)
        self.clock.advance(SYNC_AFTER)
        self.assertEqual((self.in_file(), recording.file, reader.batch(1)), (1, None, [said]))

    def test_stopped(self) -> None:
        """What cannot be written when the daemon goes down is left to the next one."""
        recording, other = self.create(), self.create(OTHER)
        reader = recording.reader(0)
        said = say(recording)
        say(other)
        with self.failing(recording):
            self.stopped.append(self.recordings)
            self.successResultOf(self.recordings.stop())
        self.assertEqual((self.in_file(), self.in_file(OTHER), len(self.ahead_files()), reader.batch(1)), (0, 1, 1, [said]))
        self.recordings = self.again()
        self.start()
        self.assertEqual((self.in_file(), self.in_file(OTHER), len(self.ahead_files())), (1, 1, 1))
        self.assertEqual(all_of(self.successResultOf(self.recordings.take_up(PLAY, sync=False))[0]), [said])

    def test_opened(self) -> None:
        """Who asks for a recording that cannot be written to is given what is in its file."""
        recording = self.create()
        size = recording.size
        say(recording)
        with self.failing(recording):
            file, given = self.successResultOf(self.recordings.open(PLAY))
        file.close()
        self.assertEqual(given, size)

    def test_ahead_file_fails(self) -> None:
        """Once the file does not come to the disk, all that is in it is written to the recordings, and nothing goes ahead any more."""
        recording, other = self.create(), self.create(OTHER)
        said = [[say(each) for each in (recording, other)] for _ in range(3)]
        file = self.ahead_files()[0].stat().st_ino

        def fdatasync(fd: int) -> None:
            if os.fstat(fd).st_ino == file:
                raise OSError(errno.EIO, "Input/output error")

        with mock.patch("gameroom.store.dirty.os.fdatasync", fdatasync):
            self.clock.advance(SYNC_AFTER - JUST)
            self.assertEqual((self.in_file(), self.in_file(OTHER)), (0, 0))
            self.clock.advance(JUST)
            self.assertEqual((self.in_file(), self.in_file(OTHER)), (3, 3))
            for number in range(4, 7):
                said.append([say(each) for each in (recording, other)])
                self.assertEqual((self.in_file(), self.in_file(OTHER)), (number, number))
                self.clock.advance(SETTLE_AFTER)
        self.assertEqual([all_of(recording), all_of(other)], [list(each) for each in zip(*said, strict=True)])
