"""Files of the store on their way to players, a few chunks at a time (docs/protocol/lobby.md, "Downloads").

Three lines in a program of one's own, beside a catalogue and reviews:

>>> downloads = Downloads(catalogue=catalogue, reviews=reviews)
>>> download = await downloads.begin(account, game_id)
>>> while lines := download.more():
...     transport.write(lines)
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from gameroom.deferring import deferring
from gameroom.errors import ChunkOutOfOrder
from gameroom.rules.sessions import Account
from gameroom.wire import downloads as wire

if TYPE_CHECKING:
    from gameroom.catalogue import Catalogue, Stored
    from gameroom.reviews import Reviews

AT_ONCE_BYTES = 64 * 1024
"""Bytes of lines that are made at once, or one chunk where that has more: what Twisted's transports take before they pause us."""

_Key = tuple[Path, str]
"""A file of the store: where it is, and its checksum."""


class UnreadableFile(Exception):
    """A file of the store is not what the database says it is."""


class Downloads:
    """All downloads of a daemon. Doors share one of these.

    Who downloads the same file shares one file descriptor, so that readers, however slow, cannot use those up.
    """

    def __init__(self, *, catalogue: Catalogue, reviews: Reviews, new_id: Callable[[], str] = lambda: str(uuid.uuid4())) -> None:
        self._catalogue = catalogue
        self._reviews = reviews
        self._new_id = new_id
        self._files: dict[_Key, _SharedFile] = {}
        self.active = 0
        """Downloads that are under way."""

    @deferring
    async def begin(self, account: Account, game_id: str, version: str | None = None, chunk_size: int | None = None, from_seq: int = 0) -> Download:
        """Open a version of a game, the latest where none is named. Fires with the download, which is to be closed by who asked for it.

        Fails with `NotFound`, `BadState` (the game is offline), `ChunkOutOfOrder` (`from_seq` is beyond the number of chunks), or
        `OSError` or `UnreadableFile` where the file is not as it should be.
        """
        stored = await self._catalogue.stored(game_id, version)
        size = min(chunk_size or wire.CHUNK_BYTES, wire.MOST_CHUNK_BYTES)
        chunks = -(-stored.size_bytes // size)
        if from_seq > chunks:
            raise ChunkOutOfOrder(f"this file has {chunks} chunks of {size} bytes; begin at one of them", expected_seq=chunks)
        return Download(downloads=self, download_id=self._new_id(), account=account, stored=stored, chunk_size=size, next_seq=from_seq)

    def finished(self, download: Download) -> Deferred[None]:
        """The reader has been given all chunks. Fires, and never fails, once it is kept who has had the game."""
        return self._reviews.downloaded(download.account.key, download.stored.game_id)

    def open(self, stored: Stored) -> _SharedFile:
        """For `Download`: the open file, once more."""
        key = stored.path, stored.checksum
        file = self._files.get(key)
        if file is None:
            file = self._files[key] = _SharedFile(stored, lambda: self._files.pop(key))
        file.readers += 1
        self.active += 1
        return file

    def close(self, file: _SharedFile) -> None:
        """For `Download`: one reader less."""
        self.active -= 1
        file.release()


class _SharedFile:
    """An open file with any number of readers, each with its own place in it."""

    def __init__(self, stored: Stored, closed: Callable[[], object]) -> None:
        self._path, self._closed = stored.path, closed
        self.readers = 0
        self._descriptor = os.open(stored.path, os.O_RDONLY | os.O_CLOEXEC)
        size = os.fstat(self._descriptor).st_size
        if size != stored.size_bytes:
            os.close(self._descriptor)
            raise UnreadableFile(f"{stored.path} has {size} bytes instead of {stored.size_bytes}")

    def read(self, length: int, offset: int) -> bytes:
        """Just so many bytes; raises `OSError`, or `UnreadableFile` where there are not so many."""
        data = os.pread(self._descriptor, length, offset)
        if len(data) != length:
            raise UnreadableFile(f"{self._path} ends at {offset + len(data)} bytes")
        return data

    def release(self) -> None:
        self.readers -= 1
        if not self.readers:
            os.close(self._descriptor)
            self._closed()


class Download:
    """One file on its way to one player. Nothing is read from disk before `more` asks for it, and nothing is kept."""

    def __init__(self, *, downloads: Downloads, download_id: str, account: Account, stored: Stored, chunk_size: int, next_seq: int) -> None:
        self.download_id = download_id
        self.account = account
        self.stored = stored
        self.chunk_size = chunk_size
        self._downloads = downloads
        self._file: _SharedFile | None = downloads.open(stored)
        self._head = wire.chunk_head(download_id)
        self._seq = next_seq
        self._at_once = chunk_size * max(1, AT_ONCE_BYTES // wire.line_bytes(self._head, chunk_size))

    @property
    def next_bytes(self) -> int:
        """How many bytes of the file `more` gives next; 0 when all were given."""
        return max(0, min(self._at_once, self.stored.size_bytes - self._seq * self.chunk_size))

    def more(self) -> bytes:
        """The next pushes as lines: one chunk, or as many as make a write worth while; empty when all were given.

        Raises `OSError` or `UnreadableFile`. To be called while it is open.
        """
        length = self.next_bytes
        if not length:
            return b""
        assert self._file is not None, "closed"
        data = self._file.read(length, self._seq * self.chunk_size)
        lines = wire.chunks(self._head, self._seq, data, self.chunk_size)
        self._seq += -(-length // self.chunk_size)
        return lines

    def end(self) -> bytes:
        """DOWNLOAD_END, the last push."""
        return wire.end(self.download_id, self.stored.version, self.stored.checksum)

    def close(self) -> None:
        """Let go of the file; more than once is fine."""
        file, self._file = self._file, None
        if file is not None:
            self._downloads.close(file)
