"""What becomes of a divergence: who is right, and how the play goes on."""

from __future__ import annotations

from typing import Any

import attrs

from gameroom.errors import BadState, Forbidden, InvalidRequest
from gameroom.rules.lockstep import DIVERGED, FINISHED, GIVEN_UP, ITERATING
from gameroom.rules.lockstep_values import AskSnapshot, Divergence, Evict, Master, Over, Repeat, Restore, StateChange
from tests.rules.playing import TERMS, PlayCase


class DisputeCase(PlayCase):
    """Generation 0 is mastered and 1 is next; D = 2, so each may send 1 and 2, with the hash of 0 in the latter."""

    def setUp(self) -> None:
        super().setUp()
        self.turn()

    def told(self, effects: list[Any]) -> list[Any]:
        return [effect.fields["groups"] for effect in effects if isinstance(effect, Divergence)]


class HaltTests(DisputeCase):
    """on_divergence halt: the host decides."""

    def test_waits_for_the_host(self) -> None:
        """It is told and nothing else; the host may end it."""
        self.turn((0, 1))
        effects = self.reports({0: "a", 1: "a", 2: "b"})
        self.assertEqual(self.kinds(effects[-2:]), [StateChange, Divergence])
        self.assertEqual((self.send(2, 1), self.tick(30)), ([], []))
        self.assertEqual(self.play.resolve("abort", 0, self.now), (Over(GIVEN_UP),))

    def test_evict(self) -> None:
        """The majority goes on, the next master says without whom, and its packets are refused from the decision on."""
        self.reports({0: "a", 1: "a", 2: "b"})
        self.assertEqual(list(self.play.resolve("evict", 2, self.now)), [StateChange(ITERATING)])
        self.assertRaises(Forbidden, self.send, 2, 1)
        self.assertRaises(Forbidden, self.send, 2, 0)
        self.assertRaises(Forbidden, self.play.finish, 2, 0, {}, self.now)
        self.assertRaises(Forbidden, self.play.propose_drop, 2, 1, self.now)
        effects = self.turn((0, 1))
        self.assertEqual(list(self.masters(effects)[0].system), [{"evicted": 2}])
        self.assertEqual(self.kinds(effects), [Master, Evict, Master])
        self.assertEqual((self.play.left(2, self.now), self.play.generation, self.play.awaited()), ((), 3, [0, 1]))

    def test_hosts_group(self) -> None:
        """Without a majority the host's group counts as one, and whoever differs from it goes."""
        self.reports({0: "a", 1: "b", 2: "c"})
        self.assertRaises(BadState, self.play.resolve, "evict", None, self.now)
        self.assertRaises(BadState, self.play.resolve, "resync", 7, self.now)
        self.play.resolve("evict", 1, self.now)
        self.assertEqual((self.play.awaited(), self.play.state), ([1], ITERATING))
        self.assertEqual(list(self.masters(self.turn((1,)))[0].system), [{"evicted": 0}, {"evicted": 2}])

    def test_host_that_has_not_reported(self) -> None:
        """A host of whom no hash has come is in no group."""
        self.reports({1: "b", 2: "c"})
        self.assertEqual(self.kinds(self.tick(1)), [Divergence])
        self.assertRaises(BadState, self.play.resolve, "evict", 0, self.now)
        self.assertEqual(self.play.resolve("abort", 0, self.now), (Over(GIVEN_UP),))

    def test_refused(self) -> None:
        """Before it has diverged, before it is told, and what is none of the ways out."""
        self.assertRaises(BadState, self.play.resolve, "abort", 0, self.now)
        self.reports({0: "a", 1: "b"})
        self.assertRaises(BadState, self.play.resolve, "evict", 0, self.now)
        self.tick(1)
        self.assertRaises(InvalidRequest, self.play.resolve, "forget", 0, self.now)

    def test_goes_on_when_the_rest_agree(self) -> None:
        """When who differed leaves or loses its connection, also after it was told, the others go on by themselves."""
        for goes in (self.play.left, self.play.disconnected):
            with self.subTest(goes.__name__):
                self.setUp()
                going = getattr(self.play, goes.__name__)
                self.turn((0, 1))
                self.assertEqual(len(self.told(self.reports({0: "a", 1: "a", 2: "b"}))), 1)
                effects = list(going(2, self.now))
                self.assertEqual(effects[0], StateChange(ITERATING))
                self.assertEqual(self.kinds(effects[1:]), [Master, Master] if goes.__name__ == "left" else [])

    def test_votes_are_counted_anew(self) -> None:
        """It is not known who is right; when one goes, a majority of the rest is one."""
        self.players = (0, 1, 2, 3)
        self.setUp()
        self.reports({0: "a", 1: "a", 2: "b", 3: "c"})
        self.assertRaises(BadState, self.play.resolve, "evict", None, self.now)
        self.assertEqual(list(self.play.disconnected(3, self.now)), [])
        self.assertEqual(list(self.play.resolve("evict", None, self.now)), [StateChange(ITERATING)])
        self.assertEqual(self.play.awaited(), [0, 1, 3])

    def test_a_vote_may_be_given_again(self) -> None:
        """Who was away sends its window again, and with it its hash, which had been forgotten."""
        self.reports({0: "a", 1: "a", 2: "b"})
        self.play.disconnected(0, self.now)
        self.play.connected(0, self.now)
        self.assertRaises(BadState, self.play.resolve, "evict", None, self.now)
        self.send(0, 2, checksum=(0, "a"))
        self.play.resolve("evict", None, self.now)
        self.assertEqual(self.play.awaited(), [0, 1])

    def test_finished_by_the_rest(self) -> None:
        """What all who are left had said before ends it."""
        for seat in (0, 1):
            self.play.finish(seat, 0, {"winner": 1}, self.now)
        self.reports({0: "a", 1: "a", 2: "b"})
        self.assertEqual(self.play.left(2, self.now), [StateChange(ITERATING), Over(FINISHED, {"winner": 1})])


