"""Rooms whose services do not answer take turns, so that what they wait with does not fill memory."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import given
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from gameroom.referees.service_turns import EACH, Turn, Turns
from gameroom.room import LivingRoom
from gameroom.settings import ServiceSettings
from gameroom.store import DatabaseUnavailable
from gameroom.wire.game_service import Message
from tests.held import HeldDatabase
from tests.referees.service_world import ServiceTestCase
from tests.rooms import account


class TurnsTests(SynchronousTestCase):
    def test_shares(self) -> None:
        """A service has so much and no more; who waits has its turn when one is given back, first come, first served."""
        turns = Turns(1000 * EACH, 2 * EACH)
        first, second = (self.successResultOf(turns.take("a", 0)) for _ in range(2))
        third, fourth = turns.take("a", 0), turns.take("a", 0)
        self.assertNoResult(third)
        self.successResultOf(turns.take("b", 0))
        first.give_back()
        first.give_back()
        self.successResultOf(third)
        self.assertNoResult(fourth)
        second.give_back()
        self.successResultOf(fourth)
        self.assertEqual(turns.bytes, 3 * EACH)

    def test_all_together(self) -> None:
        """Where all of it is taken, a service that has nothing gets a turn all the same, and one only."""
        turns = Turns(4 * EACH, 3 * EACH)
        taken = [self.successResultOf(turns.take("a", 0)) for _ in range(3)]
        self.successResultOf(turns.take("b", 9 * EACH))
        other = turns.take("b", 0)
        more = turns.take("a", 0)
        taken[0].give_back()
        self.assertNoResult(other)
        self.assertNoResult(more)
        self.successResultOf(turns.take("c", 0))

    def test_by_turns(self) -> None:
        """What becomes free goes to another service next time."""
        turns = Turns(4 * EACH, 4 * EACH)
        held = [self.successResultOf(turns.take(name, 0)) for name in "aabb"]
        order: list[Any] = []
        for name in "aabb":
            turns.take(name, 0).addCallback(lambda turn: order.append(turn.whose))
        for turn in held:
            turn.give_back()
        self.assertEqual(order, ["a", "b", "a", "b"])

    def test_given_up(self) -> None:
        """Who gives up is in nobody's way: one behind it that needs less may have its turn at once."""
        turns = Turns(10 * EACH, 4 * EACH)
        self.successResultOf(turns.take("a", 0))
        large, small = turns.take("a", 8 * EACH), turns.take("a", 0)
        self.assertNoResult(small)
        large.cancel()
        self.failureResultOf(large, CancelledError)
        self.successResultOf(small)
        self.assertEqual(turns.bytes, 2 * EACH)

    def test_many_at_once(self) -> None:
        """Those who need no time give it from one to the next, however many they are."""
        turns = Turns(EACH, EACH)
        turn = self.successResultOf(turns.take("a", 0))
        served: list[Turn] = []

        def serve(turn: Turn) -> None:
            served.append(turn)
            turn.give_back()

        for _ in range(5000):
            turns.take("a", 0).addCallback(serve)
        turn.give_back()
        self.assertEqual((len(served), turns.bytes), (5000, 0))

    @given(st.lists(st.tuples(st.sampled_from(["take", "give back", "cancel"]), st.sampled_from("abc"), st.integers(0, 20)), max_size=60))
    def test_whatever_happens(self, steps: list[tuple[str, str, int]]) -> None:
        """No more is taken than may be, nobody waits who need not, and in the end everybody had a turn."""
        most, each = 12 * EACH, 6 * EACH
        turns = Turns(most, each)
        taken: list[Turn] = []
        waiting: list[Deferred[Any]] = []

        def had(result: Any, one: Deferred[Any]) -> None:
            waiting.remove(one)
            if isinstance(result, Turn):
                taken.append(result)

        for what, whose, number in steps:
            if what == "take":
                one = turns.take(whose, number * EACH // 4)
                waiting.append(one)
                one.addBoth(had, one)
            elif what == "give back" and taken:
                taken.pop(number % len(taken)).give_back()
            elif what == "cancel" and waiting:
                waiting[number % len(waiting)].cancel()
            self._assert_bounded(turns, taken, most, each)
        while taken:
            taken.pop().give_back()
        self.assertEqual((waiting, turns.bytes), ([], 0))

    def _assert_bounded(self, turns: Turns, taken: list[Turn], most: int, each: int) -> None:
        self.assertEqual(turns.bytes, sum(turn.size for turn in taken))
        firsts = {turn.whose: turn.size for turn in reversed(taken)}
        self.assertLessEqual(turns.bytes, most + sum(firsts.values()))
        for whose, first in firsts.items():
            sizes = [turn.size for turn in taken if turn.whose == whose]
            self.assertTrue(len(sizes) == 1 or sum(sizes) <= each, first)


class RoomsTests(ServiceTestCase):
    """Two rooms of one service, of which one may ask at a time."""

    def database(self) -> HeldDatabase:
        self.held = HeldDatabase(holding=False)
        return self.held

    def setUp(self) -> None:
        super().setUp()
        self.turns._each = 1
        self.services.settings = ServiceSettings(retry_for=5)
        self.start()
        self.first, self.first_ada = self.room, self.ada
        self.room = self.successResultOf(self.house.registry.create(self.house.request(), account("Ada2")))
        self.ada, self.bert = self.member("Ada2"), self.member("Bert2")
        self.start()
        self.services.play, self.services.updates = None, []

    def asked(self) -> list[str]:
        return [update.room_id for update in self.services.updates]

    def both_say(self) -> None:
        self.first_ada.say("game", id=1, body="a")
        self.ada.say("game", id=1, body="b")

    def test_silent(self) -> None:
        """A room waits with nothing in memory while another one's update is on its way, is paused as that one is, and goes on behind it."""
        self.both_say()
        self.assertEqual(self.asked(), [self.first.room_id])
        self.wait(6)
        for one in (self.ada, self.first_ada):
            self.assertEqual([each["state"] for each in one.heard("state")], ["running.paused"])
        self.services.play_on()
        self.assertEqual(self.asked(), [self.first.room_id, self.room.room_id])
        self.assertEqual(self.services.updates[-1].event, Message(0, b'"b"', True))
        for one in (self.ada, self.first_ada):
            self.assertEqual([each["type"] for each in one.heard("state", "ack")], ["state", "ack"])
        self.assertEqual(self.turns.bytes, 0)

    def test_size(self) -> None:
        """What a turn counts is what the room holds, and the state once more."""
        self.both_say()
        held = self.states.get(self.first.room_id)
        assert held is not None
        assert held.state
        self.assertEqual(self.turns.bytes, held.size + len(held.state) + EACH)

    def test_over(self) -> None:
        """The turn of a play that is over is another's."""
        self.both_say()
        self._leave(self.first)
        self.assertEqual(self.asked()[-1], self.room.room_id)
        self.services.play_on()
        self.assertEqual(self.turns.bytes, 0)

    def test_over_while_it_waits(self) -> None:
        """Who waits in vain stands in nobody's way."""
        self.both_say()
        self._leave(self.room)
        self.services.play_on()
        self.assertEqual((self.asked(), self.turns.bytes), ([self.first.room_id], 0))

    def test_not_stored(self) -> None:
        """As long as what came of an update is not stored it is in memory: nobody else's turn comes."""
        self.both_say()
        self.held.holding = True
        self.services.reply(["a"])
        self.held.fail(DatabaseUnavailable("it is away"))
        self.wait(2)
        self.assertEqual((self.held.waiting, self.asked()), (["save"], [self.first.room_id]))
        self.held.release()
        self.assertEqual(self.asked(), [self.first.room_id, self.room.room_id])

    def test_not_read(self) -> None:
        """A room whose state cannot be read leaves its turn to others."""
        self.states.forget(self.first.room_id)
        self.held.holding = True
        self.both_say()
        self.assertEqual((self.held.waiting, self.asked()), (["load"], []))
        self.held.fail(DatabaseUnavailable("it is away"))
        self.assertEqual(self.asked(), [self.room.room_id])

    def test_finished(self) -> None:
        """So does one whose play has ended."""
        self.both_say()
        self.services.reply(["a"], finished=None)
        self.assertEqual(self.asked(), [self.first.room_id, self.room.room_id])

    def _leave(self, room: LivingRoom) -> None:
        for member in list(room.latest.members):
            self.house.registry.leave(room.room_id, member.user_id)
