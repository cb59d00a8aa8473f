"""One recording: a file of NDJSON lines that grows while a play is on (docs/protocol/lockstep.md, recording).

A line is written by one unbuffered `write`, so killing the daemon loses none.
A master's line is that master with `t` in front, so reading history is cutting that off again.
"""

from __future__ import annotations

import binascii
import os
from array import array
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

import attrs
import orjson

from gameroom.errors import InvalidRequest
from gameroom.wire.lockstep import BATCH_BYTES, BINARY, JSON, MasterPacket

INDEXED: Final = 64
"""Every so many generations the place in the file is kept."""
RECENT: Final = 1024
"""And that of each of the newest: a repeat may ask for any of the last 1,000, as often as packets come."""
_READ: Final = 64 << 10
_MASTER: Final = b'"type":"master"'


class RecordingDamaged(Exception):
    """A recording that cannot be gone on with: something is wrong before its last line."""


def line_of(master: bytes, generation: int, milliseconds: int, binary: bool) -> bytes:
    """A master's line: the master itself with `t` before its fields, or a line with its bytes in base64."""
    if binary:
        return b'{"t":%d,"type":"master","generation":%d,"data":"%b"}\n' % (milliseconds, generation, binascii.b2a_base64(master, newline=False))
    return b'{"t":%d,%b\n' % (milliseconds, master[1:])


def master_of(line: bytes, binary: bool) -> bytes | None:
    """The master of a line without its end; None for a line of something else."""
    start = line.find(b",") + 1
    if not line.startswith(_MASTER, start):
        return None
    if binary:
        return binascii.a2b_base64(line[line.rindex(b":") + 2 : -2])
    return b"{" + line[start:]


