"""What the time does to a play: patience, and the pauses of an engine's own."""

from __future__ import annotations

from typing import Any

import attrs

from gameroom.errors import BadState
from gameroom.rules.lockstep import DIVERGED, HELD, ITERATING, LAGGING, Play
from gameroom.rules.lockstep_values import Divergence, Past, Repeat, Resend, StateChange
from gameroom.rules.master import Master
from gameroom.wire.lockstep import JSON
from tests.rules.playing import TERMS, PlayCase


class PatienceTests(PlayCase):
    """Three players, D = 2; a generation waits for half a second from its first packet on."""

    terms = attrs.evolve(TERMS, patience=0.5)

    def miss(self) -> list[Any]:
        """Seats 0 and 1 send, 2 does not, until patience is lost."""
        self.turn((0, 1))
        return self.tick(0.5)

    def test_sealed_without(self) -> None:
        """The master tells who is missed, and holds what is there; the late packet is a repeat, and the play does not lag."""
        self.assertIsNone(self.play.next_deadline())
        self.send(0, 0, b"[0]")
        self.now += 0.2
        self.send(1, 0)
        self.assertEqual((self.play.next_deadline(), self.tick(0.29)), (100.5, []))
        [master] = self.masters(self.tick(0.01))
        self.assertEqual((list(master.system), master.commands), ([{"missed": [2]}], {0: b"[0]"}))
        self.assertEqual((self.play.next_deadline(), self.send(2, 0, b"[9]")), (None, [Repeat(2, 0)]))

    def test_from_its_first_packet(self) -> None:
        """What came ahead counts: several generations may be due at once. A packet ahead of one that is missed is used."""
        for generation in (0, 1):
            self.send(0, generation)
            self.send(1, generation)
        self.assertEqual([list(master.system) for master in self.masters(self.tick(0.5))], [[{"missed": [2]}], [{"missed": [2]}]])
        self.send(2, 3, b"[3]")
        self.send(0, 2)
        self.assertEqual(len(self.masters(self.tick(0.5))), 2)
        self.assertEqual(self.play.generation, 4)

    def test_nobody_has_sent(self) -> None:
        """Nothing is sealed without any packet."""
        self.assertEqual(self.tick(100), [])
        self.assertEqual(self.play.generation, 0)

    def test_dropped_if_always_missed(self) -> None:
        """Who is missed for drop_after without a break is dropped, though it is there."""
        self.miss()
        for _ in range(118):
            self.miss()
        self.assertEqual((self.play.awaited(), self.now), ([0, 1, 2], 159.5))
        self.miss()
        effects = self.miss()
        self.assertEqual(self.play.awaited(), [0, 1])
        self.assertEqual([list(master.system) for master in self.masters([*effects, *self.turn((0, 1))])], [[{"missed": [2]}], [{"dropped": 2}]])

    def test_in_time_now_and_then(self) -> None:
        """One packet in time, and the count begins anew."""
        for _ in range(4):
            for _ in range(60):
                self.miss()
            self.turn()
        self.assertEqual(self.play.awaited(), [0, 1, 2])

    def test_proposed(self) -> None:
        """Who is missed may be proposed to be dropped, until a packet of it is used."""
        self.miss()
        self.play.propose_drop(0, 2, self.now)
        self.turn()
        self.assertRaises(BadState, self.play.propose_drop, 1, 2, self.now)
        self.miss()
        self.play.propose_drop(1, 2, self.now)
        self.assertEqual(self.play.awaited(), [0, 1, 2])
        self.play.propose_drop(0, 2, self.now)
        self.assertEqual(self.play.awaited(), [0, 1])

    def test_owes_no_hash(self) -> None:
        """The others agree without a player that was missed."""
        self.turn()
        for seat in (0, 1):
            self.send(seat, 1, checksum=(0, "a"))
        [master] = self.masters(self.tick(0.5))
        self.assertEqual((master.generation, master.checksum), (1, (0, "a")))

    def test_longer_than_the_lag(self) -> None:
        """With a patience above lag_after the play lags, and goes on when it is lost."""
        self.terms = attrs.evolve(TERMS, patience=3.0)
        super().setUp()
        self.turn((0, 1))
        self.assertEqual(self.tick(1)[0], StateChange(LAGGING, (2,)))
        self.assertEqual(self.play.next_deadline(), 103.0)
        self.assertEqual(self.kinds(self.tick(2)), [StateChange, Master])
        self.assertEqual(self.play.state, ITERATING)

    def test_after_a_restart(self) -> None:
        """All have time to come back; patience counts again when they have."""
        play = Play(terms=self.terms, packets=JSON, seats=(0, 1, 2), connected=(), now=self.now, past=Past(generation=4))
        self.play = play
        for seat in self.players:
            play.connected(seat, self.now)
        self.send(0, 4)
        self.assertEqual((self.play.next_deadline(), self.kinds(self.tick(20)), self.play.generation), (None, [Resend, Resend], 4))
        self.send(1, 4)
        self.send(2, 4)
        self.send(0, 5)
        self.assertEqual(self.kinds(self.tick(0.5)), [Master])

    def test_differs(self) -> None:
        """What differs is not sealed away, and patience begins anew when it is resolved."""
        self.turn()
        self.send(0, 1, checksum=(0, "a"))
        self.send(1, 1, checksum=(0, "b"))
        self.now += 5
        self.assertEqual((self.play.state, self.play.generation, self.play.next_deadline()), (DIVERGED, 1, None))
        self.tick(0)
        self.play.resolve("evict", 0, self.now)
        self.assertEqual(self.play.next_deadline(), self.now + 0.5)


