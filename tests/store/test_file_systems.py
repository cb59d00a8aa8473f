"""gameroom.store.file_systems: what Python's `os` does not have."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace
from unittest import skipUnless

from twisted.trial.unittest import SynchronousTestCase

from gameroom.store.file_systems import _find, _find_range, start_writing, syncfs


class SyncfsTests(SynchronousTestCase):
    """One commit for a whole file system."""

    @skipUnless(syncfs, "Linux 5.8 or newer")
    def test_real(self) -> None:
        """A file's file system is synced; a descriptor that is none is an error with its number."""
        assert syncfs is not None
        path = Path(self.mktemp())
        with path.open("wb") as file:
            file.write(b"x")
            file.flush()
            syncfs(file.fileno())
        closed = os.open(path, os.O_RDONLY)
        os.close(closed)
        error = self.assertRaises(OSError, syncfs, closed)
        self.assertEqual(error.errno, errno.EBADF)

    def test_where_it_cannot_be_trusted(self) -> None:
        """There is none on old kernels, which swallow errors, on other systems, and in libraries without it."""
        library = SimpleNamespace(syncfs=lambda fd: 0)
        for system, release, there in (
            ("Linux", "5.8.0-1-amd64", True),
            ("Linux", "6.1.0", True),
            ("Linux", "10.0", True),
            ("Linux", "5.7.19", False),
            ("Linux", "4.19.0", False),
            ("Linux", "unknown", False),
            ("Darwin", "22.0.0", False),
        ):
            self.assertEqual(_find(system, release, library) is not None, there, (system, release))
        self.assertIsNone(_find("Linux", "6.1.0", SimpleNamespace()))


class StartWritingTests(SynchronousTestCase):
    """Writing is begun early."""

    @skipUnless(start_writing, "Linux")
    def test_real(self) -> None:
        """What is written stays as it is, and a file that cannot be written so is none the worse."""
        assert start_writing is not None
        path = Path(self.mktemp())
        with path.open("wb") as file:
            file.write(b"x" * 100_000)
            file.flush()
            start_writing(file.fileno(), 4096, 50_000)
            start_writing(file.fileno(), 1 << 40, 1)
        self.assertEqual(path.read_bytes(), b"x" * 100_000)
        with Path("/dev/null").open("wb") as null:
            start_writing(null.fileno(), 0, 1)

    def test_what_is_asked(self) -> None:
        """Just these bytes are to be begun; where there is no such call there is none of ours."""
        asked: list[tuple[int, ...]] = []

        def sync_file_range(*args: int) -> int:
            asked.append(args)
            return 0

        writing = _find_range(SimpleNamespace(sync_file_range=sync_file_range))
        assert writing is not None
        writing(5, 1 << 33, 7)
        self.assertEqual(asked, [(5, 1 << 33, 7, 2)])
        self.assertIsNone(_find_range(SimpleNamespace()))