class _OpenFile:
    """A file that is open for as long as somebody writes it or reads on in it."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        os.close(self.fd)


class Recording:
    """The recording of a play that is on: one open file. Made by `gameroom.store.recordings.Recordings`."""

    def __init__(self, path: Path, fd: int, *, started: float, binary: bool, sync: bool, dirty: Callable[[Recording], None]) -> None:
        self.path = path
        self.binary = binary
        self.sync = sync
        """Whether masters wait for the disk before they are told."""
        self.masters = 0
        """How many there are: the next has this generation."""
        self.synced: Callable[[int], None] | None = None
        """Called with the number of masters that are on the disk."""
        self.failed: Callable[[OSError], None] | None = None
        """Called when what was written did not come to the disk."""
        self.dirty = False
        """Whether something was written that is not on the disk, nor on its way there."""
        self._fd = fd
        self._file: _OpenFile | None = _OpenFile(fd)
        self._started = started
        self._tell_dirty = dirty
        self._size = 0
        self._index = array("Q")
        self._recent = array("Q", bytes(8 * RECENT))
        self._recent_from = 0
        """The first generation whose place was put there."""

    def append(self, master: bytes, now: float) -> None:
        """Write the next master; raises `OSError`, and then nothing of it is in the file. `now` is Unix time in seconds."""
        start, generation = self._size, self.masters
        milliseconds = int((now - self._started) * 1000)
        self._write(line_of(master, generation, max(0, milliseconds), self.binary))
        if generation % INDEXED == 0:
            self._index.append(start)
        self._recent[generation % RECENT] = start
        self.masters = generation + 1
        if not self.dirty:
            self._mark_dirty()

    def note(self, fields: Mapping[str, Any], now: float) -> None:
        """Write a line of something else: `type` and its fields. Raises `OSError`."""
        self._write(orjson.dumps({"t": self._since_start(now), **fields}) + b"\n")
        self._mark_dirty()

    def head(self, fields: Mapping[str, Any]) -> None:
        """Write the first line."""
        self._write(orjson.dumps(fields) + b"\n")
        self._mark_dirty()

    def _since_start(self, now: float) -> int:
        return max(0, int((now - self._started) * 1000))

    def _write(self, line: bytes) -> None:
        try:
            written = os.write(self._fd, line)
            while written < len(line):
                written += os.write(self._fd, line[written:])
        except OSError:
            # Half a line would be in the way of everything after it.
            os.ftruncate(self._fd, self._size)
            raise
        self._size += len(line)

    def _mark_dirty(self) -> None:
        # Last of all: a thread may at once look at how many masters there are.
        if not self.dirty:
            self.dirty = True
            self._tell_dirty(self)

    def reader(self, generation: int) -> Reader:
        """A reader of the masters from that generation on."""
        if generation >= self.masters:
            return Reader(self, self._size, self.masters)
        if generation >= max(self._recent_from, self.masters - RECENT):
            return Reader(self, self._recent[generation % RECENT], generation)
        known = generation // INDEXED
        reader = Reader(self, self._index[known], known * INDEXED)
        reader.skip_to(generation)
        return reader

    @property
    def file(self) -> _OpenFile | None:
        """The file, which is open for as long as somebody has this; None where the recording is closed."""
        return self._file

    def read(self, size: int, offset: int, file: _OpenFile | None = None) -> bytes:
        """Some bytes of the file, none of a line that is not whole; nothing when it is closed, but for one who has the `file`."""
        file = file or self._file
        return os.pread(file.fd, min(size, self._size - offset), offset) if file is not None else b""

    def to_disk(self) -> int:
        """In a thread: bring to the disk what was written. Gives the number of masters that this covers; raises `OSError`."""
        masters = self.masters
        os.fdatasync(self._fd)
        return masters

    def close(self) -> None:
        """Let go of the file; `Recordings.close` does it when everything is on the disk. Who reads on in it still may."""
        self._fd, self._file = -1, None

    def take_up(self, found: Scan) -> None:
        """The file was there already: go on after what was found in it."""
        os.ftruncate(self._fd, found.end)
        self._size, self._index, self.masters = found.end, found.index, found.masters
        self._recent_from = found.masters


class Reader:
    """Reads the masters of a recording, which may still grow, in batches."""

    def __init__(self, recording: Recording, offset: int, generation: int) -> None:
        self.generation = generation
        """The next that it gives."""
        self._recording = recording
        self._file = recording.file
        self._offset = offset
        self._buffer = b""
        self._at = 0
        self._put_back: bytes | None = None

    def skip_to(self, generation: int) -> None:
        while self.generation < generation and self._next() is not None:
            self.generation += 1

    def batch(self, until: int, most: int = BATCH_BYTES - 1024) -> list[bytes]:
        """The next masters, those below generation `until`: of `most` bytes together, but one at least; empty at the end."""
        masters: list[bytes] = []
        size = 0
        while self.generation < until and (master := self._next()) is not None:
            size += len(master) + 4
            if masters and size > most:
                self._put_back = master
                break
            masters.append(master)
            self.generation += 1
        return masters

    def _next(self) -> bytes | None:
        if self._put_back is not None:
            master, self._put_back = self._put_back, None
            return master
        while (line := self._line()) is not None:
            if (found := master_of(line, self._recording.binary)) is not None:
                return found
        return None

    def _line(self) -> bytes | None:
        while (end := self._buffer.find(b"\n", self._at)) < 0:
            more = self._recording.read(_READ, self._offset, self._file)
            if not more:
                return None
            self._offset += len(more)
            self._buffer, self._at = self._buffer[self._at :] + more, 0
        line, self._at = self._buffer[self._at : end], end + 1
        return line


@attrs.define
class Scan:
    """What a file that was there already holds."""

    header: dict[str, Any] = attrs.field(factory=dict)
    masters: int = 0
    index: array[int] = attrs.field(factory=lambda: array("Q"))
    events: list[dict[str, Any]] = attrs.field(factory=list)
    """All `system` events, in order."""
    last: MasterPacket | None = None
    state: str | None = None
    """Of the engine's own states: the newest."""
    dumped: int = 0
    """Bytes of the lines that are dumps."""
    over: dict[str, Any] | None = None
    """The line that says how the play ended."""
    end: int = 0
    """Where the last whole line ends."""

    @property
    def binary(self) -> bool:
        return self.header.get("encoding") == "binary"

    @property
    def started(self) -> float:
        """Unix time."""
        return datetime.fromisoformat(self.header["started_at"]).timestamp()

    def take(self, line: bytes) -> None:
        """The next line, without its end. Raises `ValueError` for one that is none."""
        fields = orjson.loads(line)
        if self.end == 0:
            if fields["type"] != "play":
                raise ValueError(line)
            self.header = fields
        elif fields["type"] == "master":
            self._take_master(line)
        elif fields["type"] == "state":
            self.state = fields["state"]
        elif fields["type"] == "dump":
            self.dumped += len(line)
        elif fields["type"] == "over":
            self.over = fields
        self.end += len(line) + 1

    def _take_master(self, line: bytes) -> None:
        master = master_of(line, self.binary)
        if master is None:
            raise ValueError(line)
        self.last = (BINARY if self.binary else JSON).read_master(master)
        if self.last.generation != self.masters:
            raise ValueError(line)
        self.events += self.last.system
        if self.masters % INDEXED == 0:
            self.index.append(self.end)
        self.masters += 1


def open_whole(path: Path) -> tuple[BinaryIO, int]:
    """In a thread: open a recording to be read, and how many bytes of it are whole lines. Raises `OSError`."""
    file = path.open("rb")
    try:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - _READ)
            file.seek(start)
            last = file.read(end - start).rfind(b"\n")
            end = start if last < 0 else start + last + 1
            if last >= 0:
                break
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file, end


def scan(path: Path) -> Scan:
    """In a thread: read a whole recording. A last line that is torn is left out; anything else that is wrong raises `RecordingDamaged`."""
    found = Scan()
    with path.open("rb") as lines:
        torn = False
        for line in lines:
            if torn:
                raise RecordingDamaged(f"{path} is damaged at byte {found.end}")
            try:
                if not line.endswith(b"\n"):
                    raise ValueError(line)
                found.take(line[:-1])
            except (ValueError, KeyError, TypeError, InvalidRequest):
                torn = True
    if not found.header:
        raise RecordingDamaged(f"{path} does not begin with the play that it is of")
    return found
