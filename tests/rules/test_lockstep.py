"""The rules of a lock-step play, rule by rule; any interleaving of them is in test_lockstep_machine."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import BadState, Forbidden, InvalidRequest
from gameroom.rules.lockstep import ABANDONED, DIVERGED, FINISHED, ITERATING, LAGGING, Play
from gameroom.rules.lockstep_values import Divergence, Over, Past, Repeat, Resend, StateChange, Terms, Warn
from gameroom.rules.master import Master
from gameroom.wire.lockstep import BINARY, JSON, CommandPacket, MasterPacket
from tests.rules.playing import TERMS, PlayCase


class GatheringTests(PlayCase):
    """Packets in, masters out."""

    def test_by_seat(self) -> None:
        """The master comes with the last packet, ordered by seat, without those who command nothing."""
        self.assertEqual(self.send(2, 0, b"[2]") + self.send(1, 0), [])
        self.now += 0.25
        [effect] = self.send(0, 0, b"[0]")
        self.assertEqual((effect.generation, effect.waited), (0, 0.25))
        [master] = self.masters([effect])
        self.assertEqual(list(master.commands.items()), [(0, b"[0]"), (2, b"[2]")])
        self.assertEqual((master.checksum, list(master.system), master.iterations_per_command), (None, [], 3))

    def test_several_at_once(self) -> None:
        """A late packet may complete more than one generation."""
        for generation in (0, 1):
            self.send(0, generation)
            self.send(1, generation)
        self.assertEqual(self.send(2, 1), [Resend(2, 0)])
        self.assertEqual([effect.generation for effect in self.send(2, 0)], [0, 1])

    def test_second_packet_is_ignored(self) -> None:
        """The first packet for an open generation counts."""
        self.send(0, 0, b"[1]")
        self.assertEqual(self.send(0, 0, b"[2]"), [])
        self.send(1, 0)
        self.assertEqual(self.masters(self.send(2, 0))[0].commands, {0: b"[1]"})

    def test_window(self) -> None:
        """Up to D generations are taken, more is 105."""
        self.send(0, 1)
        self.assertRaises(BadState, self.send, 0, 2)

    def test_gap_of_many(self) -> None:
        """Each generation of a gap is asked for, once."""
        play = Play(terms=Terms(input_delay=4), packets=BINARY, seats=(0, 1), connected=(0, 1), now=0.0)
        packets = [CommandPacket(generation, 50, 60, -1, 0, b"") for generation in range(4)]
        self.assertEqual(list(play.receive(0, packets[2], 0.0)), [Resend(0, 0), Resend(0, 1)])
        self.assertEqual(list(play.receive(0, packets[3], 0.0)), [])
        self.assertEqual(list(play.receive(0, packets[1], 0.0)), [Resend(0, 0)])

    def test_repeats(self) -> None:
        """A mastered generation is answered by its master, down to the last 1,000."""
        for _ in range(1001):
            self.turn()
        self.assertEqual(self.send(1, 1000), [Repeat(1, 1000)])
        self.assertEqual(self.send(1, 1), [Repeat(1, 1)])
        self.assertRaises(BadState, self.send, 1, 0)

    def test_alone(self) -> None:
        """A play of one is mastered packet by packet."""
        play = Play(terms=Terms(input_delay=1), packets=JSON, seats=(3,), connected=(3,), now=0.0)
        for generation in range(5):
            [effect] = list[Any](play.receive(3, CommandPacket(generation, 50, 60, -1, 0, b"[1]"), 0.0))
            self.assertEqual(JSON.read_master(effect.data).commands, {3: b"[1]"})


class LagTests(PlayCase):
    """Who lets the others wait."""

    def test_lag_and_back(self) -> None:
        """After lag_after with another's packet there it is lagging; when the packet comes, it iterates, then masters."""
        self.assertEqual(self.tick(5), [])
        self.send(0, 0)
        self.assertEqual(self.tick(0.9), [])
        self.assertEqual(self.tick(0.1), [StateChange(LAGGING, (1, 2)), Resend(1, 0), Resend(2, 0)])
        self.assertEqual(self.send(1, 0), [StateChange(LAGGING, (2,))])
        change, master = self.send(2, 0)
        self.assertEqual((change, master.generation), (StateChange(ITERATING), 0))

    def test_lag_counts_from_when_it_was_the_next(self) -> None:
        """Nobody lags with a generation whose turn has only just come."""
        for generation in (0, 1):
            self.send(0, generation)
            self.send(1, generation)
        self.now += 0.9
        self.send(2, 0)
        self.assertEqual(self.tick(0.9), [])
        self.assertEqual(self.tick(0.2)[0], StateChange(LAGGING, (2,)))

    def test_asked_again(self) -> None:
        """The packet of who is lagging is asked for each lag_after, as long as it is there."""
        self.send(0, 0)
        self.send(1, 0)
        self.tick(1)
        self.assertEqual(self.tick(0.5), [])
        self.assertEqual(self.tick(0.6), [Resend(2, 0)])
        self.play.disconnected(2, self.now)
        self.assertEqual(self.tick(1.1), [])

    def test_dropped(self) -> None:
        """After drop_after of lag the room carries on without it; the next master says so and holds nothing of it."""
        self.send(0, 0)
        self.send(1, 0)
        self.send(2, 1, b"[9]")
        self.tick(1)
        self.assertEqual([type(effect) for effect in self.tick(59)], [Resend])
        effects = self.tick(1.1)
        self.assertEqual(effects[-2], StateChange(ITERATING))
        [master] = self.masters(effects)
        self.assertEqual((list(master.system), master.commands), ([{"dropped": 2}], {}))
        self.assertEqual(len(self.masters(self.turn((0, 1)))), 1)

    def test_away_is_dropped(self) -> None:
        """Who is away for drop_after is dropped, though nobody is waiting yet."""
        self.play.disconnected(2, self.now)
        self.assertEqual(self.tick(59.9), [])
        self.tick(0.1)
        self.assertEqual(self.play.awaited(), [0, 1])
        self.send(0, 0)
        [master] = self.masters(self.send(1, 0))
        self.assertEqual(list(master.system), [{"dropped": 2}])

    def test_what_a_dropped_player_had_sent(self) -> None:
        """Nothing of a dropped player is in a master, whatever it had sent before."""
        self.send(2, 0, b"[9]")
        self.play.disconnected(2, self.now)
        self.play.propose_drop(0, 2, self.now)
        self.play.propose_drop(1, 2, self.now)
        self.send(0, 0)
        [master] = self.masters(self.send(1, 0))
        self.assertEqual((list(master.system), master.commands), ([{"dropped": 2}], {}))

    def test_short_absence(self) -> None:
        """A player that comes back starts its clock anew, unless it is waited for."""
        self.play.disconnected(2, self.now)
        self.tick(59)
        self.play.connected(2, self.now)
        self.tick(59)
        self.assertEqual(self.play.awaited(), [0, 1, 2])

    def test_coming_and_going_does_not_help(self) -> None:
        """Who is lagging and reconnects again and again is dropped all the same."""
        self.send(0, 0)
        self.send(1, 0)
        self.tick(1)
        for _ in range(6):
            self.play.disconnected(2, self.now)
            self.tick(10)
            self.play.connected(2, self.now)
        self.assertEqual(self.play.generation, 1)

    def test_nobody_to_carry_on(self) -> None:
        """Where nobody is there nobody is dropped; after room_ttl it is over."""
        for seat in self.players:
            self.play.disconnected(seat, self.now)
        self.assertEqual(self.tick(119), [])
        self.assertEqual(self.play.awaited(), [0, 1, 2])
        self.assertEqual(self.tick(1), [Over(ABANDONED)])

    def test_all_leave(self) -> None:
        """With its last player the play is over."""
        for seat in (0, 1):
            self.play.left(seat, self.now)
        self.assertEqual(self.play.left(2, self.now), (Over(ABANDONED),))

    def test_left(self) -> None:
        """Who leaves is not waited for, and its packets are gone with it."""
        self.send(2, 0, b"[9]")
        self.send(0, 0)
        self.play.left(2, self.now)
        [master] = self.masters(self.send(1, 0))
        self.assertEqual((list(master.system), master.commands), ([{"left": 2}], {}))
        self.assertRaises(BadState, self.send, 2, 1)


