"""Looks after the disk that recordings are written to: nobody who plays may fill it for everyone else (docs/operations.md)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from errno import EFBIG, ENOSPC
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from gameroom.store.recording import Recording

EVERY: Final = 1.0
"""Seconds between two looks."""
SPARED_BYTES: Final = 1 << 30
"""So much of the disk is left to accounts, rooms and all else; of a small disk `SPARED_PART`."""
SPARED_PART: Final = 0.05

TOO_LONG: Final = "this recording is as long as one may be"
NO_SPACE: Final = "what is left of the disk is not for recordings"


class RecordingFull(OSError):
    """A recording that may not grow any more."""


class DiskWatch:
    """Looks each second at the recordings that are open, and at what is left of their disk.

    `most` is how many bytes a recording may have. Where one is longer, or too little is left, its `failed` is called with `RecordingFull`.
    """

    _log = Logger()

    def __init__(
        self,
        folder: Path,
        *,
        most: int,
        recordings: Callable[[], Iterable[Recording]],
        clock: IReactorTime,
        defer_to_thread: Callable[..., Deferred[Any]],
    ) -> None:
        self.short = False
        """Whether too little of the disk is left to begin a recording."""
        self._folder = folder
        self._most = most
        self._recordings = recordings
        self._clock = clock
        self._defer_to_thread = defer_to_thread
        self._next: IDelayedCall | None = None

    def start(self) -> None:
        """Look from now on."""
        self._next = self._clock.callLater(EVERY, self._again)

    def stop(self) -> None:
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = None

    def _again(self) -> None:
        self.look().addErrback(lambda failure: self._log.failure("looking at the disk of recordings broke", failure)).addBoth(self._rest)

    def _rest(self, result: object) -> None:
        if self._next is not None:
            self.start()

    def look(self) -> Deferred[None]:
        """Do it now; fires when those are told whom it concerns."""
        looking: Deferred[int | None] = self._defer_to_thread(_look, self._folder)
        return looking.addCallback(self._seen)

    def _seen(self, missing: int | None) -> None:
        was_short, self.short = self.short, missing is not None
        if self.short and not was_short:
            message = "the disk of {folder} is nearly full, so plays end and none begin: {missing} bytes more must be free"
            self._log.error(message, folder=self._folder, missing=missing)
        for recording in list(self._recordings()):
            if self.short:
                _tell(recording, RecordingFull(ENOSPC, NO_SPACE))
            elif recording.size > self._most:
                _tell(recording, RecordingFull(EFBIG, TOO_LONG))

    def check(self) -> None:
        """Whether a recording may begin; raises `RecordingFull`."""
        if self.short:
            raise RecordingFull(ENOSPC, NO_SPACE)


def _tell(recording: Recording, error: RecordingFull) -> None:
    if recording.failed is not None:
        recording.failed(error)


def _look(folder: Path) -> int | None:
    """In a thread: how many bytes are missing of what is to be left free. None for enough."""
    try:
        disk = os.statvfs(folder)
    except FileNotFoundError:
        # There is none before the first start.
        return None
    missing = min(SPARED_BYTES, int(disk.f_blocks * disk.f_frsize * SPARED_PART)) - disk.f_bavail * disk.f_frsize
    return missing if missing > 0 else None
