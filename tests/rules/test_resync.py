"""A good state for who has diverged: whom the rules ask for it, and which they take."""

from __future__ import annotations

from typing import Any

import attrs

from gameroom.errors import BadState
from gameroom.rules.lockstep import DIVERGED, ITERATING
from gameroom.rules.lockstep_values import AskSnapshot, Divergence, Repeat, Restore, StateChange
from tests.rules.playing import TERMS, DisputeCase


class ResyncTests(DisputeCase):
    """on_divergence resync."""

    terms = attrs.evolve(TERMS, on_divergence="resync")

    def diverge(self) -> list[Any]:
        """Seat 2 is wrong about generation 0, the newest."""
        return self.reports({0: "a", 1: "a", 2: "b"})

    def test_restored(self) -> None:
        """One of the majority is asked for the newest; its answer is the others' state, and their packets count."""
        effects = self.diverge()
        self.assertEqual(effects[-1], AskSnapshot(0, 0))
        self.send(2, 1, b"[9]")
        effects = list(self.play.snapshot_given(0, 0, "a", self.now))
        self.assertEqual(effects, [Restore((2,), 0, 0), StateChange(ITERATING)])
        self.assertEqual(self.masters(self.turn((0, 1)))[0].commands, {2: b"[9]"})
        self.assertEqual(self.play.generation, 3)

    def test_reports_on_their_way_do_not_count(self) -> None:
        """What the restored player had sent of its old state is nothing; what it sends of the new one counts."""
        self.players = (0, 1, 2, 3)
        self.setUp()
        self.reports({0: "a", 1: "a", 3: "b"})
        self.send(2, 2, checksum=(0, "a"))
        self.play.snapshot_given(0, 0, "a", self.now)
        self.assertEqual(self.send(3, 1, checksum=(0, "b")), [])
        self.turn((0, 1, 2))
        self.assertEqual((self.play.state, self.play.generation), (ITERATING, 3))
        effects = self.reports({0: "c", 1: "c", 2: "c", 3: "d"})
        self.assertEqual(self.told(effects), [[{"value": "c", "seats": [0, 1, 2]}, {"value": "d", "seats": [3]}]])

    def test_another_is_asked(self) -> None:
        """After a wrong answer, one of another generation, none at all, or none in a while; a late one is still good."""
        for wrong in ((0, "z"), (1, "a"), (0, None)):
            with self.subTest(str(wrong)):
                self.setUp()
                self.diverge()
                self.assertEqual(list(self.play.snapshot_given(0, wrong[0], wrong[1], self.now)), [AskSnapshot(1, 0)])
                self.assertEqual(list(self.play.snapshot_given(2, 0, "a", self.now)), [])
                self.assertEqual(self.kinds(list(self.play.snapshot_given(1, 0, "a", self.now))), [Restore, StateChange])
        self.setUp()
        self.diverge()
        self.assertEqual((self.tick(4.9), self.tick(0.1)), ([], [AskSnapshot(1, 0)]))
        self.assertEqual(self.kinds(list(self.play.snapshot_given(0, 0, "a", self.now))), [Restore, StateChange])

    def test_nobody_can(self) -> None:
        """Where nobody gives a good state it stays diverged; the host may ask once more, or put out."""
        self.diverge()
        self.assertRaises(BadState, self.play.resolve, "resync", 0, self.now)
        self.play.snapshot_given(0, 0, None, self.now)
        self.assertEqual((list(self.play.snapshot_given(1, 0, "z", self.now)), self.tick(60)), ([], []))
        self.assertEqual(list(self.play.resolve("resync", 0, self.now)), [AskSnapshot(0, 0)])
        self.assertEqual(list(self.play.resolve("evict", 0, self.now)), [StateChange(ITERATING)])
        self.assertEqual(self.play.snapshot_given(0, 0, "a", self.now), ())

    def test_giver_goes(self) -> None:
        """When who was asked goes, its answer is not waited for; alone, one needs no other's word."""
        self.players = (0, 1, 2, 3)
        self.setUp()
        self.reports({0: "a", 1: "a", 2: "a", 3: "b"})
        self.assertEqual(list(self.play.disconnected(0, self.now)), [AskSnapshot(1, 0)])
        self.play.disconnected(1, self.now)
        self.assertEqual(self.tick(60), [])
        self.play.resolve("resync", 2, self.now)
        self.assertEqual(list(self.play.snapshot_given(2, 0, "a", self.now)), [Restore((3,), 0, 2), StateChange(ITERATING)])

    def test_who_differed_goes(self) -> None:
        """Then nobody needs the state any more."""
        self.diverge()
        self.assertEqual(list(self.play.left(2, self.now)), [StateChange(ITERATING)])
        self.assertEqual(self.play.snapshot_given(0, 0, "a", self.now), ())

    def test_newest_not_hashed(self) -> None:
        """Where the newest is not of the interval two are asked, and their answers must be equal; then a third is."""
        self.terms = attrs.evolve(self.terms, checksum_interval=2)
        self.players = (0, 1, 2, 3)
        super().setUp()
        self.turn()
        effects: list[Any] = []
        for seat, value in enumerate("aaab"):
            effects += self.send(seat, 3, checksum=(0, value))
        self.assertEqual(effects[-2:], [AskSnapshot(0, 1), AskSnapshot(1, 1)])
        self.assertEqual(list(self.play.snapshot_given(0, 1, "x", self.now)), [])
        self.assertEqual(list(self.play.snapshot_given(1, 1, "y", self.now)), [AskSnapshot(2, 1)])
        self.assertEqual(list(self.play.snapshot_given(2, 1, "x", self.now)), [Restore((3,), 1, 2), StateChange(ITERATING)])

    def test_newest_not_reported_yet(self) -> None:
        """The answer waits for what the majority says of the newest; after lag_after a second one is asked instead."""
        for late in (False, True):
            self.setUp()
            self.send(0, 1)
            self.send(1, 1)
            self.turn((2,))
            effects: list[Any] = []
            for seat, value in enumerate("aab"):
                effects += self.send(seat, 2, checksum=(0, value))
            self.assertEqual((self.play.generation, effects[-1]), (2, AskSnapshot(0, 1)))
            self.assertEqual(list(self.play.snapshot_given(0, 1, "x", self.now)), [])
            if late:
                self.assertEqual(self.tick(1), [AskSnapshot(1, 1)])
                effects = list(self.play.snapshot_given(1, 1, "x", self.now))
            else:
                self.assertEqual(self.send(0, 3, checksum=(1, "x")), [])
                effects = self.send(1, 3, checksum=(1, "x"))
            self.assertEqual(effects[:2], [Restore((2,), 1, 1 if late else 0), StateChange(ITERATING)])

    def test_silent(self) -> None:
        """Who leaves its hashes out is given the state once; then it is put out, unless the host asks for more."""
        restored = 0
        for _ in range(100):
            if self.play.state == DIVERGED:
                effects = list(self.play.snapshot_given(0, self.play.generation - 1, "x", self.now)) + self.tick(1)
                effects += self.play.snapshot_given(1, self.play.generation - 1, "x", self.now)
                restored += Restore in self.kinds(effects)
            elif 2 in self.play.awaited():
                generation = self.play.generation
                for seat in self.players:
                    self.send(seat, generation, checksum=(generation - 2, "x") if seat != 2 and generation > 1 else (-1, 0))
        self.assertEqual((restored, self.play.awaited()), (1, [0, 1]))

    def test_repeats_of_restored(self) -> None:
        """A restored player's packets that were mastered are answered as anybody's."""
        self.diverge()
        self.play.snapshot_given(0, 0, "a", self.now)
        self.assertEqual(self.send(2, 0), [Repeat(2, 0)])


class TwoTests(DisputeCase):
    """Two players never have a majority."""

    players = (0, 1)
    terms = attrs.evolve(TERMS, on_divergence="resync")

    def test_host_resyncs(self) -> None:
        """The host's state is what the other is given; the host alone is asked."""
        self.assertEqual(self.kinds(self.reports({0: "a", 1: "b"})[-2:]), [StateChange, Divergence])
        self.assertEqual(list(self.play.resolve("resync", 1, self.now)), [AskSnapshot(1, 0)])
        self.assertEqual(list(self.play.snapshot_given(1, 0, "b", self.now)), [Restore((0,), 0, 1), StateChange(ITERATING)])

    def test_silent_host(self) -> None:
        """A host whose hashes are missing is a group as well: the other is given its state."""
        while self.play.state == ITERATING:
            generation = self.play.generation
            self.send(0, generation, checksum=(generation - 2, "x") if generation > 1 else (-1, 0))
            self.send(1, generation)
        newest = self.play.generation - 1
        self.assertEqual(list(self.play.resolve("resync", 1, self.now)), [AskSnapshot(1, newest)])
        self.tick(1)
        self.assertEqual(self.kinds(list(self.play.snapshot_given(1, newest, "y", self.now)))[:2], [Restore, StateChange])
