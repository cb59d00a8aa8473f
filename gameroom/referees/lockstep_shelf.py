"""Where the good snapshots of a lock-step play are: on the disk, and in memory while they are used (docs/protocol/lockstep.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from gameroom.wire.room_messages import Outgoing

if TYPE_CHECKING:
    from gameroom.store.snapshot_files import SnapshotFiles

REMEMBERED: Final = 10.0
"""Seconds for which a snapshot stays in memory after its last use; it is on the disk."""


class Shelf:
    """The snapshots that one play has: the newest, and for viewers who are held back one that they may see.

    `kept` are the generations that are there already; `now` gives seconds, `shown()` is the number of masters that viewers may see.
    `metrics` may be None.
    """

    _log = Logger()

    def __init__(self, *, files: SnapshotFiles, kept: list[int], now: Callable[[], float], shown: Callable[[], int], metrics: Any) -> None:
        self.kept = kept
        """In order."""
        self._files = files
        self._now = now
        self._shown = shown
        self._metrics = metrics
        self._memory: dict[int, tuple[Outgoing, float]] = {}

    def newest(self, below: int) -> int | None:
        """The newest generation below that one of which there is a snapshot."""
        return max((generation for generation in self.kept if generation < below), default=None)

    def later(self) -> int | None:
        """The oldest generation of which there is one that viewers may not see yet."""
        return min((generation for generation in self.kept if generation >= self._shown()), default=None)

    def load(self, generation: int) -> Deferred[Outgoing]:
        """Fires with a snapshot as it is sent; fails with `OSError`, and then it is there no more."""
        if generation in self._memory:
            return succeed(self._remember(generation, self._memory[generation][0]))
        reading = self._files.read(generation)
        return reading.addCallbacks(lambda data: self._remember(generation, Outgoing(data)), self._lost, errbackArgs=(generation,))

    def _lost(self, failure: Failure, generation: int) -> Failure:
        self.kept = [each for each in self.kept if each != generation]
        return failure

    def _remember(self, generation: int, snapshot: Outgoing) -> Outgoing:
        self._memory[generation] = snapshot, self._now() + REMEMBERED
        return snapshot

    def keep(self, generation: int, snapshot: Outgoing) -> None:
        """A good one. It is there at once, and on the disk soon."""
        if self.kept and generation <= self.kept[-1]:
            return
        if self._metrics is not None:
            self._metrics.snapshots += 1
        self._remember(generation, snapshot)
        self.kept.append(generation)
        usable, later = self.newest(self._shown()), self.later()
        self.kept = sorted({each for each in (usable, later, generation) if each is not None})
        self._memory = {each: remembered for each, remembered in self._memory.items() if each in self.kept}
        self._files.write(generation, snapshot.data).addErrback(self._not_written, generation)
        self._files.keep_only(self.kept).addErrback(self._not_deleted)

    def _not_written(self, failure: Failure, generation: int) -> None:
        # Who comes while it is still in memory gets it all the same.
        self._log.warn("the snapshot of generation {generation} is not kept: {error}", generation=generation, error=failure.getErrorMessage())

    def _not_deleted(self, failure: Failure) -> None:
        self._log.warn("snapshots that are no longer of use are not deleted: {error}", error=failure.getErrorMessage())

    def forget(self, now: float) -> None:
        """What nobody has used for a while needs no memory."""
        if self._memory:
            self._memory = {generation: remembered for generation, remembered in self._memory.items() if now < remembered[1]}

    def end(self) -> None:
        """The play is over."""
        self.kept, self._memory = [], {}
        self._files.keep_only(()).addErrback(self._not_deleted)
