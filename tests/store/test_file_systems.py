"""gameroom.store.file_systems: what Python's `os` does not have."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace
from unittest import skipUnless

from twisted.trial.unittest import SynchronousTestCase

from gameroom.store.file_systems import _find, syncfs


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
