"""How a room starts: reserve → confirm | abandon, so that a slow start can neither happen twice nor leave half a room.

A lock-step room begins by itself when all are connected and ready.
When its host starts it, its players are locked at once (its status is PLAYING) and the play begins as soon as they
are connected and ready; who is not within the reconnect window loses the seat.
For the other hosting kinds the host's start is enough, and all ready is a start too.
Where games of a kind cannot be run nobody can be ready, and nothing is locked.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING
from uuid import UUID

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gameroom.errors import BadState, GameroomError
from gameroom.rules import room as rules
from gameroom.rules.room import PLAYING, SETUP, STARTING, Player, Room
from gameroom.store import rooms as table

if TYPE_CHECKING:
    from gameroom.room import LivingRoom

START = "start the room"
START_FAILED = "start_failed"


class RoomStart:
    """The start of one room's play."""

    _log = Logger()

    def __init__(self, room: LivingRoom) -> None:
        self._room = room
        self._confirming = False
        self._reserved_at: float | None = None

    def reserve(self, by: str) -> Deferred[None]:
        """The host starts the room; asking again while it starts or plays is fine. Fires when it is durably PLAYING.

        Raises `Forbidden` for another, `BadState` with too few players, where such games cannot be run, or while the daemon is going down.
        """
        latest = self._room.latest
        rules.require_host(latest, by, START)
        if latest.phase != SETUP:
            return self._room.ledger.confirm()
        self._room.referee.check_start()
        if self._room.around.draining():
            raise BadState("this server is going down; start again in a moment")
        return self._room.change(rules.lock(latest), self._locked)

    def _locked(self, room: Room) -> None:
        self._reserved_at = self._room.now()
        self._log.info("room {room_id} starts", room_id=room.room_id)

    def consider(self, there: Collection[str]) -> None:
        """Begin the play where everything is as it should be; lift the lock where too many have left."""
        room = self._room
        latest = room.latest
        if self._confirming or latest.phase == PLAYING:
            return
        if latest.phase == SETUP and room.around.draining():
            return
        if latest.phase == STARTING and len(latest.locked) < latest.options.min_players:
            self._abandon(latest)
            return
        reserved = latest.phase == STARTING and not room.referee.waits_for_ready
        if reserved or rules.all_ready(latest, there):
            self._confirming = True
            Deferred.fromCoroutine(self._confirm()).addErrback(lambda failure: self._log.failure("starting broke", failure))

    def tick(self, now: float) -> None:
        """Free the seats of locked players who did not come in time; lift the lock when too few are left.

        The room calls it while nothing is being saved.
        """
        room = self._room
        latest = room.latest
        if latest.phase != STARTING or self._confirming:
            return
        if self._reserved_at is None:
            self._reserved_at = now
        if now - self._reserved_at < room.around.settings.reconnect_window:
            return
        people = [member for member in latest.players if member.locked and member.bot is None]
        late = [member.user_id for member in people if not (member.ready and room.refereed.is_connected(member.user_id))]
        if len(latest.locked) - len(late) < latest.options.min_players:
            self._abandon(rules.remove(latest, late))
        elif late:
            room.remove(late, "timeout").addErrback(lambda failure: None)
        else:
            room.audience.refresh()

    async def _confirm(self) -> None:
        room = self._room
        play_id = str(UUID(bytes=room.around.random_bytes(16), version=4))
        players = rules.lock(room.latest).locked
        try:
            await room.referee.begin(play_id, players)
            latest = room.latest
            if room.closing or rules.lock(latest).locked != players:
                # Somebody left while the referee got ready; what is so now decides anew.
                room.referee.end()
            else:
                playing = rules.begin(latest, play_id)
                play = (table.begin_play, (play_id, playing, int(room.now() * 1000)))
                await room.change(playing, lambda after: self._begun(after, players), play)
        except Exception as error:
            self._failed(error)
        finally:
            self._confirming = False
        room.audience.refresh()

    def _begun(self, after: Room, players: list[Player]) -> None:
        room = self._room
        self._reserved_at = None
        self._log.info("play {play_id} of room {room_id} begins", play_id=after.play_id, room_id=after.room_id)
        room.refereed.show_state(after.running)
        room.referee.begun()
        for player in players:
            if not room.refereed.is_connected(player.user_id):
                room.referee.disconnected(player.user_id)

    def _failed(self, error: Exception) -> None:
        room = self._room
        self._log.error("room {room_id} could not start: {error}", room_id=room.room_id, error=error)
        room.referee.end()
        # Nobody is ready after this: else it would be tried again at once, and again.
        self._abandon(room.latest)

    def _abandon(self, left: Room) -> None:
        room = self._room
        self._reserved_at = None

        def tell(after: Room) -> None:
            room.refereed.show_state(after.state, START_FAILED)

        try:
            room.change(rules.unlock(left), tell).addErrback(lambda failure: None)
        except GameroomError:
            self._log.info("room {room_id} was gone before its start was given up", room_id=room.room_id)
