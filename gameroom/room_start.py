"""How a room starts: reserve → confirm | abandon, so that a slow start can neither happen twice nor leave half a room.

A lock-step room begins by itself when all are connected and ready.
When its host starts it, its players are locked at once (its status is PLAYING) and the play begins as soon as they
are connected and ready; who is not within the reconnect window loses the seat.
For the other hosting kinds the host's start is enough, and all ready is a start too: the players are locked, and the play begins as
soon as the referee has got ready, which may take seconds. Whoever asked for it is answered then; when it comes to nothing the lock is lifted.
Where games of a kind cannot be run nobody can be ready, and nothing is locked.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING
from uuid import UUID

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gameroom.errors import BadState, GameroomError, NotFound
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
        self._beginning: Deferred[None] | None = None
        """The referee gets ready."""
        self._reserved_at: float | None = None
        self._waiting: list[Deferred[None]] = []
        """Who asked for the start that is on."""

    def reserve(self, by: str) -> Deferred[None]:
        """The host starts the room; asking again while it starts or plays is fine.

        Fires when its players are durably locked where the play waits for them to be ready (lock-step), else when the play has begun.
        Fails with the referee's error where it cannot, and with `BadState` when too few players are left meanwhile.
        Raises `Forbidden` for another, `BadState` with too few players, where such games cannot be run, or while the daemon is going down.
        """
        room = self._room
        rules.require_host(room.latest, by, START)
        phase, waits = room.latest.phase, room.referee.waits_for_ready
        if phase == PLAYING or (phase == STARTING and waits):
            return room.ledger.confirm()
        if phase == STARTING:
            return self._outcome()
        room.referee.check_start()
        if room.around.draining():
            raise _going_down()
        locked = rules.lock(room.latest)
        if waits:
            return room.change(locked, self._locked)
        begun = self._outcome()
        self._lock(locked)
        return begun

    def _lock(self, locked: Room) -> None:
        self._room.change(locked, self._locked).addErrback(self._settle)

    def _outcome(self) -> Deferred[None]:
        """Fires when the play has begun, and fails when it does not."""
        outcome: Deferred[None] = Deferred()
        self._waiting.append(outcome)
        return outcome

    def closed(self) -> None:
        """The room is gone."""
        self._settle(Failure(_gone()))

    def restored(self) -> None:
        """After a restart of the daemon, where nothing is played: a start that nobody waits for any more is given up."""
        if self._room.latest.phase == STARTING and not self._room.referee.waits_for_ready:
            self._abandon(self._room.latest, _too_few())

    def _locked(self, room: Room) -> None:
        self._reserved_at = self._room.now()
        self._log.info("room {room_id} starts", room_id=room.room_id)

    def consider(self, there: Collection[str]) -> None:
        """Begin the play where everything is as it should be; lift the lock where too many have left."""
        room = self._room
        latest, waits = room.latest, room.referee.waits_for_ready
        too_few = latest.phase == STARTING and len(latest.locked) < latest.options.min_players
        if self._confirming:
            if too_few and not waits and self._beginning is not None:
                self._beginning.cancel()
            return
        if latest.phase == PLAYING or (latest.phase == SETUP and room.around.draining()):
            return
        if too_few:
            self._abandon(latest, _too_few())
        elif latest.phase == STARTING and not waits:
            # What is being saved may yet be taken back.
            if room.value.phase == STARTING:
                self._begin()
        elif rules.all_ready(latest, there):
            if waits:
                self._begin()
            else:
                self._lock(rules.lock(latest))

    def _begin(self) -> None:
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
            self._abandon(rules.remove(latest, late), _too_few())
        elif late:
            room.remove(late, "timeout").addErrback(lambda failure: None)
        else:
            room.audience.refresh()

    async def _confirm(self) -> None:
        room = self._room
        play_id = str(UUID(bytes=room.around.random_bytes(16), version=4))
        players = rules.lock(room.latest).locked
        try:
            self._beginning = room.referee.begin(play_id, players)
            await self._beginning
            self._beginning = None
            if self._may_begin(players):
                playing = rules.begin(room.latest, play_id)
                play = (table.begin_play, (play_id, playing, int(room.now() * 1000)))
                await room.change(playing, lambda after: self._begun(after, players), play)
                self._settle()
            else:
                # What is so now decides anew.
                room.referee.end()
        except Exception as error:
            self._failed(error)
        finally:
            self._beginning = None
            self._confirming = False
        room.audience.refresh()

    def _may_begin(self, players: list[Player]) -> bool:
        """Whether the play that the referee got ready for can begin: somebody may have left meanwhile."""
        room = self._room
        here = rules.lock(room.latest).locked
        if room.closing or here == players:
            return not room.closing
        enough = len(here) >= room.options.min_players
        return room.referee.begins_once and enough and all(player in players for player in here)

    def _begun(self, after: Room, players: list[Player]) -> None:
        room = self._room
        self._reserved_at = None
        if room.closing:
            return
        self._log.info("play {play_id} of room {room_id} begins", play_id=after.play_id, room_id=after.room_id)
        room.refereed.show_state(after.running)
        room.referee.begun()
        for player in players:
            if room.value.find(player.user_id) is None:
                # Gone before it was PLAYING, or in the same transaction.
                room.referee.left(player.user_id, player.seat, "left")
            elif not room.refereed.is_connected(player.user_id):
                room.referee.disconnected(player.user_id)

    def _failed(self, error: Exception) -> None:
        room = self._room
        if isinstance(error, CancelledError):
            error = _gone() if room.closing else _going_down() if room.around.stopped() else _too_few()
        if isinstance(error, GameroomError):
            self._log.error("room {room_id} could not start: {error}", room_id=room.room_id, error=error)
        else:
            self._log.failure("room {room_id} could not start", Failure(error), room_id=room.room_id)
        room.referee.end()
        # Nobody is ready after this: else it would be tried again at once, and again.
        self._abandon(room.latest, error, error.message if isinstance(error, GameroomError) else None)

    def _abandon(self, left: Room, error: Exception, message: str | None = None) -> None:
        """Lift the lock. `error` is what those are told who asked for the start, and `message` what everybody is."""
        room = self._room
        self._reserved_at = None

        def tell(after: Room) -> None:
            room.refereed.show_state(after.state, START_FAILED, message=message)

        try:
            told = room.change(rules.unlock(left), tell)
        except GameroomError:
            self._log.info("room {room_id} was gone before its start was given up", room_id=room.room_id)
        else:
            told.addErrback(lambda failure: None).addCallback(lambda _: self._settle(Failure(error)))

    def _settle(self, failure: Failure | None = None) -> None:
        """Answer those who asked for the start."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if failure is None:
                each.callback(None)
            else:
                each.errback(failure)


def _too_few() -> BadState:
    return BadState("too many players have left; start again when enough are here")


def _going_down() -> BadState:
    return BadState("this server is going down; start again in a moment")


def _gone() -> NotFound:
    return NotFound("this room is gone")
