"""A file of lines that are not in their recordings yet: `<data>/recordings/<name>.ahead` (docs/speed.md, recordings).

It is mapped into memory: a line that was copied there outlives the daemon, and no system call was made for it.
It has two halves, which are filled in turn. Each begins with `HALF_HEAD`: `FORMAT`, and the epoch, one more each time.
Behind that stand pieces, one after another: `HEAD`, the size of the rest and its CRC-32, begun with the epoch; `PLACE`, which recording, and the byte
of it at which the lines begin; and the lines.
Where the CRC does not fit is the end: what an earlier epoch has left, or what was being copied when all ended.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from mmap import mmap
from pathlib import Path
from struct import Struct
from typing import Final
from uuid import UUID
from zlib import crc32

from gameroom.store.file_systems import keeps_mapped

SUFFIX: Final = ".ahead"
HALF: Final = 2 << 20
"""Bytes of a half."""
FORMAT: Final = b"grahead1"
"""To be another one whenever anything here is."""
HALF_HEAD: Final = Struct("<8sQ")
HEAD: Final = Struct("<II")
PLACE: Final = Struct("<16sQ")
BEFORE_LINES: Final = 32
"""Bytes of a piece before its lines."""


def key_of(recording: Path) -> bytes:
    """What names a recording in such a file: the 16 bytes of its play_id."""
    return UUID(recording.stem).bytes


class AheadFile:
    """One that is written, by this process alone, for as long as it has its lock. Made by `create`; `half` is the bytes of a half."""

    def __init__(self, path: Path, fd: int, half: int) -> None:
        self.path = path
        self._fd = fd
        self._half = half
        self._map = mmap(fd, 2 * half)
        self._epoch = 0
        self._at = self._end = 0
        # Both halves have a head.
        self.turn()
        self.turn()

    @classmethod
    def create(cls, folder: Path, half: int) -> AheadFile | None:
        """Make one in that folder; None where its file system does not promise that what is mapped can be written. Raises `OSError`."""
        # Nobody finds it before it is locked: it would be taken for one that its daemon has left.
        fd, name = tempfile.mkstemp(".new", "lines-", folder)
        made: AheadFile | None = None
        try:
            if keeps_mapped(fd):
                fcntl.flock(fd, fcntl.LOCK_EX)
                # Each page has its place on the disk from now on: without one, writing to it would be the end of the daemon where none is left.
                with open(fd, "wb", closefd=False) as file:
                    file.write(bytes(2 * half))
                os.fchmod(fd, 0o640)
                path = Path(name).with_suffix(SUFFIX)
                whole = cls(path, fd, half)
                os.rename(name, path)
                made = whole
        finally:
            if made is None:
                os.close(fd)
                os.unlink(name)
        return made

    def fileno(self) -> int:
        return self._fd

    def put(self, key: bytes, offset: int, lines: bytes) -> bool:
        """Keep lines of a recording, which begin at that byte of it. False where there is no room for them in this half."""
        begin = self._at
        end = begin + BEFORE_LINES + len(lines)
        if end > self._end:
            return False
        rest = PLACE.pack(key, offset) + lines
        self._map[begin:end] = HEAD.pack(len(rest), crc32(rest, self._epoch)) + rest
        self._at = end
        return True

    def turn(self) -> None:
        """Go on in the other half: what was there is needed no longer."""
        self._epoch += 1
        begin = self._half * (self._epoch % 2)
        self._map[begin : begin + HALF_HEAD.size] = HALF_HEAD.pack(FORMAT, self._epoch)
        self._at, self._end = begin + HALF_HEAD.size, begin + self._half

    def close(self, *, remove: bool) -> None:
        """Let go of it; with `remove` there is no such file any more."""
        if remove:
            self.path.unlink(missing_ok=True)
        self._map.close()
        os.close(self._fd)
