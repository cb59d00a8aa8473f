"""Brings a version's file from the lobby, and goes on where an earlier try has ended (docs/protocol/lobby.md, "Download")."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import attrs
import pybase64
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from gameroom.client.answers import field, without_none
from gameroom.client.files import sum_of
from gameroom.client.lines import LineClient
from gameroom.client.stream import ConnectionFailed
from gameroom.deferring import deferring
from gameroom.errors import BadState, ChecksumMismatch, ChunkOutOfOrder, GameroomError, error_of

if TYPE_CHECKING:
    from hashlib import _Hash

CHUNK: Final = 262_144
"""Bytes of a chunk that we ask for: the most there is."""
STALLED: Final = 60.0
"""Seconds without a chunk after which the connection counts as lost."""

Progress = Callable[[int, int], None]


@attrs.frozen
class Wish:
    """What is to come, and where to."""

    game_id: str
    version: str | None
    part: Path
    progress: Progress | None


@attrs.frozen
class Downloaded:
    """A version's file that is there, whole and checked. `checksum`: SHA-256 as 64 hex digits."""

    version: str
    size_bytes: int
    checksum: str
    path: Path


@attrs.define
class _Coming:
    """A download's file while its chunks come."""

    file: BinaryIO
    digest: _Hash
    next_seq: int
    there: int
    size_bytes: int
    chunk_size: int
    progress: Progress | None
    timer: IDelayedCall
    done: Deferred[dict[str, Any]] = attrs.field(factory=Deferred)

    def take(self, payload: dict[str, Any]) -> None:
        """The next chunk. Raises `ConnectionFailed` where it is none, OSError where it cannot be written."""
        if payload.get("seq") != self.next_seq:
            raise ConnectionFailed(f"the server sent chunk {payload.get('seq')} where {self.next_seq} was to come")
        try:
            data = pybase64.b64decode(payload["data_b64"], validate=True)
        except (KeyError, TypeError, ValueError):
            raise ConnectionFailed(f"chunk {self.next_seq} is not base64") from None
        if len(data) != min(self.chunk_size, self.size_bytes - self.there):
            raise ConnectionFailed(f"chunk {self.next_seq} has {len(data)} bytes, which is not what was announced")
        self.file.write(data)
        self.digest.update(data)
        self.there += len(data)
        self.next_seq += 1
        self.timer.reset(STALLED)
        if self.progress is not None:
            self.progress(self.there, self.size_bytes)


class Downloading:
    """The downloads of one connection."""

    def __init__(self, client: LineClient) -> None:
        self._client = client
        self._coming: dict[str, _Coming] = {}
        client.on_push("DOWNLOAD_CHUNK", self._chunk)
        client.on_push("DOWNLOAD_END", self._end)
        client.on_push("DOWNLOAD_ERROR", self._error)

    @deferring
    async def download(self, wish: Wish) -> Downloaded:
        """As `LobbyClient.download`."""
        if wish.version is None:
            # What is there may be of a version that was the latest once.
            latest = await self._client.request("LATEST_VERSION", {"game_id": wish.game_id})
            wish = attrs.evolve(wish, version=field(latest, "version", str))
        wish.part.parent.mkdir(parents=True, exist_ok=True)
        with wish.part.open("a+b") as file:
            _lock(file)
            try:
                return await self._into(file, wish, CHUNK)
            except ChunkOutOfOrder:
                # There is more of it here than the version has: it was something else.
                file.truncate(0)
                return await self._into(file, wish, CHUNK)

    async def _into(self, file: BinaryIO, wish: Wish, chunk_size: int) -> Downloaded:
        from_seq, digest = await self._kept(file, chunk_size)
        fields = without_none(game_id=wish.game_id, version=wish.version, chunk_size=chunk_size, from_seq=from_seq or None)
        begun = await self._client.request("DOWNLOAD_BEGIN", fields)
        download_id, answered = field(begun, "download_id", str), field(begun, "chunk_size", int)
        if answered != chunk_size and from_seq:
            self._cancel(download_id)
            return await self._into(file, wish, answered)
        size_bytes = field(begun, "size_bytes", int)
        coming = _Coming(
            file=file,
            digest=digest,
            next_seq=from_seq,
            there=min(from_seq * answered, size_bytes),
            size_bytes=size_bytes,
            chunk_size=answered,
            progress=wish.progress,
            timer=self._client.clock.callLater(STALLED, self._stalled),
        )
        end = await self._come(download_id, coming)
        file.flush()
        return _checked(coming, wish.part, field(begun, "version", str), end.get("checksum"))

    async def _kept(self, file: BinaryIO, chunk_size: int) -> tuple[int, _Hash]:
        """How many whole chunks are there already, and the sum of them; what is beyond them is cut off."""
        from_seq = file.seek(0, 2) // chunk_size
        file.truncate(from_seq * chunk_size)
        file.seek(0)
        return from_seq, await sum_of(file, self._client.clock)

    async def _come(self, download_id: str, coming: _Coming) -> dict[str, Any]:
        """Wait for the end of it."""
        self._coming[download_id] = coming
        forget = self._client.on_lost(lambda why: self._fail(download_id, ConnectionFailed(why)))
        ended = False
        try:
            end = await coming.done
            ended = True
            return end
        except GameroomError:
            ended = True
            raise
        finally:
            forget()
            self._coming.pop(download_id, None)
            if coming.timer.active():
                coming.timer.cancel()
            if not ended:
                self._cancel(download_id)

    def _cancel(self, download_id: str) -> None:
        """Nobody waits for it any more."""
        if self._client.connected:
            # It may be over already, and whether it was tells us nothing.
            self._client.request("DOWNLOAD_CANCEL", {"download_id": download_id}).addErrback(lambda _: None)

    def _chunk(self, payload: dict[str, Any]) -> None:
        download_id = str(payload.get("download_id"))
        coming = self._coming.get(download_id)
        if coming is None:
            return
        try:
            coming.take(payload)
        except (OSError, ConnectionFailed) as error:
            self._fail(download_id, error)

    def _end(self, payload: dict[str, Any]) -> None:
        coming = self._coming.pop(str(payload.get("download_id")), None)
        if coming is not None and not coming.done.called:
            coming.done.callback(payload)

    def _error(self, payload: dict[str, Any]) -> None:
        code = payload.get("code")
        self._fail(str(payload.get("download_id")), error_of(code if isinstance(code, int) else 199, str(payload.get("message", "")), payload))

    def _fail(self, download_id: str, error: Exception) -> None:
        coming = self._coming.pop(download_id, None)
        if coming is not None and not coming.done.called:
            coming.done.errback(error)

    def _stalled(self) -> None:
        self._client.give_up(f"nothing of a download has come for {STALLED:g} seconds")


def _lock(file: BinaryIO) -> None:
    """Two who write into one part would spoil it. Raises `BadState`."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BadState("this is being downloaded already, here or by another program; wait for that") from None


def _checked(coming: _Coming, part: Path, version: str, declared: Any) -> Downloaded:
    """The file, if it is what was declared; else it is removed."""
    found = coming.digest.hexdigest()
    expected = str(declared or found).lower().removeprefix("sha256:")
    if coming.there == coming.size_bytes and found == expected:
        return Downloaded(version, coming.size_bytes, found, part)
    part.unlink(missing_ok=True)
    if coming.there != coming.size_bytes:
        raise ChecksumMismatch(f"{coming.there} of {coming.size_bytes} bytes have come, and then the end; try again")
    raise ChecksumMismatch("what has come is not what the developer has uploaded (its SHA-256 is another); try again")