class DropProposalTests(PlayCase):
    """Players that do not want to wait."""

    def test_carried_by_all_others(self) -> None:
        """All other connected players must want it."""
        self.play.disconnected(2, self.now)
        self.send(0, 0)
        self.send(1, 0)
        self.assertEqual(list(self.play.propose_drop(0, 2, self.now)), [])
        [master] = self.masters(list(self.play.propose_drop(1, 2, self.now)))
        self.assertEqual(list(master.system), [{"dropped": 2}])

    def test_carried_when_the_other_goes(self) -> None:
        """When who has not proposed goes away, the rest is all."""
        self.play.disconnected(2, self.now)
        self.play.propose_drop(0, 2, self.now)
        self.play.disconnected(1, self.now)
        self.assertEqual(self.play.awaited(), [0, 1])

    def test_lagging(self) -> None:
        """One that is there but lagging can be proposed too, and not before it lags."""
        self.send(0, 0)
        self.send(1, 0)
        self.assertRaises(BadState, self.play.propose_drop, 0, 2, self.now)
        self.tick(1)
        self.play.propose_drop(0, 2, self.now)
        self.play.propose_drop(1, 2, self.now)
        self.assertEqual(self.play.generation, 1)

    def test_refused(self) -> None:
        """Not one who is there, not oneself, not a seat that nobody has, and not by one who is dropped."""
        for seat in (1, 0, 7):
            self.assertRaises(BadState, self.play.propose_drop, 0, seat, self.now)
        self.play.disconnected(2, self.now)
        self.play.propose_drop(0, 2, self.now)
        self.play.propose_drop(1, 2, self.now)
        self.play.connected(2, self.now)
        self.play.disconnected(1, self.now)
        self.assertRaises(Forbidden, self.play.propose_drop, 2, 1, self.now)
        self.assertRaises(BadState, self.play.propose_drop, 0, 2, self.now)

    def test_void_when_it_is_back(self) -> None:
        """A proposal of before does not count when the player goes away once more."""
        self.play.disconnected(2, self.now)
        self.play.propose_drop(0, 2, self.now)
        self.play.connected(2, self.now)
        self.play.disconnected(2, self.now)
        self.play.propose_drop(1, 2, self.now)
        self.assertEqual(self.play.awaited(), [0, 1, 2])


