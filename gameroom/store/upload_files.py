"""The files of unfinished uploads: `<upload_id>.part` has the bytes, `<upload_id>.seq` where each chunk ends.

Theory. `.seq` is a row of offsets of 8 bytes, one for each chunk that was accepted, so what was accepted is known without memory and after
`kill -9`: the bytes of a chunk are written first, its offset after them, and only then it is answered.
So `.part` may be longer than the last offset says, and the last offset may be torn; neither was answered, and both are written over.
After a loss of power either may be shorter than it was, or have holes: `mend` keeps the chunks up to the first offset that cannot be.

Everything here is quick enough for the reactor's thread but `mend`, `to_disk` and `sha256`.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections import OrderedDict
from collections.abc import Collection, Iterator
from errno import EIO
from pathlib import Path
from typing import Any, Final

from gameroom.store.file_systems import start_writing
from gameroom.store.folders import write_at
from gameroom.store.free_disk import DiskFull, is_full

MOST_OPEN: Final = 64
"""Uploads whose files are open; each has two."""

_OFFSET = struct.Struct(">Q")
_SCANNED = 8192 * _OFFSET.size
_HASHED = 1 << 20
_PART, _SEQ = ".part", ".seq"


class UploadFile:
    """How far one upload is, and its files, which are opened when they are needed."""

    __slots__ = ("_part", "_seq", "_stem", "dirty", "hash", "next_seq", "received", "used")

    def __init__(self, stem: Path) -> None:
        self._stem = stem
        self._part = self._seq = -1
        self.next_seq = 0
        """How many chunks are written."""
        self.received = 0
        """And how many bytes they have."""
        self.hash: Any = None
        """SHA-256 of them, for one whose first byte came since the daemon was started."""
        self.dirty = 0
        """Bytes that the kernel was not yet told to write."""
        self.used = 0.0
        """When it was last used, in seconds."""

    @property
    def path(self) -> Path:
        """Where the bytes are."""
        return self._stem.with_name(self._stem.name + _PART)

    @property
    def is_open(self) -> bool:
        return self._part >= 0

    def open(self) -> None:
        """Open the files, or make them. Raises `DiskFull` or `OSError`."""
        if self._part >= 0:
            return
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            self._part = os.open(self.path, flags, 0o600)
            self._seq = os.open(self._stem.with_name(self._stem.name + _SEQ), flags, 0o600)
        except OSError as error:
            self.close()
            raise _told(error) from None

    def close(self) -> None:
        """Close them; they are opened again when they are needed."""
        fds, self._part, self._seq = (self._part, self._seq), -1, -1
        for fd in fds:
            if fd >= 0:
                os.close(fd)

    def load(self) -> None:
        """See from the files how far it is."""
        self.open()
        self.next_seq = os.fstat(self._seq).st_size // _OFFSET.size
        self.received = self._end(self.next_seq)
        if self.received > os.fstat(self._part).st_size or (self.received < self.next_seq):
            self.mend()
        self.hash = None if self.received else hashlib.sha256()

    def is_there(self) -> bool:
        """Whether the files, which are open, still are what they were."""
        sizes = os.fstat(self._part).st_size, os.fstat(self._seq).st_size
        return sizes[0] >= self.received and sizes[1] >= self.next_seq * _OFFSET.size

    def append(self, data: bytes) -> None:
        """Write the next chunk: all of it, or nothing. Raises `DiskFull` or `OSError`."""
        received = self.received + len(data)
        try:
            write_at(self._part, data, self.received)
            write_at(self._seq, _OFFSET.pack(received), self.next_seq * _OFFSET.size)
        except OSError as error:
            self._take_back()
            raise _told(error) from None
        self.next_seq += 1
        self.received = received
        self.dirty += len(data)
        if self.hash is not None:
            self.hash.update(data)

    def has(self, seq: int, data: bytes) -> bool:
        """Whether just this was written as chunk `seq`, which is one that was."""
        start, end = self._end(seq), self._end(seq + 1)
        return end - start == len(data) and os.pread(self._part, len(data), start) == data

    def mend(self) -> None:
        """Keep what is whole: the chunks whose offsets rise and whose bytes are there."""
        self.open()
        size = os.fstat(self._part).st_size
        self.next_seq = self.received = 0
        for end in self._ends():
            if not self.received < end <= size:
                break
            self.next_seq += 1
            self.received = end
        self._take_back()

    def start_over(self) -> None:
        """Forget what was written."""
        self.open()
        self.next_seq = self.received = 0
        self.hash = hashlib.sha256()
        self._take_back()

    def take_dirty(self) -> tuple[int, int, int]:
        """What is dirty, for `write_out` in a thread, with a descriptor of its own; it is no longer. Raises `OSError`."""
        fd = os.dup(self._part)
        length, self.dirty = self.dirty, 0
        return fd, self.received - length, length

    def to_disk(self) -> None:
        """In a thread: leave nothing in `.part` but the bytes of the chunks, and bring them to the disk. Raises `DiskFull` or `OSError`."""
        part = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            size = os.fstat(part).st_size
            if size < self.received:
                raise OSError(EIO, "it is shorter than what was accepted", str(self.path))
            if size > self.received:
                os.ftruncate(part, self.received)
            os.fsync(part)
        except OSError as error:
            raise _told(error) from None
        finally:
            os.close(part)

    def sha256(self) -> str:
        """In a thread: the checksum of the bytes, which are read where it is not known."""
        if self.hash is None:
            self.hash = hashlib.sha256()
            with self.path.open("rb", buffering=0) as file:
                while block := file.read(_HASHED):
                    self.hash.update(block)
        return str(self.hash.hexdigest())

    def _end(self, chunks: int) -> int:
        """Where the last of the first so many chunks ends."""
        if chunks == 0:
            return 0
        return int(_OFFSET.unpack(os.pread(self._seq, _OFFSET.size, (chunks - 1) * _OFFSET.size))[0])

    def _ends(self) -> Iterator[int]:
        offset = 0
        while block := os.pread(self._seq, _SCANNED, offset):
            offset += len(block)
            for (end,) in _OFFSET.iter_unpack(block[: len(block) // _OFFSET.size * _OFFSET.size]):
                yield end

    def _take_back(self) -> None:
        """Cut off what is behind the last whole chunk. Where that fails it is written over all the same."""
        for fd, size in ((self._seq, self.next_seq * _OFFSET.size), (self._part, self.received)):
            try:
                os.ftruncate(fd, size)
            except OSError:
                continue


class UploadFiles:
    """The folder of unfinished uploads. At most `most_open` of them have open files."""

    def __init__(self, folder: Path, most_open: int = MOST_OPEN) -> None:
        self.folder = folder
        self._most_open = most_open
        self._open: OrderedDict[UploadFile, None] = OrderedDict()

    def __len__(self) -> int:
        """How many have open files."""
        return len(self._open)

    def reconcile(self, known: Collection[str]) -> list[str]:
        """At start: make the folder, and delete the files of uploads that are not known any more; gives their names."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        strangers = [path for path in sorted(self.folder.iterdir()) if path.suffix not in (_PART, _SEQ) or path.stem not in known]
        for path in strangers:
            path.unlink()
        return [path.name for path in strangers]

    def take(self, upload_id: str, now: float) -> UploadFile:
        """The upload as its files tell, opened. Raises `DiskFull` or `OSError`."""
        file = UploadFile(self.folder / upload_id)
        file.used = now
        try:
            file.load()
        except BaseException:
            file.close()
            raise
        self._opened(file)
        return file

    def reopen(self, file: UploadFile, now: float) -> None:
        """Have its files open, and remember that it was used."""
        file.used = now
        if file.is_open:
            self._open.move_to_end(file)
        else:
            file.open()
            self._opened(file)
            if not file.is_there():
                # Somebody has tidied up behind our back.
                file.load()

    def _opened(self, file: UploadFile) -> None:
        self._open[file] = None
        while len(self._open) > self._most_open:
            self.close(next(iter(self._open)))

    def close(self, file: UploadFile) -> None:
        """Close its files."""
        self._open.pop(file, None)
        file.close()

    def close_idle(self, before: float) -> None:
        """Close the files of those that were not used since then."""
        for file in [file for file in self._open if file.used <= before]:
            self.close(file)

    def close_all(self) -> None:
        for file in list(self._open):
            self.close(file)

    def discard(self, upload_id: str) -> None:
        """Delete its files; `.seq` last, so that bytes are never taken for fewer than they are."""
        for suffix in (_PART, _SEQ):
            (self.folder / (upload_id + suffix)).unlink(missing_ok=True)


def write_out(fd: int, offset: int, length: int) -> None:
    """In a thread: have the kernel begin to write this, so that it never has much to write at once; closes `fd`."""
    try:
        if start_writing is not None:
            start_writing(fd, offset, length)
    finally:
        os.close(fd)


def _told(error: OSError) -> Exception:
    """The error as it is to be raised."""
    return DiskFull() if is_full(error) else error
