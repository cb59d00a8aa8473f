"""One recording: a file of NDJSON lines that grows while a play is on (docs/protocol/lockstep.md, recording).

A line goes ahead of the file (`gameroom.store.write_ahead`), or is written by one unbuffered `write`: killing the daemon loses none.
A master's line is that master with `t` in front, so reading history is cutting that off again.
"""

from __future__ import annotations

import binascii
import os
from array import array
from bisect import bisect_right
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
import pybase64

from gameroom.build import IS_COMPILED
from gameroom.store.ahead_file import key_of
from gameroom.store.dirty import Dirty
from gameroom.wire.lockstep import BATCH_BYTES

COMPILED: Final = IS_COMPILED
if COMPILED:
    from gameroom.wire import native

if TYPE_CHECKING:
    from gameroom.store.recording_scan import Scan
    from gameroom.store.write_ahead import WriteAhead

PLACED: Final = 64 << 10
"""Each so many bytes the place of a master is kept: who begins anywhere reads no more than that before it."""
RECENT: Final = 1024
"""And that of each of the newest: a repeat may ask for any of the last 1,000, as often as packets come."""
QUICK: Final = 0.01
"""Masters that come so many seconds after others, or sooner, do not go ahead: their file is at hand, and one more copy costs as much."""
_READ: Final = 64 << 10
_MASTER: Final = b'"type":"master"'


class RecordingDamaged(Exception):
    """A recording that cannot be gone on with: something is wrong before its last line."""


def lines_of(masters: list[bytes], generation: int, milliseconds: int, binary: bool) -> tuple[bytes, list[int]]:
    """The lines of masters from that generation on, and the size of each.

    A line is the master itself with `t` before its fields, or has its bytes in base64 where it is `binary`.
    """
    if not binary:
        lines = [b'{"t":%d,%b\n' % (milliseconds, master[1:]) for master in masters]
    elif COMPILED:
        return native.recorded(masters, generation, milliseconds)
    else:
        begin = b'{"t":%d,"type":"master","generation":' % milliseconds
        lines = [b'%b%d,"data":"%b"}\n' % (begin, number, pybase64.b64encode(master)) for number, master in enumerate(masters, generation)]
    return b"".join(lines), [len(line) for line in lines]


def master_of(line: bytes, binary: bool) -> bytes | None:
    """The master of a line without its end; None for a line of something else."""
    start = line.find(b",") + 1
    if not line.startswith(_MASTER, start):
        return None
    if binary:
        return binascii.a2b_base64(line[line.rindex(b":") + 2 : -2])
    return b"{" + line[start:]


class Places:
    """Where in a file some of its masters begin, the first of them included."""

    __slots__ = ("_generations", "_offsets", "next")

    def __init__(self) -> None:
        self._generations = array("Q")
        self._offsets = array("Q")
        self.next = 0
        """The first master that begins here or later is to be added."""

    def add(self, generation: int, offset: int) -> int:
        """That master begins there. Gives `next`."""
        self._generations.append(generation)
        self._offsets.append(offset)
        self.next = offset + PLACED
        return self.next

    def before(self, generation: int) -> tuple[int, int]:
        """The nearest master that is known, up to that one: where it begins, and its generation."""
        found = bisect_right(self._generations, generation) - 1
        return self._offsets[found], self._generations[found]


