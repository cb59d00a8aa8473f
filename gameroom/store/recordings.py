"""All recordings of this daemon: `<data>/recordings/<two digits>/<play_id>.ndjson` (docs/protocol/lockstep.md, recording)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from gameroom.deferring import deferring
from gameroom.errors import NotFound
from gameroom.store.ahead_file import HALF, AheadFile
from gameroom.store.ahead_recovery import recover
from gameroom.store.dirty import Dirty
from gameroom.store.disk_watch import DiskWatch
from gameroom.store.recording import Recording
from gameroom.store.recording_paths import PLAY_ID, path_in
from gameroom.store.recording_scan import Scan, open_whole, scan
from gameroom.store.snapshot_files import SnapshotFiles
from gameroom.store.to_disk import ToDisk
from gameroom.store.write_ahead import WriteAhead

SWEEP_EVERY: Final = 3600.0
"""Seconds between looks for recordings that were kept for long enough."""


class Recordings:
    """Makes, takes up, finds and sweeps recordings.

    `clock` gives Unix time; `defer_to_thread(function, *args)` is the reactor's.
    A recording that nothing was written to for `keep` seconds is deleted, and one that has more than `most` bytes goes on no longer.
    """

    _log = Logger()

    def __init__(
        self,
        folder: Path,
        *,
        clock: IReactorTime,
        defer_to_thread: Callable[..., Deferred[Any]],
        keep: float = 30 * 86400.0,
        most: int = 4 << 30,
    ) -> None:
        self._folder = folder
        self._keep = keep
        self._clock = clock
        self._defer_to_thread = defer_to_thread
        self._open: set[Recording] = set()
        self._closing: set[Recording] = set()
        self._to_disk = ToDisk(clock=clock, defer_to_thread=defer_to_thread, done=self._let_go)
        self._ahead: WriteAhead | None = None
        self._disk = DiskWatch(folder, most=most, recordings=lambda: self._open - self._closing, clock=clock, defer_to_thread=defer_to_thread)
        self._next_sweep: IDelayedCall | None = None

    # Finding.

    def path(self, play_id: str) -> Path:
        """Where a play's recording is, or would be; raises `NotFound` for what is no play_id."""
        if not PLAY_ID.fullmatch(play_id):
            raise NotFound("there is no such play")
        return path_in(self._folder, play_id)

    def exists(self, play_id: str) -> bool:
        """Whether there is a recording of a play."""
        return bool(PLAY_ID.fullmatch(play_id)) and self.path(play_id).is_file()

    def open(self, play_id: str) -> Deferred[tuple[BinaryIO, int]]:
        """Fires with a recording to read, whether or not its play is on, and the bytes of its whole lines; fails with `NotFound`."""
        return Deferred.fromCoroutine(self._open_file(play_id))

    async def _open_file(self, play_id: str) -> tuple[BinaryIO, int]:
        path = self.path(play_id)
        self._settle(path)
        try:
            opened: tuple[BinaryIO, int] = await self._defer_to_thread(open_whole, path)
        except FileNotFoundError:
            raise NotFound("there is no recording of this play, or it was kept for long enough") from None
        return opened

    def _settle(self, path: Path) -> None:
        """Have everything in the file, where it is the recording of a play that is on."""
        for recording in self._open:
            if recording.path == path:
                self._try_to_settle(recording)

    def _try_to_settle(self, recording: Recording) -> None:
        try:
            recording.settle()
        except OSError as error:
            # It is tried again, and until then it stands where it is.
            self._log.error("{path} lacks its end: {error}", path=str(recording.path), error=str(error))

    # Making.

    def create(self, play_id: str, header: Mapping[str, Any], *, binary: bool, sync: bool) -> Recording:
        """Begin the recording of a play now. Raises `OSError`, `RecordingFull` where too little is left of the disk."""
        self._disk.check()
        path, started = self.path(play_id), self._clock.seconds()
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        recording = self._recording(path, fd, started=started, binary=binary, sync=sync)
        self._open.add(recording)
        started_at = datetime.fromtimestamp(started, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        try:
            recording.head({"type": "play", "play_id": play_id, **header, "encoding": "binary" if binary else "json", "started_at": started_at})
        except OSError:
            self.discard(recording)
            raise
        return recording

    def _recording(self, path: Path, fd: int, *, started: float, binary: bool, sync: bool) -> Recording:
        return Recording(path, fd, started=started, binary=binary, sync=sync, dirty=self._to_disk.add, write_ahead=self._ahead)

    def take_up(self, play_id: str, *, sync: bool) -> Deferred[tuple[Recording, Scan]]:
        """Open a recording after a restart, and cut off a torn last line.

        Fires with it and what it holds; fails with `RecordingDamaged`, or `OSError` where there is none.
        """
        path = self.path(play_id)

        def found(scanned: Scan) -> tuple[Recording, Scan]:
            fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
            recording = self._recording(path, fd, started=scanned.started, binary=scanned.binary, sync=sync)
            try:
                recording.take_up(scanned)
            except OSError:
                recording.close()
                raise
            self._open.add(recording)
            return recording, scanned

        scanning: Deferred[Scan] = self._defer_to_thread(scan, path)
        return scanning.addCallback(found)

    def snapshots(self, play_id: str) -> SnapshotFiles:
        """The snapshots of a play that is on."""
        return SnapshotFiles(self.path(play_id), self._defer_to_thread)

    def close(self, recording: Recording) -> None:
        """Nothing more is written; the file is closed once it is on the disk."""
        self._try_to_settle(recording)
        self._closing.add(recording)
        self._let_go([recording])

    def discard(self, recording: Recording) -> None:
        """The play did not begin: there is nothing to keep."""
        self.close(recording)
        recording.path.unlink(missing_ok=True)

    def _let_go(self, recordings: Iterable[Dirty]) -> None:
        for recording in self._closing.intersection(recordings) if self._closing else ():
            if not recording.ahead and not self._to_disk.busy_with(recording):
                self._closing.discard(recording)
                self._open.discard(recording)
                recording.close()

    # Keeping.

    @deferring
    async def start(self) -> None:
        """Put back what a daemon that was killed has left ahead of its recordings, before anything is read of them.

        From now on lines go ahead where that is safe; look each hour for what was kept for long enough, and each second at what is left of the
        disk. Raises `OSError` where something cannot be put back: nobody may go on with a recording that lacks it.
        """
        file: AheadFile | None = await self._defer_to_thread(_begin, self._folder)
        if file is not None:
            self._ahead = WriteAhead(file, clock=self._clock, to_disk=self._to_disk)
        self._disk.start()
        self._sweep_hourly()

    @deferring
    async def stop(self) -> None:
        """The daemon goes down; plays that are on are taken up by the next one. Fires when everything is on the disk and closed."""
        self._disk.stop()
        if self._next_sweep is not None and self._next_sweep.active():
            self._next_sweep.cancel()
        if self._ahead is not None:
            self._ahead.stop()
        await self._to_disk.stop()
        for recording in self._open:
            recording.close()
        self._open.clear()
        self._closing.clear()
        if self._ahead is not None:
            self._ahead.close()

    def _sweep_hourly(self) -> None:
        self._next_sweep = self._clock.callLater(SWEEP_EVERY, self._sweep_hourly)
        sweeping = self.sweep()
        sweeping.addErrback(lambda failure: self._log.failure("deleting old recordings broke", failure))

    def sweep(self) -> Deferred[int]:
        """Delete the recordings that were kept for long enough. Fires with their number."""
        in_use = {recording.path for recording in self._open}
        sweeping: Deferred[int] = self._defer_to_thread(_sweep, self._folder, self._clock.seconds() - self._keep, in_use)
        return sweeping


def _begin(folder: Path) -> AheadFile | None:
    """In a thread: what was left is put back. Gives a file for what goes ahead from now on, where there can be one."""
    folder.mkdir(parents=True, exist_ok=True)
    if missing := recover(folder):
        Recordings._log.info("a daemon was killed here: {missing} bytes that were ahead of recordings are in them now", missing=missing)
    try:
        return AheadFile.create(folder, HALF)
    except OSError as error:
        Recordings._log.warn("nothing can go ahead of recordings, which costs speed: {error}", error=str(error))
        return None


def _sweep(folder: Path, before: float, in_use: set[Path]) -> int:
    deleted = 0
    for path in folder.glob("[0-9a-f][0-9a-f]/*.ndjson"):
        if path not in in_use and _is_older(path, before):
            path.unlink(missing_ok=True)
            deleted += 1
    plays = {path.stem for path in in_use}
    for leftover in (*folder.glob("[0-9a-f][0-9a-f]/*.*.*"), *folder.glob("*.new")):
        # Snapshots of plays, and files for what is ahead, of daemons that were killed at the end of the one and the beginning of the other.
        if leftover.name.partition(".")[0] not in plays and _is_older(leftover, before):
            leftover.unlink(missing_ok=True)
    return deleted


def _is_older(path: Path, than: float) -> bool:
    try:
        return path.stat().st_mtime < than
    except FileNotFoundError:
        # A play that ends takes its snapshots away itself.
        return False
