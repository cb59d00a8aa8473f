"""Keeps a reserve of the disk for what must go on when it is full: accounts, rooms, reads (docs/operations.md).

What developers upload may fill the disk up to the reserve that recordings keep too, and no further.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import Final

from gameroom.errors import BadState
from gameroom.store.disk_watch import SPARED_BYTES, SPARED_PART

LOOK_BYTES: Final = 4 << 20
LOOK_PART: Final = 8
"""So much is written between two looks at the disk, at most; of a small disk this part of its reserve: others write to it, too."""
LOOK_SECONDS: Final = 1.0


class DiskFull(BadState):
    """105: there is no room for this now."""

    def __init__(self) -> None:
        super().__init__("the disk of this server is full; ask whoever runs it to make room, then try again")


class FreeDisk:
    """What may still be written to the disk of `folder`. `now` tells the time in seconds."""

    def __init__(self, folder: Path, now: Callable[[], float]) -> None:
        self._folder = folder
        self._now = now
        self._granted = 0
        """Bytes that may be written without another look."""
        self._until = 0.0

    def require(self, length: int) -> None:
        """Count `length` bytes that are about to be written. Raises `DiskFull` where they are not to be."""
        now = self._now()
        if length > self._granted or now >= self._until:
            spare, reserve = self._look()
            self._granted, self._until = 0, now + LOOK_SECONDS
            if length > spare:
                raise DiskFull
            self._granted = min(spare, max(length, min(LOOK_BYTES, reserve // LOOK_PART)))
        self._granted -= length

    def spare(self) -> int:
        """How many bytes are free above the reserve; below zero where some of the reserve is used."""
        return self._look()[0]

    def _look(self) -> tuple[int, int]:
        disk = os.statvfs(self._folder)
        reserve = min(SPARED_BYTES, int(disk.f_blocks * disk.f_frsize * SPARED_PART))
        return disk.f_bavail * disk.f_frsize - reserve, reserve


def is_full(error: OSError) -> bool:
    """Whether this error says that there is no room left."""
    return error.errno in (ENOSPC, EDQUOT)
