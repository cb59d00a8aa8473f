"""Files of updates, on a disk that the test fills, slows down and tears."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from gameroom.gameservices.record import MOST_WAITING, UpdateRecords
from gameroom.store.disk_watch import NO_SPACE
from gameroom.wire.update_file import MOST_BYTES, pair_to_bytes, pairs_from, pairs_from_bytes


class UpdateRecordsTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = Path(mkdtemp())
        self.addCleanup(rmtree, folder)
        self.folder = folder / "kept" / "updates"
        self.waiting: list[tuple[Deferred[Any], Any]] = []
        self.records = UpdateRecords(self.folder, self.in_thread)
        self.events: list[LogEvent] = []
        observe: Any = self.events.append
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def in_thread(self, function: Any, *args: Any) -> Deferred[Any]:
        self.assertEqual(self.waiting, [])
        done: Deferred[Any] = Deferred()
        self.waiting.append((done, lambda: function(*args)))
        return done

    def write(self) -> None:
        """The thread does what it was asked."""
        while self.waiting:
            done, work = self.waiting.pop()
            try:
                result = work()
            except Exception:
                done.errback()
            else:
                done.callback(result)

    def kept(self, name: str = "dice-1.0.0.updates") -> list[tuple[bytes, bytes]]:
        return list(pairs_from_bytes((self.folder / name).read_bytes()))

    def lines(self) -> list[str]:
        return [event["why"] for event in self.events if "recorded no more" in event["log_format"]]

    def test_in_order(self) -> None:
        """What comes while the thread writes is written next, by file, and a later run goes on where this one ended."""
        for number in range(5):
            self.records.keep("dice", "1.0.0", b"u%d" % number, b"s%d" % number)
        self.records.keep("dice", "1.0.1", b"u", b"s")
        self.write()
        self.records = UpdateRecords(self.folder, self.in_thread)
        self.records.keep("dice", "1.0.0", b"u5", b"")
        self.write()
        self.assertEqual(self.kept(), [(b"u%d" % number, b"s%d" % number) for number in range(5)] + [(b"u5", b"")])
        self.assertEqual(self.kept("dice-1.0.1.updates"), [(b"u", b"s")])

    def test_for_nobody_else(self) -> None:
        """What is hidden from other players is in there: other users of the machine cannot read it."""
        self.records.keep("dice", "1.0.0", b"u", b"s")
        self.write()
        self.assertEqual([path.stat().st_mode & 0o077 for path in (self.folder, self.folder / "dice-1.0.0.updates")], [0, 0])

    def test_stop(self) -> None:
        """Fires when all is written; at once where nothing is to be."""
        self.successResultOf(self.records.stop())
        self.records.keep("dice", "1.0.0", b"u1", b"s1")
        self.records.keep("dice", "1.0.0", b"u2", b"s2")
        stopping = self.records.stop()
        self.assertNoResult(stopping)
        self.write()
        self.successResultOf(stopping)
        self.assertEqual(len(self.kept()), 2)

    def test_torn(self) -> None:
        """What a daemon that was killed has left of a pair is cut off, so that what follows can be read."""
        whole = pair_to_bytes(b"u1", b"s1")
        self.folder.mkdir(parents=True)
        for size in range(len(whole)):
            (self.folder / "dice-1.0.0.updates").write_bytes(whole + whole[:size])
            self.records = UpdateRecords(self.folder, self.in_thread)
            self.records.keep("dice", "1.0.0", b"u2", b"s2")
            self.write()
            self.assertEqual(self.kept(), [(b"u1", b"s1"), (b"u2", b"s2")])

    def test_another_file(self) -> None:
        """A file of something else is left as it is; nothing is recorded, and the log says so once."""
        self.folder.mkdir(parents=True)
        path = self.folder / "dice-1.0.0.updates"
        path.write_bytes(b"\xff" * 100)
        for _ in range(3):
            self.records.keep("dice", "1.0.0", b"u", b"s")
            self.write()
        self.assertEqual(path.read_bytes(), b"\xff" * 100)
        (line,) = self.lines()
        self.assertIn(str(path), line)

    def test_read_once(self) -> None:
        """A file's end is looked for once, and not before each line that goes into a long one."""
        with mock.patch("gameroom.gameservices.record.pairs_from", wraps=pairs_from) as looked:
            for _ in range(3):
                self.records.keep("dice", "1.0.0", b"u", b"s")
                self.write()
        self.assertLessEqual(looked.call_count, 1)
        self.assertEqual(len(self.kept()), 3)

    def test_full_disk(self) -> None:
        """Ends it with one line in the log; what had only half found room is taken back."""
        self.records.keep("dice", "1.0.0", b"u1", b"s1")
        self.write()
        real = os.write

        def full(descriptor: int, data: bytes) -> int:
            if len(data) > 3:
                return real(descriptor, data[:3])
            raise OSError(errno.ENOSPC, "No space left on device")

        with mock.patch("os.write", full):
            for _ in range(3):
                self.records.keep("dice", "1.0.0", b"u2", b"s2")
                self.write()
        self.records.keep("dice", "1.0.0", b"u3", b"s3")
        self.write()
        self.assertEqual((self.folder / "dice-1.0.0.updates").read_bytes(), pair_to_bytes(b"u1", b"s1"))
        self.assertEqual(len(self.lines()), 1)
        self.assertIn("No space left", self.lines()[0])
        self.successResultOf(self.records.stop())

    def test_nearly_full_disk(self) -> None:
        """Recording ends where what is left of the disk begins that is kept for everything else; nothing of the last updates is written."""
        self.records.keep("dice", "1.0.0", b"u", b"s")
        self.write()
        with mock.patch("gameroom.gameservices.record.FreeDisk.spare", side_effect=[2000, 999]):
            for number in range(2):
                self.records.keep("dice", "1.0.0", b"%d" % number, b"s" * 1000)
                self.write()
        self.assertEqual([update for update, _ in self.kept()], [b"u", b"0"])
        self.assertEqual(self.lines(), [NO_SPACE])

    def test_no_folder(self) -> None:
        """A folder that cannot be made is a line as well."""
        self.folder.parent.write_text("in the way")
        self.records.keep("dice", "1.0.0", b"u", b"s")
        self.write()
        self.assertEqual(len(self.lines()), 1)

    def test_larger_than_files_take(self) -> None:
        """An answer that is longer than a file's message may be, where the operator allows such, is left out."""
        self.records.keep("dice", "1.0.0", b"u", b"x" * (MOST_BYTES + 1))
        self.records.keep("dice", "1.0.0", b"u", b"s")
        self.write()
        self.assertEqual((self.kept(), self.lines()), ([(b"u", b"s")], []))

    def test_slow_disk(self) -> None:
        """No more than is bounded waits for it."""
        piece = b"x" * (1 << 20)
        for _ in range(3 * (MOST_WAITING >> 20)):
            self.records.keep("dice", "1.0.0", piece, b"")
            self.assertLessEqual(self.records._bytes, MOST_WAITING)
        self.assertEqual(len(self.lines()), 1)
        self.assertEqual(self.records._waiting, {})
        self.write()
