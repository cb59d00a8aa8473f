"""Lines of recordings go ahead of them: into one mapped file at once, and to each recording a second later, many together.

Of many rooms that each have a turn now and then, a `write` to the recording costs more than anything else that a turn does.
What is ahead comes to the disk as recordings do, 50 ms later: one small file, instead of hundreds that grow.
Half of it is used again when all that stands there is in the recordings, and on the disk. Where it has no room, lines go their own way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Final

from twisted.logger import Logger

from gameroom.store.ahead_file import AheadFile
from gameroom.store.dirty import Dirty

if TYPE_CHECKING:
    from gameroom.store.recording import Recording

SETTLE_AFTER: Final = 1.0
"""Seconds until lines that are ahead are written to their recordings."""
AT_ONCE: Final = 64
"""So many recordings are written to before all else has its turn."""


class WriteAhead(Dirty):
    """What is ahead of the recordings of this daemon. `clock` calls later."""

    _log: ClassVar = Logger()

    def __init__(self, file: AheadFile, *, clock: Any, dirty: Callable[[Dirty], None]) -> None:
        super().__init__(file.path, file.fileno(), dirty)
        self._file = file
        self._on = True
        self._clock = clock
        self._due: Any = None
        self._have: list[Recording] = []
        """Those with lines in the half that is being filled."""
        self._queue: list[Recording] = []
        """Those with lines in the other one that are to be written to."""
        self._settling: set[Dirty] = set()
        """Those that have been, and are not on the disk."""
        self.failed = self._broken

    def put(self, recording: Recording, lines: bytes) -> bool:
        """The next lines of a recording. False where they are to be written to it directly."""
        if not self._on:
            return False
        file, key, offset = self._file, recording.key, recording.size
        if not file.put(key, offset, lines) and not (self._turn() and file.put(key, offset, lines)):
            return False
        if not recording.ahead:
            self._have.append(recording)
        if not self.dirty:
            self.mark_dirty()
        if self._due is None:
            self._due = self._clock.callLater(SETTLE_AFTER, self._again)
        return True

    def _again(self) -> None:
        self._due = None
        if self._have and not self._turn():
            # The disk is slow: the half that is being filled must do for now.
            self._due = self._clock.callLater(SETTLE_AFTER, self._again)

    def _turn(self) -> bool:
        """Go on in the other half, and have what is in this one written to the recordings. False where the other is still needed."""
        if self._queue or self._settling:
            return False
        self._file.turn()
        self._queue, self._have = self._have, []
        self._clock.callLater(0, self._settle_some)
        return True

    def _settle_some(self) -> None:
        some, self._queue = self._queue[:AT_ONCE], self._queue[AT_ONCE:]
        for recording in some:
            self._settle(recording)
            if recording.dirty:
                self._settling.add(recording)
        if self._queue:
            self._clock.callLater(0, self._settle_some)

    def _settle(self, recording: Recording) -> None:
        try:
            recording.settle()
        except OSError as error:
            # It is tried again with the next ones.
            if self._on:
                self._have.append(recording)
            # Told later: somebody may be in the middle of writing to it, and who hears of it may have a last word for it.
            self._clock.callLater(0, self._not_settled, recording, error)

    def _not_settled(self, recording: Recording, error: OSError) -> None:
        self._log.error("{path} lacks its end: {error}", path=str(recording.path), error=str(error))
        if recording.failed is not None:
            recording.failed(error)

    def on_disk(self, recordings: Iterable[Dirty]) -> None:
        """What was written to these is on the disk, but for those that are dirty again."""
        if self._settling:
            self._settling.difference_update([each for each in recordings if not each.dirty])

    def _broken(self, error: OSError) -> None:
        self._log.error("nothing goes ahead of recordings any more, which costs speed: {error}", error=str(error))
        self.stop()

    def stop(self) -> None:
        """Write to each recording what is ahead of it; from now on nothing is."""
        self._on = False
        if self._due is not None and self._due.active():
            self._due.cancel()
        recordings, self._have, self._queue = self._queue + self._have, [], []
        for recording in recordings:
            self._settle(recording)

    def remove(self) -> None:
        """Everything is in the recordings, and on the disk."""
        self._file.remove()
