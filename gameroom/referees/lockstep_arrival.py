"""One connection on its way into a lock-step play: a snapshot perhaps, what it has missed, and then it is live."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger

from gameroom.errors import BadState
from gameroom.wire.room_messages import Outgoing

if TYPE_CHECKING:
    from gameroom.referees.lockstep_audience import Audience
    from gameroom.store.recording import Reader


FAR: Final = 1000
"""Who has missed more generations than this begins at a snapshot."""


class Arrival:
    """Gives a connection history at the reader's pace, until its audience lets it go or has another for it.

    `first` is the first generation that it has not; `restart` is what it is told before masters that do not follow on what it has.
    """

    _log = Logger()

    def __init__(self, audience: Audience, connection: Any, user_id: str, first: int, restart: Outgoing | None = None) -> None:
        self.connection = connection
        self.user_id = user_id
        self.first = first
        self.standing: Outgoing | None = None
        """What has to be told again once it is there."""
        self._restart = restart
        self._audience = audience
        self._snapshot: Outgoing | None = None
        self._reader: Reader | None = None

    @property
    def current(self) -> bool:
        """Whether this is still how the connection comes."""
        return self._audience.coming.get(self.connection) is self

    def is_far(self, limit: int) -> bool:
        """Whether it has missed so much, of `limit` masters, that a snapshot is the shorter way."""
        return limit - self.first > FAR

    def begin(self, first: int, snapshot: Outgoing | None = None) -> None:
        """From now on it is given the snapshot, where there is one, and the masters from generation `first` on."""
        if not self.current:
            return
        self._snapshot = snapshot
        self._reader = self._audience.recording.reader(first)
        if snapshot is None and self._restart is not None:
            self.connection.deliver(self._restart)
        self.connection.catch_up(self._next)

    def begin_near(self) -> None:
        """Now, or in a second at the latest, it is given a snapshot that is near, and the masters after it; else what there is."""
        audience = self._audience
        limit = audience.limit(self.user_id)
        best = audience.shelf.newest(limit)
        if best is not None and limit - best <= FAR:
            self._begin_at_best()
        elif limit < audience.told:
            # A fresh one is of use for those who come when its time has come.
            self._begin_at_best()
            if audience.shelf.later() is None:
                audience.snapshots.wait_for(lambda: None)
        else:
            seats = (audience.seat_of(other.user_id) for other in audience.coming.values())
            audience.snapshots.wait_for(self._begin_at_best, [seat for seat in seats if seat is not None])

    def _begin_at_best(self) -> None:
        shelf = self._audience.shelf
        best = shelf.newest(self._audience.limit(self.user_id))
        if best is None or best < self.first:
            self.begin(self.first)
            return
        shelf.load(best).addCallbacks(partial(self.begin, best + 1), lambda failure: self.begin(self.first))

    def _next(self) -> Outgoing | None:
        reader, snapshot = self._reader, self._snapshot
        if not self.current or reader is None:
            return None
        if snapshot is not None:
            self._snapshot = None
            return snapshot
        start = reader.generation
        try:
            masters = reader.batch(self._audience.limit(self.user_id))
        except OSError as error:
            self._log.error("history of play {play_id} cannot be read: {error}", play_id=self._audience.play_id, error=str(error))
            self.connection.close(BadState("what has been played so far cannot be read at the moment; come back later"))
            return None
        if masters:
            return Outgoing(self._audience.codec.masters(start, masters), self._audience.recording.binary)
        self._audience.arrived(self)
        return None
