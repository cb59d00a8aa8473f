"""Publishing: how an upload whose bytes are all there becomes a version, in one step (spec: lobby.md, Upload).

Theory. First the file is brought to the disk and looked at, then it is put into its place, and last, in one transaction, the version is
written down and the upload forgotten. That transaction is the step: before it readers do not know the version, and whoever starts the daemon
again finds the unfinished upload with all its bytes, and a file in a place that nobody knows, which is removed. After it, the version is whole.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gameroom.errors import ChecksumMismatch, Conflict, InvalidRequest, NotFound
from gameroom.interfaces import IDatabase
from gameroom.rules import transfer
from gameroom.rules.manifest import Manifest
from gameroom.settings import Limits
from gameroom.store import UniqueViolation, bundle_check, catalogue
from gameroom.store import uploads as sql
from gameroom.store.bundles import BundleFiles, Record
from gameroom.store.free_disk import DiskFull, is_full
from gameroom.store.upload_files import UploadFile
from gameroom.store.uploads import UploadRow

HOPELESS = (InvalidRequest, ChecksumMismatch, Conflict, NotFound)
"""After these an upload will never be published."""


class Publishing:
    """Makes versions of uploads. `defer_to_thread(function, *args)` is where files are read and brought to the disk."""

    _log = Logger()

    def __init__(
        self,
        *,
        database: IDatabase,
        bundles: BundleFiles,
        clock: IReactorTime,
        limits: Callable[[], Limits],
        defer_to_thread: Callable[..., Deferred[Any]],
    ) -> None:
        self._database, self._bundles, self._clock = database, bundles, clock
        self._limits, self._defer_to_thread = limits, defer_to_thread

    async def publish(self, row: UploadRow, file: UploadFile) -> bool:
        """Make the upload a version; gives whether it is the latest.

        Raises one of `HOPELESS`; or what is no fault of the upload's, which is as it was then: `DiskFull`, `Forbidden`, an error of the database.
        """
        checksum, manifest = await self._defer_to_thread(_looked_at, file, row.checksum, self._limits())
        developer = await self._database.interact(sql.check_publishable, row)
        version = catalogue.Version(
            game_id=row.game_id,
            version=row.version,
            size_bytes=row.size_bytes,
            checksum=checksum,
            uploaded_ms=int(self._clock.seconds() * 1000),
            hosting=manifest.to_json(),
        )
        await self._defer_to_thread(_placed, self._bundles, file.path, version, developer)
        is_latest = await self._write_down(row, version)
        message = "version {version} of game {game_id} is published by {developer}: {size} bytes, {checksum}"
        self._log.info(message, version=row.version, game_id=row.game_id, developer=developer, size=row.size_bytes, checksum=checksum)
        return is_latest

    async def _write_down(self, row: UploadRow, version: catalogue.Version) -> bool:
        """The transaction; what cannot be written down does not stay in its place."""
        try:
            return await self._database.interact(sql.publish, row, version)
        except UniqueViolation:
            # Somebody has published this version at the same moment, and whose file is in the place is not known.
            raise transfer.is_uploaded(row.version) from None
        except Conflict:
            raise
        except Exception:
            # Where the connection was lost while it committed, or another node was asked for the same END, it has happened all the same.
            is_latest = await self._database.interact(sql.published, row)
            if is_latest is not None:
                return is_latest
            await self._defer_to_thread(self._bundles.remove, row.game_id, row.version)
            raise


def _looked_at(file: UploadFile, declared: str, limits: Limits) -> tuple[str, Manifest]:
    """In a thread: the checksum, and what the bundle says of itself; the bytes are on the disk then."""
    file.to_disk()
    checksum = file.sha256()
    if declared and checksum != declared:
        raise ChecksumMismatch(f"the bytes that came have SHA-256 {checksum}, not the one that UPLOAD_BEGIN declared; upload the file again")
    return checksum, bundle_check.inspect(file.path, limits)


def _placed(bundles: BundleFiles, path: Path, version: catalogue.Version, developer: str) -> None:
    """In a thread: put the file into its place."""
    record = Record(
        game_id=version.game_id,
        version=version.version,
        size_bytes=version.size_bytes,
        checksum=version.checksum,
        uploaded_ms=version.uploaded_ms,
        developer=developer,
        hosting=version.hosting,
    )
    try:
        bundles.place(path, record)
    except OSError as error:
        if is_full(error):
            raise DiskFull from None
        raise