class _OpenFile:
    """A file that is open for as long as somebody writes it or reads on in it."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        os.close(self.fd)


class Recording(Dirty):
    """The recording of a play that is on: one open file. Made by `gameroom.store.recordings.Recordings`.

    Where it is `sync` masters wait for the disk before they are told. `write_ahead` is None where each line is written by itself.
    """

    def __init__(
        self, path: Path, fd: int, *, started: float, binary: bool, sync: bool, dirty: Callable[[Dirty], None], write_ahead: WriteAhead | None = None
    ) -> None:
        super().__init__(path, fd, dirty, sync=sync)
        self.binary = binary
        self.key = key_of(path)
        """What names it where its lines are ahead."""
        self.size = 0
        """Bytes of all its lines."""
        self.ahead: list[bytes] = []
        """Its newest lines, where they are not in the file yet."""
        self._in_file = 0
        """Bytes of the lines that are."""
        self._write_ahead = None if sync else write_ahead
        self._file: _OpenFile | None = _OpenFile(fd)
        self._started = started
        self._appended = 0.0
        """When masters were last."""
        self._places = Places()
        self._next_place = 0
        """`next` of these."""
        self._recent = array("Q", bytes(8 * RECENT))
        self._recent_from = 0
        """The first generation whose place was put there."""

    def append(self, masters: list[bytes], now: float) -> None:
        """Write the next masters; raises `OSError`, and then nothing of them is in the file. `now` is Unix time in seconds."""
        start, generation = self.size, self.masters
        lines, sizes = lines_of(masters, generation, self._since_start(now), self.binary)
        direct = self._add(lines, now - self._appended > QUICK)
        self._appended = now
        for size in sizes:
            if start >= self._next_place:
                self._next_place = self._places.add(generation, start)
            self._recent[generation % RECENT] = start
            start += size
            generation += 1
        self.masters = generation
        if direct:
            self.mark_dirty()

    def note(self, fields: Mapping[str, Any], now: float) -> None:
        """Write a line of something else: `type` and its fields. Raises `OSError`."""
        if self._add(orjson.dumps({"t": self._since_start(now), **fields}) + b"\n"):
            self.mark_dirty()

    def head(self, fields: Mapping[str, Any]) -> None:
        """Write the first line, to the file itself: from now on there is one."""
        self._add(orjson.dumps(fields) + b"\n", may_go_ahead=False)
        self.mark_dirty()

    def _since_start(self, now: float) -> int:
        return max(0, int((now - self._started) * 1000))

    def _add(self, lines: bytes, may_go_ahead: bool = True) -> bool:
        """Write the next lines. Whether they are in the file; if not, they are ahead of it."""
        direct = not may_go_ahead or self._write_ahead is None or not self._write_ahead.put(self, lines)
        if direct:
            self.settle()
            self._write(lines)
        else:
            self.ahead.append(lines)
        self.size += len(lines)
        return direct

    @property
    def goes_ahead(self) -> bool:
        """Whether lines may go ahead of the file."""
        return self._write_ahead is not None

    def go_directly(self) -> None:
        """From now on they do not."""
        self._write_ahead = None

    def settle(self) -> None:
        """Write to the file what is ahead of it. Raises `OSError`, and then it still is."""
        if self.ahead:
            self._write(self._all_ahead())
            self.ahead.clear()
            self.mark_dirty()

    def _all_ahead(self) -> bytes:
        if len(self.ahead) > 1:
            self.ahead[:] = [b"".join(self.ahead)]
        return self.ahead[0]

    def _write(self, lines: bytes) -> None:
        try:
            written = os.write(self._fd, lines)
            while written < len(lines):
                written += os.write(self._fd, lines[written:])
        except OSError:
            # Half a line would be in the way of everything after it.
            os.ftruncate(self._fd, self._in_file)
            raise
        self._in_file += len(lines)

    def reader(self, generation: int) -> Reader:
        """A reader of the masters from that generation on."""
        if generation >= self.masters:
            return Reader(self, self.size, self.masters)
        if generation >= max(self._recent_from, self.masters - RECENT):
            return Reader(self, self._recent[generation % RECENT], generation)
        reader = Reader(self, *self._places.before(generation))
        reader.skip_to(generation)
        return reader

    @property
    def file(self) -> _OpenFile | None:
        """The file, which is open for as long as somebody has this; None where the recording is closed."""
        return self._file

    def read(self, size: int, offset: int, file: _OpenFile | None = None) -> bytes:
        """Some bytes of it, none of a line that is not whole; nothing when it is closed, but for one who has the `file`."""
        file = file or self._file
        if file is None:
            return b""
        if offset >= self._in_file and self.ahead:
            start = offset - self._in_file
            return self._all_ahead()[start : start + size]
        return os.pread(file.fd, max(0, min(size, self._in_file - offset)), offset)

    def close(self) -> None:
        """Let go of the file; `Recordings.close` does it when everything is on the disk. Who reads on in it still may."""
        self._fd, self._file = -1, None

    def take_up(self, found: Scan) -> None:
        """The file was there already: go on after what was found in it."""
        os.ftruncate(self._fd, found.end)
        self.size = self._in_file = found.end
        self._places, self.masters = found.places, found.masters
        self._next_place = found.places.next
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
