"""How one room's changes are made durable, in order, and told only then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from gameroom.interfaces import IDatabase, Work
from gameroom.rules.room import Room
from gameroom.store import UniqueViolation
from gameroom.store import rooms as table


@attrs.define(eq=False)
class _Change:
    """One change that waits to be saved."""

    effect: Callable[[Room], None] | None
    also: Work | None
    saved: Deferred[None]
    after: Room


class RoomLedger:
    """One room's changes: worked out at once, saved in batches, told when they are saved.

    `latest` is what the next change starts from; `saved` is what a restart would find.
    While one batch is being written the next one gathers, so a busy room costs one transaction
    a round trip and not one a change.
    When a batch cannot be saved everything since `saved` is taken back and each of its changes fails.
    It may be kept all the same, where the database was lost while it committed: so the next batch is written whole.
    """

    _log = Logger()

    def __init__(self, room: Room, database: IDatabase, committed: Callable[[Room, Room], None]) -> None:
        """`committed(before, after)` is called after each batch, behind the effects of its changes."""
        self.saved = room
        self.latest = room
        self._database = database
        self._committed = committed
        self._waiting: list[_Change] = []
        self._saving = False
        self._unsure = False
        self._idle: list[Deferred[None]] = []

    def change(self, after: Room, effect: Callable[[Room], None] | None = None, also: Work | None = None) -> Deferred[None]:
        """Make `after` the room's latest value.

        `effect(after)` is called when it is durable; `also` is further work for the same transaction.
        Fires with None behind the effect; fails with what the database said.
        """
        self.latest = after
        waiting = _Change(effect, also, Deferred(), after)
        self._waiting.append(waiting)
        if not self._saving:
            self._saving = True
            Deferred.fromCoroutine(self._save()).addErrback(lambda failure: self._log.failure("saving a room broke", failure))
        return waiting.saved

    @property
    def saving(self) -> bool:
        """Whether a change is on its way to the database."""
        return self._saving

    @property
    def unsure(self) -> bool:
        """Whether a restart might find something else than `saved`; any change that is saved puts that right."""
        return self._unsure

    def confirm(self) -> Deferred[None]:
        """Fires when `latest` is durable; fails when it cannot be saved."""
        return self.change(self.latest) if self._saving else succeed(None)

    def settled(self) -> Deferred[None]:
        """Fires when nothing waits to be saved."""
        done: Deferred[None] = Deferred()
        if self._saving:
            self._idle.append(done)
        else:
            done.callback(None)
        return done

    async def _save(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            before, after = self.saved, batch[-1].after
            try:
                known = None if self._unsure else before
                await self._database.interact(_write, known, after, [change.also for change in batch if change.also is not None])
            except Exception as error:
                self._log.error("changes of room {room_id} could not be saved: {error}", room_id=before.room_id, error=str(error))
                self._unsure = self._unsure or not isinstance(error, UniqueViolation)
                # What gathered meanwhile was worked out from what is now taken back.
                batch, self._waiting = batch + self._waiting, []
                self.latest = self.saved
                for change in batch:
                    change.saved.errback(error)
                continue
            self._unsure = False
            self.saved = after
            for change in batch:
                if change.effect is not None:
                    self._run(change.effect, change.after)
            self._run(self._committed, before, after)
            for change in batch:
                change.saved.callback(None)
        self._saving = False
        idle, self._idle = self._idle, []
        for done in idle:
            done.callback(None)

    def _run(self, effect: Callable[..., None], *args: Room) -> None:
        """The change stands, whatever happens while it is told."""
        try:
            effect(*args)
        except Exception:
            self._log.failure("telling a change of room {room_id} failed", room_id=self.saved.room_id)


async def _write(cursor: Any, before: Room | None, after: Room, also: list[Work]) -> None:
    if before is None:
        await table.rewrite(cursor, after)
    else:
        await table.save(cursor, before, after)
    for work, args in also:
        await work(cursor, *args)
