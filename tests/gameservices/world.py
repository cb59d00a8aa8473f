"""What services need of a daemon, as a test plays it."""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from gameroom.errors import BadState
from gameroom.wire.game_service import Player, Started, State, Update, state_to_bytes, update_from_bytes
from gameroom.wire.prefixed import Frames, framed
from tests.gameservers.world import FakePrograms, Wire


class ProgramsOfAddresses(FakePrograms):
    """Programs of which an address may run no more than its share."""

    def __init__(self) -> None:
        super().__init__()
        self.full: set[str] = set()

    def require(self, made_from: str = "") -> None:
        super().require(made_from)
        if made_from in self.full:
            raise BadState(f"{made_from} runs as many as it may")


def update(sequence: int = 1, *, game_id: str = "dice", version: str = "1.0.0") -> Update:
    """What a room asks."""
    return Update(
        request=0,
        room_id="room-1",
        sequence=sequence,
        state=b"",
        players=(Player(seat=0, id="ada", name="Ada", connected=True),),
        event=Started(config=b"{}", seed=5),
        now_ms=1_700_000_000_000,
        game_id=game_id,
        version=version,
    )


class Calls:
    """The connections to services: accepted when the test looks, in the order in which they were asked for."""

    def __init__(self, reactor: MemoryReactorClock) -> None:
        self._reactor = reactor
        self._accepted = 0
        self.wires: list[Wire] = []

    def accept(self) -> None:
        """Make all connections that were asked for and not given up."""
        for (_, _, factory, *_), connector in zip(
            self._reactor.tcpClients[self._accepted :], self._reactor.connectors[self._accepted :], strict=True
        ):
            self._accepted += 1
            if not connector.stoppedConnecting:
                self.wires.append(Wire(factory.buildProtocol(None)))

    def refuse(self, error: Exception) -> None:
        """Let all of those fail."""
        while self._accepted < len(self._reactor.tcpClients):
            factory: Any = self._reactor.tcpClients[self._accepted][2]
            connector = self._reactor.connectors[self._accepted]
            self._accepted += 1
            if not connector.stoppedConnecting:
                factory.clientConnectionFailed(connector, Failure(error))

    def asked(self) -> list[bytes]:
        """The updates that came on connections that are there and were not answered, as bytes."""
        self.accept()
        return [each for wire in self._living() for each in Frames(1 << 24).feed(wire.value())]

    def answer(self) -> None:
        """Answer all of them: the next state is the sequence."""
        self.accept()
        for wire in self._living():
            frames = Frames(1 << 24).feed(wire.value())
            wire.clear()
            for said in map(update_from_bytes, frames):
                if not wire.aborted:
                    wire.send(framed(state_to_bytes(State(request=said.request, sequence=said.sequence, state=str(said.sequence).encode()))))

    def cut(self) -> None:
        """All connections are lost."""
        self.accept()
        for wire in self.wires:
            wire.hang_up(cleanly=False)

    def _living(self) -> list[Wire]:
        for wire in self.wires:
            if wire.aborted or wire.disconnecting:
                wire.hang_up()
        return [wire for wire in self.wires if not wire.gone]
