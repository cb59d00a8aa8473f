"""Who gets the masters of a lock-step play: live as they are made, or a snapshot and the recording first (docs/protocol/lockstep.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from gameroom.errors import BadState
from gameroom.interfaces import IRoom
from gameroom.listeners import Listeners
from gameroom.referees.lockstep_arrival import Arrival
from gameroom.referees.lockstep_shelf import Shelf
from gameroom.referees.lockstep_snapshots import Snapshots
from gameroom.rules.pace import FIRST_ITERATIONS
from gameroom.wire.lockstep import Packets
from gameroom.wire.room_messages import Hello, Outgoing, Outgoings

if TYPE_CHECKING:
    from gameroom.store.recording import Recording


class Audience:
    """The connections of one play.

    `about` is what `start` says of it; `seat_of(user_id)` is the seat of one who plays, or None.
    """

    def __init__(
        self,
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
        self.play_id = play_id
        self.recording = recording
        self.codec = codec
        self.told = recording.masters
        """How many masters may be told: the next has this generation."""
        self.on = True
        """False once the play is over."""
        self.standing: Outgoing | None = None
        """What everyone was told and those who come have to be told again."""
        self.coming: dict[Any, Arrival] = {}
        """The connections that are not up to date, and how each comes; the newest where they asked again."""
        self._room: Any = room
        self._about = about
        self.snapshots = snapshots
        self.shelf = shelf
        self.seat_of = seat_of
        self._live = Listeners()
        self._unable: set[Any] = set()
        """The connections of clients that can load no snapshot."""
        self.spoiled: set[str] = set()
        """The members who are away with a state that is not the play's."""

    def begin(self) -> None:
        """Everybody is told `start`, and gets the masters from the first on."""
        self._room.broadcast(Outgoing.json(self._start()))
        self._live = Listeners([connection for connection in self._room.everyone() if self.takes_packets(connection)])

    def give(self, outgoing: Outgoing) -> None:
        """The next master, to all who are up to date."""
        self.told += 1
        self._live.give(outgoing)

    def give_all(self, masters: Outgoings) -> None:
        """The next masters, to all who are up to date."""
        self.told += len(masters.messages)
        self._live.give(masters)

    def repeat(self, connections: Iterable[Any], generation: int) -> None:
        """A master once more."""
        masters = self.recording.reader(generation).batch(min(self.told, generation + 1))
        for connection in connections:
            # The others are being given it as history.
            if masters and connection in self._live:
                connection.deliver(Outgoing(masters[0], self.recording.binary))

    def chat(self, outgoing: Outgoing) -> bool:
        """Somebody has said something. True where it is given here."""
        return False

    def end(self) -> None:
        """The play is over; nothing more is made."""
        self.on = False

    # Those who come.

    @property
    def shown(self) -> int:
        """How many masters viewers may see."""
        return self.told

    def limit(self, user_id: str) -> int:
        """How many masters a member may see."""
        return self.told

    def takes_packets(self, connection: Any) -> bool:
        """Whether the connection can carry this play."""
        return bool(connection.binary or not self.recording.binary)

    def first_missed(self, hello: Hello) -> int:
        """The generation from which on somebody has missed masters, who says what it had last.

        Raises `BadState` for a last generation that nobody was told yet.
        """
        if hello.play_id != self.play_id or hello.last_generation is None:
            return 0
        if hello.last_generation >= self.told:
            raise BadState(f"there is no generation {hello.last_generation} yet; the next master is {self.told}")
        return hello.last_generation + 1

    def bring_up_to_date(self, user_id: str, connection: Any, hello: Hello) -> None:
        """A connection that has just come: `start`, what it has missed, and from then on each master as it comes."""
        limit = self.limit(user_id)
        first = min(self.first_missed(hello), limit)
        self.look_for_gone()
        connection.deliver(self._restart(limit))
        if not self.takes_packets(connection):
            if self.standing is not None:
                connection.deliver(self.standing)
            return
        if not hello.snapshots:
            self._unable.add(connection)
        spoiled = user_id in self.spoiled
        self.spoiled.discard(user_id)
        arrival = self._anew(user_id, connection) if spoiled else self._expect(Arrival(self, connection, user_id, first))
        arrival.standing = self.standing
        if hello.snapshots and (spoiled or arrival.is_far(limit)):
            arrival.begin_near()
        else:
            arrival.begin(arrival.first)

    def arrived(self, arrival: Arrival) -> None:
        """It has all that there is for it: it is live."""
        del self.coming[arrival.connection]
        if self.on:
            self._enter(arrival)
        if arrival.standing is not None and arrival.standing is self.standing:
            arrival.connection.deliver(arrival.standing)

    def _start(self) -> dict[str, Any]:
        return {"type": "start", "play_id": self.play_id, **self._about, "iterations_per_command": FIRST_ITERATIONS}

    def _restart(self, generation: int) -> Outgoing:
        """`start` while the play is on, `generation` being the next."""
        return Outgoing.json({**self._start(), "generation": generation})

    def _enter(self, arrival: Arrival) -> None:
        self._live.add(arrival.connection)

    def _expect(self, arrival: Arrival) -> Arrival:
        """What is mastered from now on is part of what it has missed."""
        self._live.discard(arrival.connection)
        self.coming[arrival.connection] = arrival
        return arrival

    # Those whose state is not the play's.

    def restore(self, user_id: str, generation: int, snapshot: Outgoing) -> None:
        """A player gets this state instead of its own, and goes on from there; one that can load none gets there from the beginning."""
        for connection in self._wrong(user_id):
            if connection in self._unable:
                self._anew(user_id, connection).begin(0)
            else:
                self._expect(Arrival(self, connection, user_id, generation + 1)).begin(generation + 1, snapshot)

    def evict(self, user_id: str) -> None:
        """A player has become a viewer, and its state is not the play's: it begins anew."""
        for connection in self._wrong(user_id):
            arrival = self._anew(user_id, connection)
            if connection in self._unable:
                arrival.begin(0)
            else:
                arrival.begin_near()

    def _wrong(self, user_id: str) -> list[Any]:
        """The connections of one whose state is not the play's; where it has none that is remembered until it comes."""
        connections = [connection for connection in self._room.connections(user_id) if self.takes_packets(connection)]
        if not connections:
            self.spoiled.add(user_id)
        return connections

    def _anew(self, user_id: str, connection: Any) -> Arrival:
        """One whose state is of no use: it begins at a snapshot, or else is told `start` once more and begins at the beginning."""
        return self._expect(Arrival(self, connection, user_id, 0, self._restart(self.limit(user_id))))

    def look_for_gone(self) -> None:
        """Forget the connections that the room no longer has."""
        present = set(self._room.everyone())
        self._live.keep(present)
        self._unable &= present
        self.coming = {connection: arrival for connection, arrival in self.coming.items() if connection in present}
