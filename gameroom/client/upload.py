"""Brings a file to the developer door, and goes on where an earlier try has ended (docs/protocol/developer.md, "Upload")."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final

import attrs
import orjson
import pybase64
from twisted.internet.defer import Deferred

from gameroom.client.answers import field
from gameroom.client.files import sum_of
from gameroom.client.lines import LineClient
from gameroom.deferring import deferring
from gameroom.errors import BadState, ChunkOutOfOrder

CHUNK: Final = 262_144
"""Bytes of a chunk: the most there is."""
WINDOW: Final = 8
"""Chunks under way: as many as keep a connection with a way of 100 ms busy at 20 MB/s."""
PATIENCE: Final = 120.0
"""Seconds for the answer to one chunk."""
PUBLISHES_WITHIN: Final = 600.0
"""Seconds for UPLOAD_END, in which the server looks through the whole bundle."""
GOES_BACK: Final = 5
"""So often in a row the server may ask for another chunk than the next without one having been taken."""


@attrs.frozen
class Uploaded:
    """A version that is published. `sent_bytes` is what this try had to send of it."""

    version: str
    is_latest: bool
    sent_bytes: int


@attrs.frozen
class _UnderWay:
    """A chunk that has no answer yet. `end`: the place in the file where it ends."""

    end: int
    answered: Deferred[dict[str, Any]]


class Upload:
    """One upload on its way."""

    def __init__(
        self,
        client: LineClient,
        *,
        game_id: str,
        version: str,
        path: Path,
        progress: Callable[[int, int], None] | None,
        chunk_size: int,
        window: int,
    ) -> None:
        self._client = client
        self._game_id = game_id
        self._version = version
        self._path = path
        self._progress = progress
        self._chunk_size = chunk_size
        self._window = window
        self._upload_id = ""
        self._size = 0
        self._under_way: deque[_UnderWay] = deque()
        self._seq = 0
        self._place = 0
        self._sent = 0
        self._back = 0

    @deferring
    async def run(self) -> Uploaded:
        """As `DeveloperClient.upload`."""
        with self._path.open("rb") as file:
            await self._begin(file)
            while self._place < self._size:
                try:
                    await self._send_all(file)
                except ChunkOutOfOrder:
                    self._back += 1
                    if self._back > GOES_BACK:
                        raise
                finally:
                    self._let_go()
                if self._back:
                    await self._ask_where()
        answer = await self._client.request("UPLOAD_END", {"upload_id": self._upload_id}, timeout=PUBLISHES_WITHIN)
        return Uploaded(field(answer, "version", str), field(answer, "is_latest", bool), self._sent)

    async def _begin(self, file: BinaryIO) -> None:
        self._size = os.fstat(file.fileno()).st_size
        checksum = (await sum_of(file, self._client.clock)).hexdigest()
        declared = {"size_bytes": self._size, "checksum": checksum, "chunk_size": self._chunk_size}
        begun = await self._client.request("UPLOAD_BEGIN", {"game_id": self._game_id, "version": self._version, **declared})
        self._upload_id = field(begun, "upload_id", str)
        self._chunk_size = min(self._chunk_size, field(begun, "chunk_size", int))
        await self._ask_where()

    async def _ask_where(self) -> None:
        """Go on where the server is."""
        status = await self._client.request("UPLOAD_STATUS", {"upload_id": self._upload_id})
        self._seq, self._place = field(status, "next_seq", int), field(status, "received_bytes", int)
        self._tell(self._place)

    async def _send_all(self, file: BinaryIO) -> None:
        """Send what is left. Returns when all of it was taken; raises what the first chunk was refused with that was."""
        file.seek(self._place)
        while self._place < self._size or self._under_way:
            while self._place < self._size and len(self._under_way) < self._window:
                full = self._client.writable()
                if full is not None:
                    await full
                self._send_one(file)
            oldest = self._under_way[0]
            await oldest.answered
            self._under_way.popleft()
            self._back = 0
            self._tell(oldest.end)

    def _send_one(self, file: BinaryIO) -> None:
        data = file.read(min(self._chunk_size, self._size - self._place))
        if not data:
            raise BadState(f"{self._path.name} has become shorter while it was uploaded; try again once it is done")
        payload = {"upload_id": self._upload_id, "seq": self._seq, "data_b64": orjson.Fragment(b'"' + pybase64.b64encode(data) + b'"')}
        answered = self._client.send_line("UPLOAD_CHUNK", self._client.line("UPLOAD_CHUNK", payload), PATIENCE)
        self._seq += 1
        self._place += len(data)
        self._sent += len(data)
        self._under_way.append(_UnderWay(self._place, answered))

    def _let_go(self) -> None:
        """The answers to chunks that were sent behind one that was refused tell nothing."""
        for chunk in self._under_way:
            chunk.answered.addErrback(lambda _: None)
        self._under_way.clear()

    def _tell(self, place: int) -> None:
        if self._progress is not None:
            self._progress(place, self._size)
