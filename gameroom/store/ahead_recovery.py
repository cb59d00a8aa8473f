"""What stands ahead of recordings, read again: after a kill it is put into them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID
from zlib import crc32

from gameroom.store.ahead_file import BEFORE_LINES, EPOCH, HALF, HEAD, PLACE, SUFFIX

Piece = tuple[bytes, int, bytes]
"""A recording's key, the byte of it at which lines begin, and these. What stands at a byte of a recording never changes."""


def pieces_of(data: bytes) -> Iterator[Piece]:
    """The pieces of such a file. Whatever it holds, this raises nothing."""
    for begin in (0, HALF):
        if begin + EPOCH.size <= len(data):
            (epoch,) = EPOCH.unpack_from(data, begin)
            yield from _pieces(data, begin + EPOCH.size, min(begin + HALF, len(data)), epoch)


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
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("rb")) for path in folder.glob(f"*{SUFFIX}")]
        left = [file for file in files if _lock(file.fileno())]
        missing = _put_back(folder, [piece for file in left for piece in pieces_of(file.read())])
        for file in left:
            os.unlink(file.name)
    return missing


def _lock(fd: int) -> bool:
    """False where another daemon has it, and is well."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _put_back(folder: Path, pieces: Iterable[Piece]) -> int:
    return sum(_complete(folder, key, of_one) for key, of_one in _by_recording(pieces).items())


def _by_recording(pieces: Iterable[Piece]) -> dict[bytes, list[Piece]]:
    by_key: dict[bytes, list[Piece]] = {}
    for piece in sorted(pieces):
        by_key.setdefault(piece[0], []).append(piece)
    return by_key


def _complete(folder: Path, key: bytes, pieces: list[Piece]) -> int:
    """Gives the bytes that the recording lacked."""
    play_id = str(UUID(bytes=key))
    try:
        fd = os.open(folder / play_id[:2] / f"{play_id}.ndjson", os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        # It was deleted.
        return 0
    try:
        before = size = os.fstat(fd).st_size
        for _, offset, lines in pieces:
            # What is there is written once more: after a loss of power it may not be what it should.
            if offset <= size:
                _write_at(fd, lines, offset)
                size = max(size, offset + len(lines))
        os.fsync(fd)
    finally:
        os.close(fd)
    return size - before


def _write_at(fd: int, lines: bytes, offset: int) -> None:
    written = 0
    while written < len(lines):
        written += os.pwrite(fd, lines[written:], offset + written)


def ahead_in(folder: Path) -> dict[bytes, list[Piece]]:
    """What is ahead of the recordings of a folder, by their keys, whether its daemon runs or was killed."""
    pieces: list[Piece] = []
    for path in folder.glob(f"*{SUFFIX}"):
        try:
            pieces += pieces_of(path.read_bytes())
        except FileNotFoundError:
            continue
    return _by_recording(pieces)


def lines_ahead(pieces: Iterable[Piece], size: int) -> bytes:
    """What a recording of that many bytes lacks, of which these are ahead."""
    ahead = []
    for _, offset, lines in pieces:
        if offset == size:
            ahead.append(lines)
            size += len(lines)
    return b"".join(ahead)