class RejoinTests(PlayCase):
    """A dropped player catches up."""

    def setUp(self) -> None:
        super().setUp()
        self.play.left(1, self.now)
        self.play.disconnected(2, self.now)
        self.play.propose_drop(0, 2, self.now)
        self.turn((0,))
        self.play.connected(2, self.now)

    def test_from_the_next_master_on(self) -> None:
        """A packet in the window: the next master m says rejoined and holds nothing of it; what came for m + 1 counts."""
        self.assertEqual(self.send(2, 2, b"[2]"), [])
        self.assertEqual(self.send(2, 1, b"[1]"), [])
        [master] = self.masters(self.send(0, 1))
        self.assertEqual((list(master.system), master.commands), ([{"rejoined": 2}], {}))
        self.assertEqual(self.send(2, 2, b"[other]"), [])
        [master] = self.masters(self.send(0, 2))
        self.assertEqual(master.commands, {2: b"[2]"})
        self.assertEqual(self.send(0, 3), [])

    def test_goes_before_it_is_back(self) -> None:
        """Whose connection goes meanwhile stays dropped, and nothing of it is kept."""
        self.send(2, 2, b"[2]")
        self.play.disconnected(2, self.now)
        [master] = self.masters(self.send(0, 1))
        self.assertEqual(list(master.system), [])
        [master] = self.masters(self.send(0, 2))
        self.assertEqual(master.commands, {})

    def test_leaves_before_it_is_back(self) -> None:
        """It is told to have left, and nothing else."""
        self.send(2, 2)
        self.play.left(2, self.now)
        [master] = self.masters(self.send(0, 1))
        self.assertEqual(list(master.system), [{"left": 2}])

    def test_repeats_and_too_far(self) -> None:
        """Outside of the window it is as for anybody."""
        self.assertEqual(self.send(2, 0), [Repeat(2, 0)])
        self.assertRaises(BadState, self.send, 2, 3)

    def test_into_an_empty_play(self) -> None:
        """Where nobody counts any more, who comes back is back at once."""
        self.play.disconnected(0, self.now)
        self.assertEqual(self.tick(60), [])
        self.assertEqual(self.play.awaited(), [])
        [master] = self.masters(self.send(2, 1))
        self.assertEqual(list(master.system), [{"dropped": 0}, {"rejoined": 2}])
        self.assertEqual(self.play.awaited(), [2])

    def test_dropped_again(self) -> None:
        """It may lag once more, and is then dropped once more."""
        self.send(2, 1)
        self.send(0, 1)
        self.send(0, 2)
        self.tick(1)
        self.tick(60)
        self.assertEqual(self.play.generation, 3)


