"""A living room: its durable value, who is connected, and the referee that plays it.

It knows no door: it speaks to connections through `IConnection` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from hmac import compare_digest
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from zope.interface import implementer

from gameroom import room_views as views
from gameroom.attendance import TAKEN_OVER, Attendance
from gameroom.errors import Forbidden, NotFound, Unauthorized
from gameroom.interfaces import IDatabase, IReferee, IRoom
from gameroom.room_ledger import RoomLedger, Work
from gameroom.room_start import RoomStart
from gameroom.rules import room as rules
from gameroom.rules import usernames
from gameroom.rules.room import PLAYING, SETUP, Member, Room, RoomOptions
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
    draining: Callable[[], bool]
    stopped: Callable[[], bool]
    """The registry has let go of its rooms."""


@implementer(IRoom)
class LivingRoom:
    """One room, as its referee (`IRoom`), the conversations and the registry know it."""

    _log = Logger()

    def __init__(self, value: Room, surroundings: Surroundings, referee: Callable[[IRoom], IReferee]) -> None:
        self.room_id: str = value.room_id
        self.options: RoomOptions = value.options
        self.around = surroundings
        self.attendance = Attendance()
        self.ledger = RoomLedger(value, surroundings.database, self._committed)
        self.shown_state = views.state_of(value)
        self.last_ids: dict[str, int] = {}
        self.floods: dict[str, Any] = {}
        self.closing = False
        self._ending: tuple[str, Any] | None = None
        self._departures: dict[str, str] = {}
        self._told_roster: list[dict[str, Any]] = []
        self._told_entry: dict[str, Any] = {}
        self._empty_since: float | None = None
        self._mend_at = 0.0
        self._start = RoomStart(self)
        self.referee: IReferee = referee(self)

    # What it is.

    @property
    def value(self) -> Room:
        """The room as it is kept."""
        return self.ledger.saved

    @property
    def configuration(self) -> dict[str, Any]:
        return self.ledger.saved.configuration

    @property
    def revision(self) -> int:
        return self.ledger.saved.revision

    @property
    def host(self) -> str | None:
        return self.ledger.saved.host

    def now(self) -> float:
        return float(self.around.clock.seconds())

    def member(self, user_id: str) -> Member:
        return self.ledger.latest.member(user_id)

    def is_connected(self, user_id: str) -> bool:
        return bool(self.attendance.of(user_id))

    def connections(self, user_id: str) -> Sequence[Any]:
        return self.attendance.of(user_id)

    def is_there(self, member: Member) -> bool:
        """Connected, as the specification's README has it: in a room that waits, a log-in at the lobby is enough."""
        if self.attendance.of(member.user_id):
            return True
        return bool(member.account) and self.ledger.saved.phase == SETUP and self.around.presence.at_lobby(member.account)

    def by_token(self, token: str) -> Member:
        """The member whom a seat token binds; raises `Unauthorized`."""
        hashed = token_hash(token) if token.isascii() else ""
        for member in self.ledger.latest.members:
            if hashed and compare_digest(member.token_hash, hashed):
                return member
        raise Unauthorized("this seat token is not of this room, or a newer one is in its place; join again")

    @property
    def is_public(self) -> bool:
        return self.options.public

    def has(self, user_id: str) -> bool:
        return self.value.find(user_id) is not None

    def lobby_entry(self) -> dict[str, Any]:
        """An entry of LIST_ROOMS."""
        return views.lobby_entry(self.value)

    def lobby_detail(self) -> dict[str, Any]:
        """GET_ROOM's `room`."""
        return views.lobby_detail(self)

    def join_view(self) -> dict[str, Any]:
        """The answer of `GET /join`."""
        return views.join_view(self)

    # What the referee does.

    def everyone(self) -> Iterable[Any]:
        return self.attendance

    def broadcast(self, outgoing: Outgoing) -> None:
        for connection in self.attendance:
            connection.deliver(outgoing)

    def tell(self, user_id: str, outgoing: Outgoing) -> None:
        for connection in self.attendance.of(user_id):
            connection.deliver(outgoing)

    def configure(self, patch: Mapping[str, Any], by: str) -> Deferred[None]:
        self.member(by)

        def tell(room: Room) -> None:
            self.broadcast(Outgoing.json({"type": "setup", "configuration": room.configuration, "revision": room.revision, "by": by}))

        return self.change(rules.configure(self.ledger.latest, patch), tell)

    def show_state(self, state: str, reason: str | None = None, members: Sequence[str] | None = None) -> None:
        self.shown_state = state
        message: dict[str, Any] = {"type": "state", "state": state}
        if reason is not None:
            message["reason"] = reason
        if members is not None:
            message["members"] = list(members)
        self.broadcast(Outgoing.json(message))

    def over(self, reason: str, results: Any = None) -> None:
        if self.ledger.latest.phase == PLAYING and self._ending is None:
            self._ending = (reason, results)
            self._end_play()

    def _end_play(self) -> None:
        assert self._ending is not None
        reason, results = self._ending
        play_id = self.ledger.latest.play_id

        def tell(room: Room) -> None:
            self._ending = None
            self.referee.end()
            self._log.info("play {play_id} of room {room_id} is over: {reason}", play_id=play_id, room_id=self.room_id, reason=reason)
            message = {"type": "over", "reason": reason, "play_id": play_id}
            self.broadcast(Outgoing.json(message if results is None else {**message, "results": results}))
            self.attendance.restart_clocks(self.now())
            self.show_state("setup", reason)

        saved = self.change(rules.finish(self.ledger.latest), tell, (table.end_play, (play_id, int(self.now() * 1000), reason)))
        # It stays in _ending, so the next tick tries again.
        saved.addErrback(lambda failure: self._log.failure("the end of a play of room {room_id} was not saved", failure, room_id=self.room_id))

    # What changes it.

    def change(self, after: Room, effect: Callable[[Room], None] | None = None, also: Work | None = None) -> Deferred[None]:
        """Make a change durable, then tell it; see `RoomLedger.change`. Raises `NotFound` for a room that is closing."""
        if self.closing:
            raise NotFound("this room is gone")
        return self.ledger.change(after, effect, also)

    def apply(self, rule: Callable[..., Room], *args: Any, **kwargs: Any) -> Deferred[None]:
        """Change the room by one of `gameroom.rules.room`; raises what the rule raises, fires when it is durable and told."""
        before = self.ledger.latest
        after = rule(before, *args, **kwargs)
        return self.ledger.confirm() if after is before else self.change(after)

    def remove(self, user_ids: Sequence[str], reason: str, told: Callable[[Room], None] | None = None) -> Deferred[None]:
        """Members are gone for good, `reason` being `left` or `timeout`.

        Fires when that is durable; `told` is called just before their connections are closed.
        """
        for user_id in user_ids:
            self._departures[user_id] = reason
        return self.change(rules.remove(self.ledger.latest, user_ids), told)

    def chat(self, by: str, text: str) -> None:
        """A member says something to all."""
        self.member(by)
        text = usernames.plain_text(text, CHAT_LENGTH)
        self.broadcast(Outgoing.json({"type": "chat", "from": by, "text": text}))

    def kick(self, by: str, user_id: str) -> Deferred[None]:
        """The host sends a member away; see `rules.kick`."""
        after = rules.kick(self.ledger.latest, by, user_id)
        self._departures[user_id] = "kicked"
        return self.change(after)

    def start(self, by: str) -> Deferred[None]:
        """The host starts the room; fires when its status is durably PLAYING."""
        return self._start.reserve(by)

    def _committed(self, before: Room, after: Room) -> None:
        if self.closing:
            return
        present = {member.user_id for member in after.members}
        for member in before.members:
            if member.user_id not in present:
                self._dismiss(member, before)
        self.around.changed(self, before, after)
        if after.deserted:
            self.close("everybody has left")
        else:
            self.refresh()

    def _dismiss(self, member: Member, before: Room) -> None:
        reason = self._departures.pop(member.user_id, "left")
        self._log.info("{user_id} is out of room {room_id}: {reason}", user_id=member.user_id, room_id=self.room_id, reason=reason)
        connections = self.attendance.dismiss(member.user_id)
        self.last_ids.pop(member.user_id, None)
        self.floods.pop(member.user_id, None)
        if before.phase == PLAYING and member.seat is not None and member.locked:
            self.referee.left(member.user_id, member.seat, reason)
        for connection in connections:
            connection.close(Forbidden("you were sent away from this room by its host") if reason == "kicked" else None)

    # Who is there.

    def attach(self, user_id: str, connection: Any, *, reply_to: int | None, play_id: str | None, last_generation: int | None) -> None:
        """A connection of the member is welcomed and brought up to date; an older exclusive one is taken over.

        Raises `BadState`, with nothing changed, where the referee does not know that generation.
        """
        member = self.member(user_id)
        if self.value.phase == PLAYING:
            self.referee.check_hello(play_id, last_generation)
        first = not self.attendance.of(user_id)
        for old in self.attendance.arrive(user_id, connection):
            old.close(TAKEN_OVER)
        welcome = {
            "type": "welcome",
            "room": views.join_view(self),
            "you": views.you(self.ledger.latest, member),
            "last_id": self.last_ids.get(user_id, 0),
        }
        if reply_to is not None:
            welcome["reply_to"] = reply_to
        connection.deliver(Outgoing.json({**welcome, **self.referee.welcome_fields(user_id)}))
        if self.value.phase == PLAYING:
            self.referee.welcomed(user_id, connection, play_id, last_generation)
            if first:
                self.referee.connected(user_id)
        self.refresh()

    def detach(self, user_id: str, connection: Any) -> None:
        """A connection of the member is gone."""
        if self.attendance.depart(user_id, connection):
            if self.value.phase == PLAYING:
                self.referee.disconnected(user_id)
            self.refresh()

    def refresh(self) -> None:
        """Look at who is there: start clocks, tell what has changed, begin the play where all is ready."""
        if self.closing:
            return
        room, now = self.value, self.now()
        there = {member.user_id for member in room.members if self.is_there(member)}
        self.attendance.note(now, [member.user_id for member in room.members if member.user_id not in there], there)
        self._empty_since = None if there else (now if self._empty_since is None else self._empty_since)
        roster = views.roster(room, there)
        if roster != self._told_roster:
            self._told_roster = roster
            self.broadcast(Outgoing.json({"type": "players", "players": roster}))
        entry = views.lobby_entry(room)
        if entry != self._told_entry:
            self._told_entry = entry
            self.around.seen(self)
        self._start.consider(there)

    def tick(self, now: float) -> None:
        """Look at deadlines; called some times a second."""
        if self.closing:
            return
        room, settings = self.value, self.around.settings
        self._mend(now)
        if room.phase == PLAYING:
            self.referee.tick(now)
            if self._ending is not None and not self.ledger.saving:
                self._end_play()
        self._start.tick(now)
        if self._empty_since is not None and now - self._empty_since >= settings.room_ttl:
            self.close("nobody was connected for too long")
            return
        late = [user_id for user_id in self.attendance.overdue(now, settings.reconnect_window) if not self._is_kept(room, user_id)]
        if late and not self.ledger.saving:
            self.remove(late, "timeout").addErrback(lambda failure: None)

    def _mend(self, now: float) -> None:
        """Where it is not known what was saved, save what is so."""
        if self.ledger.unsure and not self.ledger.saving and now >= self._mend_at:
            self._mend_at = now + AGAIN
            self.change(self.ledger.latest).addErrback(lambda failure: None)

    def _is_kept(self, room: Room, user_id: str) -> bool:
        """Whether the member may be away for as long as it likes."""
        member = room.find(user_id)
        return member is None or (member.locked and room.phase == PLAYING and self.referee.keeps_seats)

    # How it comes and goes.

    async def restore(self) -> None:
        """After a restart of the daemon: everyone is away from now on, and a play is taken up where it stood."""
        room = self.value
        if room.phase == PLAYING:
            assert room.play_id is not None
            try:
                await self.referee.restore(room.play_id, room.locked)
            except Exception:
                self._log.failure("play {play_id} of room {room_id} cannot be taken up", play_id=room.play_id, room_id=self.room_id)
                self.over(LOST)
        self.refresh()

    def close(self, why: str) -> None:
        """The room is gone: its members are told, and it is taken from where it was kept."""
        if self.closing:
            return
        self.closing = True
        room = self.value
        self._log.info("room {room_id} is gone: {why}", room_id=self.room_id, why=why)
        self.referee.end()
        connections = list(self.attendance)
        for member in room.members:
            self.attendance.dismiss(member.user_id)
        for connection in connections:
            connection.close(NotFound(f"this room is gone: {why}"))
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
