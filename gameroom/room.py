"""A living room: its durable value, who is connected, and the referee that plays it.

It knows no door: it speaks to connections through `IConnection` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from hmac import compare_digest
from typing import TYPE_CHECKING, Any
from uuid import UUID

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from gameroom import room_views as views
from gameroom.errors import BadState, Forbidden, GameroomError, NotFound, Unauthorized
from gameroom.interfaces import IDatabase, IReferee, IRoom, Work
from gameroom.refereed_room import RefereedRoom
from gameroom.room_audience import RoomAudience
from gameroom.room_ledger import RoomLedger
from gameroom.room_looks import REST
from gameroom.room_once import OnceAudience
from gameroom.room_start import RoomStart
from gameroom.room_transactions import TransactionalAudience
from gameroom.rules import room as rules
from gameroom.rules import usernames
from gameroom.rules.room import PLAYING, STARTING, Member, Room, RoomOptions
from gameroom.rules.sessions import token_hash
from gameroom.settings import Addresses, Limits, RoomSettings
from gameroom.store import DatabaseUnavailable
from gameroom.store import rooms as table
from gameroom.wire.room_messages import Outgoing

if TYPE_CHECKING:
    from gameroom.presence import Presence

CHAT_LENGTH = 500
AGAIN = 1.0
"""Seconds until the database, which was not there, is asked again."""

LOST, ABANDONED = "lost", "abandoned"
"""Why a play is over that its players did not end: it could not be taken up again; its room is gone."""


@attrs.frozen(kw_only=True)
class Surroundings:
    """What all rooms of a registry share."""

    database: IDatabase
    clock: IReactorTime
    presence: Presence
    addresses: Addresses
    settings: RoomSettings
    limits: Callable[[], Limits]
    random_bytes: Callable[[int], bytes]
    changed: Callable[[LivingRoom, Room, Room], None]
    """A room's value has changed and is durable."""
    seen: Callable[[LivingRoom], None]
    """What lists show of a room has changed."""
    closed: Callable[[LivingRoom], None]
    """A room is gone."""
    sit: Callable[[LivingRoom, str], Coroutine[Any, Any, None]]
    """A viewer of a room takes a seat; see `Registry.sit`."""
    draining: Callable[[], bool]
    stopped: Callable[[], bool]
    """The registry has let go of its rooms."""


