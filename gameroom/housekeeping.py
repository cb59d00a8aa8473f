"""What is thrown away by and by: sessions that have expired, and what is known of plays whose recordings are gone."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from gameroom.deferring import deferring
from gameroom.interfaces import IDatabase
from gameroom.store import accounts, rooms

EVERY = 86400.0
"""Seconds between two times; the first is at the start."""


class Housekeeping:
    """Clears the database once a day. `keep_plays` is for how many seconds a play is known after its end."""

    _log = Logger()

    def __init__(self, *, database: IDatabase, clock: IReactorTime, keep_plays: float) -> None:
        self._database = database
        self._clock = clock
        self._keep_plays = keep_plays
        self._daily = LoopingCall(self._clear)
        self._daily.clock = clock

    def start(self) -> None:
        self._daily.start(EVERY)

    def stop(self) -> None:
        if self._daily.running:
            self._daily.stop()

    def _clear(self) -> Deferred[None]:
        return self.clear().addErrback(lambda failure: self._log.error("the database was not cleared: {why}", why=failure.getErrorMessage()))

    @deferring
    async def clear(self) -> None:
        """Do it now; fires when it is done."""
        now_ms = int(self._clock.seconds() * 1000)
        await self._database.interact(accounts.forget_sessions, now_ms)
        await self._database.interact(rooms.forget_plays, now_ms - int(self._keep_plays * 1000))
