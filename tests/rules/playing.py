"""A play of the rules in a test: packets in, effects out, at a time that the test moves."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gameroom.rules.lockstep import Play
from gameroom.rules.lockstep_values import Divergence, Terms
from gameroom.rules.master import Master
from gameroom.wire.lockstep import JSON, CommandPacket, MasterPacket

TERMS = Terms(lag_after=1.0, drop_after=60.0, room_ttl=120.0)


class PlayCase(SynchronousTestCase):
    """A play of three players, D = 2, at a time that the test moves."""

    players: tuple[int, ...] = (0, 1, 2)
    terms = TERMS

    def setUp(self) -> None:
        self.now = 100.0
        self.play = Play(terms=self.terms, packets=JSON, seats=self.players, connected=self.players, now=self.now)

    def send(self, seat: int, generation: int, commands: bytes = b"", checksum: tuple[int, Any] = (-1, 0)) -> list[Any]:
        return list(self.play.receive(seat, CommandPacket(generation, 50, 60, *checksum, commands), self.now))

    def turn(self, seats: tuple[int, ...] | None = None) -> list[Any]:
        """All send the next packet."""
        generation, effects = self.play.generation, []
        for seat in seats or self.players:
            effects += self.send(seat, generation)
        return effects

    def tick(self, seconds: float) -> list[Any]:
        self.now += seconds
        return list(self.play.tick(self.now))

    def masters(self, effects: list[Any]) -> list[MasterPacket]:
        return [JSON.read_master(effect.data) for effect in effects if isinstance(effect, Master)]

    def reports(self, values: dict[int, Any]) -> list[Any]:
        """Each of these sends its newest packet of the window, with its hash of the newest master."""
        generation, effects = self.play.generation, []
        for seat, value in values.items():
            effects += self.send(seat, generation + self.terms.input_delay - 1, checksum=(generation - 1, value))
        return effects

    def kinds(self, effects: list[Any]) -> list[type]:
        return [type(effect) for effect in effects]


class DisputeCase(PlayCase):
    """Generation 0 is mastered and 1 is next; D = 2, so each may send 1 and 2, with the hash of 0 in the latter."""

    def setUp(self) -> None:
        super().setUp()
        self.turn()

    def told(self, effects: list[Any]) -> list[Any]:
        return [effect.fields["groups"] for effect in effects if isinstance(effect, Divergence)]
