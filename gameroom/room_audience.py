"""A room's members at their connections: they are welcomed, told what has changed, and missed when they are away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf
from typing import TYPE_CHECKING, Any

from gameroom import room_views as views
from gameroom.attendance import TAKEN_OVER, Attendance
from gameroom.errors import GameroomError
from gameroom.rules.room import PLAYING, SETUP, Member
from gameroom.wire.room_messages import Hello, Outgoing

if TYPE_CHECKING:
    from gameroom.room import LivingRoom


class RoomAudience:
    """The connections of one room. Iterating gives every welcomed `IConnection`."""

    acts_once = False
    """Whether what members say goes through `once`."""

    def __init__(self, room: LivingRoom) -> None:
        self._room = room
        self._attendance = Attendance()
        self._told_roster: list[dict[str, Any]] = []
        self._told_entry: dict[str, Any] = {}
        self._empty_since: float | None = None

    def __iter__(self) -> Iterator[Any]:
        return iter(self._attendance)

    def of(self, user_id: str) -> tuple[Any, ...]:
        """The member's connections, oldest first."""
        return self._attendance.of(user_id)

    def is_there(self, member: Member) -> bool:
        """Connected, as the specification's README has it: in a room that waits, a log-in at the lobby is enough."""
        if self._attendance.of(member.user_id) or member.bot is not None:
            return True
        return bool(member.account) and self._room.value.phase == SETUP and self._room.around.presence.at_lobby(member.account)

    def tell_all(self, outgoing: Outgoing) -> None:
        """Give it to every connection."""
        for connection in self._attendance:
            connection.deliver(outgoing)

    def tell(self, user_id: str, outgoing: Outgoing) -> None:
        """Give it to every connection of one member."""
        for connection in self._attendance.of(user_id):
            connection.deliver(outgoing)

    async def restore(self) -> None:
        """After a restart of the daemon, before anybody comes."""

    def once(self, user_id: str, message: dict[str, Any], message_id: int | None, act: Callable[[], Any]) -> Any:
        """A member has said this; see `OnceAudience` and `TransactionalAudience`. Here it is done as often as it is said."""
        return act()

    def withdraw(self, user_id: str, event: str) -> None:
        """Nothing waits here."""

    def send_again(self) -> None:
        """Nothing is here."""

    def attach(self, user_id: str, connection: Any, *, reply_to: int | None, hello: Hello) -> None:
        """A connection of the member is welcomed and brought up to date; an older exclusive one is taken over.

        Raises `NotFound` for one who is no member, and `BadState`, with nothing changed, where the referee does not know
        that generation.
        """
        room = self._room
        member, plays = room.latest.member(user_id), room.value.phase == PLAYING
        if plays:
            room.referee.check_hello(hello)
        first = not self._attendance.of(user_id)
        for old in self._attendance.arrive(user_id, connection):
            old.close(TAKEN_OVER)
        welcome = {
            "type": "welcome",
            "room": views.join_view(room),
            "you": views.you(room.latest, member),
            "last_id": room.last_ids.get(user_id, 0),
        }
        if reply_to is not None:
            welcome["reply_to"] = reply_to
        connection.deliver(Outgoing.json({**welcome, **room.referee.welcome_fields(user_id)}))
        if plays:
            room.referee.welcomed(user_id, connection, hello)
            if first:
                room.referee.connected(user_id)
        else:
            room.referee.returned(user_id, connection)
        self.refresh()

    def detach(self, user_id: str, connection: Any) -> None:
        """A connection of the member is gone."""
        if connection not in self._attendance.of(user_id):
            return
        last, plays = self._attendance.depart(user_id, connection), self._room.value.phase == PLAYING
        if plays:
            self._room.referee.parted(user_id, connection)
        if last:
            if plays:
                self._room.referee.disconnected(user_id)
            self.refresh()

    def refresh(self) -> None:
        """Look at who is there: start clocks, tell what has changed, begin the play where all is ready."""
        if self._room.closing:
            return
        self._room.wake()
        room, now = self._room.value, self._room.now()
        there = {member.user_id for member in room.members if self.is_there(member)}
        self._attendance.note(now, [member.user_id for member in room.members if member.user_id not in there], there)
        if any(member.bot is None and member.user_id in there for member in room.members):
            self._empty_since = None
        elif self._empty_since is None:
            self._empty_since = now
        roster = views.roster(room, there)
        if roster != self._told_roster:
            self._told_roster = roster
            self.tell_all(Outgoing.json({"type": "players", "players": roster}))
        entry = views.lobby_entry(room)
        if entry != self._told_entry:
            self._told_entry = entry
            self._room.around.seen(self._room)
        self._room.starting.consider(there)

    def empty_for(self, now: float) -> float:
        """For how many seconds nobody has been there."""
        return 0.0 if self._empty_since is None else now - self._empty_since

    def next_due(self, ttl: float, window: float) -> float:
        """When nobody will have been there for `ttl` seconds, or a member away for `window`; infinity where neither is on its way.

        It may be over for one who is kept.
        """
        empty = inf if self._empty_since is None else self._empty_since + ttl
        return min(empty, self._attendance.next_overdue(window))

    def overdue(self, now: float, window: float) -> list[str]:
        """The members who have been away for `window` seconds or longer."""
        return self._attendance.overdue(now, window)

    def restart_clocks(self) -> None:
        """Everybody who is away is away from now on."""
        self._attendance.restart_clocks(self._room.now())

    def dismiss(self, user_id: str, error: GameroomError | None) -> None:
        """The member is gone for good: its connections are closed, with `error` where that is why."""
        for connection in self._attendance.dismiss(user_id):
            connection.close(error)

    def dismiss_all(self, error: GameroomError) -> None:
        """The room is gone."""
        connections = list(self._attendance)
        for member in self._room.value.members:
            self._attendance.dismiss(member.user_id)
        for connection in connections:
            connection.close(error)