class HashTests(PlayCase):
    """Agreement and divergence."""

    players = (0, 1)

    def report(self, generation: int, values: tuple[Any, Any]) -> list[Any]:
        """Both send their packet for a generation, with their hashes of two before."""
        effects: list[Any] = []
        for seat in (0, 1):
            if values[seat] is not None:
                effects += self.send(seat, generation, checksum=(generation - 2, values[seat]))
            else:
                effects += self.send(seat, generation)
        return effects

    def test_agreed(self) -> None:
        """A master tells the newest that all have reported."""
        self.turn()
        self.turn()
        self.assertEqual(self.masters(self.report(2, ("a", "a")))[0].checksum, (0, "a"))
        self.assertEqual(self.masters(self.report(3, ("b", None)))[0].checksum, (0, "a"))
        self.assertEqual(self.masters(self.report(4, ("c", "c")))[0].checksum, (2, "c"))

    def test_diverged(self) -> None:
        """No master is made with the packet that differs, nor ever after; then the play is told what differs."""
        self.turn()
        self.turn()
        self.report(2, ("a", "a"))
        effects = self.report(3, ("b", "z"))
        groups = [{"value": "b", "seats": [0]}, {"value": "z", "seats": [1]}]
        self.assertEqual(effects, [StateChange(DIVERGED), Divergence({"generation": 1, "groups": groups, "last_agreed": 0})])
        self.assertEqual(self.turn() + self.tick(100), [])
        self.assertEqual(self.play.generation, 3)
        self.assertRaises(BadState, self.play.propose_drop, 0, 1, self.now)
        self.assertRaises(BadState, self.play.finish, 0, 1, {}, self.now)

    def test_third_is_waited_for(self) -> None:
        """Packets inside the window are still taken so that all report; after lag_after it is told without."""
        for wait in (False, True):
            play = Play(terms=TERMS, packets=BINARY, seats=(0, 1, 2), connected=(0, 1, 2), now=0.0)
            for generation in (0, 1):
                for seat in (0, 1, 2):
                    play.receive(seat, CommandPacket(generation, 50, 60, -1, 0, b""), 0.0)
            play.receive(0, CommandPacket(2, 50, 60, 0, 10, b""), 0.0)
            self.assertEqual(list(play.receive(1, CommandPacket(2, 50, 60, 0, 11, b""), 0.0)), [StateChange(DIVERGED)])
            self.assertEqual(list(play.tick(0.9)), [])
            effects = list(play.tick(1.0)) if wait else list(play.receive(2, CommandPacket(2, 50, 60, 0, 10, b""), 0.9))
            [told] = [effect for effect in effects if isinstance(effect, Divergence)]
            self.assertEqual(told.fields["groups"][0], {"value": "000000000000000a", "seats": [0] if wait else [0, 2]})
            self.assertEqual(play.generation, 2)

    def test_in_a_lag(self) -> None:
        """While it lags nothing is looked for; with the missing packet it is, before any master."""
        play = Play(terms=TERMS, packets=JSON, seats=(0, 1, 2), connected=(0, 1, 2), now=0.0)
        for generation in (0, 1):
            for seat in (0, 1, 2):
                play.receive(seat, CommandPacket(generation, 50, 60, -1, 0, b""), 0.0)
        play.receive(0, CommandPacket(2, 50, 60, 0, "a", b""), 0.0)
        play.tick(1.0)
        self.assertEqual(list(play.receive(1, CommandPacket(2, 50, 60, 0, "b", b""), 1.0)), [StateChange(LAGGING, (2,))])
        effects = list(play.receive(2, CommandPacket(2, 50, 60, 0, "a", b""), 1.1))
        self.assertEqual([type(effect) for effect in effects], [StateChange, StateChange, Divergence])
        self.assertEqual(play.state, DIVERGED)

    def test_left_out(self) -> None:
        """A player that leaves its hashes out is told, then the play has diverged."""
        effects: list[Any] = []
        self.turn()
        self.turn()
        for generation in range(2, 40):
            if self.play.state == ITERATING:
                effects += self.report(generation, (str(generation), None))
        self.assertEqual([effect.seat for effect in effects if isinstance(effect, Warn)], [1])
        self.assertIsInstance(effects[-1], Divergence)
        self.assertEqual(effects[-1].fields["groups"][-1], {"value": None, "seats": [1]})
        self.assertLess(self.play.generation, 25)

    def test_bad_hash_leaves_the_packet_untaken(self) -> None:
        """A hash of a generation to come is 100; the packet may be sent again without it."""
        self.assertRaises(InvalidRequest, self.send, 0, 0, checksum=(0, "a"))
        self.send(0, 0)
        self.assertEqual(len(self.send(1, 0)), 1)


