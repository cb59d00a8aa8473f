"""What stands ahead of recordings, read again: after a kill it is put into them."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from errno import EINVAL
from pathlib import Path
from typing import Final
from uuid import UUID
from zlib import crc32

from gameroom.store.ahead_file import BEFORE_LINES, FORMAT, HALF, HALF_HEAD, HEAD, PLACE, SUFFIX
from gameroom.store.folders import write_at
from gameroom.store.recording_paths import path_in

PATIENCE: Final = 3.0
"""Seconds until one who has such a file is taken for well."""

Piece = tuple[bytes, int, bytes]
"""A recording's key, the byte of it at which lines begin, and these. What stands at a byte of a recording never changes."""


def pieces_of(data: bytes) -> Iterator[Piece]:
    """The pieces of such a file. Whatever it holds, this raises nothing."""
    for begin in (0, HALF):
        if begin + HALF_HEAD.size <= len(data):
            form, epoch = HALF_HEAD.unpack_from(data, begin)
            if form == FORMAT:
                yield from _pieces(data, begin + HALF_HEAD.size, min(begin + HALF, len(data)), epoch)


def _pieces(data: bytes, at: int, end: int, epoch: int) -> Iterator[Piece]:
    while at + BEFORE_LINES <= end:
        size, crc = HEAD.unpack_from(data, at)
        rest = data[at + HEAD.size : at + HEAD.size + size]
        at += HEAD.size + size
        if size < PLACE.size or at > end or crc32(rest, epoch & 0xFFFFFFFF) != crc:
            return
        key, offset = PLACE.unpack_from(rest)
        yield key, offset, rest[PLACE.size :]


def recover(folder: Path) -> int:
    """Put into their recordings what daemons that were killed have left ahead of them, and to the disk. Gives the bytes that were missing.

    Raises `OSError`, and then it is to be done again.
    """
    pieces: list[Piece] = []
    with ExitStack() as stack:
        taken = []
        for path in folder.glob(f"*{SUFFIX}"):
            if (data := _take(path, stack)) is not None:
                # After a loss of power there may be no more than its name.
                if data[: len(FORMAT)].strip(b"\0") and not data.startswith(FORMAT):
                    raise OSError(EINVAL, "this has lines of recordings as another gameroom keeps them; start that one, or move it away", str(path))
                pieces += pieces_of(data)
                taken.append(path)
        missing = sum(_complete(path_in(folder, play_id), of_one) for play_id, of_one in _by_play(pieces).items())
        for path in taken:
            path.unlink(missing_ok=True)
    return missing


def _take(path: Path, stack: ExitStack) -> bytes | None:
    """Read what a daemon has left, and keep everybody else from it; None where it is another one's that is well, or that has stopped meanwhile."""
    try:
        file = stack.enter_context(path.open("rb"))
        deadline = time.monotonic() + PATIENCE
        while not _lock(file.fileno()):
            if time.monotonic() > deadline:
                return None
            # One that was just killed may take a moment to be gone.
            time.sleep(0.05)
        return file.read() if os.path.samestat(os.fstat(file.fileno()), path.stat()) else None
    except FileNotFoundError:
        return None


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _by_play(pieces: Iterable[Piece]) -> dict[str, list[Piece]]:
    by_play: dict[str, list[Piece]] = {}
    for piece in sorted(pieces):
        by_play.setdefault(str(UUID(bytes=piece[0])), []).append(piece)
    return by_play


def _complete(recording: Path, pieces: list[Piece]) -> int:
    """Gives the bytes that it lacked."""
    try:
        fd = os.open(recording, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        # It was deleted.
        return 0
    try:
        before = size = os.fstat(fd).st_size
        for _, offset, lines in pieces:
            # What is there is written once more: after a loss of power it may not be what it should.
            if offset <= size:
                write_at(fd, lines, offset)
                size = max(size, offset + len(lines))
        os.fsync(fd)
    finally:
        os.close(fd)
    return size - before


def ahead_in(folder: Path) -> dict[str, list[Piece]]:
    """What is ahead of the recordings of a folder, by play_id, whether its daemon runs or was killed."""
    pieces: list[Piece] = []
    for path in folder.glob(f"*{SUFFIX}"):
        try:
            pieces += pieces_of(path.read_bytes())
        except OSError:
            # It is gone, or for others to read.
            continue
    return _by_play(pieces)


def lines_ahead(pieces: Iterable[Piece], size: int) -> bytes:
    """What a recording of that many bytes lacks, of which these are ahead."""
    ahead = []
    for _, offset, lines in pieces:
        if offset <= size < offset + len(lines):
            ahead.append(lines[size - offset :])
            size = offset + len(lines)
    return b"".join(ahead)
