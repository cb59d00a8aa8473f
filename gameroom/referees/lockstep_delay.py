"""Viewers who are held back: masters, history and chat reach them some generations later (docs/protocol/lockstep.md, viewers)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from twisted.logger import Logger

from gameroom.errors import BadState
from gameroom.interfaces import IRoom
from gameroom.listeners import Listeners
from gameroom.referees.lockstep_arrival import Arrival
from gameroom.referees.lockstep_audience import Audience
from gameroom.referees.lockstep_shelf import Shelf
from gameroom.referees.lockstep_snapshots import Snapshots
from gameroom.wire.lockstep import Packets
from gameroom.wire.room_messages import Outgoing, Outgoings

if TYPE_CHECKING:
    from gameroom.store.recording import Reader, Recording

CHAT_BYTES: Final = 1 << 20
"""So much of what was said is held for viewers; what is past it they do not get."""


class DelayedAudience(Audience):
    """An audience whose viewers are `delay` generations behind. Their masters are read from the recording when their time comes."""

    _log: ClassVar = Logger()

    def __init__(
        self,
        delay: int,
        *,
        room: IRoom,
        play_id: str,
        about: Mapping[str, Any],
        recording: Recording,
        codec: Packets,
        snapshots: Snapshots,
        shelf: Shelf,
        seat_of: Callable[[str], int | None],
    ) -> None:
        super().__init__(
            room=room,
            play_id=play_id,
            about=about,
            recording=recording,
            codec=codec,
            snapshots=snapshots,
            shelf=shelf,
            seat_of=seat_of,
        )
        self._delay = delay
        self._shown = max(0, self.told - delay)
        self._viewers = Listeners()
        self._chat: deque[tuple[int, Outgoing]] = deque()
        """What was said, with the generation that was open then."""
        self._chat_bytes = 0
        self._reader: Reader | None = None

    @property
    def shown(self) -> int:
        return self._shown

    def limit(self, user_id: str) -> int:
        return self._shown if self.seat_of(user_id) is None else self.told

    def begin(self) -> None:
        super().begin()
        players = self._players()
        self._viewers = Listeners([connection for connection in self._live.connections if connection not in players])
        self._live.keep(players)

    def _players(self) -> set[Any]:
        members = [player["user_id"] for player in self._about["players"] if self.seat_of(player["user_id"]) is not None]
        return {connection for user_id in members for connection in self._room.connections(user_id)}

    def _enter(self, arrival: Arrival) -> None:
        (self._viewers if self.seat_of(arrival.user_id) is None else self._live).add(arrival.connection)

    def _expect(self, arrival: Arrival) -> Arrival:
        self._viewers.discard(arrival.connection)
        return super()._expect(arrival)

    def look_for_gone(self) -> None:
        super().look_for_gone()
        self._viewers.keep(set(self._room.everyone()))

    # What reaches them when.

    def give(self, outgoing: Outgoing) -> None:
        super().give(outgoing)
        while self._shown < self.told - self._delay:
            self._show()

    def give_all(self, masters: Outgoings) -> None:
        # Viewers are shown each as it is made: what was said meanwhile stands between them.
        for master in masters.messages:
            self.give(master)

    def _show(self) -> None:
        master = self._read() if self._viewers else None
        self._shown += 1
        if master is not None:
            self._viewers.give(master)
        self._give_chat(self._shown)

    def _read(self) -> Outgoing | None:
        if self._reader is None or self._reader.generation != self._shown:
            self._reader = self.recording.reader(self._shown)
        try:
            [master] = self._reader.batch(self._shown + 1)
        except OSError as error:
            self._log.error("viewers of play {play_id} cannot be shown it: {error}", play_id=self.play_id, error=str(error))
            viewers, self._viewers, self._reader = self._viewers, Listeners(), None
            for connection in viewers.connections:
                connection.close(BadState("what has been played so far cannot be read at the moment; come back later"))
            return None
        return Outgoing(master, self.recording.binary)

    def chat(self, outgoing: Outgoing) -> bool:
        """Players hear it at once, viewers with the master of the generation that is open."""
        players = self._players()
        for connection in self._room.everyone():
            if connection in players:
                connection.deliver(outgoing)
        if self._chat_bytes + len(outgoing.data) <= CHAT_BYTES:
            self._chat.append((self.told, outgoing))
            self._chat_bytes += len(outgoing.data)
        return True

    def _give_chat(self, below: int) -> None:
        """What was said in the generations below that one."""
        if not self._chat or self._chat[0][0] >= below:
            return
        players = self._players()
        viewers = [connection for connection in self._room.everyone() if connection not in players]
        while self._chat and self._chat[0][0] < below:
            _, outgoing = self._chat.popleft()
            self._chat_bytes -= len(outgoing.data)
            for connection in viewers:
                connection.deliver(outgoing)

    def end(self) -> None:
        """The play is over: viewers get the rest of it."""
        super().end()
        first, self._shown = self._shown, self.told
        viewers, self._viewers, self._reader = self._viewers, Listeners(), None
        for connection in viewers.connections:
            # Whoever it is, everybody may see everything now.
            self._expect(Arrival(self, connection, "", first)).begin(first)
        self._give_chat(self.told + 1)