class FinishTests(PlayCase):
    """How a game ends."""

    players = (0, 1)

    def test_equal_results(self) -> None:
        """All say the same for the same generation: over. The order of names is nothing."""
        self.turn()
        self.assertEqual(self.play.finish(0, 0, {"winner": 1, "score": 3}, self.now), ())
        self.assertEqual(self.play.finish(1, 0, {"score": 3, "winner": 1}, self.now), [Over(FINISHED, {"winner": 1, "score": 3})])

    def test_not_equal(self) -> None:
        """Other results, or those of another generation, do not end it; a second word replaces the first."""
        self.turn()
        self.turn()
        self.play.finish(0, 0, {"winner": 1}, self.now)
        for generation, results in ((0, {"winner": 0}), (0, {"winner": True}), (1, {"winner": 1})):
            self.assertEqual(self.play.finish(1, generation, results, self.now), ())
        self.assertEqual(len(self.play.finish(1, 0, {"winner": 1}, self.now)), 1)

    def test_not_mastered(self) -> None:
        """Nobody can know the end of a generation to come."""
        self.assertRaises(BadState, self.play.finish, 0, 0, {}, self.now)

    def test_dropped_are_not_asked(self) -> None:
        """When who has said nothing is dropped, the others' word is the end."""
        self.turn()
        self.play.finish(0, 0, {}, self.now)
        self.play.disconnected(1, self.now)
        self.assertEqual(self.tick(60), [Over(FINISHED, {})])


class PastTests(SynchronousTestCase):
    """A play that is taken up again."""

    def test_goes_on(self) -> None:
        """It lags with all away, knows who is dropped and who has left, and goes on with the packets of the window."""
        events = [{"dropped": 1}, {"dropped": 2}, {"rejoined": 1}, {"left": 3}]
        past = Past(generation=40, iterations=7, checksum=(38, "abc"), events=events)
        play = Play(terms=TERMS, packets=JSON, seats=(0, 1, 2, 3), connected=(), now=0.0, past=past)
        self.assertEqual((play.state, play.awaited(), play.generation), (LAGGING, [0, 1], 40))
        play.connected(0, 1.0)
        play.connected(1, 2.0)
        self.assertEqual(list(play.receive(0, CommandPacket(40, 100, 140, -1, 0, b""), 3.0)), [StateChange(LAGGING, (1,))])
        change, master = list[Any](play.receive(1, CommandPacket(40, 100, 140, -1, 0, b"[1]"), 3.0))
        self.assertEqual(change, StateChange(ITERATING))
        self.assertEqual(JSON.read_master(master.data), MasterPacket(40, 7, (38, "abc"), {1: b"[1]"}))

    def test_who_does_not_come(self) -> None:
        """Who does not come back is dropped after drop_after, once another is there and has sent its packets."""
        play = Play(terms=TERMS, packets=JSON, seats=(0, 1), connected=(), now=0.0, past=Past(generation=3))
        self.assertEqual(list(play.tick(70.0)), [])
        play.connected(0, 71.0)
        play.receive(0, CommandPacket(3, 50, 60, -1, 0, b""), 71.0)
        self.assertEqual([type(effect) for effect in play.tick(71.1)], [StateChange, Master])

    def test_nobody_comes(self) -> None:
        """The play is over after room_ttl."""
        play = Play(terms=TERMS, packets=JSON, seats=(0, 1), connected=(), now=0.0, past=Past(generation=3))
        self.assertEqual(list(play.tick(120.0)), [Over(ABANDONED)])