class LivingRoom:
    """One room, as the conversations and the registry know it.

    `latest` is what the next change starts from and `value` what is kept; `audience` knows the members' connections,
    `refereed` is what the referee sees of the room, and `starting` begins its plays.
    """

    _log = Logger()

    def __init__(self, value: Room, surroundings: Surroundings, referee: Callable[[IRoom], IReferee], made_from: str = "") -> None:
        self.room_id: str = value.room_id
        self.made_from = made_from
        self.options: RoomOptions = value.options
        self.around = surroundings
        self.now: Callable[[], float] = surroundings.clock.seconds
        """Unix time in seconds."""
        self.ledger = RoomLedger(value, surroundings.database, self._committed)
        self.starting = RoomStart(self)
        self.last_ids: dict[str, int] = {}
        self.floods: dict[str, Any] = {}
        self.closing = False
        self._departures: dict[str, str] = {}
        self._mend_at = 0.0
        self.rests_until = 0.0
        """Until then `tick` has nothing to do, unless something happens: `RoomLooks` asks."""
        self.refereed = RefereedRoom(self)
        self.referee: IReferee = referee(self.refereed)
        self.audience = self._audience_of(self.referee)(self)

    @staticmethod
    def _audience_of(referee: IReferee) -> type[RoomAudience]:
        if referee.transactional:
            return TransactionalAudience
        return OnceAudience if referee.acts_once else RoomAudience

    # What it is.

    @property
    def value(self) -> Room:
        """The room as it is kept."""
        return self.ledger.saved

    @property
    def latest(self) -> Room:
        """The room with the changes that are just being saved."""
        return self.ledger.latest

    def by_token(self, token: str) -> Member:
        """The member whom a seat token binds; raises `Unauthorized`."""
        hashed = token_hash(token) if token.isascii() else ""
        for member in self.latest.members:
            if hashed and compare_digest(member.token_hash, hashed):
                return member
        raise Unauthorized("this seat token is not of this room, or a newer one is in its place; join again")

    def has(self, user_id: str) -> bool:
        return self.value.find(user_id) is not None

    def lobby_entry(self) -> dict[str, Any]:
        """An entry of LIST_ROOMS."""
        return views.lobby_entry(self.value)

    def lobby_detail(self) -> dict[str, Any]:
        """GET_ROOM's `room`."""
        return views.lobby_detail(self)

    def played_at(self) -> tuple[str, int]:
        """`(game_host, game_port)` of where it is played: a door, or the GameServer itself where clients connect to that."""
        return self.referee.played_at or self.around.addresses.played_at(self.options.hosting)

    def join_view(self) -> dict[str, Any]:
        """The answer of `GET /join`."""
        return views.join_view(self)

    # What changes it.

    def change(self, after: Room, effect: Callable[[Room], None] | None = None, also: Work | None = None) -> Deferred[None]:
        """Make a change durable, then tell it; see `RoomLedger.change`. Raises `NotFound` for a room that is closing."""
        if self.closing:
            raise NotFound("this room is gone")
        self.wake()
        return self.ledger.change(after, effect, also)

    def apply(self, rule: Callable[..., Room], *args: Any, **kwargs: Any) -> Deferred[None]:
        """Change the room by one of `gameroom.rules.room`; raises what the rule raises, fires when it is durable and told."""
        before = self.latest
        after = rule(before, *args, **kwargs)
        return self.ledger.confirm() if after is before else self.change(after)

    def set_ready(self, user_id: str, ready: bool, revision: int | None = None) -> Deferred[None]:
        """A player is ready, or no longer; see `rules.set_ready`.

        Raises `BadState` also where such games cannot be run, and while the daemon is going down.
        """
        if ready and self.around.draining():
            raise BadState("this server is going down; be ready again in a moment")
        if ready:
            self.referee.check_start()
        return self.apply(rules.set_ready, user_id, ready, revision)

    def add_bot(self, by: str, level: int) -> Deferred[None]:
        """The host puts a computer player into a free seat; see `rules.add_bot`. Fires when that is durable and told."""
        user_id = str(UUID(bytes=self.around.random_bytes(16), version=4))
        return self.apply(rules.add_bot, by, user_id, level, self.around.limits().members_per_room)

    def give_up_seat(self, user_id: str) -> Deferred[None]:
        """A player becomes a viewer, or is gone where the room takes none.

        Fires when that is durable and told, and just before its connections are closed; raises `BadState` for a viewer.
        """
        member = self.latest.member(user_id)
        if member.seat is None:
            raise BadState("you have no seat to give up")
        if not self.options.viewers:
            gone: Deferred[None] = Deferred()
            self.remove([user_id], "left", lambda room: gone.callback(None)).addErrback(gone.errback)
            return gone

        def told(room: Room) -> None:
            if room.phase == PLAYING and member.locked and member.seat is not None:
                self.referee.left(user_id, member.seat, "left")

        return self.change(rules.stand(self.latest, user_id), told)

    def remove(self, user_ids: Sequence[str], reason: str, told: Callable[[Room], None] | None = None) -> Deferred[None]:
        """Members are gone for good, `reason` being `left` or `timeout`.

        Fires when that is durable; `told` is called just before their connections are closed.
        """
        for user_id in user_ids:
            self._departures[user_id] = reason
        return self.change(rules.remove(self.latest, user_ids), told)

    def chat(self, by: str, text: str) -> None:
        """A member says something to all."""
        self.latest.member(by)
        text = usernames.plain_text(text, CHAT_LENGTH)
        outgoing = Outgoing.json({"type": "chat", "from": by, "text": text})
        if self.value.phase != PLAYING or not self.referee.chat(outgoing):
            self.audience.tell_all(outgoing)

    def kick(self, by: str, user_id: str) -> Deferred[None]:
        """The host sends a member away; see `rules.kick`."""
        after = rules.kick(self.latest, by, user_id)
        self._departures[user_id] = "kicked"
        return self.change(after)

    def _committed(self, before: Room, after: Room) -> None:
        if self.closing:
            return
        if before.members is not after.members:
            self._tell_movements(before, after)
        self.around.changed(self, before, after)
        if after.deserted:
            self.close("everybody has left")
        else:
            self.audience.refresh()

    def _tell_movements(self, before: Room, after: Room) -> None:
        known, present = ({member.user_id for member in room.members} for room in (before, after))
        for member in before.members:
            if member.user_id not in present:
                self._dismiss(member, before)
        for member in after.members:
            if member.user_id not in known:
                self._log.info("{user_id} is in room {room_id}", user_id=member.user_id, room_id=self.room_id)

    def _dismiss(self, member: Member, before: Room) -> None:
        reason = self._departures.pop(member.user_id, "left")
        self._log.info("{user_id} is out of room {room_id}: {reason}", user_id=member.user_id, room_id=self.room_id, reason=reason)
        self.last_ids.pop(member.user_id, None)
        self.floods.pop(member.user_id, None)
        if before.phase == PLAYING and member.seat is not None and member.locked:
            self.referee.left(member.user_id, member.seat, reason)
        self.audience.dismiss(member.user_id, Forbidden("you were sent away from this room by its host") if reason == "kicked" else None)

    # What time brings.

    def tick(self, now: float) -> None:
        """Look at deadlines; called when `rests_until` is over."""
        if self.closing:
            return
        ledger, settings, plays = self.ledger, self.around.settings, self.value.phase == PLAYING
        if plays:
            self.referee.tick(now)
        if ledger.saving:
            return
        if ledger.unsure:
            self._mend(now)
            return
        self.refereed.end_again()
        if not plays:
            self.referee.tick(now)
            self.starting.tick(now)
        due = self.audience.next_due(settings.room_ttl, settings.reconnect_window)
        if now >= due:
            self._look_for_absent(now)
        # By what is so now: it may have been woken in this very look.
        self.rests_until = min(now + REST, due, self.referee.rests_until(now)) if self._may_rest() else now

    def _may_rest(self) -> bool:
        """Whether nothing is under way that time alone brings on."""
        ledger = self.ledger
        return not (ledger.saving or ledger.unsure or self.refereed.ending or ledger.saved.phase == STARTING)

    def _look_for_absent(self, now: float) -> None:
        """Nobody has been there for too long, or somebody has not: that is the end of the room, or of a seat."""
        room, settings = self.value, self.around.settings
        if self.audience.empty_for(now) >= settings.room_ttl:
            self.close("nobody was connected for too long")
            return
        late = [user_id for user_id in self.audience.overdue(now, settings.reconnect_window) if not self._is_kept(room, user_id)]
        if late:
            self.remove(late, "timeout").addErrback(_is_logged)

    def wake(self) -> None:
        """Something has happened: it is looked at as soon as the round comes by."""
        self.rests_until = 0.0

    def _mend(self, now: float) -> None:
        """Where it is not known what was saved, save what is so, before anything else is tried."""
        if now >= self._mend_at:
            self._mend_at = now + AGAIN
            self.change(self.latest).addErrback(_is_logged)

    def _is_kept(self, room: Room, user_id: str) -> bool:
        """Whether the member may be away for as long as it likes."""
        member = room.find(user_id)
        return member is None or (member.locked and room.phase == PLAYING and self.referee.keeps_seats)

    # How it comes and goes.

    async def restore(self) -> None:
        """After a restart of the daemon: everyone is away from now on, and a play is taken up where it stood."""
        room = self.value
        await self.audience.restore()
        if room.phase == PLAYING:
            assert room.play_id is not None
            try:
                await self.referee.restore(room.play_id, room.locked)
            except GameroomError as error:
                about = "play {play_id} of room {room_id} is not taken up: {why}"
                self._log.warn(about, play_id=room.play_id, room_id=self.room_id, why=error.message)
                self.refereed.over(LOST)
            except Exception:
                self._log.failure("play {play_id} of room {room_id} cannot be taken up", play_id=room.play_id, room_id=self.room_id)
                self.refereed.over(LOST)
        else:
            await self.referee.recall()
            self.starting.restored()
        self.audience.refresh()

    def close(self, why: str) -> None:
        """The room is gone: its members are told, and it is taken from where it was kept."""
        if self.closing:
            return
        self.closing = True
        room = self.value
        self._log.info("room {room_id} is gone: {why}", room_id=self.room_id, why=why)
        self.referee.end()
        self.starting.closed()
        self.audience.dismiss_all(NotFound(f"this room is gone: {why}"))
        self.around.closed(self)
        Deferred.fromCoroutine(self._delete(room)).addErrback(
            lambda failure: self._log.failure("room {room_id} could not be deleted", failure, room_id=self.room_id)
        )

    async def _delete(self, room: Room) -> None:
        await self.ledger.settled()
        ended_ms = int(self.now() * 1000)
        while True:
            try:
                await self.around.database.interact(table.end, self.room_id, room.play_id, ended_ms, ABANDONED)
                return
            except DatabaseUnavailable:
                # Its members' seats are taken there until it is gone.
                if self.around.stopped():
                    raise
                await deferLater(self.around.clock, AGAIN)


def _is_logged(failure: object) -> None:
    """The ledger has said so; what was to be saved is tried again."""
