"""A room as its referee sees it: what the referee may ask of it, and how a play of it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from gameroom import room_views as views
from gameroom.interfaces import ICursor, ITurnRoom, Work
from gameroom.rules import room as rules
from gameroom.rules.room import PLAYING, Member, Room, RoomOptions
from gameroom.store import rooms as table
from gameroom.wire.room_messages import Outgoing

if TYPE_CHECKING:
    from gameroom.room import LivingRoom


@attrs.frozen
class _Ending:
    """How a play is to end."""

    reason: str
    results: Any
    also: Work | None
    told: Callable[[], None] | None


async def _end(cursor: ICursor, play_id: str, ended_ms: int, reason: str, also: Work | None) -> None:
    await table.end_play(cursor, play_id, ended_ms, reason)
    if also is not None:
        work, args = also
        await work(cursor, *args)


@implementer(ITurnRoom)
class RefereedRoom:
    """What one room's referee knows of it. `state` is the state that members were told last."""

    _log = Logger()

    def __init__(self, room: LivingRoom) -> None:
        self.room_id: str = room.room_id
        self.options: RoomOptions = room.options
        self.made_from: str = room.made_from
        self.state = room.value.state
        # Asked for each packet: the clock itself, with nothing between.
        self.now = room.now
        self._room = room
        self._ending: _Ending | None = None
        self.last_over: Outgoing | None = None

    @property
    def configuration(self) -> dict[str, Any]:
        return self._room.value.configuration

    @property
    def revision(self) -> int:
        return self._room.value.revision

    @property
    def host(self) -> str | None:
        return self._room.value.host

    @property
    def setup_state(self) -> str:
        return self._room.latest.state

    @property
    def members(self) -> Sequence[Member]:
        return self._room.latest.members

    @property
    def seated(self) -> list[str]:
        return [member.user_id for member in self._room.latest.players]

    def member(self, user_id: str) -> Member:
        return self._room.latest.member(user_id)

    def connected_fields(self, user_id: str, details: Any = None) -> dict[str, Any]:
        return views.connected(self._room, self.member(user_id), details)

    def is_connected(self, user_id: str) -> bool:
        return bool(self._room.audience.of(user_id))

    def connections(self, user_id: str) -> Sequence[Any]:
        return self._room.audience.of(user_id)

    def everyone(self) -> Iterable[Any]:
        return self._room.audience

    def broadcast(self, outgoing: Outgoing) -> None:
        self._room.audience.tell_all(outgoing)

    def tell(self, user_id: str, outgoing: Outgoing) -> None:
        self._room.audience.tell(user_id, outgoing)

    def configure(self, patch: Mapping[str, Any], by: str) -> Deferred[None]:
        self.member(by)

        def tell(room: Room) -> None:
            self.broadcast(Outgoing.json({"type": "setup", "configuration": room.configuration, "revision": room.revision, "by": by}))

        return self._room.change(rules.configure(self._room.latest, patch), tell)

    def enter(self, state: str) -> Deferred[None]:
        return self._room.change(rules.enter(self._room.latest, state), lambda room: self.show_state(state))

    def show_state(self, state: str, reason: str | None = None, members: Sequence[str] | None = None, message: str | None = None) -> None:
        """`message` is a sentence for a person."""
        self.state = state
        told: dict[str, Any] = {"type": "state", "state": state}
        if reason is not None:
            told["reason"] = reason
        if members is not None:
            told["members"] = list(members)
        if message is not None:
            told["message"] = message
        self.broadcast(Outgoing.json({**told, **views.address(self._room)}))

    def keep(self, work: Work, told: Callable[[], None]) -> Deferred[None]:
        return self._room.change(self._room.latest, lambda room: told(), work)

    def set_ready(self, user_id: str, ready: bool) -> Deferred[None]:
        return self._room.set_ready(user_id, ready)

    def take_seat(self, user_id: str) -> Deferred[None]:
        return Deferred.fromCoroutine(self._room.around.sit(self._room, user_id))

    def add_bot(self, by: str, level: int) -> Deferred[None]:
        return self._room.add_bot(by, level)

    def give_up_seat(self, user_id: str) -> Deferred[None]:
        return self._room.give_up_seat(user_id)

    def withdraw(self, user_id: str, event: str) -> None:
        self._room.audience.withdraw(user_id, event)

    def send_again(self) -> None:
        self._room.audience.send_again()

    def wake(self) -> None:
        self._room.wake()

    def over(self, reason: str, results: Any = None) -> None:
        self._end(reason, results, None, None)

    def finish(self, reason: str, results: Any, also: Work, told: Callable[[], None]) -> None:
        self._end(reason, results, also, told)

    def _end(self, reason: str, results: Any, also: Work | None, told: Callable[[], None] | None) -> None:
        if self._room.around.stopped():
            # What ends as the daemon goes down is no end of the play: the next start decides what becomes of it.
            return
        if self._room.latest.phase == PLAYING and self._ending is None:
            self._ending = _Ending(reason, results, also, told)
            self._end_play()

    @property
    def ending(self) -> bool:
        """Whether a play is to end whose end is not saved."""
        return self._ending is not None

    def end_again(self) -> None:
        """Try once more to end a play whose end could not be saved."""
        if self._ending is not None:
            self._end_play()

    def _end_play(self) -> None:
        assert self._ending is not None
        room, ending = self._room, self._ending
        reason, results = ending.reason, ending.results
        play_id = room.latest.play_id

        def tell(after: Room) -> None:
            self._ending = None
            if ending.told is not None:
                ending.told()
            room.referee.end()
            self._log.info("play {play_id} of room {room_id} is over: {reason}", play_id=play_id, room_id=self.room_id, reason=reason)
            message = {"type": "over", "reason": reason, "play_id": play_id}
            self.last_over = Outgoing.json(message if results is None else {**message, "results": results})
            self.broadcast(self.last_over)
            room.audience.restart_clocks()
            self.show_state(after.state, reason)

        also = (_end, (play_id, int(self.now() * 1000), reason, ending.also))
        # The ledger logs what goes wrong. It stays in _ending, so the room's next look at the time tries again.
        room.change(rules.finish(room.latest), tell, also).addErrback(lambda failure: None)