class EvictTests(DisputeCase):
    """on_divergence evict."""

    terms = attrs.evolve(TERMS, on_divergence="evict")

    def test_at_once(self) -> None:
        """With the last report the minority is out and the others go on; the packets that are here are in masters."""
        self.turn((0, 1))
        effects = self.reports({0: "a", 1: "a", 2: "b"})
        self.assertEqual(self.kinds(effects[1:]), [StateChange, Divergence, StateChange, Master, Evict, Master])
        self.assertEqual(effects[5], Evict(2))
        self.assertEqual(self.masters(effects)[1].checksum, (0, "a"))

    def test_without_all_reports(self) -> None:
        """After lag_after a strict majority of those who are there is enough; one who has said nothing is not put out."""
        self.players = (0, 1, 2, 3, 4)
        self.setUp()
        self.reports({0: "a", 1: "a", 2: "a", 3: "b"})
        self.assertEqual(self.kinds(self.tick(1)), [Divergence, StateChange])
        self.assertEqual(self.play.awaited(), [0, 1, 2, 4])
        self.turn((0, 1, 2, 4))
        self.assertEqual(self.kinds(self.send(4, 2, checksum=(0, "b"))), [StateChange, Divergence, StateChange, Master, Evict])

    def test_halts_without_a_majority(self) -> None:
        """Two of four are none; the host decides."""
        self.players = (0, 1, 2, 3)
        self.setUp()
        self.reports({0: "a", 1: "a", 2: "b", 3: "b"})
        self.assertEqual((self.tick(100), self.play.state), ([], DIVERGED))
        self.play.resolve("evict", 3, self.now)
        self.assertEqual(self.play.awaited(), [2, 3])

    def test_silent(self) -> None:
        """Who leaves its hashes out is put out."""
        effects: list[Any] = []
        for _ in range(60):
            if 2 in self.play.awaited():
                generation = self.play.generation
                for seat in self.players:
                    about = (generation - 2, "x") if seat != 2 and generation > 1 else (-1, 0)
                    effects += self.send(seat, generation, checksum=about)
        self.assertEqual(self.told(effects)[0][-1], {"value": None, "seats": [2]})
        self.assertEqual((self.play.state, self.play.awaited()), (ITERATING, [0, 1]))

    def test_all_go(self) -> None:
        """When those who are left leave too, nobody can come back: it is over."""
        self.reports({0: "a", 1: "a", 2: "b"})
        self.play.left(0, self.now)
        self.assertEqual(self.kinds(list(self.play.left(1, self.now))), [Over])

    def test_majority_finishes(self) -> None:
        """Equal results of more than half of those who play end it, not of half."""
        self.play.finish(0, 0, {"winner": 1}, self.now)
        self.play.finish(1, 0, {"winner": 2}, self.now)
        self.assertEqual(self.play.finish(2, 0, {"winner": 1}, self.now), [Over(FINISHED, {"winner": 1})])
        self.setUp()
        self.play.finish(0, 0, {"winner": 1}, self.now)
        self.play.left(2, self.now)
        self.assertEqual(self.play.finish(1, 0, {"winner": 2}, self.now), ())


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
                self.assertEqual(list(self.play.snapshot_given(0, *wrong, self.now)), [AskSnapshot(1, 0)])
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
