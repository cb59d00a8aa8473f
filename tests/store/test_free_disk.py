"""gameroom.store.free_disk: uploads leave a reserve of the disk, and the disk is not asked at every chunk."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from unittest import mock

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gameroom.store.disk_watch import SPARED_BYTES
from gameroom.store.free_disk import LOOK_BYTES, LOOK_SECONDS, DiskFull, FreeDisk, is_full
from tests.uploads import GIB, MIB, disk_of


class FreeDiskTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.disk = FreeDisk(Path(), self.clock.seconds)

    def looks(self, length: int, times: int) -> int:
        """How often the disk is asked while so much is written so often."""
        with disk_of(size=100 * GIB, free=50 * GIB) as statvfs:
            for _ in range(times):
                self.disk.require(length)
            return int(statvfs.call_count)

    def test_spare(self) -> None:
        """What is free above the reserve, which is a twentieth of a small disk."""
        for size, free, spare in ((100 * GIB, 3 * GIB, 2 * GIB), (100 * GIB, SPARED_BYTES - MIB, -MIB), (200 * MIB, 15 * MIB, 5 * MIB)):
            with disk_of(size=size, free=free):
                self.assertEqual(self.disk.spare(), spare)

    def test_looks(self) -> None:
        """It is looked at once for some MiB and once a second, and for what is larger than that at a time."""
        self.assertEqual(self.looks(1024, LOOK_BYTES // 1024), 1)
        self.assertEqual(self.looks(1024, 1), 1)
        self.assertEqual(self.looks(1024, 1), 0)
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(self.looks(1024, 2), 1)
        self.assertEqual(self.looks(2 * LOOK_BYTES, 2), 2)

    def test_small_disk(self) -> None:
        """Of a small disk little is written between two looks: the reserve is for others, who write meanwhile."""
        with disk_of(size=160 * MIB, free=100 * MIB) as statvfs:
            for _ in range(16):
                self.disk.require(MIB // 4)
        self.assertEqual(statvfs.call_count, 4)

    def test_just(self) -> None:
        """The last byte above the reserve may be written, and no byte more."""
        with disk_of(size=100 * GIB, free=SPARED_BYTES + 4096):
            self.disk.require(4096)
        with disk_of(size=100 * GIB, free=SPARED_BYTES):
            self.assertRaises(DiskFull, self.disk.require, 1)

    def test_recovers(self) -> None:
        """One that was full is asked again each time, so that it is seen at once when there is room."""
        with disk_of(size=100 * GIB, free=SPARED_BYTES + 100 * 4096):
            self.disk.require(50 * 4096)
        with disk_of(size=100 * GIB, free=SPARED_BYTES):
            self.assertRaises(DiskFull, self.disk.require, 51 * 4096)
            # What was granted before is not any more.
            self.assertRaises(DiskFull, self.disk.require, 1)
        self.assertEqual(self.looks(1, 1), 1)

    def test_really_full(self) -> None:
        """Which errors of the system mean a disk, or somebody's share of it, that is full."""
        found = {number: is_full(OSError(number, os.strerror(number))) for number in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EACCES)}
        self.assertEqual(found, {errno.ENOSPC: True, errno.EDQUOT: True, errno.EIO: False, errno.EACCES: False})

    def test_folder(self) -> None:
        """It is the disk of its folder that is looked at."""
        with mock.patch("gameroom.store.free_disk.os.statvfs", wraps=os.statvfs) as statvfs:
            FreeDisk(Path("/proc"), self.clock.seconds).spare()
        statvfs.assert_called_once_with(Path("/proc"))
