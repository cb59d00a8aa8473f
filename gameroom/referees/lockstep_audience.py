"""Who gets the masters of a lock-step play: live as they are made, or from the recording first (docs/protocol/lockstep.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from gameroom.errors import BadState
from gameroom.interfaces import IRoom
from gameroom.rules.pace import FIRST_ITERATIONS
from gameroom.wire.lockstep import Packets
from gameroom.wire.room_messages import Hello, Outgoing

if TYPE_CHECKING:
    from gameroom.store.recording import Reader, Recording


class Audience:
    """The connections of one play.

    `about` is what `start` says of it.
    """

    _log = Logger()

    def __init__(self, *, room: IRoom, play_id: str, about: Mapping[str, Any], recording: Recording, codec: Packets) -> None:
        self.told = recording.masters
        """How many masters may be told: the next has this generation."""
        self.on = True
        """False once the play is over."""
        self._room = room
        self._play_id = play_id
        self._about = about
        self._recording = recording
        self._codec = codec
        self._live: list[Any] = []
        self._reading: dict[Any, Reader] = {}
        """The connections that are given history, and the newest of it where they asked again."""

    def begin(self) -> None:
        """Everybody is told `start`, and gets the masters from the first on."""
        self._room.broadcast(Outgoing.json(self._start()))
        self._live = [connection for connection in self._room.everyone() if self._takes_packets(connection)]

    def give(self, outgoing: Outgoing) -> None:
        """The next master, to all who are up to date."""
        self.told += 1
        for connection in self._live:
            connection.deliver(outgoing)

    def repeat(self, connections: Iterable[Any], generation: int) -> None:
        """A master once more."""
        masters = self._recording.reader(generation).batch(min(self.told, generation + 1))
        for connection in connections:
            # The others are being given it as history.
            if masters and connection in self._live:
                connection.deliver(Outgoing(masters[0], self._recording.binary))

    # Those who come.

    def _start(self) -> dict[str, Any]:
        return {"type": "start", "play_id": self._play_id, **self._about, "iterations_per_command": FIRST_ITERATIONS}

    def _takes_packets(self, connection: Any) -> bool:
        return bool(connection.binary or not self._recording.binary)

    def first_missed(self, hello: Hello) -> int:
        """The generation from which on somebody has missed masters, who says what it had last.

        Raises `BadState` for a last generation that nobody was told yet.
        """
        if hello.play_id != self._play_id or hello.last_generation is None:
            return 0
        if hello.last_generation >= self.told:
            raise BadState(f"there is no generation {hello.last_generation} yet; the next master is {self.told}")
        return hello.last_generation + 1

    def bring_up_to_date(self, connection: Any, hello: Hello) -> None:
        """A connection that has just come: `start`, the masters that it has missed, and from then on each as it comes."""
        first = self.first_missed(hello)
        self.look_for_gone()
        connection.deliver(Outgoing.json({**self._start(), "generation": self.told}))
        if self._takes_packets(connection):
            connection.catch_up(self._history(connection, first))

    def _history(self, connection: Any, first: int) -> Callable[[], Outgoing | None]:
        reader = self._reading[connection] = self._recording.reader(first)
        if connection in self._live:
            # It has said hello again: what is mastered meanwhile is part of the history.
            self._live.remove(connection)

        def source() -> Outgoing | None:
            if self._reading.get(connection) is not reader:
                return None
            start = reader.generation
            try:
                masters = reader.batch(self.told)
            except OSError as error:
                self._log.error("history of play {play_id} cannot be read: {error}", play_id=self._play_id, error=str(error))
                connection.close(BadState("what has been played so far cannot be read at the moment; come back later"))
                return None
            if masters:
                return Outgoing(self._codec.masters(start, masters), self._recording.binary)
            del self._reading[connection]
            if self.on:
                self._live.append(connection)
            return None

        return source

    def look_for_gone(self) -> None:
        """Forget the connections that the room no longer has."""
        present = set(self._room.everyone())
        self._live = [connection for connection in self._live if connection in present]
        self._reading = {connection: reader for connection, reader in self._reading.items() if connection in present}
