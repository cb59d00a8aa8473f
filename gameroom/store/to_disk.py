"""Brings what recordings have written, and what is ahead of them, to the disk: in a thread, for all that is dirty at once.

50 ms after a write, or at once where a play's journal is `sync`; what is written meanwhile goes together next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from gameroom.store.dirty import Dirty
from gameroom.store.file_systems import syncfs

SYNC_AFTER: Final = 0.05
"""Seconds until what was written is safe from a loss of power as well."""
MANY: Final = 4
"""So many recordings are brought to the disk together: one by one each of them is a commit of the file system's journal."""


class ToDisk:
    """The recordings that are dirty. `done(recordings)` is called after each pass, with those that it had."""

    _log: ClassVar = Logger()

    def __init__(self, *, clock: IReactorTime, defer_to_thread: Callable[..., Deferred[Any]], done: Callable[[Sequence[Dirty]], None]) -> None:
        self._clock: Any = clock
        self._defer_to_thread = defer_to_thread
        self._done = done
        self._dirty: list[Dirty] = []
        self._begun = 0
        """How many passes have begun."""
        self.ended = 0
        """The number of the newest that has ended."""
        self._under_way: list[Dirty] = []
        self._due: Any = None
        self._stopped: Deferred[None] | None = None

    def busy_with(self, recording: Dirty) -> bool:
        """Whether there is something of it that is not on the disk yet."""
        return recording.dirty or recording in self._under_way

    def pass_for(self, recording: Dirty) -> int:
        """The number of the pass with which all that was written to this one by now is on the disk, or is said to have failed."""
        return self._begun + 1 if recording.dirty else self._begun

    def add(self, recording: Dirty) -> None:
        """Something was written to this one, for the first time since it was last taken."""
        self._dirty.append(recording)
        if self._under_way:
            return
        if recording.sync:
            self._begin()
        elif self._due is None:
            self._due = self._clock.callLater(SYNC_AFTER, self._begin)

    def _begin(self) -> None:
        self._cancel()
        self._begun += 1
        self._under_way, self._dirty = self._dirty, []
        for recording in self._under_way:
            recording.dirty = False
        syncing: Deferred[list[int | OSError]] = self._defer_to_thread(_all_to_disk, tuple(self._under_way))
        syncing.addCallbacks(self._end, self._broken)

    def _cancel(self) -> None:
        if self._due is not None and self._due.active():
            self._due.cancel()
        self._due = None

    def _end(self, results: list[int | OSError]) -> None:
        recordings, self._under_way = self._under_way, []
        self.ended = self._begun
        for recording, result in zip(recordings, results, strict=True):
            try:
                self._tell(recording, result)
            except Exception:
                self._log.failure("{path}: what was to be done once it is on the disk failed", path=str(recording.path))
        self._done(recordings)
        self._go_on()

    def _tell(self, recording: Dirty, result: int | OSError) -> None:
        if isinstance(result, OSError):
            self._log.error("{path} may not be on the disk: {error}", path=str(recording.path), error=str(result))
            if recording.failed is not None:
                recording.failed(result)
        elif recording.synced is not None:
            recording.synced(result)

    def _broken(self, failure: Failure) -> None:
        self._log.failure("bringing recordings to the disk broke", failure)
        self._end([OSError(failure.getErrorMessage())] * len(self._under_way))

    def _go_on(self) -> None:
        if self._under_way or self._due is not None:
            return
        if self._dirty:
            if self._stopped is not None or any(recording.sync for recording in self._dirty):
                self._begin()
            else:
                self._due = self._clock.callLater(SYNC_AFTER, self._begin)
        elif self._stopped is not None:
            stopped, self._stopped = self._stopped, None
            stopped.callback(None)

    def stop(self) -> Deferred[None]:
        """Fires when everything is on the disk."""
        self._stopped = stopped = Deferred[None]()
        self._cancel()
        self._go_on()
        return stopped


def _all_to_disk(recordings: Sequence[Dirty]) -> list[int | OSError]:
    masters = [recording.masters for recording in recordings]
    if len(recordings) >= MANY and _together(recordings):
        return [*masters]
    results: list[int | OSError] = []
    for recording in recordings:
        try:
            results.append(recording.to_disk())
        except OSError as error:
            results.append(error)
    return results


def _together(recordings: Sequence[Dirty]) -> bool:
    """Bring to the disk all that their file systems have. False where that cannot be, or one of them may not be there."""
    if syncfs is None:
        return False
    try:
        for fd in {recording.device: recording.fileno() for recording in recordings}.values():
            syncfs(fd)
    except OSError:
        return False
    return True