class HoldTests(PlayCase):
    """An engine's own paused state."""

    def test_no_master(self) -> None:
        """Packets are taken and nothing is made or looked for; with the release it is all made up for."""
        self.play.hold(self.now)
        self.send(0, 0)
        self.assertEqual(self.tick(30) + self.send(1, 0) + self.send(2, 0) + self.turn((0, 1)), [])
        self.assertEqual((self.play.state, self.play.generation), (HELD, 0))
        self.assertEqual(self.kinds(list(self.play.release(self.now))), [Master])
        self.assertEqual((self.play.state, self.play.release(self.now)), (ITERATING, ()))

    def test_lag_begins_anew(self) -> None:
        """Who is missing at the release has lag_after, also where it had lagged before."""
        self.send(0, 0)
        self.tick(1)
        self.play.hold(self.now)
        self.now += 30
        self.assertEqual(self.play.release(self.now), [])
        self.assertEqual((self.tick(0.9), self.tick(0.1)[0]), ([], StateChange(LAGGING, (1, 2))))

    def test_divergence_waits(self) -> None:
        """What differs is found at the release; what had been found before is told again."""
        self.turn()
        self.play.hold(self.now)
        self.assertEqual(self.kinds(self.reports({0: "a", 1: "a", 2: "b"})), [Resend] * 3)
        self.assertRaises(BadState, self.play.resolve, "evict", 0, self.now)
        for _ in range(2):
            self.assertEqual(self.kinds(list(self.play.release(self.now))), [StateChange, Divergence])
            self.assertEqual(self.play.state, DIVERGED)
            self.play.hold(self.now)

    def test_leaving_meanwhile(self) -> None:
        """Who leaves in the pause is not waited for after it; who comes back, comes back with the next master."""
        self.play.left(2, self.now)
        self.play.hold(self.now)
        self.play.left(1, self.now)
        self.send(0, 0)
        [master] = self.masters(list(self.play.release(self.now)))
        self.assertEqual(list(master.system), [{"left": 2}, {"left": 1}])

    def test_nobody_comes(self) -> None:
        """A play that all have deserted is over, in a pause as well."""
        self.play.hold(self.now)
        for seat in self.players:
            self.play.disconnected(seat, self.now)
        self.assertEqual((self.tick(119), len(self.tick(1))), ([], 1))

    def test_patience_waits(self) -> None:
        """Patience begins anew with the release."""
        self.terms = attrs.evolve(TERMS, patience=0.5)
        super().setUp()
        self.send(0, 0)
        self.play.hold(self.now)
        self.assertEqual((self.play.next_deadline(), self.tick(9)), (None, []))
        self.assertEqual(self.play.release(self.now), [])
        self.assertEqual(self.play.next_deadline(), self.now + 0.5)


class SnapshotTests(PlayCase):
    """Whom to ask for a state, and which one is good."""

    def test_source(self) -> None:
        """A player that is there, in time, and agrees; first one that is known to."""
        self.assertEqual((self.play.snapshot_source(), self.play.snapshot_source({0}), self.play.snapshot_source({0, 1, 2})), (0, 1, None))
        self.turn()
        self.reports({1: "a", 2: "a"})
        self.play.disconnected(0, self.now)
        self.play.connected(0, self.now)
        self.assertEqual(self.play.snapshot_source(), 1)
        self.play.disconnected(1, self.now)
        self.assertEqual(self.play.snapshot_source(), 2)

    def test_source_in_a_divergence(self) -> None:
        """One of the majority; nobody where there is none."""
        self.turn()
        self.reports({0: "b", 1: "a", 2: "a"})
        self.assertEqual(self.play.snapshot_source(), 1)
        self.play.disconnected(1, self.now)
        self.assertIsNone(self.play.snapshot_source())

    def test_vouched(self) -> None:
        """Only the agreed hash is; before it is agreed nobody knows, and later nobody ever will."""
        for generation in range(400):
            if generation == 100:
                self.turn()
                continue
            for seat in self.players:
                self.send(seat, generation, checksum=(generation - 2, f"h{generation - 2}") if generation > 1 else (-1, 0))
        known = {about: self.play.vouched(about, f"h{about}") for about in (400, 399, 398, 397, 300, 142, 141)}
        self.assertEqual(known, {400: False, 399: None, 398: None, 397: True, 300: True, 142: True, 141: False})
        self.assertEqual((self.play.vouched(397, "h1"), self.play.vouched(397, None)), (False, False))

    def test_vouched_between(self) -> None:
        """Of a generation that is not hashed nothing will be known; nor of one that somebody has left out."""
        self.terms = attrs.evolve(TERMS, checksum_interval=2)
        super().setUp()
        for _ in range(9):
            self.turn()
        self.assertEqual([self.play.vouched(about, "a") for about in (8, 7, 6)], [None, False, False])
