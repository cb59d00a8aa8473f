"""What has written something that is not on the disk yet, as `gameroom.store.to_disk` takes care of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


class Dirty:
    """One open file. `tell_dirty(self)` is called when something is written, for the first time since it was last taken."""

    def __init__(self, path: Path, fd: int, tell_dirty: Callable[[Dirty], None], *, sync: bool = False) -> None:
        self.path = path
        self.sync = sync
        """Whether somebody waits until it is on the disk."""
        self.dirty = False
        """Whether something was written that is not on the disk, nor on its way there."""
        self.device = os.fstat(fd).st_dev
        """Which file system it is on."""
        self.masters = 0
        """What `synced` is told: of a recording, how many masters it has."""
        self.synced: Callable[[int], None] | None = None
        """Called with that number when everything up to there is on the disk."""
        self.failed: Callable[[OSError], None] | None = None
        """Called when what was written did not come to the disk."""
        self._fd = fd
        self._tell_dirty = tell_dirty

    def mark_dirty(self) -> None:
        """Something was written. Last of all: a thread may at once look at how many masters there are."""
        if not self.dirty:
            self.dirty = True
            self._tell_dirty(self)

    def fileno(self) -> int:
        return self._fd

    def to_disk(self) -> int:
        """In a thread: bring to the disk what was written. Gives `masters` as it was before; raises `OSError`."""
        masters = self.masters
        os.fdatasync(self._fd)
        return masters
