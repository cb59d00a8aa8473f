"""Uploads: from UPLOAD_BEGIN to a version that everybody can have (spec: lobby.md, Upload; the rules are in rules/transfer.py).

A chunk is in its file before it is answered, so it survives that the daemon is killed; END brings the file to the disk.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from gameroom.deferring import deferring
from gameroom.errors import Forbidden
from gameroom.interfaces import IDatabase
from gameroom.publishing import HOPELESS, Publishing
from gameroom.rules import transfer, versions
from gameroom.rules.sessions import Account
from gameroom.rules.times import rfc3339
from gameroom.rules.transfer import State
from gameroom.settings import Limits, StoreSettings
from gameroom.store import UniqueViolation
from gameroom.store import uploads as sql
from gameroom.store.bundles import BundleFiles
from gameroom.store.free_disk import FreeDisk
from gameroom.store.upload_files import UploadFile, UploadFiles, write_out
from gameroom.store.uploads import UploadRow

EXPIRED_EVERY: Final = 3600.0
"""Seconds between two looks for uploads that are too old."""
IDLE: Final = 60.0
"""Seconds after which an upload that nobody sends to has its files closed."""
REMEMBERED: Final = 1024
"""Uploads that are in memory; others are found again by the database and their files."""
WRITTEN_OUT: Final = 8 << 20
"""Bytes of an upload after which the kernel is told to begin to write: what waits to be written stays little, and delays nobody."""


@attrs.frozen
class Begun:
    """What UPLOAD_BEGIN answers."""

    upload_id: str
    chunk_size: int


@attrs.frozen
class Published:
    """What UPLOAD_END answers."""

    version: str
    is_latest: bool


@attrs.define(eq=False)
class _Upload:
    """An upload that is in memory."""

    row: UploadRow
    file: UploadFile
    state: State = State.OPEN
    waiting: list[Deferred[Published]] = attrs.field(factory=list)
    """Those who have asked for its end."""


class Uploads:
    """The unfinished uploads, in `folder`; finished ones go to `bundles`.

    `boot` names this boot of the machine: what another one has written may be lost. `defer_to_thread(function, *args)` is for files, and
    `publish_in_thread` for what takes seconds of END, so that nothing else waits behind it; without it that is done in the same threads.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        database: IDatabase,
        bundles: BundleFiles,
        folder: Path,
        clock: IReactorTime,
        limits: Callable[[], Limits],
        settings: StoreSettings,
        defer_to_thread: Callable[..., Deferred[Any]],
        random_bytes: Callable[[int], bytes],
        boot: str,
        publish_in_thread: Callable[..., Deferred[Any]] | None = None,
    ) -> None:
        self._database, self._clock, self._limits, self._settings = database, clock, limits, settings
        self._defer_to_thread, self._random_bytes, self._boot = defer_to_thread, random_bytes, boot
        self._files = UploadFiles(folder)
        self._disk = FreeDisk(folder, clock.seconds)
        long = publish_in_thread or defer_to_thread
        self._publishing = Publishing(database=database, bundles=bundles, clock=clock, limits=limits, defer_to_thread=long)
        self._unfinished: set[str] = set()
        self._live: OrderedDict[str, _Upload] = OrderedDict()
        self._finishing: set[Deferred[None]] = set()
        self._writing_out = False
        self._looks = LoopingCall(self._expire), LoopingCall(self._close_idle)
        for look in self._looks:
            look.clock = clock

    @property
    def active(self) -> int:
        """How many uploads are begun and not finished."""
        return len(self._unfinished)

    @deferring
    async def start(self) -> None:
        """Put right what a crash has left, and drop what is too old. Fires when uploads may come."""
        await self._database.interact(sql.forget_published)
        await self._database.interact(sql.forget_old, self._too_old_ms(), [])
        rows = await self._database.interact(sql.everything)
        self._unfinished = {row.upload_id for row in rows}
        strangers = await self._defer_to_thread(self._files.reconcile, self._unfinished)
        if strangers:
            self._log.info("left over of uploads that ended, and deleted: {files}", files=", ".join(strangers))
        others = [row for row in rows if row.boot != self._boot]
        await self._defer_to_thread(_after_reboot, self._files, others)
        await self._database.interact(sql.take_over, [row.upload_id for row in others], self._boot)
        for look, seconds in zip(self._looks, (EXPIRED_EVERY, IDLE), strict=True):
            look.start(seconds, now=False)

    @deferring
    async def stop(self) -> None:
        """Fires when what is being finished is, and all files are closed."""
        for look in self._looks:
            if look.running:
                look.stop()
        for finishing in list(self._finishing):
            await finishing
        self._files.close_all()
        self._live.clear()

    # What a developer asks for.

    @deferring
    async def begin(  # noqa: PLR0917 - these are the fields of UPLOAD_BEGIN
        self, account: Account, game_id: str, version: str, size_bytes: int, checksum: str | None = None, chunk_size: int | None = None
    ) -> Begun:
        """UPLOAD_BEGIN: a new upload, or the unfinished one of the same version, size and checksum.

        Fails with `InvalidRequest`, `NotFound` (the game), `Forbidden` (another developer's), `Conflict` (the version is there, or is being
        uploaded with another size or checksum) or `BadState` (too many uploads, or no room on the disk).
        """
        suggested = transfer.suggested_chunk(chunk_size)
        transfer.check_size(size_bytes, self._limits().bundle_bytes)
        wanted = UploadRow(
            upload_id=str(UUID(bytes=self._random_bytes(16), version=4)),
            game_id=game_id,
            developer=account.account_id,
            version=versions.parse(version).text,
            size_bytes=size_bytes,
            checksum=transfer.declared_checksum(checksum),
            begun_ms=self._now_ms(),
            boot=self._boot,
        )
        spare = await self._defer_to_thread(self._disk.spare)
        try:
            row = await self._database.interact(sql.begin, wanted, spare)
        except UniqueViolation:
            # Somebody has begun the same version at the same moment.
            row = await self._database.interact(sql.begin, wanted, spare)
        self._unfinished.add(row.upload_id)
        if row is wanted:
            self._log.info("{username} uploads version {version} of game {game_id}", username=account.username, version=version, game_id=game_id)
        return Begun(row.upload_id, suggested)

    def chunk(self, account: Account, upload_id: str, seq: int, data: bytes) -> Deferred[None] | None:
        """UPLOAD_CHUNK. None once it is written, which is nearly always at once; a Deferred where the upload has to be found first.

        Raises, or fails with, `InvalidRequest`, `Forbidden`, `ChunkOutOfOrder`, `BadState` (no such upload, too many bytes, or the disk is full).
        """
        upload = self._live.get(upload_id)
        if upload is None:
            return self._find_for_chunk(account, upload_id, seq, data)
        self._take(upload, account, seq, data)
        return None

    @deferring
    async def _find_for_chunk(self, account: Account, upload_id: str, seq: int, data: bytes) -> None:
        transfer.check_chunk(len(data))
        self._take(await self._find(account, upload_id), account, seq, data)

    def _take(self, upload: _Upload, account: Account, seq: int, data: bytes) -> None:
        length = len(data)
        transfer.check_chunk(length)
        _require_own(upload.row, account)
        if upload.state is not State.OPEN:
            transfer.require_open(upload.state)
        file = upload.file
        self._files.reopen(file, self._clock.seconds())
        if transfer.is_next(seq, length, file.next_seq, file.received, upload.row.size_bytes):
            self._disk.require(length)
            file.append(data)
            if file.dirty >= WRITTEN_OUT and not self._writing_out:
                self._write_out(file)
        elif not file.has(seq, data):
            raise transfer.out_of_order(file.next_seq)

    @deferring
    async def status(self, account: Account, upload_id: str) -> dict[str, int]:
        """UPLOAD_STATUS: `next_seq`, `received_bytes` and `size_bytes`. Fails with `BadState` or `Forbidden`."""
        upload = await self._find(account, upload_id)
        return {"next_seq": upload.file.next_seq, "received_bytes": upload.file.received, "size_bytes": upload.row.size_bytes}

    @deferring
    async def unfinished(self, account: Account, game_id: str | None = None) -> list[dict[str, Any]]:
        """LIST_UPLOADS: this developer's, of one game or of all, the oldest first. Fails with `NotFound` or `Forbidden` (the game)."""
        rows = await self._database.interact(sql.own, account.account_id, game_id)
        # One that has ended since is not looked for: that would make its files anew.
        return [self._listed(row) for row in rows if row.upload_id in self._unfinished]

    def _listed(self, row: UploadRow) -> dict[str, Any]:
        file = (self._live.get(row.upload_id) or self._remember(row)).file
        return {
            "upload_id": row.upload_id,
            "game_id": row.game_id,
            "version": row.version,
            "size_bytes": row.size_bytes,
            "received_bytes": file.received,
            "next_seq": file.next_seq,
            "begun_at": rfc3339(row.begun_ms),
        }

    @deferring
    async def end(self, account: Account, upload_id: str) -> Published:
        """UPLOAD_END: check the file and make it a version; fires when that survives a power cut. Who asks meanwhile is told the same.

        Fails with `Forbidden`; with `BadState` (no such upload, bytes are missing, or the disk is full), after which it may be tried again; and
        with `ChecksumMismatch`, `InvalidRequest` (a faulty bundle), `Conflict` or `NotFound`, after which the upload is gone.
        """
        upload = await self._find(account, upload_id)
        begin = upload.state is not State.FINISHING
        if begin:
            transfer.require_open(upload.state)
            transfer.require_whole(upload.file.received, upload.row.size_bytes)
        answer: Deferred[Published] = Deferred()
        upload.waiting.append(answer)
        if begin:
            upload.state = State.FINISHING
            finishing = Deferred.fromCoroutine(self._finish(upload))
            self._finishing.add(finishing)
            finishing.addBoth(lambda _: self._finishing.discard(finishing))
        return await answer

    @deferring
    async def cancel(self, account: Account, upload_id: str) -> None:
        """CANCEL_UPLOAD: drop it. Fails with `Forbidden` or `BadState` (no such upload, or it is just being finished)."""
        upload = await self._find(account, upload_id)
        transfer.require_open(upload.state)
        upload.state = State.GONE
        try:
            await self._database.interact(sql.forget, upload_id)
        except Exception:
            upload.state = State.OPEN
            raise
        await self._discard(upload_id)

    # How it goes on with them.

    async def _find(self, account: Account, upload_id: str) -> _Upload:
        upload = self._live.get(upload_id)
        if upload is not None:
            _require_own(upload.row, account)
            return upload
        # PostgreSQL takes no NUL.
        row = None if "\0" in upload_id else await self._database.interact(sql.find, upload_id)
        if row is None:
            raise transfer.unknown_upload()
        _require_own(row, account)
        # Two may have looked for it at once.
        return self._live.get(upload_id) or self._remember(row)

    def _remember(self, row: UploadRow) -> _Upload:
        upload = self._live[row.upload_id] = _Upload(row, self._files.take(row.upload_id, self._clock.seconds()))
        for upload_id, other in list(self._live.items())[: max(0, len(self._live) - REMEMBERED)]:
            if other.state is State.OPEN:
                self._forget(upload_id)
        return upload

    def _forget(self, upload_id: str) -> _Upload | None:
        """Leave it to its files and the database."""
        upload = self._live.pop(upload_id, None)
        if upload is not None:
            self._files.close(upload.file)
        return upload

    async def _discard(self, upload_id: str) -> None:
        """It is not in the database any more: nor are its files to be, and where that fails the next start tidies up."""
        self._unfinished.discard(upload_id)
        upload = self._forget(upload_id)
        if upload is not None:
            upload.state = State.GONE
        try:
            await self._defer_to_thread(self._files.discard, upload_id)
        except OSError as error:
            self._log.error("the files of upload {upload_id} are still there: {error}", upload_id=upload_id, error=str(error))

    async def _finish(self, upload: _Upload) -> None:
        """Publish it, or drop it where that can never be, and tell all who wait."""
        outcome: Published | Failure
        try:
            outcome = Published(upload.row.version, await self._publishing.publish(upload.row, upload.file))
            await self._discard(upload.row.upload_id)
        except Exception as error:
            outcome = Failure()
            await self._unpublished(upload, error)
        waiting, upload.waiting = upload.waiting, []
        for answer in waiting:
            answer.callback(outcome)

    async def _unpublished(self, upload: _Upload, error: Exception) -> None:
        upload_id = upload.row.upload_id
        try:
            if isinstance(error, HOPELESS):
                self._log.info("upload {upload_id} is dropped: {why}", upload_id=upload_id, why=error.message)
                await self._database.interact(sql.forget, upload_id)
            if await self._database.interact(sql.find, upload_id) is None:
                await self._discard(upload_id)
                return
        except Exception:
            self._log.failure("whether upload {upload_id} is still there is not known", upload_id=upload_id)
            # The database is asked again when somebody asks for it.
            self._forget(upload_id)
        upload.state = State.OPEN

    def _write_out(self, file: UploadFile) -> None:
        try:
            dirty = file.take_dirty()
        except OSError:
            # No descriptor is free. The kernel writes by itself, too, only later.
            return
        self._writing_out = True
        self._defer_to_thread(write_out, *dirty).addBoth(self._written_out)

    def _written_out(self, result: object) -> None:
        self._writing_out = False

    def _close_idle(self) -> None:
        self._files.close_idle(self._clock.seconds() - IDLE)

    def _expire(self) -> Deferred[None]:
        return self.expire().addErrback(lambda failure: self._log.error("old uploads were not dropped: {why}", why=failure.getErrorMessage()))

    @deferring
    async def expire(self) -> None:
        """Drop those that were begun too long ago; fires when they are gone."""
        finishing = [upload_id for upload_id, upload in self._live.items() if upload.state is State.FINISHING]
        for upload_id in await self._database.interact(sql.forget_old, self._too_old_ms(), finishing):
            self._log.info("upload {upload_id} was not finished in time", upload_id=upload_id)
            upload = self._live.get(upload_id)
            if upload is None or upload.state is not State.FINISHING:
                # One whose END came meanwhile finds by itself that it is gone.
                await self._discard(upload_id)

    def _too_old_ms(self) -> int:
        return self._now_ms() - int(self._settings.keep_uploads * 1000)

    def _now_ms(self) -> int:
        return int(self._clock.seconds() * 1000)


def _require_own(row: UploadRow, account: Account) -> None:
    if row.developer != account.account_id:
        raise Forbidden("this upload is another developer's")


def _after_reboot(files: UploadFiles, rows: list[UploadRow]) -> None:
    """In a thread: what may have been lost with the power is uploaded again, unless a checksum will tell."""
    for row in rows:
        file = files.take(row.upload_id, 0.0)
        if row.checksum:
            file.mend()
        else:
            file.start_over()
        files.close(file)
