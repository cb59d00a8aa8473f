"""What becomes of a divergence: who is right, and how the play goes on."""

from __future__ import annotations

from typing import Any

import attrs

from gameroom.errors import BadState, Forbidden, InvalidRequest
from gameroom.rules.lockstep import DIVERGED, FINISHED, GIVEN_UP, ITERATING
from gameroom.rules.lockstep_values import Divergence, Evict, Over, StateChange
from gameroom.rules.master import Master
from tests.rules.playing import TERMS, DisputeCase


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
