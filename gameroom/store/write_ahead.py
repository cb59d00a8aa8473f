"""Lines of recordings go ahead of them: into one mapped file at once, and to each recording a second later, many together.

Of many rooms that each have a turn now and then, a `write` to the recording costs more than anything else that a turn does.
What is ahead comes to the disk as recordings do, 50 ms later: one small file, instead of hundreds that grow.
Half of it is used again when all that stands there is in the recordings, and on the disk. Where it has no room, lines go their own way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from twisted.logger import Logger

from gameroom.store.ahead_file import AheadFile
from gameroom.store.dirty import Dirty
from gameroom.store.to_disk import ToDisk

if TYPE_CHECKING:
    from gameroom.store.recording import Recording

SETTLE_AFTER: Final = 1.0
"""Seconds until lines that are ahead are written to their recordings."""
AT_ONCE: Final = 64
"""So many recordings are written to before all else has its turn."""


class WriteAhead(Dirty):
    """What is ahead of the recordings of this daemon. `clock` calls later."""

    _log: ClassVar = Logger()

    def __init__(self, file: AheadFile, *, clock: Any, to_disk: ToDisk) -> None:
        super().__init__(file.path, file.fileno(), to_disk.add)
        self._file = file
        self._to_disk = to_disk
        self._on = True
        self._clock = clock
        self._due: Any = None
        self._have: list[Recording] = []
        """Those that have begun to be ahead since the last turn."""
        self._queue: list[Recording] = []
        """Those that had begun before, and are to be written to."""
        self._stuck: list[Recording] = []
        """Those that could not be written to."""
        self._pass = 0
        """The pass with which all others are on the disk."""
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
        self.mark_dirty()
        self._wait()
        return True

    def _wait(self) -> None:
        if self._due is None:
            self._due = self._clock.callLater(SETTLE_AFTER, self._again)

    def _again(self) -> None:
        self._due = None
        stuck, self._stuck = self._stuck, []
        for recording in stuck:
            self._settle(recording)
        if self._have:
            self._turn()
        if self._have or self._stuck:
            # The disk is slow or full: the half that is being filled must do for now.
            self._wait()

    @property
    def settled(self) -> bool:
        """Whether all that was ahead up to the last turn is in the recordings, and on the disk."""
        return not self._queue and not self._stuck and self._to_disk.ended >= self._pass

    def _turn(self) -> bool:
        """Go on in the other half, and have what is in this one written to the recordings. False where the other is still needed."""
        if not self.settled:
            return False
        self._file.turn()
        self._queue, self._have = self._have, []
        self._clock.callLater(0, self._settle_some)
        return True

    def _settle_some(self) -> None:
        some, self._queue = self._queue[:AT_ONCE], self._queue[AT_ONCE:]
        for recording in some:
            self._settle(recording)
        if self._queue:
            self._clock.callLater(0, self._settle_some)

    def _settle(self, recording: Recording) -> None:
        try:
            recording.settle()
        except OSError as error:
            if recording.goes_ahead:
                self._log.error("{path} lacks its end, which is kept elsewhere for now: {error}", path=str(recording.path), error=str(error))
                # The next master will fail as well, and end the play.
                recording.go_directly()
            self._stuck.append(recording)
            if self._on:
                self._wait()
        else:
            self._pass = max(self._pass, self._to_disk.pass_for(recording))

    def _broken(self, error: OSError) -> None:
        self._log.error("nothing goes ahead of recordings any more, which costs speed: {error}", error=str(error))
        self.stop()

    def stop(self) -> None:
        """Write to each recording what is ahead of it; from now on nothing goes ahead."""
        self._on = False
        if self._due is not None and self._due.active():
            self._due.cancel()
        self._due = None
        recordings, self._have, self._queue, self._stuck = (self._stuck + self._queue + self._have, [], [], [])
        for recording in recordings:
            self._settle(recording)

    def close(self) -> None:
        """The last of all: where something is not settled, the file stays for the next daemon."""
        self._file.close(remove=self.settled)
